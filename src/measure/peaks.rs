//! The measured peaks of a device.

use super::matrix::{self, Matrix};
use super::ms;
use crate::Context;
use crate::error::{ErrorKind, Result};
use crate::gpu::memory::{buffer, upload};
use crate::gpu::probe::{Probe, empty, timed};
use crate::kernel::shader::shader;
use crate::kernel::{Dispatch, Shader};
use crate::weights::seeded_input;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use wgpu::BufferUsages as Usage;

/// The measured peaks of a device: see [`Peaks::measure`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// FLOP/s of fused multiply-adds in `f32`: a multiply-add is two operations.
    pub fma_f32: f64,
    /// FLOP/s of fused multiply-adds in `f16`; `None` if shaders have no `f16`.
    pub fma_f16: Option<f64>,
    /// FLOP/s of matrix units, in `f16` with `f32` sums if they support that: a multiply-add is two operations. `None`
    /// if shaders can't use them, if that needs [`ContextOptions::matrix_units`](crate::ContextOptions::matrix_units),
    /// or if their products are wrong.
    pub matrix: Option<f64>,
    /// Bytes per second of a copy in memory, read and written.
    pub copy: f64,
    /// The time of an empty dispatch among others that don't wait for each other.
    #[serde(rename = "dispatch_ms", with = "ms")]
    pub dispatch: Duration,
    /// The extra time of a dispatch that waits for the one before.
    #[serde(rename = "barrier_ms", with = "ms")]
    pub barrier: Duration,
    /// The time from the submission of an empty dispatch until the host can read its output.
    #[serde(rename = "readback_ms", with = "ms")]
    pub readback: Duration,
    /// The time that the measurement took.
    #[serde(rename = "took_ms", with = "ms")]
    pub took: Duration,
}

/// The unit of a device that a piece of work runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Arithmetic in `f32`, however numbers are stored.
    #[default]
    F32,
    /// Matrix units.
    Matrix,
}

/// The limit of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Arithmetic.
    Compute,
    /// Bytes to and from memory.
    Memory,
    /// The dispatches themselves.
    Launch,
}

/// The least time of a piece of work by the roofline model (Williams, Waterman and Patterson, "Roofline: an insightful
/// visual performance model for multicore architectures", 2009), plus the cost of its dispatches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// The time.
    #[serde(rename = "ms", with = "ms")]
    pub time: Duration,
    /// The largest part of the time.
    pub bound: Bound,
}

const FMA: Shader = shader!("probe_fma", "index");
const COPY: Shader = shader!("copy", "index");
const EMPTY: Shader = shader!("probe_empty");

/// Returns the shader of multiply-adds in `f16`.
fn fma_f16() -> Shader {
    FMA.alias("Number", "f16")
}

/// The time limit of each part. All parts together take less than 300 ms, without the compilation of six small shaders.
const PART: Duration = Duration::from_millis(36);

impl Peaks {
    /// Measures the peaks in about a quarter of a second, on random numbers. The arithmetic comes first and warms up
    /// the clocks. It submits to the context's queue and blocks this thread. Other work on the device lowers the peaks.
    pub fn measure(context: &Context) -> Result<Peaks> {
        // The compilation of shaders must not count.
        let lab = Lab::new(context)?;
        let start = Instant::now();
        let fma_f32 = lab.fma(&lab.fma_f32)?;
        let fma_f16 = lab.fma_f16.as_ref().map(|probe| lab.fma(probe)).transpose()?;
        let matrix = lab
            .matrix
            .as_ref()
            .map(|matrix| lab.flops(&matrix.probe, matrix.workgroups.into(), matrix.round))
            .transpose()?;
        let copy = lab.copy()?;
        let (dispatch, barrier) = lab.launch()?;
        let readback = lab.readback()?;
        Ok(Peaks { fma_f32, fma_f16, matrix, copy, dispatch, barrier, readback, took: start.elapsed() })
    }

    /// Returns the shaders of the measurements, in all their variants.
    pub fn shaders() -> Vec<Shader> {
        [FMA, fma_f16(), COPY, EMPTY].into_iter().chain(matrix::shaders()).collect()
    }

