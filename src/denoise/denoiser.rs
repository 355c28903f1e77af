//! A denoising network on a device.

use super::images::Images;
use super::options::{DenoiserBytes, DenoiserOptions, Graphs, IN_FLIGHT};
use super::tiles::Tiles;
use super::unet::ALIGNMENT;
use crate::error::{ErrorKind, Result};
use crate::session::{Pending, in_background};
use crate::tensor::Outputs;
use crate::{Context, Model, Session};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// A denoising network on a device: see the [module](super).
///
/// Cheap to clone. Clones share the weights on the device and the session of the last size.
#[derive(Clone)]
pub struct Denoiser {
    pub(super) options: DenoiserOptions,
    /// The owner of the weights. Its graph is never run.
    model: Model,
    /// The sessions of the last size.
    sessions: Arc<Mutex<Option<Arc<Sessions>>>>,
}

/// The sessions for images of one size.
pub(super) struct Sessions {
    pub(super) tiles: Tiles,
    /// The exposure of the whole image, where there are several tiles and it is measured.
    pub(super) exposure: Option<Session>,
    /// The network, for a tile.
    pub(super) network: Arc<Session>,
}

/// The progress of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenoiserProgress {
    /// The number of tiles that are denoised.
    pub done: usize,
    /// The number of all tiles of the image.
    pub tiles: usize,
}

impl Denoiser {
    /// Creates a denoiser and checks its options and weights. It puts nothing on the device: the first image does.
    pub fn new(context: &Context, options: DenoiserOptions) -> Result<Denoiser> {
        let model = Model::new(context, &options.graph([ALIGNMENT; 2])?)?;
        let model = match options.precision {
            Some(precision) => model.precision(precision),
            None => model,
        };
        Ok(Denoiser { options, model, sessions: Arc::default() })
    }

    /// Returns the context that it runs on.
    pub fn context(&self) -> &Context {
        self.model.context()
    }

    /// Returns the bytes that images of `[width, height]` pixels take on the device, and their tiles, without using any.
    ///
    /// An error if they can't be denoised within the device's limits, or within [`DenoiserOptions::most_bytes`].
    pub fn bytes(&self, size: [usize; 2]) -> Result<DenoiserBytes> {
        Ok(self.options.graphs(self.context(), size)?.bytes)
    }

    /// Compiles pipelines, uploads weights and allocates memory for images of `[width, height]` pixels, unless the last images
    /// had this size. Without this, the first image does so.
    pub fn prepare(&self, size: [usize; 2]) -> Result<()> {
        self.sessions(size).map(drop)
    }

    /// Prepares such images on a thread that starts now. [`Context::compilation`] tells the progress. Dropping the future doesn't stop
    /// the thread; let it finish before the process ends. A browser has no other thread: there, awaiting it does the work.
    pub fn prepare_in_background(&self, size: [usize; 2]) -> impl Future<Output = Result<()>> + use<> {
        let denoiser = self.clone();
        in_background(move || denoiser.prepare(size))
    }

    /// Returns the session for whole images of `[width, height]` pixels: that of the last call if it has this size,
    /// otherwise a new one, for which pipelines are compiled and memory is allocated. The session of another size is dropped.
    ///
    /// Its inputs and its output are those of [`DenoiserOptions::graph`]. A renderer binds its own buffers to them
    /// ([`Session::bind`]) and records it ([`Session::encode`]).
    ///
    /// An error for images that are denoised in several tiles.
    pub fn session(&self, size: [usize; 2]) -> Result<Arc<Session>> {
        let sessions = self.sessions(size)?;
        match sessions.tiles.count() {
            1 => Ok(sessions.network.clone()),
            tiles => {
                let wanted = "images that need one tile: more bytes (most_bytes), or smaller ones";
                Err(ErrorKind::argument("size", wanted, format_args!("{size:?}, in {tiles} tiles")).into())
            }
        }
    }

