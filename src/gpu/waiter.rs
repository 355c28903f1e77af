//! A thread that waits for submissions, so that awaiting a frame blocks no thread of the caller's.

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
                if let Err(error) = device.poll(wait) {
                    log::error!("waiting for the device: {error}");
                }
            }
        });
        Waiter(Some((sender, thread)))
    }

    /// Makes the thread wait for a submission. The wait calls the callbacks that are due by then.
    pub(super) fn wait(&self, submission: wgpu::SubmissionIndex) {
        if self.0.as_ref().is_none_or(|(sender, _)| sender.send(submission).is_err()) {
            log::error!("the thread that waits for the device is gone");
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
