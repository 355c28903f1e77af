//! PReLU: a leaky ReLU with learned slopes.

use super::image_storage;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Order, Prepacked, Storage, WeightKey};
use crate::shape::expect_inputs;
use crate::{Graph, Shape, Value};

/// `torch.nn.PReLU`: `x` where positive, else `weight * x`. The tensor has any shape; the weight is `[1]`, or `[C]` for
/// the channels in dimension 1. (He et al. 2015, <https://arxiv.org/abs/1502.01852>)
#[derive(Clone, Debug)]
pub struct PRelu {
    weight: Constant,
}

params! {
    struct Params {
        rows: usize,
        width: usize,
        c4: usize,
        /// The sizes of a row and of a channel, in elements, and the number of weights.
        length: usize,
        inner: usize,
        weights: usize,
    }
}

impl PRelu {
    /// Creates a PReLU with these slopes, `[1]` or `[C]`.
    pub fn new(weight: Constant) -> PRelu {
        PRelu { weight }
    }

    /// Packs the weights into texels.
    fn pack(&self) -> Prepacked {
        let (weight, texels) = (self.weight.clone(), self.weight.shape().elements().div_ceil(4));
        let values = move || {
            let mut values = weight.values();
            values.resize(4 * texels, 0.0);
            values
        };
        let key = WeightKey::new("prelu").constants([Some(self.weight.id())]);
        Prepacked::new(key, Storage::Buffer, (1, texels), values)
    }
}

impl Op for PRelu {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        match self.weight.shape()[..] {
            [1] => Ok(vec![x.clone()]),
            [c] if x.get(1) == Some(&c) => Ok(vec![x.clone()]),
            _ => {
                let wanted = x.get(1).map_or("[1]".into(), |c| format!("[1] or [{c}]"));
                Err(ErrorKind::argument("weight", wanted, self.weight.shape()))
            }
        }
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let x = &io.inputs[0];
        let weights = self.weight.shape().elements();
        let inner = x.get(2..).map_or(1, |inner| inner.iter().product());
        let kernel = |layout: Layout| {
            let (rows, width) = layout.texels(x);
            let params = Params {
                rows,
                width,
                c4: Image::new(x).c4(),
                length: if layout.order == Order::RowsVec4 { x[x.len() - 1] } else { 0 },
                inner,
                weights,
            };
            let texture = layout.storage == Storage::Texture;
            // A single weight is indexed like the weight of the only channel.
            let shader = shader!("prelu", "index")
                .set("CHANNELS", layout.order == Order::Channels && weights > 1)
                .texture("x", texture)
                .texture("y", texture);
            let bindings = vec![Binding::Input(0), Binding::Weight(self.pack()), Binding::Output(0)];
            Kernel::new(vec![layout], layout, Dispatch::for_each(shader, &params, bindings, rows * width))
        };
        let mut layouts = vec![Layout::ROWS];
        for &storage in image_storage(caps) {
            // A shape that is no image is one row of pixels, without channels.
            if weights == 1 || (2..=5).contains(&x.len()) {
                layouts.push(Layout::channels(storage));
            }
            if !x.is_empty() {
                layouts.push(Layout::rows_vec4(storage));
            }
        }
        Ok(layouts.into_iter().map(kernel).collect())
    }

    /// Counts a comparison and a multiplication.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost {
            parameters: self.weight.shape().elements() as u64,
            ..Cost::in_place(io.written().saturating_mul(2))
        })
        .reach(Reach::Pixel)
        .parameters(vec![&self.weight])
    }
}

impl Graph {
    /// Adds a [`PRelu`].
    pub fn prelu(&mut self, x: Value, weight: Constant) -> Result<Value> {
        self.push(PRelu::new(weight), &[x])
    }
}
