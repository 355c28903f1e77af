//! A frame: buffers for one run's inputs and outputs, with the staging buffers for host memory.

use super::Session;
use crate::dtype::{Data, Elements};
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::buffer;
use crate::plan::Port;
use crate::tensor::{Outputs, Tensor};
use futures::channel::oneshot;
use futures::future::BoxFuture;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// Bind groups for a set of input and output buffers: see [`Session::bind`].
pub struct BoundBuffers {
    /// The session that bound them.
    pub(super) session: u64,
    /// The bind groups of the dispatches that touch inputs or outputs, in order.
    pub(super) groups: Vec<wgpu::BindGroup>,
}

/// The buffers of one frame in flight, with the commands of its next use. Between uses the upload buffers are mapped
/// and the download buffers are not.
pub(super) struct Frame {
    uploads: Vec<wgpu::Buffer>,
    inputs: Vec<wgpu::Buffer>,
    outputs: Vec<wgpu::Buffer>,
    downloads: Vec<wgpu::Buffer>,
    bound: BoundBuffers,
    /// Recorded while the device computes: finishing an encoder is most of a frame's cost on the host.
    recorded: Option<wgpu::CommandBuffer>,
}

/// A submitted frame: a future of its outputs.
///
/// Awaiting it starts one thread for each context, which waits for the device. [`Pending::wait`] blocks the caller's.
/// Either of them returns the frame's buffers to the session. Dropping it frees them: a later frame creates new ones.
#[must_use = "the outputs are there when this has been awaited"]
pub struct Pending {
    context: Context,
    submission: Option<wgpu::SubmissionIndex>,
    outputs: BoxFuture<'static, Result<Outputs>>,
}

impl Frame {
    pub(super) fn new(session: &Session) -> Result<Frame> {
        use wgpu::BufferUsages as Usage;
        let context = &session.context;
        let each = |ports: &[Port], label: &str, usage: Usage| -> Result<Vec<wgpu::Buffer>> {
            ports.iter().map(|port| buffer(context, label, port.bytes(), usage)).collect()
        };
        let (ins, outs) = (&session.plan.inputs, &session.plan.outputs);
        let inputs = each(ins, "input", Usage::STORAGE | Usage::COPY_DST)?;
        let outputs = each(outs, "output", Usage::STORAGE | Usage::COPY_SRC)?;
        let bound = session.bind(&whole(&inputs), &whole(&outputs))?;
        let uploads = ins
            .iter()
            .map(|port| {
                context.count(1);
                let descriptor = wgpu::BufferDescriptor {
                    label: Some("upload"),
                    size: port.bytes(),
                    usage: Usage::MAP_WRITE | Usage::COPY_SRC,
                    mapped_at_creation: true,
                };
                context.checked(|| context.device().create_buffer(&descriptor))
            })
            .collect::<Result<_>>()?;
        let downloads = each(outs, "download", Usage::COPY_DST | Usage::MAP_READ)?;
        Ok(Frame { uploads, inputs, outputs, downloads, bound, recorded: None })
    }

    /// Records the commands of one use.
    fn record(&self, session: &Session) -> Result<wgpu::CommandBuffer> {
        let device = session.context.device();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (upload, input) in self.uploads.iter().zip(&self.inputs) {
            encoder.copy_buffer_to_buffer(upload, 0, input, 0, None);
        }
        session.encode(&mut encoder, &self.bound)?;
        for (output, download) in self.outputs.iter().zip(&self.downloads) {
            encoder.copy_buffer_to_buffer(output, 0, download, 0, None);
        }
        Ok(encoder.finish())
    }

    pub(super) fn submit<T: Elements>(mut self, session: &Session, inputs: &[&T]) -> Result<Pending> {
        let context = session.context.clone();
        let recorded = match self.recorded.take() {
            Some(recorded) => recorded,
            None => self.record(session)?,
        };
        for (upload, values) in self.uploads.iter().zip(inputs) {
            let values = values.view();
            let bytes = values.words();
            // An empty batch has nothing to write, and an empty range can't be mapped.
            if bytes.is_empty() {
                upload.unmap();
                continue;
            }
            let mut view = upload.get_mapped_range_mut(..bytes.len() as u64).map_err(ErrorKind::lost)?;
            view.copy_from_slice(&bytes);
            drop(view);
            upload.unmap();
        }
        let submission = context.queue().submit([recorded]);
        self.recorded = Some(self.record(session)?);

        let map = |buffer: &wgpu::Buffer, mode: wgpu::MapMode| {
            let (sender, receiver) = oneshot::channel();
            buffer.map_async(mode, .., move |result| {
                // The receiver is gone if the caller dropped the frame.
                let _unheard = sender.send(result);
            });
            receiver
        };
        let downloads = self.downloads.iter().map(|buffer| map(buffer, wgpu::MapMode::Read));
        let uploads = self.uploads.iter().map(|buffer| map(buffer, wgpu::MapMode::Write));
        let mapped: Vec<_> = downloads.chain(uploads).collect();
        let ports: Vec<_> = session.plan.outputs.iter().map(|port| (port.shape.clone(), port.dtype)).collect();
        let names = session.names.clone();
        let (idle, made_on) = (session.idle.clone(), context.clone());
        let outputs = Box::pin(async move {
            made_on.settled().await?;
            for mapping in mapped {
                mapping.await.map_err(ErrorKind::lost)?.map_err(ErrorKind::lost)?;
            }
            let mut outputs = Vec::with_capacity(ports.len());
            for (download, (shape, dtype)) in self.downloads.iter().zip(ports) {
                let data = match shape.elements() as u64 {
                    0 => Data::from_device(dtype, &[]),
                    elements => {
                        let view = download.get_mapped_range(..4 * elements).map_err(ErrorKind::lost)?;
                        Data::from_device(dtype, &view)
                    }
                };
                download.unmap();
                outputs.push(Tensor::new(shape, data)?);
            }
            idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(self);
            Ok(Outputs::new(names, outputs))
        });
        Ok(Pending { context, submission: Some(submission), outputs })
    }
}

impl Pending {
    /// Blocks this thread until the outputs are there, and returns them.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(mut self) -> Result<Outputs> {
        let wait = wgpu::PollType::Wait { submission_index: self.submission.take(), timeout: None };
        self.context.device().poll(wait).map_err(ErrorKind::lost)?;
        pollster::block_on(self.outputs)
    }
}

impl Future for Pending {
    type Output = Result<Outputs>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        if let Some(submission) = self.submission.take() {
            self.context.wait_in_background(submission)?;
        }
        self.outputs.as_mut().poll(cx)
    }
}

/// Returns whole buffers as bindings.
pub(crate) fn whole(buffers: &[wgpu::Buffer]) -> Vec<wgpu::BufferBinding<'_>> {
    buffers.iter().map(wgpu::Buffer::as_entire_buffer_binding).collect()
}
