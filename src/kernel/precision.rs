//! The precision of a model: which numbers are stored as `f16`; and the forms of kernels that store them so.

use super::{Binding, Caps, Kernel, Rounding, Scalar, Shader};
use crate::error::ErrorKind;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

/// The stored form of a model's numbers. Arithmetic is in `f32` throughout, sums included; inputs and outputs are `f32`s.
/// Matrix units ([`ContextOptions::matrix_units`](crate::ContextOptions::matrix_units)) round what they multiply to `f16`,
/// in every precision but `F32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Values and weights are `f32`s.
    #[default]
    F32,
    /// Values and weights are `f16`s wherever a kernel can access them so: half of the memory. Numbers from 65520 on
    /// become infinite.
    F16,
    /// Weights of products are `f16`s, but for a small first layer; values are `f32`s.
    Mixed,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Mixed];

    /// Returns this precision, or `F32` for a device that can't convert `f16`.
    pub const fn on(self, caps: &Caps) -> Precision {
        if caps.packs_f16 { self } else { Precision::F32 }
    }

    /// Returns the stored form of values.
    pub const fn values(self) -> Scalar {
        match self {
            Precision::F32 | Precision::Mixed => Scalar::F32,
            Precision::F16 => Scalar::F16,
        }
    }

    /// Returns the stored form of weights.
    pub const fn weights(self) -> Scalar {
        match self {
            Precision::F32 => Scalar::F32,
            Precision::F16 | Precision::Mixed => Scalar::F16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Mixed => "mixed",
        })
    }
}

impl FromStr for Precision {
    type Err = ErrorKind;

    fn from_str(text: &str) -> Result<Precision, ErrorKind> {
        let of = Precision::ALL.into_iter().find(|precision| precision.to_string() == text);
        of.ok_or_else(|| ErrorKind::argument("precision", "f32, f16 or mixed", text))
    }
}

impl Kernel {
    /// Returns this kernel with its inputs, its outputs and its weights stored so, wherever its shaders access them in
    /// texels or read their numbers one by one. The others stay `f32`, and so does scratch memory. `None` if the outputs
    /// or the weights can't be `f16`.
    pub(crate) fn stored_as(&self, inputs: &[Scalar], outputs: Scalar, weights: Scalar) -> Option<Kernel> {
        if self.exact_weights && weights == Scalar::F16 {
            return None;
        }
        let mut kernel = self.clone();
        if kernel.dispatches.is_empty() {
            // A view.
            kernel.reads[0].scalar = outputs;
            kernel.writes[0].scalar = outputs;
            return Some(kernel);
        }
        let plain = self.plain_ports();
        let narrow = |is_input: bool, i: usize| match plain.contains(&(is_input, i)) {
            true => Scalar::F32,
            false if is_input => inputs[i],
            false => outputs,
        };
        (0..kernel.reads.len()).for_each(|i| kernel.reads[i].scalar = narrow(true, i));
        (0..kernel.writes.len()).for_each(|i| kernel.writes[i].scalar = narrow(false, i));
        if outputs == Scalar::F16 {
            // A dispatch that continues an output would round partial sums, or make them infinite where their sum isn't.
            let several = kernel.dispatches.len() > 1;
            let fails = |shader: &Shader| shader.stores_elements() || (several && shader.continues_output());
            let all_plain = kernel.writes.iter().all(|layout| layout.scalar == Scalar::F32);
            if all_plain || kernel.dispatches.iter().any(|dispatch| fails(&dispatch.shader)) {
                return None;
            }
        }
        for dispatch in &mut kernel.dispatches {
            let mut halves = Vec::new();
            for (i, binding) in dispatch.bindings.iter_mut().enumerate() {
                let scalar = match binding {
                    Binding::Input(i) | Binding::Residual(i) => kernel.reads[*i].scalar,
                    Binding::Output(i) => kernel.writes[*i].scalar,
                    // A shader reads quantised weights, and those that need their precision, number by number.
                    Binding::Weight(packed)
                        if packed.rounding != Rounding::Never && dispatch.shader.is_of_texels(i + 1) =>
                    {
                        packed.scalar = weights;
                        weights
                    }
                    Binding::Weight(_) | Binding::Update(_) | Binding::Scratch { .. } => Scalar::F32,
                };
                if scalar == Scalar::F16 {
                    halves.push(i + 1);
                }
            }
            dispatch.shader = dispatch.shader.clone().halves(halves);
        }
        Some(kernel)
    }

    /// Returns the inputs (true) and outputs (false) that some shader accesses in a way that `f16`s don't allow, or in
    /// place.
    fn plain_ports(&self) -> HashSet<(bool, usize)> {
        let mut plain = HashSet::new();
        let mut seen = HashSet::new();
        for dispatch in &self.dispatches {
            for (i, binding) in dispatch.bindings.iter().enumerate() {
                let port = match *binding {
                    Binding::Input(i) | Binding::Residual(i) => (true, i),
                    Binding::Output(i) => (false, i),
                    Binding::Update(i) => {
                        plain.extend([(true, i), (false, 0)]);
                        continue;
                    }
                    Binding::Weight(_) | Binding::Scratch { .. } => continue,
                };
                seen.insert(port);
                if !dispatch.shader.is_of_texels(i + 1) && !dispatch.shader.is_of_numbers(i + 1) {
                    plain.insert(port);
                }
            }
        }
        let all = (0..self.reads.len()).map(|i| (true, i)).chain((0..self.writes.len()).map(|i| (false, i)));
        plain.extend(all.filter(|port| !seen.contains(port)));
        plain
    }

    /// Returns true if some value is stored as anything but `f32`s.
    #[cfg(feature = "selftest")]
    pub(crate) fn is_narrow(&self) -> bool {
        self.reads.iter().chain(&self.writes).any(|layout| layout.scalar != Scalar::F32)
    }
}
