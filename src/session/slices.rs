//! Frames in slices, each within a time budget: for hosts whose own frame has little time to spare.

use super::record::ResidentPart;
use super::{BoundBuffers, Resident, Session, kinds};
use crate::error::{ErrorKind, Result};
use crate::gpu::memory::upload;
use crate::gpu::pipeline::{Pipeline, first_workgroup, group, pipelines};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The progress of a session through a frame that is encoded slice by slice: see [`Session::slices`].
pub struct FrameSlices {
    session: u64,
    pieces: Vec<Piece>,
    /// The index of the next piece; 0 at the beginning of a frame.
    next: usize,
    /// The session's count of recordings after the last slice.
    recorded: u64,
    /// The pipelines of parts of dispatches.
    pipelines: Vec<Arc<Pipeline>>,
    /// The bind group that holds the number of each part's first workgroup.
    firsts: Option<wgpu::BindGroup>,
}

/// The unit of encoding: a dispatch or a part of one.
struct Piece {
    /// The index of the dispatch in the session.
    dispatch: usize,
    time: Duration,
    part: Option<Part>,
}

/// A range of a dispatch's workgroups.
struct Part {
    /// The index of its pipeline among those of parts.
    pipeline: usize,
    /// The offset, in bytes, at which the number of its first workgroup lies.
    first: u32,
    workgroups: u32,
}

/// The steps that one call of [`Session::encode_within`] has encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSlice {
    /// The range of the plan's steps. The first and the last may be parts of steps.
    pub steps: Range<usize>,
    /// The expected time, by the times that the [`FrameSlices`] were made with.
    pub time: Duration,
    /// True if the frame ends with this slice: once it has run, the outputs are complete.
    pub finished: bool,
}

/// A limit of a step's time: a longer time could overflow when it is split into parts.
const AGES: Duration = Duration::from_secs(1 << 32);

impl Session {
    /// Prepares frames in slices. `times` are the times of the [steps](crate::plan::Plan::steps), as
    /// [`measure::step_times`](crate::measure::step_times) gives them. A dispatch that takes longer than `longest` is
    /// split into parts of its workgroups. This keeps slices within their budget, and submissions far below a driver's
    /// time-out (two seconds on Windows). Compiles a second pipeline for each shader of a split dispatch.
    ///
    /// An error if `times` doesn't hold one time for each step, or if `longest` is zero.
    pub fn slices(&self, times: &[Duration], longest: Duration) -> Result<FrameSlices> {
        let steps = &self.plan.steps;
        if times.len() != steps.len() {
            return Err(ErrorKind::argument(
                "times",
                format_args!("one for each of {} steps", steps.len()),
                times.len(),
            )
            .into());
        }
        if longest.is_zero() {
            return Err(ErrorKind::argument("longest", "more than no time", "0").into());
        }
        let alignment = self.context.caps().params_alignment as usize;
        let (mut pieces, mut wanted, mut firsts) = (Vec::new(), Vec::new(), Vec::<u8>::new());
        let count = |workgroups: [u32; 3]| workgroups.iter().map(|&n| u64::from(n)).product::<u64>();
        for (i, resident) in self.dispatches.iter().enumerate() {
            let step = &steps[resident.at.0];
            let (dispatch, resources) = &step.dispatches[resident.at.1];
            let all: u64 = step.dispatches.iter().map(|(dispatch, _)| count(dispatch.workgroups)).sum();
            let workgroups = count(dispatch.workgroups).max(1);
            let time = times[resident.at.0].min(AGES).mul_f64(workgroups as f64 / all.max(workgroups) as f64);
            let parts = (time.as_secs_f64() / longest.as_secs_f64()).ceil().clamp(1.0, workgroups as f64) as u64;
            if parts == 1 || !dispatch.shader.is_ours() {
                pieces.push(Piece { dispatch: i, time, part: None });
                continue;
            }
            // A part is one row of workgroups, and the device limits a row's length.
            let each = workgroups.div_ceil(parts).min(self.context.caps().max_workgroups.into());
            for first in (0..workgroups).step_by(each as usize) {
                let number = each.min(workgroups - first);
                firsts.resize(firsts.len().next_multiple_of(alignment), 0);
                let part = Part { pipeline: wanted.len(), first: firsts.len() as u32, workgroups: number as u32 };
                firsts.extend((first as u32).to_ne_bytes());
                pieces.push(Piece {
                    dispatch: i,
                    time: time.mul_f64(number as f64 / workgroups as f64),
                    part: Some(part),
                });
            }
            wanted.push((dispatch.shader.clone().part(), kinds(&self.plan, dispatch, resources)));
        }
        let firsts = (!firsts.is_empty()).then(|| self.firsts(&firsts)).transpose()?;
        Ok(FrameSlices {
            session: self.id,
            pieces,
            next: 0,
            recorded: 0,
            pipelines: pipelines(&self.context, &wanted)?,
            firsts,
        })
    }