    /// Returns the sessions for images of a size: those of the last call, or new ones.
    fn sessions(&self, size: [usize; 2]) -> Result<Arc<Sessions>> {
        let mut last = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = last.as_ref().filter(|sessions| sessions.tiles.image() == size) {
            return Ok(sessions.clone());
        }
        let graphs = self.options.graphs(self.context(), size)?;
        // Both at once may not fit.
        *last = None;
        let sessions = Arc::new(self.make(graphs)?);
        *last = Some(sessions.clone());
        Ok(sessions)
    }

    pub(super) fn make(&self, graphs: Graphs) -> Result<Sessions> {
        let exposure = graphs.exposure.map(|graph| self.model.with_graph(&graph)?.session(1)).transpose()?;
        let network = Arc::new(self.model.with_graph(&graphs.network)?.session(1)?);
        Ok(Sessions { tiles: graphs.tiles, exposure, network })
    }

    /// Denoises a frame in host memory. Returns an image with as many channels as the given one.
    pub async fn denoise(&self, images: &Images<'_>) -> Result<Vec<f32>> {
        let image = self.frame(images, false, |_| ControlFlow::Continue(())).await?;
        Ok(image.expect("nothing stopped it"))
    }

    /// Denoises a frame in host memory and blocks this thread until the image is there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn denoise_blocking(&self, images: &Images<'_>) -> Result<Vec<f32>> {
        let image = pollster::block_on(self.frame(images, true, |_| ControlFlow::Continue(())))?;
        Ok(image.expect("nothing stopped it"))
    }

    /// Denoises a frame as [`Denoiser::denoise`] does, and tells a function of each tile that is done. `None` if the function
    /// breaks off: then no further tile is begun.
    pub async fn denoise_with(
        &self,
        images: &Images<'_>,
        tile_done: impl FnMut(DenoiserProgress) -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        self.frame(images, false, tile_done).await
    }

    /// Denoises a frame as [`Denoiser::denoise_with`] does, and blocks this thread.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn denoise_with_blocking(
        &self,
        images: &Images<'_>,
        tile_done: impl FnMut(DenoiserProgress) -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        pollster::block_on(self.frame(images, true, tile_done))
    }

    /// Denoises a frame tile by tile. With `blocks`, it waits on this thread wherever it would suspend.
    async fn frame(
        &self,
        images: &Images<'_>,
        blocks: bool,
        mut tile_done: impl FnMut(DenoiserProgress) -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        if self.options.temporal.is_some() {
            let wanted = "options that aren't temporal: the history is that of a view's textures";
            return Err(ErrorKind::argument("temporal", wanted, "images in host memory").into());
        }
        let count = self.options.images()?;
        let mut image = images.checked(count)?.to_vec();
        let sessions = self.sessions(images.size())?;
        let Sessions { tiles, exposure, network } = &*sessions;
        let scale = match exposure {
            Some(exposure) => {
                let outputs = finished(exposure.submit(&images.planes(1, &tiles.whole_image()))?, blocks).await?;
                Some(outputs[0].f32()?.to_vec())
            }
            None => None,
        };
        let (mut left, mut pending, mut done) = (tiles.iter(), VecDeque::new(), 0);
        loop {
            while pending.len() < IN_FLIGHT {
                let Some(tile) = left.next() else { break };
                let mut inputs = images.planes(count, &tile);
                inputs.extend(scale.clone());
                pending.push_back((tile, network.submit(&inputs)?));
            }
            let Some((tile, frame)) = pending.pop_front() else { return Ok(Some(image)) };
            images.put(&mut image, finished(frame, blocks).await?[0].f32()?, &tile);
            done += 1;
            if tile_done(DenoiserProgress { done, tiles: tiles.count() }).is_break() {
                return Ok(None);
            }
        }
    }
}

/// Returns a frame's outputs.
async fn finished(frame: Pending, blocks: bool) -> Result<Outputs> {
    #[cfg(not(target_arch = "wasm32"))]
    if blocks {
        return frame.wait();
    }
    // A browser's thread can't block, and nothing there asks for it.
    let _in_a_browser = blocks;
    frame.await
}

impl std::fmt::Debug for Denoiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Denoiser({} on {:?})", self.options.content, self.context())
    }
}
