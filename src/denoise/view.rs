//! Frames of textures: denoised where they are, in the host's encoder.

use super::content::Content;
use super::denoiser::{Denoiser, DenoiserProgress, Sessions};
use super::textures::{DenoiserTextures, Formats, drawing, sampling};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::memory::buffer;
use crate::plan::Port;
use crate::session::{BoundBuffers, FrameSlices, Session, in_background};
use crate::texture::{Alpha, Region, Source, Target, TextureInput, TextureOutput};
use crate::texture::{History, drawn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A denoiser of textures of one size, with sessions and buffers of its own: one for each camera of a renderer. See
/// [`Denoiser::view`].
///
/// Cameras of one size may share a view, each with [textures](DenoiserView::bind) of its own, unless their frames are
/// encoded in [slices](DenoiserView::encode_within).
pub struct DenoiserView {
    id: u64,
    formats: Formats,
    sessions: Sessions,
    /// The whole image's exposure, where there are several tiles and it is measured.
    exposure: Option<(TextureInput, BoundBuffers)>,
    inputs: Vec<TextureInput>,
    bound: BoundBuffers,
    /// It writes a tile: to the host's texture, or to the history's.
    output: TextureOutput,
    /// The pass that blends the frame with the last one, and the drawing to the host's texture.
    history: Option<(History, TextureOutput)>,
}

/// The textures of a frame that a [`DenoiserView`] has bound, and keeps alive.
pub struct BoundTextures {
    id: u64,
    view: u64,
    exposure: Option<Source>,
    /// For each tile.
    tiles: Vec<(Vec<Source>, Target)>,
    history: Option<(wgpu::BindGroup, Target)>,
}

/// The progress of a [`DenoiserView`] through a frame that is encoded slice by slice.
pub struct DenoiserSlices {
    view: u64,
    /// The textures of the frame that has begun.
    bound: Option<u64>,
    tile: usize,
    /// The progress through a tile.
    slices: FrameSlices,
    /// True between a tile's first slice and its last.
    in_tile: bool,
}

/// The part of a frame that one call of [`DenoiserView::encode_within`] has encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenoiserSlice {
    /// The expected time, by the times that the [`DenoiserSlices`] were made with.
    pub time: Duration,
    /// The tiles that are complete.
    pub progress: DenoiserProgress,
    /// True if the frame ends with this slice: once it has run, the denoised image is there.
    pub finished: bool,
}

impl Denoiser {
    /// Creates a denoiser of textures of the size, the formats and the usages of these: compiles pipelines and allocates
    /// memory ([`Denoiser::bytes`], without copies). Views share the weights. If textures get another size, drop the
    /// view and create another one.
    ///
    /// An error, before anything is created, for textures of different sizes and for formats that can't serve.
    pub fn view(&self, textures: &DenoiserTextures<'_>) -> Result<DenoiserView> {
        self.view_of(self.formats(textures)?)
    }

    /// Creates a view on a thread that starts now, so that nothing here waits for compilation.
    /// [`Context::compilation`](crate::Context::compilation) tells the progress. Dropping the future doesn't stop the
    /// thread; let it finish before the process ends. A browser has no other thread: there, awaiting it does the work.
    pub fn view_in_background(
        &self,
        textures: &DenoiserTextures<'_>,
    ) -> impl Future<Output = Result<DenoiserView>> + use<> {
        let (denoiser, formats) = (self.clone(), self.formats(textures));
        in_background(move || denoiser.view_of(formats?))
    }

    fn formats(&self, textures: &DenoiserTextures<'_>) -> Result<Formats> {
        textures.formats(self.options.images()?, self.options.temporal.is_some())
    }

