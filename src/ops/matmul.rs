//! Matrix product of two computed tensors.

use super::Activation;
use super::epilogue::Epilogue;
use super::gemm::{Gemm, Operand};
use super::window::Window;
use crate::error::{ErrorKind, Result, expect_inputs};
use crate::graph::op::{Cost, Io, Op};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout};
use crate::{Graph, Shape, Value};

/// `torch.matmul` of tensors of two dimensions or more: `[.., M, K]` by `[.., K, N]` gives `[.., M, N]`; the dimensions
/// before are a batch and broadcast (four of them at most).
#[derive(Clone, Debug, Default)]
pub struct MatMul {
    activation: Option<Activation>,
}

impl MatMul {
    /// A matrix product.
    pub fn new() -> MatMul {
        MatMul::default()
    }
}

fn batch(shape: &Shape) -> Shape {
    shape[..shape.len() - 2].into()
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [a, b] = expect_inputs::<2>(inputs)?;
        for (name, x) in [("a", a), ("b", b)] {
            if !(2..=6).contains(&x.len()) {
                return Err(ErrorKind::argument(name, "2 to 6 dimensions", x));
            }
        }
        let (m, k, n) = (a[a.len() - 2], a[a.len() - 1], b[b.len() - 1]);
        if b[b.len() - 2] != k {
            return Err(ErrorKind::argument("b", format_args!("[.., {k}, N] for a's {a}"), b));
        }
        let batch = batch(a)
            .broadcast(&batch(b))
            .ok_or_else(|| ErrorKind::argument("b", format_args!("batch dimensions that broadcast with a's {a}"), b))?;
        Ok(vec![[&batch[..], &[m, n]].concat().into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (a, b, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let (m, k, n) = (a[a.len() - 2], a[a.len() - 1], b[b.len() - 1]);
        let outer = batch(y);
        let four = |values: &[usize], scale: usize, fill: u32| {
            let mut all = [fill; 4];
            all[4 - values.len()..].iter_mut().zip(values).for_each(|(to, &v)| *to = (v * scale) as u32);
            all
        };
        let gemm = Gemm {
            x: Image { n: m, c: k, h: 1, w: 1 },
            y: Image { n: m, c: n, h: 1, w: 1 },
            layout: Layout::packed,
            window: Window::PIXEL,
            groups: 1,
            w: Operand::Input {
                rows: k,
                batch: four(&outer, 1, 1),
                x_batch: four(&batch(a).broadcast_strides(&outer), m, 0),
                w_batch: four(&batch(b).broadcast_strides(&outer), k, 0),
            },
            bias: None,
            epilogue: Epilogue { residual: false, activation: self.activation },
        };
        gemm.kernels(caps)
    }

    fn cost(&self, io: &Io) -> Cost {
        let k = io.inputs[0].last().copied().unwrap_or(1);
        Cost { macs: (io.outputs[0].elements() * k) as u64, activations: true, ..Cost::default() }
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        let &activation = next.downcast_ref::<Activation>().filter(|_| self.activation.is_none())?;
        Some(Box::new(MatMul { activation: Some(activation) }))
    }
}

impl Graph {
    /// Adds a [`MatMul`].
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(MatMul::new(), &[a, b])
    }
}
