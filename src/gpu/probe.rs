//! Dispatches outside of any network, to measure the device itself.

use super::context::Context;
use super::memory::{PARAMS, upload};
use super::pipeline::{Key, Kind, Pipeline, group, pipelines};
use crate::error::{ErrorKind, Result};
use crate::kernel::Shader;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A shader with bound buffers: parameters, then the inputs, then the outputs.
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
        let usage = PARAMS | wgpu::BufferUsages::COPY_DST;
        let params = upload(context, "params", bytes, usage)?;
        let kinds = std::iter::once(Kind::Params(bytes.len() as u64));
        let kinds = kinds.chain(reads.iter().map(|_| Kind::Read)).chain(writes.iter().map(|_| Kind::Write));
        let wanted: Key = (shader.clone(), kinds.collect());
        let pipeline = pipelines(context, &[wanted])?.swap_remove(0);
        let buffers = std::iter::once(&params).chain(reads.iter().copied()).chain(writes.iter().copied());
        let group = group(context, None, &pipeline.layout, buffers.map(wgpu::Buffer::as_entire_binding))?;
        Ok(Probe { pipeline, group, params })
    }

    /// Sets the parameters of later submissions.
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

/// Returns the host's time from the submission of the recorded commands until the device has run them.
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

/// Returns the host's time of an empty submission: the median of 25.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContextOptions;
    use crate::gpu::memory::buffer;

    /// A shader without an `override`: in such modules wgpu's Vulkan backend leaves guards, if it can.
    const DIVISION: &str = "
        struct Params { by: u32 }
        @group(0) @binding(0) var<uniform> params: Params;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(1) fn main() { y[0] = 7u / params.by; }";

    #[test]
    fn shaders_have_guards_where_they_are_wanted() {
        let quotient = |options: &ContextOptions, shader: Shader| -> Result<u32> {
            let context = pollster::block_on(Context::with(options))?;
            let [y, read] = [wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC, wgpu::BufferUsages::MAP_READ]
                .map(|usage| buffer(&context, "y", 16, usage | wgpu::BufferUsages::COPY_DST));
            let (y, read) = (y?, read?);
            let probe = Probe::new(&context, &shader, &[0; 4], &[], &[&y])?;
            timed(&context, |encoder| {
                probe.record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()), [1; 3]);
                encoder.copy_buffer_to_buffer(&y, 0, &read, 0, None);
                Ok(())
            })?;
            read.map_async(wgpu::MapMode::Read, .., |_| ());
            context.device().poll(wgpu::PollType::wait_indefinitely()).map_err(ErrorKind::lost)?;
            let view = read.get_mapped_range(..4).map_err(ErrorKind::lost)?;
            Ok(bytemuck::pod_read_unaligned(&view))
        };
        let options = ContextOptions::from_env().portable();
        let ours = || Shader::ours("division", DIVISION, &[]);
        let of = |options: &ContextOptions, shader: Shader| {
            quotient(options, shader).unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
        };
        // WGSL defines a division by zero; without guards the driver's result is undefined.
        assert_eq!(of(&options, Shader::new("division", DIVISION, &[])), 7);
        assert_eq!(of(&options, ours().guarded()), 7);
        assert_eq!(of(&options.clone().guarded(), ours()), 7);
        assert!(cfg!(debug_assertions) || of(&options, ours()) != 7, "the division is guarded");
    }
}