    /// Returns the FLOP/s of a unit. If those of matrix units weren't measured, these are those of `f32`.
    pub fn peak(&self, unit: Unit) -> f64 {
        match unit {
            Unit::F32 => self.fma_f32,
            Unit::Matrix => self.matrix.unwrap_or(self.fma_f32),
        }
    }

    /// Returns the least time for these operations on a unit, bytes and dispatches, if each dispatch waits for the one
    /// before: `max(flops / peak, bytes / bandwidth) + dispatches * (dispatch + barrier)`.
    ///
    /// Work on little data may take less: cached data isn't read from memory.
    pub fn floor(&self, unit: Unit, flops: u64, bytes: u64, dispatches: usize) -> Floor {
        let (compute, memory) = (flops as f64 / self.peak(unit), bytes as f64 / self.copy);
        let launch = self.launch(dispatches).as_secs_f64();
        let bound = match () {
            () if launch >= compute.max(memory) => Bound::Launch,
            () if compute >= memory => Bound::Compute,
            () => Bound::Memory,
        };
        // Peaks that weren't measured may be any numbers.
        let time = Duration::try_from_secs_f64(compute.max(memory).max(0.0) + launch).unwrap_or(Duration::MAX);
        Floor { time, bound }
    }

    /// Returns the time of `dispatches` empty dispatches that wait for each other.
    pub fn launch(&self, dispatches: usize) -> Duration {
        self.dispatch.saturating_add(self.barrier).saturating_mul(u32::try_from(dispatches).unwrap_or(u32::MAX))
    }

    /// Returns the ridge in FLOP per byte: above it arithmetic is the limit, below it memory.
    pub fn ridge(&self) -> f64 {
        self.fma_f32 / self.copy
    }
}

/// The compiled shaders and filled buffers of the measurements.
struct Lab<'a> {
    context: &'a Context,
    workgroups: u64,
    fma_f32: Probe,
    fma_f16: Option<Probe>,
    matrix: Option<Matrix>,
    copies: Probe,
    /// The bytes of one copy.
    bytes: u64,
    from: wgpu::Buffer,
    to: wgpu::Buffer,
    waiting: Probe,
    free: Probe,
    left: wgpu::Buffer,
    download: wgpu::Buffer,
    /// The host's time of an empty submission.
    empty: Duration,
}

/// The operations that an invocation of `probe_fma` computes in a round, and the workgroup size.
const FMA_ROUND: u64 = 192;
const FMA_WORKGROUP: u64 = 256;
/// The fewest rounds: they make an invocation's loads and stores insignificant.
const LEAST_ROUNDS: u64 = 16;

const PASS: wgpu::ComputePassDescriptor<'_> =
    wgpu::ComputePassDescriptor { label: Some("shadernet peaks"), timestamp_writes: None };

