//! Batch norm with running statistics. A preceding convolution folds the norm into its weights; alone it is one pass.

use super::activation::{Activation, ActivationParams, code};
use super::affine::Affine;
use super::image_storage;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Storage, WeightKey};
use crate::shape::expect_inputs;
use crate::{Graph, Shape, Value};

/// `torch.nn.BatchNorm1d`, `2d` and `3d` in inference: `y = (x - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]`,
/// for `[N, C]`, `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`. A preceding convolution folds in the norm.
#[derive(Clone, Debug)]
pub struct BatchNorm2d {
    weight: Constant,
    bias: Constant,
    mean: Constant,
    var: Constant,
    eps: f64,
    activation: Option<Activation>,
}

params! {
    struct Params {
        rows: usize,
        width: usize,
        c4: usize,
        activation: ActivationParams,
    }
}

impl BatchNorm2d {
    /// Creates a batch norm with scale, shift, running mean and variance, all `[C]`, and PyTorch's epsilon, 1e-5.
    pub fn new(weight: Constant, bias: Constant, running_mean: Constant, running_var: Constant) -> BatchNorm2d {
        BatchNorm2d { weight, bias, mean: running_mean, var: running_var, eps: 1e-5, activation: None }
    }

    /// Sets the epsilon.
    #[must_use]
    pub fn eps(self, eps: f64) -> BatchNorm2d {
        BatchNorm2d { eps, ..self }
    }

    pub(crate) fn activation(&self) -> Option<Activation> {
        self.activation
    }

    /// The batch norm that computes an affine of `channels` channels.
    pub(crate) fn from_affine(affine: &Affine, channels: usize) -> BatchNorm2d {
        let [scale, shift] = [affine.clone(), affine.clone()];
        let scales = move || scale.pairs(channels).into_iter().map(|(scale, _)| scale as f32).collect();
        let shifts = move || shift.pairs(channels).into_iter().map(|(_, shift)| shift as f32).collect();
        let key = |what| WeightKey::new(what).sizes([channels]);
        let constant = |value: f32| {
            let key = key("all").number(value.into());
            Constant::lazy("", [channels], move || vec![value; channels]).computed_as(key)
        };
        let weight = Constant::lazy("", [channels], scales).computed_as(key("scales").and(&affine.key));
        let bias = Constant::lazy("", [channels], shifts).computed_as(key("shifts").and(&affine.key));
        BatchNorm2d::new(weight, bias, constant(0.0), constant(1.0)).eps(0.0)
    }

    /// The scale and the shift of each channel, without the activation.
    pub(crate) fn affine(&self) -> Affine {
        let norm = self.clone();
        Affine::new(self.key(), move || {
            let [weight, bias, mean, var] = [&norm.weight, &norm.bias, &norm.mean, &norm.var].map(Constant::values);
            let pair = |c: usize| {
                let scale = f64::from(weight[c]) / (f64::from(var[c]) + norm.eps).sqrt();
                (scale, f64::from(bias[c]) - f64::from(mean[c]) * scale)
            };
            (0..weight.len()).map(pair).collect()
        })
    }

    /// Packs a row of scales and a row of shifts.
    fn pack(&self, c4: usize) -> Prepacked {
        let (norm, channels) = (self.clone(), self.weight.shape()[0]);
        let values = move || {
            let mut values = vec![0.0; 8 * c4];
            for (c, (scale, shift)) in norm.affine().pairs(channels).into_iter().enumerate() {
                (values[c], values[4 * c4 + c]) = (scale as f32, shift as f32);
            }
            values
        };
        Prepacked::new(self.key(), Storage::Buffer, (2, c4), values)
    }

    fn key(&self) -> WeightKey {
        let ids = [&self.weight, &self.bias, &self.mean, &self.var].map(|constant| Some(constant.id()));
        WeightKey::new("batch norm").constants(ids).number(self.eps)
    }
}

impl Op for BatchNorm2d {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if !(2..=5).contains(&x.len()) {
            return Err(ErrorKind::argument("input", "2 to 5 dimensions, channels second", x));
        }
        let channels = Shape::from([x[1]]);
        for (name, it) in
            [("weight", &self.weight), ("bias", &self.bias), ("running_mean", &self.mean), ("running_var", &self.var)]
        {
            if *it.shape() != channels {
                return Err(ErrorKind::argument(name, &channels, it.shape()));
            }
        }
        Ok(vec![x.clone()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let x = &io.inputs[0];
        let c4 = x[1].div_ceil(4);
        let kernel = |layout: Layout| {
            let (rows, width) = layout.texels(x);
            let params = Params { rows, width, c4, activation: ActivationParams::new(self.activation) };
            let texture = layout.storage == Storage::Texture;
            let shader = shader!("batch_norm", "activation", "index", "nan")
                .set("ACTIVATION", code(self.activation))
                .texture("x", texture)
                .texture("y", texture);
            let bindings = vec![Binding::Input(0), Binding::Weight(self.pack(c4)), Binding::Output(0)];
            Kernel::new(vec![layout], layout, Dispatch::for_each(shader, &params, bindings, rows * width))
        };
        Ok(image_storage(caps).iter().map(|&storage| kernel(Layout::channels(storage))).collect())
    }

    /// Counts scale, shift and activation. The statistics are folded into scale and shift at load.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let each = 2 + self.activation.map_or(0, Activation::operations);
        let parameters = 2 * self.weight.shape().elements() as u64;
        Metrics::new(Cost { parameters, ..Cost::in_place(io.written().saturating_mul(each)) })
            .reach(Reach::Pixel)
            .parameters(vec![&self.weight, &self.bias])
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        let &activation = next.downcast_ref::<Activation>().filter(|_| self.activation.is_none())?;
        Some(Box::new(BatchNorm2d { activation: Some(activation), ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`BatchNorm2d`].
    pub fn batch_norm(&mut self, x: Value, norm: BatchNorm2d) -> Result<Value> {
        self.push(norm, &[x])
    }
}
