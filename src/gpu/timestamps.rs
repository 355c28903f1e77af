//! Timestamps that the device writes.

use super::context::Context;
use super::memory::buffer;
use crate::error::{ErrorKind, Result};
use wgpu::BufferUsages as Usage;

/// Places for timestamps, and the way to read them.
pub(crate) struct Timestamps {
    context: Context,
    sets: Vec<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    download: wgpu::Buffer,
}

/// The places of one set: wgpu's limit.
const SET: usize = 4096;

impl Timestamps {
    /// Places for `count` timestamps, two a pass; none if the device writes none.
    pub(crate) fn new(context: &Context, count: usize) -> Result<Option<Timestamps>> {
        if !context.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let set =
            wgpu::QuerySetDescriptor { label: Some("timestamps"), ty: wgpu::QueryType::Timestamp, count: SET as u32 };
        let sets = count.div_ceil(SET).max(1);
        let size = (8 * SET * sets) as u64;
        context.count(sets);
        Ok(Some(Timestamps {
            context: context.clone(),
            sets: (0..sets)
                .map(|_| context.checked(|| context.device().create_query_set(&set)))
                .collect::<Result<_>>()?,
            resolved: buffer(context, "timestamps", size, Usage::QUERY_RESOLVE | Usage::COPY_SRC)?,
            download: buffer(context, "timestamps", size, Usage::COPY_DST | Usage::MAP_READ)?,
        }))
    }

    /// A pass whose beginning is timestamp `2 * i` and whose end is the one after it.
    pub(crate) fn pass(&self, i: usize) -> wgpu::ComputePassDescriptor<'_> {
        let (query_set, first) = self.place(2 * i);
        wgpu::ComputePassDescriptor {
            label: Some("shadernet"),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(first + 1),
            }),
        }
    }

    /// Where timestamp `i` is written.
    pub(crate) fn place(&self, i: usize) -> (&wgpu::QuerySet, u32) {
        (&self.sets[i / SET], (i % SET) as u32)
    }

    /// The first `count` of what was written by submissions so far, in nanoseconds. In a submission of its own: some drivers give
    /// zeros otherwise.
    pub(crate) fn read(&self, count: usize) -> Result<Vec<f64>> {
        let (device, queue) = (self.context.device(), self.context.queue());
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (i, set) in self.sets.iter().take(count.div_ceil(SET)).enumerate() {
            let written = SET.min(count - i * SET) as u32;
            encoder.resolve_query_set(set, 0..written, &self.resolved, (8 * SET * i) as u64);
        }
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.download, 0, None);
        queue.submit([encoder.finish()]);
        self.download.map_async(wgpu::MapMode::Read, .., |_| ());
        device.poll(wgpu::PollType::wait_indefinitely()).map_err(ErrorKind::lost)?;
        let view = self.download.get_mapped_range(..8 * count as u64).map_err(ErrorKind::lost)?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        self.download.unmap();
        let period = f64::from(queue.get_timestamp_period());
        // Relative to the first one, which keeps the nanoseconds.
        let first = ticks.first().copied().unwrap_or(0);
        Ok(ticks.into_iter().map(|tick| tick.wrapping_sub(first).cast_signed() as f64 * period).collect())
    }
}
