//! Dispatches outside of any network, for what measures the device itself.

use super::context::Context;
use super::memory::upload;
use super::pipeline::{Key, Kind, Pipeline, group, pipelines};
use crate::error::{ErrorKind, Result};
use crate::kernel::Shader;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A shader with buffers bound: parameters, then what it reads, then what it writes.
pub(crate) struct Probe {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    params: wgpu::Buffer,
}

impl Probe {
    pub(crate) fn new(
        context: &Context,
        shader: &Shader,
        params: &[u32],
        reads: &[&wgpu::Buffer],
        writes: &[&wgpu::Buffer],
    ) -> Result<Probe> {
        let bytes: &[u8] = bytemuck::cast_slice(params);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = upload(context, "params", bytes, usage)?;
        let kinds = std::iter::once(Kind::Params(bytes.len() as u64));
        let kinds = kinds.chain(reads.iter().map(|_| Kind::Read)).chain(writes.iter().map(|_| Kind::Write));
        let wanted: Key = (shader.clone(), kinds.collect());
        let pipeline = pipelines(context, &[wanted])?.swap_remove(0);
        let buffers = std::iter::once(&params).chain(reads.iter().copied()).chain(writes.iter().copied());
        let group = group(context, None, &pipeline.layout, buffers.map(wgpu::Buffer::as_entire_binding))?;
        Ok(Probe { pipeline, group, params })
    }

    /// Other parameters, for what is submitted from now on.
    pub(crate) fn set(&self, context: &Context, params: &[u32]) {
        context.queue().write_buffer(&self.params, 0, bytemuck::cast_slice(params));
    }

    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>, workgroups: [u32; 3]) {
        let [x, y, z] = workgroups;
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// The host's time from the submission of what is recorded until the device has done it.
pub(crate) fn timed(
    context: &Context,
    record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<()>,
) -> Result<Duration> {
    let mut encoder = context.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    record(&mut encoder)?;
    let commands = encoder.finish();
    let start = Instant::now();
    context.queue().submit([commands]);
    let done = context.device().poll(wgpu::PollType::wait_indefinitely());
    let time = start.elapsed();
    done.map_err(ErrorKind::lost)?;
    Ok(time)
}

/// The host's time of a submission of nothing: the median.
pub(crate) fn empty(context: &Context) -> Result<Duration> {
    let nothing = wgpu::ComputePassDescriptor { label: None, timestamp_writes: None };
    let once = || {
        timed(context, |encoder| {
            drop(encoder.begin_compute_pass(&nothing));
            Ok(())
        })
    };
    let mut times = (0..25).map(|_| once()).collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
