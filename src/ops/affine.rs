//! A scale and a shift for each channel, which weights of a neighbour can take in.

use crate::graph::constant::Constant;
use crate::kernel::WeightKey;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// `y = x * scale + shift`, computed in f64 when weights are prepared.
#[derive(Clone)]
pub(crate) struct Affine {
    /// True if a scale may differ from 1.
    pub(crate) scales: bool,
    /// True if a shift may differ from 0.
    pub(crate) shifts: bool,
    /// The constant that is the shift, if there is nothing else: layers that share it go on doing so.
    alone: Option<Constant>,
    /// The key of the pairs: all that they depend on.
    pub(crate) key: WeightKey,
    pairs: Pairs,
}

/// A scale and a shift for each channel, or one of each for all.
type Pairs = Arc<dyn Fn() -> Vec<(f64, f64)> + Send + Sync>;

impl Affine {
    /// A scale and a shift for each channel, or one of each for all. The key tells all that they depend on.
    pub(crate) fn new(key: WeightKey, pairs: impl Fn() -> Vec<(f64, f64)> + Send + Sync + 'static) -> Affine {
        // Norms of norms ask for them again and again.
        let known = OnceLock::new();
        let pairs = move || known.get_or_init(&pairs).clone();
        Affine { scales: true, shifts: true, alone: None, key, pairs: Arc::new(pairs) }
    }

    /// Returns the affine with the facts about it that its constants need not be computed for.
    pub(crate) fn known(self, scales: bool, shifts: bool, alone: Option<Constant>) -> Affine {
        Affine { scales, shifts, alone, ..self }
    }

    /// The scale and the shift of each of `channels`.
    pub(crate) fn pairs(&self, channels: usize) -> Vec<(f64, f64)> {
        let pairs = (self.pairs)();
        if pairs.len() == 1 { vec![pairs[0]; channels] } else { pairs }
    }

    /// The weight `[channels, ..]` times the scale of its first dimension, and the bias that follows from the shift:
    /// a layer with these gives what the layer gives and this affine makes of it. `channel` tells the channel of each of
    /// the filters, which have `each` weights; `order` has the numbers that `channel` depends on beside the weight's shape.
    pub(crate) fn after(
        &self,
        weight: &Constant,
        bias: Option<&Constant>,
        [channels, each]: [usize; 2],
        order: &[usize],
        channel: impl Fn(usize) -> usize + Send + Sync + 'static,
    ) -> (Constant, Option<Constant>) {
        let scaled = {
            let (affine, from) = (self.clone(), weight.clone());
            move || {
                let (mut values, pairs) = (from.values(), affine.pairs(channels));
                for (i, filter) in values.chunks_exact_mut(each).enumerate() {
                    let (scale, _) = pairs[channel(i)];
                    filter.iter_mut().for_each(|v| *v = (f64::from(*v) * scale) as f32);
                }
                values
            }
        };
        let shifted = {
            let (affine, from) = (self.clone(), bias.cloned());
            move || {
                let bias = from.as_ref().map_or_else(|| vec![0.0; channels], Constant::values);
                let pairs = bias.iter().zip(affine.pairs(channels));
                pairs.map(|(&b, (scale, shift))| (f64::from(b) * scale + shift) as f32).collect()
            }
        };
        let (name, shape) = (weight.name(), weight.shape().clone());
        let key = |what| self.folded(what, weight, bias).sizes([channels, each]).sizes(order.iter().copied());
        // An affine that only shifts leaves the weight to whoever shares it.
        let scaled = if self.scales {
            Constant::lazy(name, shape, scaled).computed_as(key("scaled after"))
        } else {
            weight.clone()
        };
        let alone = self.alone.as_ref().filter(|shift| bias.is_none() && shift.shape().elements() == channels);
        let bias = match alone {
            Some(shift) => Some(shift.with_shape([channels])),
            None => (self.shifts || bias.is_some())
                .then(|| Constant::lazy(name, [channels], shifted).computed_as(key("shifted after"))),
        };
        (scaled, bias)
    }

    /// The weight and the bias of a layer that reads `x` where the old one read `x * scale + shift`. `input` tells the input
    /// channel of each weight, and depends on the weight's shape and the two numbers of channels; each of `outputs` has as many weights, one output after the other.
    pub(crate) fn before(
        &self,
        weight: &Constant,
        bias: Option<&Constant>,
        [inputs, outputs]: [usize; 2],
        input: impl Fn(usize) -> usize + Clone + Send + Sync + 'static,
    ) -> (Constant, Option<Constant>) {
        let scaled = {
            let (affine, from, input) = (self.clone(), weight.clone(), input.clone());
            move || {
                let (mut values, pairs) = (from.values(), affine.pairs(inputs));
                values.iter_mut().enumerate().for_each(|(i, v)| *v = (f64::from(*v) * pairs[input(i)].0) as f32);
                values
            }
        };
        let shifted = {
            let (affine, weight, bias) = (self.clone(), weight.clone(), bias.cloned());
            move || {
                let (values, pairs) = (weight.values(), affine.pairs(inputs));
                let bias = bias.as_ref().map_or_else(|| vec![0.0; outputs], Constant::values);
                let each = (values.len() / outputs).max(1);
                let sum = |(o, filter): (usize, &[f32])| -> f64 {
                    filter.iter().enumerate().map(|(i, &w)| f64::from(w) * pairs[input(o * each + i)].1).sum()
                };
                let sums = values.chunks(each).enumerate().map(sum);
                bias.iter().zip(sums).map(|(&b, sum)| (f64::from(b) + sum) as f32).collect()
            }
        };
        let (name, shape) = (weight.name(), weight.shape().clone());
        let key = |what| self.folded(what, weight, bias).sizes([inputs, outputs]);
        let scaled = if self.scales {
            Constant::lazy(name, shape, scaled).computed_as(key("scaled before"))
        } else {
            weight.clone()
        };
        let shifted = || Constant::lazy(name, [outputs], shifted).computed_as(key("shifted before"));
        let bias = if self.shifts { Some(shifted()) } else { bias.cloned() };
        (scaled, bias)
    }

    /// Returns the key of what the affine makes of a layer's weight and bias.
    fn folded(&self, what: &'static str, weight: &Constant, bias: Option<&Constant>) -> WeightKey {
        let constants = [Some(weight.id()), bias.map(Constant::id)];
        WeightKey::new(what).constants(constants).sizes(weight.shape().iter().copied()).and(&self.key)
    }
}

impl fmt::Debug for Affine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Affine")
    }
}
