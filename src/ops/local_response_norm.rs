//! Local response normalisation, as in AlexNet.

use super::{image_kernels, one_to_one};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Dispatch, Kernel, Layout, Storage};
use crate::shape::{expect_inputs, expect_rank};
use crate::{Graph, Shape, Value};

/// `torch.nn.LocalResponseNorm`: `y = x / (k + alpha / size * sum x²)^beta`, with the sum over `size` channels around
/// each one. (The AlexNet paper doesn't divide alpha by the size.)
#[derive(Clone, Debug)]
pub struct LocalResponseNorm {
    size: usize,
    alpha: f32,
    beta: f32,
    k: f32,
}

params! {
    struct Params {
        rows: usize,
        width: usize,
        channels: usize,
        size: usize,
        alpha: f32,
        beta: f32,
        k: f32,
    }
}

impl LocalResponseNorm {
    /// Creates a normalisation over `size` channels, with PyTorch's defaults: alpha 1e-4, beta 0.75, k 1.
    pub fn new(size: usize) -> LocalResponseNorm {
        LocalResponseNorm { size, alpha: 1e-4, beta: 0.75, k: 1.0 }
    }

    /// Sets the factors.
    #[must_use]
    pub fn factors(self, alpha: f32, beta: f32, k: f32) -> LocalResponseNorm {
        LocalResponseNorm { alpha, beta, k, ..self }
    }
}

impl Op for LocalResponseNorm {
    fn name(&self) -> &'static str {
        "local_response_norm"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 4)?;
        if self.size == 0 {
            return Err(ErrorKind::argument("size", "1 or more", 0));
        }
        Ok(vec![x.clone()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let image = Image::new(&io.inputs[0]);
        let (rows, width) = Layout::channels(Storage::Buffer).texels(&io.inputs[0]);
        let params = Params {
            rows,
            width,
            channels: image.c,
            size: self.size,
            alpha: self.alpha / self.size as f32,
            beta: self.beta,
            k: self.k,
        };
        let shader = shader!("local_response_norm", "index", "nan");
        let dispatch = Dispatch::for_each(shader, &params, one_to_one(), rows * width).iterations(self.size + 4);
        Ok(image_kernels(caps, &dispatch))
    }

    /// Counts a square, `size - 1` additions, alpha, k, a power and a division, as if no channel lacked neighbours.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::in_place(io.written().saturating_mul((self.size as u64).saturating_add(4))))
            .reach(Reach::Pixel)
    }
}

impl Graph {
    /// Adds a [`LocalResponseNorm`].
    pub fn local_response_norm(&mut self, x: Value, norm: LocalResponseNorm) -> Result<Value> {
        self.push(norm, &[x])
    }
}
