//! Elementwise functions, one after the other: a rule puts them together.

use super::{Padded, Unary};
use crate::Shape;
use crate::error::ErrorKind;
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Storage};
use crate::ops::activation::{ActivationParams, code};
use crate::ops::{Activation, Binary, BinaryKind, texel_layouts};

/// The most functions that one dispatch computes.
const MOST: usize = 4;

/// The names of the inputs in the shader. A fourth one would exceed WebGPU's default of four storage textures.
const INPUTS: [&str; 3] = ["x", "x1", "x2"];

/// A function of the value that the functions before it left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    Unary(Unary),
    Activation(Activation),
    /// Arithmetic with an operand, which comes first if `true`.
    Arithmetic(BinaryKind, Operand, bool),
}

/// The operand beside the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operand {
    Number(f32),
    /// The input of that index.
    Input(usize),
}

impl Function {
    /// Returns true if the shader computes the function.
    fn is_known(self) -> bool {
        match self {
            Function::Unary(function) => function != Unary::BitNot,
            Function::Activation(_) => true,
            // The others loop, or are on bits.
            Function::Arithmetic(kind, ..) => kind as u32 <= BinaryKind::Pow as u32 && self.inputs() <= INPUTS.len(),
        }
    }

    /// Returns the number of inputs that an operation with this function has at least.
    fn inputs(self) -> usize {
        match self {
            Function::Arithmetic(_, Operand::Input(i), _) => i + 1,
            _ => 1,
        }
    }

    /// Returns the value of `LINK0` to `LINK3` in `shaders/elementwise.wgsl`.
    pub(in crate::ops) fn code(self) -> u32 {
        match self {
            Function::Activation(activation) => code(Some(activation)),
            Function::Unary(function) => 32 + function as u32,
            Function::Arithmetic(kind, operand, first) => {
                let operand = match operand {
                    Operand::Number(_) => 64,
                    Operand::Input(i) => 128 + 64 * i as u32,
                };
                operand + 32 * u32::from(first) + kind as u32
            }
        }
    }

    fn operations(self) -> u64 {
        match self {
            Function::Activation(activation) => activation.operations(),
            Function::Unary(_) | Function::Arithmetic(..) => 1,
        }
    }
}

/// One to four functions, applied in order to the first input. Their operands may be numbers, or up to two more tensors of
/// the same shape.
#[derive(Clone, Debug)]
pub(crate) struct Elementwise {
    functions: Vec<Function>,
}

params! {
    struct Params {
        sizes: Padded,
        lo: [f32; 4],
        hi: [f32; 4],
        alpha: [f32; 4],
    }
}

impl Elementwise {
    /// Puts functions together, if one dispatch computes them.
    ///
    /// Drivers cancel across the functions of one shader: they make (x + b) - b into x, although it is NaN if b is infinite,
    /// and rounded if b is large. So no function reads an input again, but for products before which nothing was divided.
    pub(crate) fn new(functions: Vec<Function>) -> Option<Elementwise> {
        let (mut read, mut divided) = (vec![0], false);
        for function in &functions {
            if let &Function::Arithmetic(kind, Operand::Input(i), _) = function {
                if read.contains(&i) && (kind != BinaryKind::Mul || divided) {
                    return None;
                }
                read.push(i);
            }
            divided |= match function {
                Function::Arithmetic(kind, ..) => *kind == BinaryKind::Div,
                Function::Unary(function) => matches!(function, Unary::Reciprocal | Unary::Rsqrt),
                Function::Activation(_) => false,
            };
        }
        let fits = (1..=MOST).contains(&functions.len()) && functions.iter().all(|function| function.is_known());
        fits.then_some(Elementwise { functions })
    }

    /// Returns the functions, the first to compute first.
    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }
}

