//! The check of a device's matrix units. wgpu's support is experimental: naga 30 declares Vulkan's memory model, but
//! leaves out what would make a workgroup's stores visible to its other invocations (wgpu's issue 8805). Most compilers
//! do the right thing nevertheless. So the kernels themselves multiply before anybody relies on them.

use super::context::Context;
use super::memory::{Memory, PARAMS, buffer, upload};
use super::pipeline::{Key, Kind, group, pipelines};
use crate::error::{ErrorKind, Result};
use crate::kernel::{Binding, Caps, Matrix, Scalar};
use crate::ops::{Trial, matrix_trials};
use futures::channel::oneshot;
use half::f16;
use wgpu::BufferUsages as Usage;
use wgpu::CooperativeScalarType::{F16, F32};

impl Context {
    /// Returns the matrix units that kernels can use, if they compute right: squares of `f16`s with sums in `f32`.
    #[doc(hidden)]
    pub fn offered_matrix(&self) -> Option<Matrix> {
        let square = |unit: &wgpu::CooperativeMatrixProperties, side: u32| {
            [unit.m_size, unit.n_size, unit.k_size] == [side; 3] && (unit.ab_type, unit.cr_type) == (F16, F32)
        };
        let there = |&side: &u32| self.matrix_units().iter().any(|unit| square(unit, side));
        [16, 8].into_iter().find(there).map(|side| Matrix { side })
    }

    /// Returns the same device with its matrix units as a fact, if all kernels for them compute right what is small.
    pub(super) async fn confirm_matrix(self) -> Result<Context> {
        let Some(matrix) = self.offered_matrix() else { return Ok(self) };
        let caps = Caps { matrix: Some(matrix), ..self.caps().clone() };
        match self.multiplies(&caps).await {
            Ok(None) => return Ok(self.with_facts(caps)),
            Ok(Some(wrong)) => log::warn!("{}: its matrix units compute wrong products: {wrong}", self.info().name),
            Err(error) => log::warn!("{}: the check of its matrix units failed: {error}", self.info().name),
        }
        Ok(self)
    }

    /// Runs the trials; `None` if all products are right, otherwise a description of a wrong one.
    async fn multiplies(&self, caps: &Caps) -> Result<Option<String>> {
        let trials = matrix_trials(caps)?;
        if trials.is_empty() {
            return Ok(Some("no kernel fits".into()));
        }
        let results = self.run(&trials).await?;
        let wrong = trials.iter().zip(&results).find_map(|(trial, got)| Some((trial, wrong(trial, got)?)));
        Ok(wrong.map(|(trial, wrong)| format!("{} {wrong}", trial.kernel.identity())))
    }

