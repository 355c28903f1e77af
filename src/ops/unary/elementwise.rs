//! Elementwise functions of one tensor, one after the other: a rule puts them together.

use super::{Padded, Unary};
use crate::Shape;
use crate::error::ErrorKind;
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout};
use crate::ops::activation::{ActivationParams, code};
use crate::ops::{Activation, Binary, BinaryKind, texel_kernels};
use crate::shape::expect_inputs;

/// The most functions that one dispatch computes.
const MOST: usize = 4;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    Unary(Unary),
    Activation(Activation),
    /// Arithmetic with a number, which comes first if `true`.
    Number(BinaryKind, f32, bool),
}

impl Function {
    /// Returns true if the shader computes the function.
    fn is_known(self) -> bool {
        match self {
            Function::Unary(function) => function != Unary::BitNot,
            Function::Activation(_) => true,
            // The others loop, or are on bits.
            Function::Number(kind, ..) => kind as u32 <= BinaryKind::Pow as u32,
        }
    }

    /// Returns the value of `LINK0` to `LINK3` in `shaders/elementwise.wgsl`.
    pub(in crate::ops) fn code(self) -> u32 {
        match self {
            Function::Activation(activation) => code(Some(activation)),
            Function::Unary(function) => 32 + function as u32,
            Function::Number(kind, _, false) => 64 + kind as u32,
            Function::Number(kind, _, true) => 96 + kind as u32,
        }
    }

    fn operations(self) -> u64 {
        match self {
            Function::Activation(activation) => activation.operations(),
            Function::Unary(_) | Function::Number(..) => 1,
        }
    }
}

/// One to four elementwise functions, the first to compute first.
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
    pub(crate) fn new(functions: Vec<Function>) -> Option<Elementwise> {
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
            [Function::Number(kind, ..)] => Binary::new(kind).name(),
            _ => "elementwise",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        Ok(vec![x.clone()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let shape = &io.inputs[0];
        let mut each = [ActivationParams::new(None).numbers(); MOST];
        let mut shader = shader!("elementwise", "activation", "arithmetic", "index", "nan", "radians", "unary");
        for (i, &function) in self.functions.iter().enumerate() {
            match function {
                Function::Unary(_) => {}
                Function::Activation(activation) => each[i] = ActivationParams::new(Some(activation)).numbers(),
                Function::Number(_, number, _) => each[i][2] = number,
            }
            shader = shader.set(["LINK0", "LINK1", "LINK2", "LINK3"][i], function.code());
        }
        let params = |layout: Layout| Params {
            sizes: Padded::new(layout, shape),
            lo: each.map(|[lo, ..]| lo),
            hi: each.map(|[_, hi, _]| hi),
            alpha: each.map(|[.., alpha]| alpha),
        };
        Ok(texel_kernels(caps, shape, &shader, params))
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let each = self.functions.iter().map(|function| function.operations()).sum();
        Metrics::new(Cost::in_place(io.written().saturating_mul(each))).reach(Reach::Pixel)
    }
}