impl Op for Elementwise {
    fn name(&self) -> &'static str {
        match self.functions[..] {
            [Function::Unary(function)] => function.name(),
            [Function::Activation(activation)] => activation.name(),
            [Function::Arithmetic(kind, ..)] => Binary::new(kind).name(),
            _ => "elementwise",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let count = self.functions.iter().map(|function| function.inputs()).max().unwrap_or(1);
        if inputs.len() != count {
            return Err(ErrorKind::argument("inputs", count, inputs.len()));
        }
        match inputs.iter().find(|&shape| *shape != inputs[0]) {
            Some(other) => Err(ErrorKind::argument("input", &inputs[0], other)),
            None => Ok(vec![inputs[0].clone()]),
        }
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (shape, count) = (&io.inputs[0], io.inputs.len());
        let mut each = [ActivationParams::new(None).numbers(); MOST];
        let mut shader = shader!("elementwise", "activation", "arithmetic", "index", "nan", "radians", "unary");
        for (i, &function) in self.functions.iter().enumerate() {
            match function {
                Function::Activation(activation) => each[i] = ActivationParams::new(Some(activation)).numbers(),
                Function::Arithmetic(_, Operand::Number(number), _) => each[i][2] = number,
                Function::Unary(_) | Function::Arithmetic(..) => {}
            }
            shader = shader.set(["LINK0", "LINK1", "LINK2", "LINK3"][i], function.code());
        }
        let kernel = |layout: Layout| {
            let params = Params {
                sizes: Padded::new(layout, shape),
                lo: each.map(|[lo, ..]| lo),
                hi: each.map(|[_, hi, _]| hi),
                alpha: each.map(|[.., alpha]| alpha),
            };
            let texture = layout.storage == Storage::Texture;
            let names = INPUTS.iter().chain(&["y"]);
            let shader = names.fold(shader.clone(), |shader, name| shader.texture(name, texture));
            // Something must be bound in place of inputs that aren't there.
            let inputs = (0..INPUTS.len()).map(|i| Binding::Input(if i < count { i } else { 0 }));
            let bindings = inputs.chain([Binding::Output(0)]).collect();
            let (rows, width) = layout.texels(shape);
            Kernel::new(vec![layout; count], layout, Dispatch::for_each(shader, &params, bindings, rows * width))
        };
        Ok(texel_layouts(caps).map(kernel).collect())
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let each = self.functions.iter().map(|function| function.operations()).sum();
        Metrics::new(Cost::in_place(io.written().saturating_mul(each))).reach(Reach::Pixel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_tensors_of_one_shape() {
        let of = |kind, i: usize| Function::Arithmetic(kind, Operand::Input(i), false);
        let add = |i: usize| of(BinaryKind::Add, i);
        let op = Elementwise::new(vec![add(1), add(2)]).expect("two functions of three tensors");
        let shapes = |sizes: &[[usize; 2]]| sizes.iter().map(|&sizes| Shape::from(sizes)).collect::<Vec<_>>();
        assert_eq!(op.output_shapes(&shapes(&[[2, 3]; 3])).expect("of one shape"), shapes(&[[2, 3]]));
        let refused = |sizes: &[[usize; 2]]| op.output_shapes(&shapes(sizes)).expect_err("they don't fit").to_string();
        assert_eq!(refused(&[[2, 3]; 2]), "inputs: wanted 3, got 2");
        assert!(refused(&[[2, 3], [2, 3], [1, 3]]).starts_with("input: wanted"));
        assert!(Elementwise::new(vec![add(3)]).is_none(), "a fourth tensor");
        let abs = Function::Unary(Unary::Abs);
        assert!(
            Elementwise::new(vec![abs; 4]).is_some() && Elementwise::new(vec![abs; 5]).is_none(),
            "a fifth function"
        );
        let [mul, div] = [BinaryKind::Mul, BinaryKind::Div].map(|kind| of(kind, 1));
        assert!(Elementwise::new(vec![add(1), add(1)]).is_none() && Elementwise::new(vec![add(0)]).is_none());
        assert!(Elementwise::new(vec![add(1), mul]).is_some() && Elementwise::new(vec![div, mul]).is_none());
    }
}
