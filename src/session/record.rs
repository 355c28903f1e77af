//! The loop that records a frame's dispatches into a pass.

use super::{BoundBuffers, Resident, Session};
use crate::gpu::pipeline::Pipeline;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// A row of a dispatch's workgroups.
pub(super) struct ResidentPart<'a> {
    pub(super) pipeline: &'a Pipeline,
    /// The bind group that holds the number of the first workgroup, at the offset `first` in bytes.
    pub(super) firsts: Option<&'a wgpu::BindGroup>,
    pub(super) first: u32,
    pub(super) workgroups: u32,
}

impl Session {
    /// Records some of the steps into a pass, between buffers that this session has bound.
    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>, bound: &BoundBuffers, steps: Range<usize>) {
        let first = self.dispatches.partition_point(|resident| resident.at.0 < steps.start);
        let dispatches = self.dispatches[first..].iter().take_while(|resident| resident.at.0 < steps.end);
        self.record_dispatches(pass, bound, dispatches.map(|resident| (resident, None)));
    }

    /// Records dispatches, or parts of them, and returns the number of recordings so far. Every run uses this loop.
    pub(super) fn record_dispatches<'a>(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bound: &BoundBuffers,
        dispatches: impl Iterator<Item = (&'a Resident, Option<ResidentPart<'a>>)>,
    ) -> u64 {
        for (resident, part) in dispatches {
            let pipeline = part.as_ref().map_or(&*resident.pipeline, |part| part.pipeline);
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, resident.bound(bound), &[]);
            let [x, y, z] = part.map_or(resident.workgroups, |part| {
                pass.set_bind_group(1, part.firsts, &[part.first]);
                [part.workgroups, 1, 1]
            });
            pass.dispatch_workgroups(x, y, z);
        }
        self.recorded.fetch_add(1, Ordering::Relaxed) + 1
    }
}
