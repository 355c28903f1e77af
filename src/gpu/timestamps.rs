//! Timestamps that the device writes.

use super::context::Context;
use super::memory::buffer;
use crate::error::{ErrorKind, Result};
use wgpu::BufferUsages as Usage;

/// Query sets for timestamps, and the buffers to read them.
pub(crate) struct Timestamps {
    context: Context,
    sets: Vec<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    download: wgpu::Buffer,
}

/// The timestamps of one set: wgpu's limit.
const SET: usize = 4096;

impl Timestamps {
    /// Creates room for `count` timestamps, two a pass; `None` if the device writes none.
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

    /// Returns a pass that writes timestamp `2 * i` at its beginning and `2 * i + 1` at its end.
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

    /// Returns the set of timestamp `i`, and its index there.
    pub(crate) fn place(&self, i: usize) -> (&wgpu::QuerySet, u32) {
        (&self.sets[i / SET], (i % SET) as u32)
    }

    /// Returns the first `count` timestamps written so far, in nanoseconds since the first one. The reading is a
    /// submission of its own: otherwise some drivers give zeros.
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
        // Differences to the first one are small enough to keep the nanoseconds in an f64.
        let first = ticks.first().copied().unwrap_or(0);
        Ok(ticks.into_iter().map(|tick| tick.wrapping_sub(first).cast_signed() as f64 * period).collect())
    }
}