    fn view_of(&self, formats: Formats) -> Result<DenoiserView> {
        let (context, content) = (self.context(), self.options.content);
        formats.check(context)?;
        let drawn = drawn(context, formats.output, formats.usage, Alpha::Kept);
        drawn.map_err(|error| named("output", "usage", named("output", "format", error)))?;
        let graphs = self.options.graphs(context, formats.size)?;
        let sessions = self.make(graphs)?;
        let network = &sessions.network;
        let input = |session: &Session, i: usize| {
            let format = formats.inputs[i].1;
            let sampling = sampling(if i == 2 { Content::Normal } else { content }, i == 1, format);
            TextureInput::new(context, &session.inputs()[i], format, sampling)
        };
        let inputs = (0..formats.inputs.len()).map(|i| input(network, i)).collect::<Result<Vec<_>>>()?;
        let output = &network.outputs()[0];
        let (output, history) = match self.options.temporal {
            None => {
                let drawing = drawing(content, formats.output);
                (TextureOutput::new(context, output, formats.output, formats.usage, drawing)?, None)
            }
            Some(weight) => {
                let history = History::new(context, formats.size, weight)?;
                let (image, usage) = (history.image().format(), wgpu::TextureUsages::STORAGE_BINDING);
                let tile = TextureOutput::new(context, output, image, usage, drawing(content, image))?;
                let [w, h] = formats.size;
                let whole = Port { shape: [1, 3, h, w].into(), ..output.clone() };
                // The history's numbers are those of a texture of floats.
                let drawing = drawing(if content == Content::Srgb { Content::Ldr } else { content }, formats.output);
                let (format, usage) = (formats.output, formats.usage);
                let shown = TextureOutput::with_buffer(context, &whole, history.buffer(), format, usage, drawing)?;
                (tile, Some((history, shown)))
            }
        };
        let mut buffers: Vec<_> = inputs.iter().map(TextureInput::buffer).collect();
        let scale = match &sessions.exposure {
            Some(exposure) => {
                Some(buffer(context, "scale", exposure.outputs()[0].bytes(), wgpu::BufferUsages::STORAGE)?)
            }
            None => None,
        };
        buffers.extend(scale.as_ref().map(wgpu::Buffer::as_entire_buffer_binding));
        let bound = network.bind(&buffers, &[output.buffer()])?;
        let exposure = match (&sessions.exposure, &scale) {
            (Some(session), Some(scale)) => {
                let whole = input(session, 0)?;
                let bound = session.bind(&[whole.buffer()], &[scale.as_entire_buffer_binding()])?;
                Some((whole, bound))
            }
            _ => None,
        };
        Ok(DenoiserView { id: id(), formats, sessions, exposure, inputs, bound, output, history })
    }
}

impl DenoiserView {
    /// Binds the textures of a frame, once for all the frames that use them: bind groups for each tile, nothing is compiled.
    /// They have the size, formats and usages of those that the view was created for.
    pub fn bind(&self, textures: &DenoiserTextures<'_>) -> Result<BoundTextures> {
        let inputs = textures.inputs(self.inputs.len(), self.history.is_some())?;
        let followed = inputs.followed(textures.motion_scale);
        let inputs = inputs.network;
        let [w, h] = self.formats.size;
        let got = [textures.color.width(), textures.color.height()];
        if got.map(|side| side as usize) != [w, h] {
            let wanted = format!("{w} x {h} pixels, as the view has");
            let got = format!("{} x {}", got[0], got[1]);
            return Err(ErrorKind::argument("image", wanted, got).into());
        }
        let bind = |input: &TextureInput, (name, texture): (&str, &wgpu::Texture), part: [u32; 4]| {
            let region = Region::whole(texture).rect(part).within([0, 0, part[2], part[3]]);
            input.bind(region).map_err(|error| named(name, "texture", error))
        };
        let exposure = self.exposure.as_ref();
        let exposure = exposure.map(|(whole, _)| bind(whole, inputs[0], [0, 0, w as u32, h as u32])).transpose()?;
        let mut tiles = Vec::new();
        for tile in self.sessions.tiles.iter() {
            let part = pixels(tile.within(self.formats.size));
            let sources = self.inputs.iter().zip(&inputs).map(|(input, &texture)| bind(input, texture, part));
            let sources = sources.collect::<Result<_>>()?;
            let core = pixels(tile.core);
            let output = self.history.as_ref().map_or(textures.output, |(history, _)| history.image());
            let drawn = Region::whole(output).rect(core).within(pixels(tile.core_within()));
            let target = self.output.bind_keeping(drawn, Region::whole(textures.color).rect(core));
            tiles.push((sources, target.map_err(|error| named("output", "texture", error))?));
        }
        let history = match self.history.as_ref().zip(followed) {
            Some(((history, shown), followed)) => {
                let target = shown.bind_keeping(textures.output, textures.color);
                Some((history.bind(&followed)?, target.map_err(|error| named("output", "texture", error))?))
            }
            None => None,
        };
        Ok(BoundTextures { id: id(), view: self.id, exposure, tiles, history })
    }