impl<'a> Lab<'a> {
    fn new(context: &'a Context) -> Result<Lab<'a>> {
        let random = seeded_input(0, &[1 << 20].into());
        let random: &[u8] = bytemuck::cast_slice(&random);
        let numbers = upload(context, "random numbers", random, Usage::STORAGE | Usage::COPY_SRC)?;
        // Enough invocations to fill a GPU several times. A CPU adapter needs fewer.
        let workgroups = if context.info().device_type == wgpu::DeviceType::Cpu { 64 } else { 4096 };
        let sums = buffer(context, "sums", 16 * FMA_WORKGROUP * workgroups, Usage::STORAGE)?;
        let fma = |shader: &Shader| Probe::new(context, shader, &[1, 0, 0, 0], &[&numbers], &[&sums]);
        let halves = context.device().features().contains(wgpu::Features::SHADER_F16);
        let (from, to, bytes) = Lab::memory(context)?;
        let texels = (bytes / 16) as u32;
        let left = buffer(context, "left", 16, Usage::STORAGE | Usage::COPY_SRC)?;
        let mut lab = Lab {
            context,
            workgroups,
            fma_f32: fma(&FMA)?,
            fma_f16: halves.then(|| fma(&fma_f16())).transpose()?,
            matrix: Matrix::new(context),
            copies: Probe::new(context, &COPY, &[texels / 1024, 1024, 0, 0, 0, 0, 0, 0], &[&from], &[&to])?,
            bytes,
            from,
            to,
            waiting: Probe::new(context, &EMPTY, &[0; 4], &[], &[&left])?,
            free: Probe::new(context, &EMPTY, &[0; 4], &[&left], &[])?,
            download: buffer(context, "download", 16, Usage::COPY_DST | Usage::MAP_READ)?,
            left,
            empty: Duration::MAX,
        };
        let copies = Lab::copy_dispatch(&lab);
        timed(context, |encoder| {
            for at in (0..lab.bytes).step_by(random.len()) {
                encoder.copy_buffer_to_buffer(&numbers, 0, &lab.from, at, Some(random.len() as u64));
            }
            let mut pass = encoder.begin_compute_pass(&PASS);
            lab.copies.record(&mut pass, copies);
            for probe in [&lab.fma_f32, &lab.waiting, &lab.free].into_iter().chain(&lab.fma_f16) {
                probe.record(&mut pass, [1, 1, 1]);
            }
            Ok(())
        })?;
        lab.empty = empty(context)?;
        Ok(lab)
    }

    /// Creates two buffers, larger than any cache if there is room. A CPU adapter needs less, and copies more slowly.
    fn memory(context: &Context) -> Result<(wgpu::Buffer, wgpu::Buffer, u64)> {
        let most: u64 = if context.info().device_type == wgpu::DeviceType::Cpu { 32 << 20 } else { 256 << 20 };
        // The size is a multiple of 4 MiB, the size of the random numbers.
        let whole = |bytes: u64| bytes >> 22 << 22;
        let mut bytes = whole(most.min(context.caps().max_binding).min(context.caps().max_buffer));
        loop {
            let make = |label| buffer(context, label, bytes, Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST);
            match (make("copied"), make("copy")) {
                (Ok(from), Ok(to)) => return Ok((from, to, bytes)),
                (Err(error), _) | (_, Err(error)) if bytes <= 4 << 20 => return Err(error),
                _ => bytes = whole(bytes / 2),
            }
        }
    }

    fn copy_dispatch(&self) -> [u32; 3] {
        Dispatch::new(COPY, &0_u32, Vec::new(), (self.bytes / 16).div_ceil(64) as usize).workgroups
    }

    /// Returns the rate of a piece of work in units per second. Each submission has `n` units, so many that its own
    /// cost is small; that cost is subtracted, up to half of the time. The shortest time counts.
    fn rate(&self, least: u64, mut time: impl FnMut(u64) -> Result<Duration>) -> Result<f64> {
        let start = Instant::now();
        let mut n = least;
        let mut best = time(n)?;
        while best < PART / 8 && start.elapsed() < PART / 2 {
            n *= 2;
            best = time(n)?;
        }
        while start.elapsed() + best < PART {
            best = best.min(time(n)?);
        }
        // The cost of a submission was measured at another moment. It may be more than the whole of this one takes.
        let units = best.saturating_sub(self.empty.min(best / 2)).max(Duration::from_nanos(1));
        Ok(n as f64 / units.as_secs_f64())
    }

    /// Returns the FLOP/s of a probe whose `workgroups` workgroups compute `round` operations per round in all.
    fn flops(&self, probe: &Probe, workgroups: u64, round: u64) -> Result<f64> {
        let rounds = self.rate(LEAST_ROUNDS, |rounds| {
            probe.set(self.context, &[rounds as u32, 0, 0, 0]);
            timed(self.context, |encoder| {
                probe.record(&mut encoder.begin_compute_pass(&PASS), [workgroups as u32, 1, 1]);
                Ok(())
            })
        })?;
        Ok(rounds * round as f64)
    }

    /// Returns the FLOP/s of fused multiply-adds.
    fn fma(&self, probe: &Probe) -> Result<f64> {
        self.flops(probe, self.workgroups, FMA_ROUND * FMA_WORKGROUP * self.workgroups)
    }

    /// Returns the bytes per second, read and written, of a shader's copy or of the API's own, whichever is faster.
    fn copy(&self) -> Result<f64> {
        let workgroups = self.copy_dispatch();
        let by_shader = self.rate(1, |times| {
            timed(self.context, |encoder| {
                let mut pass = encoder.begin_compute_pass(&PASS);
                (0..times).for_each(|_| self.copies.record(&mut pass, workgroups));
                Ok(())
            })
        })?;
        let by_api = self.rate(1, |times| {
            timed(self.context, |encoder| {
                (0..times).for_each(|_| encoder.copy_buffer_to_buffer(&self.from, 0, &self.to, 0, None));
                Ok(())
            })
        })?;
        Ok(by_shader.max(by_api) * (2 * self.bytes) as f64)
    }

    /// Returns the time of an empty dispatch, and the extra time to wait for the one before: both write one buffer.
    fn launch(&self) -> Result<(Duration, Duration)> {
        let chain = |probe: &Probe| {
            self.rate(64, |times| {
                timed(self.context, |encoder| {
                    let mut pass = encoder.begin_compute_pass(&PASS);
                    (0..times).for_each(|_| probe.record(&mut pass, [1, 1, 1]));
                    Ok(())
                })
            })
        };
        let [free, waiting] =
            [chain(&self.free)?, chain(&self.waiting)?].map(|rate| Duration::from_secs_f64(1.0 / rate));
        Ok((free, waiting.saturating_sub(free)))
    }

    /// Returns the median time from a submission until the host has read its output.
    fn readback(&self) -> Result<Duration> {
        let mut times = Vec::new();
        let begun = Instant::now();
        while times.len() < 5 || begun.elapsed() < PART / 3 {
            let start = Instant::now();
            timed(self.context, |encoder| {
                self.waiting.record(&mut encoder.begin_compute_pass(&PASS), [1, 1, 1]);
                encoder.copy_buffer_to_buffer(&self.left, 0, &self.download, 0, None);
                encoder.map_buffer_on_submit(&self.download, wgpu::MapMode::Read, .., |_| ());
                Ok(())
            })?;
            drop(self.download.get_mapped_range(..).map_err(ErrorKind::lost)?);
            times.push(start.elapsed());
            self.download.unmap();
        }
        times.sort_unstable();
        Ok(times[times.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peaks(fma_f32: f64, copy: f64, dispatch: Duration) -> Peaks {
        let time = Duration::ZERO;
        Peaks { fma_f32, fma_f16: None, matrix: None, copy, dispatch, barrier: time, readback: time, took: time }
    }

    #[test]
    fn the_floor_is_the_largest_part_and_the_launch() {
        let mut peaks = peaks(1e9, 1e9, Duration::from_millis(1));
        assert_eq!(peaks.peak(Unit::Matrix), 1e9, "nobody has measured them");
        peaks.matrix = Some(1e10);
        let floor = |flops, bytes| peaks.floor(Unit::F32, flops, bytes, 2);
        assert_eq!(floor(5_000_000, 3_000_000), Floor { time: Duration::from_millis(7), bound: Bound::Compute });
        assert_eq!(floor(3_000_000, 5_000_000), Floor { time: Duration::from_millis(7), bound: Bound::Memory });
        assert_eq!(floor(1_000_000, 1_000_000), Floor { time: Duration::from_millis(3), bound: Bound::Launch });
        let floor = peaks.floor(Unit::Matrix, 5_000_000, 3_000_000, 2);
        assert_eq!(floor, Floor { time: Duration::from_millis(5), bound: Bound::Memory });
    }

    /// A file or a caller may give any number.
    #[test]
    fn peaks_that_cannot_be_have_floors_all_the_same() {
        for rate in [0.0, -1.0, 1e-300, f64::NAN, f64::INFINITY] {
            let floor = peaks(rate, rate, Duration::MAX).floor(Unit::Matrix, u64::MAX, u64::MAX, usize::MAX);
            assert!(floor.time > Duration::ZERO, "{rate}: {floor:?}");
        }
    }
}
