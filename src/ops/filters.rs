//! The weights of convolutions, transposed ones too: checks, cost, packing, and what folds into them.

use super::BatchNorm2d;
use super::affine::Affine;
use super::epilogue::Epilogue;
use crate::Shape;
use crate::error::ErrorKind;
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op};
use crate::kernel::{Prepacked, Storage, WeightKey};
use crate::shape::{expect_countable, expect_rank};
use std::ops::Range;

/// The weights, the bias, the groups and the fused epilogue of a convolution.
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    pub(crate) weight: Constant,
    pub(crate) bias: Option<Constant>,
    pub(crate) groups: usize,
    pub(crate) epilogue: Epilogue,
}

impl Filters {
    pub(crate) fn new(weight: Constant, bias: Option<Constant>) -> Filters {
        Filters { weight, bias, groups: 1, epilogue: Epilogue::default() }
    }

    /// Checks inputs and weights of a convolution along `D` axes, and returns the number of output channels. `weight` is
    /// `[out, in / groups, ..]`, or `[in, out / groups, ..]` if `transposed`.
    pub(crate) fn expect<const D: usize>(&self, inputs: &[Shape], transposed: bool) -> Result<usize, ErrorKind> {
        self.epilogue.expect_inputs(inputs)?;
        expect_rank("input", &inputs[0], D + 2)?;
        expect_rank("weight", self.weight.shape(), D + 2)?;
        let [first, second] = [self.weight.shape()[0], self.weight.shape()[1]];
        // `second` counts the channels of one group, `first` those of all groups.
        let all = second.saturating_mul(self.groups);
        let (channels, out) = if transposed { (first, all) } else { (all, first) };
        if self.groups == 0 || inputs[0][1] != channels {
            let per_group = if transposed { first / self.groups.max(1) } else { second };
            let axes = ["L", "H, W", "D, H, W"][D - 1];
            let wanted = format!("[N, {channels}, {axes}] ({} groups of {per_group} channels)", self.groups);
            return Err(ErrorKind::argument("input", wanted, &inputs[0]));
        }
        if first % self.groups != 0 {
            let kind = if transposed { "input" } else { "output" };
            return Err(ErrorKind::argument("groups", format!("a divisor of {first} {kind} channels"), self.groups));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.shape()[..] != [out]) {
            return Err(ErrorKind::argument("bias", Shape::from([out]), bias.shape()));
        }
        Ok(out)
    }

    /// Returns the output's shape, if its elements can be counted and the residual has the same shape.
    pub(crate) fn output(&self, inputs: &[Shape], out: usize, sizes: &[usize]) -> Result<Vec<Shape>, ErrorKind> {
        let shape = Shape::from([&[inputs[0][0], out], sizes].concat());
        expect_countable("one image", &shape[1..])?;
        self.epilogue.output(inputs, shape)
    }

    /// Returns the cost: each weight meets `positions` pixels of one channel; `touched` elements of the input are read.
    pub(crate) fn cost(&self, io: &Io, positions: usize, touched: usize) -> Cost {
        let weights = self.weight.shape().elements() as u64;
        let parameters = weights + self.bias.as_ref().map_or(0, |bias| bias.shape().elements() as u64);
        let skipped = (io.inputs[0].elements() - touched) as u64;
        let moved = io.read().saturating_sub(skipped).saturating_add(parameters).saturating_add(io.written());
        Cost {
            weights,
            parameters,
            macs: weights.saturating_mul(positions as u64),
            other: self.epilogue.other(self.bias.is_some(), io.written()),
            moves: (skipped > 0).then_some(moved),
            activations: true,
        }
    }

    /// Returns the number of output channels of a group, for weights `[out, in / groups, ..]`.
    pub(crate) fn group_out(&self) -> usize {
        self.weight.shape()[0] / self.groups
    }

    /// Packs blocks of `4 out4` output channels of one group: filters, `[tap][channel][out4]` texels, then the bias.
    pub(crate) fn pack(&self, out4: usize, blocks: Range<usize>) -> Prepacked {
        let (weight, bias, group_out) = (self.weight.clone(), self.bias.clone(), self.group_out());
        let taps: usize = weight.shape()[2..].iter().product();
        let k = taps * weight.shape()[1];
        let (width, group_blocks) = (4 * out4, group_out.div_ceil(4 * out4));
        let bias_id = bias.as_ref().map(Constant::id);
        let sizes = [taps, group_out, out4, blocks.start, blocks.end];
        let key = WeightKey::new("conv blocks").constants([Some(weight.id()), bias_id]).sizes(sizes);
        let texels = (blocks.len(), (k + 1) * out4);
        let values = move || {
            let (from, bias) = (weight.values(), bias.as_ref().map(Constant::values));
            let mut to = vec![0.0; blocks.len() * (k + 1) * width];
            for (block, to) in blocks.clone().zip(to.chunks_exact_mut((k + 1) * width)) {
                let within = block % group_blocks * width;
                for output in 0..width.min(group_out - within) {
                    let o = block / group_blocks * group_out + within + output;
                    for (i, &value) in from[o * k..][..k].iter().enumerate() {
                        let (c, tap) = (i / taps, i % taps);
                        to[(tap * (k / taps) + c) * width + output] = value;
                    }
                    to[k * width + output] = bias.as_ref().map_or(0.0, |bias| bias[o]);
                }
            }
            to
        };
        Prepacked::new(key, Storage::Buffer, texels, values)
    }

    pub(crate) fn parameters(&self) -> Vec<&Constant> {
        std::iter::once(&self.weight).chain(&self.bias).collect()
    }

    /// Returns these filters with the next operation fused, if they can fuse it.
    pub(crate) fn with(&self, next: &dyn Op, transposed: bool) -> Option<Filters> {
        if let Some(epilogue) = self.epilogue.with(next) {
            return Some(Filters { epilogue, ..self.clone() });
        }
        let unfinished = self.epilogue.residual.is_none() && self.epilogue.activation.is_none();
        let norm = next.downcast_ref::<BatchNorm2d>().filter(|_| unfinished)?;
        let epilogue = Epilogue { residual: None, activation: norm.activation() };
        Some(Filters { epilogue, ..self.then(&norm.affine(), transposed) })
    }

    /// Returns these filters with the affine after them folded in: `w' = w * scale`, `b' = b * scale + shift`.
    fn then(&self, affine: &Affine, transposed: bool) -> Filters {
        let [first, second] = [self.weight.shape()[0], self.weight.shape()[1]];
        let taps: usize = self.weight.shape()[2..].iter().product();
        let (of_group, outputs) = (first / self.groups, if transposed { second * self.groups } else { first });
        // The output channel of each filter, which has `each` values.
        let each = if transposed { taps } else { second * taps };
        let channel = move |i: usize| if transposed { i / second / of_group * second + i % second } else { i };
        let order = [self.groups, transposed.into()];
        let (weight, bias) = affine.after(&self.weight, self.bias.as_ref(), [outputs, each], &order, channel);
        Filters { weight, bias, ..self.clone() }
    }

    /// Returns filters equal to these applied to the affine's `x * scale + shift`.
    pub(super) fn after(&self, affine: &Affine) -> Filters {
        let shape = self.weight.shape();
        let (out, group_in, taps) = (shape[0], shape[1], shape[2..].iter().product::<usize>());
        let group_out = self.group_out();
        let input = move |i: usize| i / taps / group_in / group_out * group_in + i / taps % group_in;
        let (weight, bias) = affine.before(&self.weight, self.bias.as_ref(), [group_in * self.groups, out], input);
        Filters { weight, bias, ..self.clone() }
    }
}
