//! Compilation ahead of the first frame, for a driver that compiles a shader at its first dispatch.
//!
//! Mesa's llvmpipe does so on the thread of a device's queue, one shader after the other. It keeps the instructions on
//! disk, for all devices. Further devices of the adapter, one for each processor, therefore compile all pipelines of a
//! session at once, by dispatches of no workgroups. The session's own device then finds the instructions on disk.
//!
//! A dispatch has the parameters of one of the session's: the driver makes other instructions where their values decide
//! most branches.

use super::context::Context;
use super::memory::{Memory, PARAMS, upload};
use super::pipeline::{self, Key, Kind, Pipeline, group, parallel};
use crate::error::{ErrorKind, Result};
use crate::plan::memory::SlotKind;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The size of a buffer, at least that of any type that a shader binds.
const BYTES: u64 = 256;

/// A pipeline to compile, with the parameters of a dispatch.
pub(super) type Missing<'a> = (&'a Key, &'a [u8]);

/// The fewest pipelines for which another device is opened.
const FEWEST: usize = 4;

/// Compiles these pipelines' shaders, which `context` has not dispatched yet, by one device for each processor. Returns
/// the number of those that it counted as ready.
///
/// It ends after the first one where it doesn't help: the driver has the instructions from an earlier process, or keeps
/// none. A failure isn't reported: the session's own device will fail too.
pub(super) fn compile_ahead(context: &Context, adapter: &wgpu::Adapter, missing: &[Missing]) -> usize {
    let ready = AtomicUsize::new(0);
    let compile = |helper: &Context, missing: Missing| -> Result<Duration> {
        let time = dispatch_nothing(helper, missing)?;
        log::debug!("compiled {} ahead in {time:?}", missing.0.0);
        context.0.compilation.done(1);
        ready.fetch_add(1, Ordering::Relaxed);
        Ok(time)
    };
    let all = || -> Result<()> {
        // The longest shaders come first, so that no processor is left with one of them at the end.
        let mut missing: Vec<Missing> = missing.iter().copied().filter(|(key, _)| can_dispatch(key)).collect();
        missing.sort_by_cached_key(|((shader, _), _)| Reverse(shader.wgsl().map_or(0, |text| text.len())));
        let Some(shortest) = missing.pop().filter(|_| missing.len() + 1 >= FEWEST) else { return Ok(()) };
        let helper = context.helper(adapter)?;
        let first = compile(&helper, shortest)?;
        // Meanwhile a thread of the driver writes the instructions.
        std::thread::sleep(first / 2);
        if dispatch_nothing(&helper, shortest)? > first / 2 {
            return Ok(());
        }
        let idle = Mutex::new(vec![helper]);
        let lock = || idle.lock().unwrap_or_else(PoisonError::into_inner);
        let each = parallel(&missing, |&missing| {
            let helper = lock().pop();
            let helper = helper.map_or_else(|| context.helper(adapter), Ok)?;
            compile(&helper, missing)?;
            lock().push(helper);
            Ok(())
        });
        each.into_iter().collect()
    };
    all().unwrap_or_else(|error| log::debug!("compilation ahead of the first frame: {error}"));
    ready.into_inner()
}

/// Returns true if `dispatch_nothing` binds what the shader needs: not so for the host's textures and parts of dispatches.
fn can_dispatch((shader, kinds): &Key) -> bool {
    let own = |kind: &Kind| !matches!(kind, Kind::Texels | Kind::Store(_));
    !shader.is_part() && kinds.iter().all(own)
}

/// Dispatches no workgroups of a new pipeline, and returns the time that the device took.
fn dispatch_nothing(helper: &Context, ((shader, kinds), params): Missing) -> Result<Duration> {
    let memory = kinds.iter().map(|&kind| match kind {
        Kind::Params(_) => upload(helper, "ahead", params, PARAMS).map(Memory::Buffer),
        Kind::TextureRead(scalar) | Kind::TextureWrite(scalar) => Memory::slot(helper, SlotKind::Texture(1, 1, scalar)),
        _ => Memory::slot(helper, SlotKind::Buffer(BYTES)),
    });
    let memory = memory.collect::<Result<Vec<_>>>()?;
    let resources = memory.iter().zip(kinds).map(|(memory, kind)| match kind {
        Kind::Params(bytes) => memory.binding(0, *bytes),
        _ => memory.binding(0, BYTES),
    });
    let Pipeline { pipeline, layout } = pipeline::compile(helper, shader, kinds)?;
    let group = group(helper, None, &layout, resources)?;
    let mut encoder = helper.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(0, 0, 0);
    drop(pass);
    let commands = encoder.finish();
    let start = Instant::now();
    let submission = helper.queue().submit([commands]);
    let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
    helper.device().poll(wait).map_err(ErrorKind::lost)?;
    Ok(start.elapsed())
}
