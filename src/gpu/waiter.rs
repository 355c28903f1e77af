//! A thread that waits for submissions, so that awaiting a frame blocks no thread of the caller's.

use crate::error::{ErrorKind, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// The waiting thread. Dropping it waits for all submissions, then ends the thread.
pub(super) struct Waiter(Option<(Sender<wgpu::SubmissionIndex>, JoinHandle<()>)>);

impl Waiter {
    pub(super) fn start(device: wgpu::Device) -> Waiter {
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || {
            for submission in receiver {
                let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
                // The wait calls callbacks of the host, too. One that panics must not end the thread: later frames
                // would never be done.
                match catch_unwind(AssertUnwindSafe(|| device.poll(wait))) {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => log::error!("waiting for the device: {error}"),
                    Err(_) => log::error!("a callback panicked on the thread that waits for the device"),
                }
            }
        });
        Waiter(Some((sender, thread)))
    }

    /// Makes the thread wait for a submission. The wait calls the callbacks that are due by then.
    pub(super) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        match self.0.as_ref().map(|(sender, _)| sender.send(submission)) {
            Some(Ok(())) => Ok(()),
            _ => Err(ErrorKind::lost("the thread that waits for it has ended")),
        }
    }
}

impl Drop for Waiter {
    /// Waits for the thread to end, because the thread may hold the last reference to the device. A driver crashes if
    /// one thread unloads it while another leaves `main` (Mesa's queues have an exit handler).
    fn drop(&mut self) {
        let Some((sender, thread)) = self.0.take() else { return };
        drop(sender);
        // A callback on this very thread may drop the last context, and a thread can't join itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            log::error!("the thread that waits for the device panicked");
        }
    }
}