    /// Records a frame into an encoder, between bound textures. It allocates, creates, submits and waits for nothing.
    ///
    /// An error, before anything is recorded, if another view bound the textures, or if it is known that an object of
    /// the context couldn't be created: see [`Context::settled`](crate::Context::settled).
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, bound: &BoundTextures) -> Result<()> {
        (0..self.tiles()).try_for_each(|tile| self.encode_tile(encoder, bound, tile))
    }

    /// Records one tile, so that a frame can be spread over several submissions or broken off: in order, from the first one on,
    /// which measures the exposure of the whole image. Another frame of this view in between would take the exposure's place.
    pub fn encode_tile(&self, encoder: &mut wgpu::CommandEncoder, bound: &BoundTextures, tile: usize) -> Result<()> {
        self.begin(encoder, bound, tile)?;
        self.sessions.network.encode(encoder, &self.bound)?;
        self.end(encoder, bound, tile)
    }

    /// Records all that comes after the network of a tile.
    fn end(&self, encoder: &mut wgpu::CommandEncoder, bound: &BoundTextures, tile: usize) -> Result<()> {
        self.output.encode(encoder, &bound.tiles[tile].1)?;
        let of_frame = self.history.as_ref().zip(bound.history.as_ref());
        match of_frame.filter(|_| tile + 1 == self.tiles()) {
            Some(((history, shown), (group, target))) => {
                history.encode(encoder, group)?;
                shown.encode(encoder, target)
            }
            None => Ok(()),
        }
    }

    /// Forgets the last frame, if the options are [temporal](super::DenoiserOptions::temporal): the next one to be finished is as it would
    /// be alone. For cuts, and if an encoder that a frame was recorded into isn't submitted.
    pub fn reset(&self) {
        if let Some((history, _)) = &self.history {
            history.reset();
        }
    }

    /// Records all that comes before the network of a tile.
    fn begin(&self, encoder: &mut wgpu::CommandEncoder, bound: &BoundTextures, tile: usize) -> Result<()> {
        if bound.view != self.id {
            return Err(ErrorKind::argument("bound", "what this view has bound", "another view's").into());
        }
        let Some((sources, _)) = bound.tiles.get(tile) else {
            return Err(ErrorKind::argument("tile", format_args!("less than {}", self.tiles()), tile).into());
        };
        let exposure = self.exposure.as_ref().zip(bound.exposure.as_ref()).zip(self.sessions.exposure.as_ref());
        if let Some((((input, buffers), source), session)) = exposure.filter(|_| tile == 0) {
            input.encode(encoder, source)?;
            session.encode(encoder, buffers)?;
        }
        self.inputs.iter().zip(sources).try_for_each(|(input, source)| input.encode(encoder, source))
    }

    /// Prepares frames in slices. `times` are the times of the steps of [the network's session](DenoiserView::session),
    /// as [`measure::step_times`](crate::measure::step_times) gives them: see [`Session::slices`].
    pub fn slices(&self, times: &[Duration], longest: Duration) -> Result<DenoiserSlices> {
        let slices = self.sessions.network.slices(times, longest)?;
        Ok(DenoiserSlices { view: self.id, bound: None, tile: 0, slices, in_tile: false })
    }

    /// Records a frame's next slice into an encoder: as much of the network as fits into `budget`, of one or several tiles. The
    /// conversions of textures and the exposure come in addition. The rest is left for the host's next frames; after the last slice the
    /// next call begins a new frame. It allocates, creates, submits and waits for nothing.
    ///
    /// From the first slice of a frame to its last, the textures must stay as they are. Another frame of this view in
    /// between is an error, before anything is recorded; the sliced frame then begins anew.
    pub fn encode_within(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        bound: &BoundTextures,
        slices: &mut DenoiserSlices,
        budget: Duration,
    ) -> Result<DenoiserSlice> {
        if slices.view != self.id {
            return Err(ErrorKind::argument("slices", "those of this view", "another view's").into());
        }
        if slices.bound.is_some_and(|id| id != bound.id) {
            slices.restart();
            return Err(ErrorKind::argument("bound", "the textures of the frame's first slice", "others").into());
        }
        let (mut time, tiles) = (Duration::ZERO, self.tiles());
        loop {
            if !slices.in_tile {
                self.begin(encoder, bound, slices.tile)?;
                (slices.in_tile, slices.bound) = (true, Some(bound.id));
            }
            let left = budget.saturating_sub(time);
            let slice = self.sessions.network.encode_within(encoder, &self.bound, &mut slices.slices, left);
            let slice = slice.inspect_err(|_| slices.restart())?;
            time = time.saturating_add(slice.time);
            if slice.finished {
                self.end(encoder, bound, slices.tile)?;
                (slices.in_tile, slices.tile) = (false, slices.tile + 1);
            }
            let progress = DenoiserProgress { done: slices.tile, tiles };
            if slices.tile == tiles {
                slices.restart();
                return Ok(DenoiserSlice { time, progress, finished: true });
            }
            if !slice.finished || time.saturating_add(slices.slices.next_time()) > budget {
                return Ok(DenoiserSlice { time, progress, finished: false });
            }
        }
    }

    /// Returns the number of tiles.
    pub fn tiles(&self) -> usize {
        self.sessions.tiles.count()
    }

    /// Returns the session of the network, which runs once for each tile: for measurements.
    pub fn session(&self) -> &Session {
        &self.sessions.network
    }
}