    /// Returns the outputs of the trials.
    async fn run(&self, trials: &[Trial]) -> Result<Vec<Vec<f32>>> {
        let kinds = |dispatch: &crate::kernel::Dispatch| {
            let params = std::iter::once(Kind::Params(dispatch.params.len() as u64));
            let kind = |binding: &Binding| match binding {
                Binding::Output(_) | Binding::Scratch { write: true, .. } => Kind::Write,
                _ => Kind::Read,
            };
            params.chain(dispatch.bindings.iter().map(kind)).collect::<Vec<_>>()
        };
        let dispatches = || trials.iter().flat_map(|trial| &trial.kernel.dispatches);
        let wanted: Vec<Key> = dispatches().map(|dispatch| (dispatch.shader.clone(), kinds(dispatch))).collect();
        let mut pipelines = pipelines(self, &wanted)?.into_iter();
        let mut encoder = self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut downloads = Vec::new();
        for trial in trials {
            let inputs = trial.inputs.iter().map(|x| upload(self, "trial", &encoded(trial.scalar, x), Usage::STORAGE));
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            let bytes = trial.y.len() as u64 * trial.scalar.bytes();
            let y = buffer(self, "trial", bytes, Usage::STORAGE | Usage::COPY_SRC)?;
            let bindings = trial.kernel.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
            let scratch =
                bindings.filter_map(|of| if let Binding::Scratch { bytes, .. } = of { Some(*bytes) } else { None });
            let scratch = buffer(self, "trial", scratch.max().unwrap_or(16), Usage::STORAGE)?;
            for dispatch in &trial.kernel.dispatches {
                let params = upload(self, "trial", &dispatch.params, PARAMS)?;
                let weight = |binding: &Binding| match binding {
                    Binding::Weight(packed) => Memory::weight(self, packed),
                    _ => Ok(None),
                };
                let weights = dispatch.bindings.iter().map(weight).collect::<Result<Vec<_>>>()?;
                let bound = dispatch.bindings.iter().zip(&weights).map(|(binding, weight)| match (weight, binding) {
                    (Some(weight), Binding::Weight(packed)) => weight.binding(0, packed.bytes()),
                    (_, Binding::Output(_)) => y.as_entire_binding(),
                    (_, Binding::Scratch { .. }) => scratch.as_entire_binding(),
                    (_, Binding::Input(i)) => inputs[*i].as_entire_binding(),
                    _ => inputs[0].as_entire_binding(),
                });
                let pipeline = pipelines.next().expect("there is one for each dispatch");
                let bound = std::iter::once(params.as_entire_binding()).chain(bound);
                let group = group(self, None, &pipeline.layout, bound)?;
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                pass.set_pipeline(&pipeline.pipeline);
                pass.set_bind_group(0, &group, &[]);
                let [x, y, z] = dispatch.workgroups;
                pass.dispatch_workgroups(x, y, z);
            }
            let download = buffer(self, "trial", bytes, Usage::COPY_DST | Usage::MAP_READ)?;
            encoder.copy_buffer_to_buffer(&y, 0, &download, 0, None);
            downloads.push(download);
        }
        let submission = self.queue().submit([encoder.finish()]);
        let mapped: Vec<_> = downloads
            .iter()
            .map(|download| {
                let (sender, mapped) = oneshot::channel();
                download.map_async(wgpu::MapMode::Read, .., move |result| {
                    // The receiver is gone if the caller dropped this future.
                    let _unheard = sender.send(result);
                });
                mapped
            })
            .collect();
        self.wait_in_background(submission)?;
        self.settled().await?;
        let mut results = Vec::new();
        for ((trial, download), mapped) in trials.iter().zip(&downloads).zip(mapped) {
            mapped.await.map_err(ErrorKind::lost)?.map_err(ErrorKind::lost)?;
            let view = download.get_mapped_range(..).map_err(ErrorKind::lost)?;
            results.push(decoded(trial.scalar, &view));
        }
        Ok(results)
    }
}

/// Returns a description of the first wrong number.
fn wrong(trial: &Trial, got: &[f32]) -> Option<String> {
    let finite = trial.y.iter().filter(|value| value.is_finite());
    let largest = finite.fold(0.0, |most: f32, value| most.max(value.abs()));
    let rounding = if trial.scalar == Scalar::F16 { 1e-3 } else { 0.0 };
    let right = |got: f32, want: f32| {
        let allowed = trial.tolerance * largest + rounding * want.abs();
        let near = want.is_finite() && (got - want).abs() <= allowed;
        near || got == want || (got.is_nan() && want.is_nan())
    };
    let mut pairs = got.iter().zip(&trial.y).enumerate();
    let wrong = pairs.find(|&(_, (&got, &want))| !right(got, want));
    wrong.map(|(i, (got, want))| format!("gives {got} at {i}, not {want}"))
}

fn encoded(scalar: Scalar, numbers: &[f32]) -> Vec<u8> {
    match scalar {
        Scalar::F32 => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        Scalar::F16 => numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect(),
    }
}

fn decoded(scalar: Scalar, bytes: &[u8]) -> Vec<f32> {
    match scalar {
        Scalar::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        Scalar::F16 => bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_products_are_found() {
        let trials = matrix_trials(&Caps::matrix_units(16)).expect("they fit");
        assert_eq!(trials.len(), 20 + 5, "four tiles, five products; two tiles of heads of three lengths, but one");
        for trial in &trials {
            let (product, bindings) = (trial.tolerance < 1e-3, trial.kernel.dispatches.len() + trial.inputs.len() - 1);
            assert!(!product || bindings > 1, "the weights are in several bindings, or values");
            assert_eq!(wrong(trial, &trial.y), None);
            let at = |found: fn(&f32) -> bool| trial.y.iter().position(found).expect("there is such a number");
            let (finite, infinite, nan) = (
                at(|value| value.abs() > 1.0 && value.is_finite()),
                at(|value| value.is_infinite()),
                at(|value| value.is_nan()),
            );
            for (i, value) in [(finite, 0.0), (finite, f32::NAN), (infinite, 65504.0), (nan, 0.0)] {
                let mut got = trial.y.clone();
                got[i] = value;
                assert!(wrong(trial, &got).is_some(), "{value} at {i}, instead of {}", trial.y[i]);
            }
        }
    }
}