    fn firsts(&self, numbers: &[u8]) -> Result<wgpu::BindGroup> {
        let context = &self.context;
        let mut numbers = numbers.to_vec();
        numbers.resize(numbers.len().next_multiple_of(16), 0);
        let buffer = upload(context, "first workgroups", &numbers, wgpu::BufferUsages::UNIFORM)?;
        let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &buffer,
            offset: 0,
            size: wgpu::BufferSize::new(4),
        });
        group(context, Some("first workgroups"), &first_workgroup(context), [resource])
    }

    /// Records a frame's next slice into an encoder: the pieces that fit into `budget`, at least one so that the frame
    /// ends. The rest is left for the host's next frames; after the last slice the next call begins a new frame. The
    /// outputs are those of [`Session::encode`], bit by bit. It allocates, creates, submits and waits for nothing.
    ///
    /// From the first slice of a frame to its last, the inputs must stay as they are. Another frame of the session in
    /// between is an error, before anything is recorded, because it would overwrite intermediate values; the sliced
    /// frame then begins anew. `bound` or `slices` of another session are an error too.
    pub fn encode_within(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        bound: &BoundBuffers,
        slices: &mut FrameSlices,
        budget: Duration,
    ) -> Result<FrameSlice> {
        self.check_bound(bound)?;
        self.context.settled_so_far()?;
        if slices.session != self.id {
            return Err(ErrorKind::argument("slices", "those of this session", "another session's").into());
        }
        if slices.next > 0 && slices.recorded != self.recorded.load(Ordering::Relaxed) {
            slices.restart();
            let wanted = "no other frame of the session between the slices of one";
            return Err(ErrorKind::argument("slices", wanted, "another frame").into());
        }
        let step = |piece: &Piece| self.dispatches[piece.dispatch].at.0;
        let left = &slices.pieces[slices.next..];
        let mut slice = FrameSlice {
            steps: left.first().map_or(0..0, |first| step(first)..step(first)),
            time: Duration::ZERO,
            finished: false,
        };
        let mut fitting = 0;
        for piece in left {
            if slice.time.saturating_add(piece.time) > budget && fitting > 0 {
                break;
            }
            slice.time = slice.time.saturating_add(piece.time);
            slice.steps.end = step(piece) + 1;
            fitting += 1;
        }
        let descriptor = wgpu::ComputePassDescriptor { label: Some("shadernet"), timestamp_writes: None };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        let pieces = left[..fitting].iter().map(|piece| slices.resident(&self.dispatches[piece.dispatch], piece));
        let recorded = self.record_dispatches(&mut pass, bound, pieces);
        (slices.recorded, slices.next) = (recorded, slices.next + fitting);
        slice.finished = slices.next == slices.pieces.len();
        if slice.finished {
            slices.restart();
        }
        Ok(slice)
    }
}

impl FrameSlices {
    /// Returns a piece as the session records it.
    fn resident<'a>(&'a self, dispatch: &'a Resident, piece: &Piece) -> (&'a Resident, Option<ResidentPart<'a>>) {
        let part = piece.part.as_ref().map(|part| ResidentPart {
            pipeline: &self.pipelines[part.pipeline],
            firsts: self.firsts.as_ref(),
            first: part.first,
            workgroups: part.workgroups,
        });
        (dispatch, part)
    }

    /// Discards the progress of the current frame: the next slice begins a new one.
    pub fn restart(&mut self) {
        self.next = 0;
    }

    /// Returns the number of pieces of a frame: dispatches and parts of them. Nothing smaller is encoded.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Returns the time of the next piece.
    pub(crate) fn next_time(&self) -> Duration {
        self.pieces.get(self.next).map(|piece| piece.time).unwrap_or_default()
    }

    /// Returns the time of the longest piece. A slice takes no longer than its budget or this, whichever is longer.
    pub fn longest(&self) -> Duration {
        self.pieces.iter().map(|piece| piece.time).max().unwrap_or_default()
    }
}

impl std::fmt::Debug for FrameSlices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameSlices({} of {} pieces encoded)", self.next, self.pieces.len())
    }
}