impl DenoiserSlices {
    /// Discards the progress of the current frame: the next slice begins a new one.
    pub fn restart(&mut self) {
        (self.bound, self.tile, self.in_tile) = (None, 0, false);
        self.slices.restart();
    }
}

/// Returns a number that tells views and bound textures from others.
fn id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn pixels(rect: [usize; 4]) -> [u32; 4] {
    rect.map(|side| side as u32)
}

/// Returns an error with the name of a texture in the place of `other`.
fn named(name: &str, other: &str, mut error: Error) -> Error {
    if let ErrorKind::Argument { argument, .. } = &mut error.kind {
        match argument.strip_prefix(other) {
            Some("") => *argument = format!("{name}: {other}"),
            Some(rest) => *argument = format!("{name}{rest}"),
            None => {}
        }
    }
    error
}

impl std::fmt::Debug for DenoiserView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [w, h] = self.formats.size;
        write!(
            f,
            "DenoiserView({w} x {h}, {} tiles, {:?} to {:?})",
            self.tiles(),
            self.formats.inputs,
            self.formats.output
        )
    }
}

impl std::fmt::Debug for BoundTextures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BoundTextures({} tiles)", self.tiles.len())
    }
}

impl std::fmt::Debug for DenoiserSlices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DenoiserSlices(tile {}, {:?})", self.tile, self.slices)
    }
}
