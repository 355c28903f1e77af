//! A denoising network on a device.

use super::Archive;
use super::content::Content;
use super::exposure::Exposure;
use super::images::{GUIDES, Images};
use super::process::{DenoiseInput, DenoiseOutput};
use super::unet::{ALIGNMENT, image_count, unet};
use crate::error::{ErrorKind, Result};
use crate::plan::{Plan, Port};
use crate::{Constant, Context, Graph, Model, Precision, Session};
use std::sync::{Arc, Mutex, PoisonError};

/// The longest side of an image, in pixels: more than any device's memory holds.
const MOST_SIDE: usize = 1 << 16;

/// The network, the content of its images, and how to run it.
#[derive(Clone, Debug)]
pub struct DenoiserOptions {
    content: Content,
    archive: Archive,
    input_scale: Option<f32>,
    precision: Option<Precision>,
}

impl DenoiserOptions {
    /// Creates options for images of this content, with these weights. Weights for another content give bad images: an
    /// archive says only how many images its network takes. [`Content::weights`] names the right ones.
    pub fn new(content: Content, archive: Archive) -> DenoiserOptions {
        DenoiserOptions { content, archive, input_scale: None, precision: None }
    }

    /// Sets the factor by which the image is multiplied before it is encoded, and divided afterwards. By default it is
    /// measured for [`Content::Hdr`] and [`Content::Lightmap`], on the device, and 1 for others.
    #[must_use]
    pub fn input_scale(self, factor: f32) -> DenoiserOptions {
        DenoiserOptions { input_scale: Some(factor), ..self }
    }

    /// Sets the stored form of the network's numbers. By default it is the [archive's](Archive::precision), and `F32` on a device
    /// that can't convert `f16`.
    #[must_use]
    pub fn precision(self, precision: Precision) -> DenoiserOptions {
        DenoiserOptions { precision: Some(precision), ..self }
    }

    /// Builds the graph for images of `[width, height]` pixels. Its inputs are `image` and, as the weights take them,
    /// `albedo` and `normal`, its output is `denoised`: each `[1, 3, H, W]`.
    pub fn graph(&self, size: [usize; 2]) -> Result<Graph> {
        if let Some(side) = size.into_iter().find(|side| !(1..=MOST_SIDE).contains(side)) {
            return Err(ErrorKind::argument("size", format_args!("sides of 1 to {MOST_SIDE} pixels"), side).into());
        }
        let count = image_count(&self.archive)?;
        if count > 1 && !self.content.takes_guides() {
            let wanted = format!("weights for one image, as {} has no guides", self.content);
            return Err(self.archive.problem(format_args!("wanted {wanted}, got some for {count}")).into());
        }
        let [w, h] = size;
        let mut graph = Graph::new();
        let inputs: Vec<_> =
            ["image"].iter().chain(&GUIDES[..count - 1]).map(|name| graph.input(*name, [1, 3, h, w])).collect();
        let factor = match self.input_scale {
            Some(factor) if !(factor.is_finite() && factor > 0.0) => {
                return Err(ErrorKind::argument("input_scale", "a finite number above 0", factor).into());
            }
            None if self.content.is_hdr() => graph.add_node("exposure", Exposure, &inputs[..1])?[0],
            factor => graph.constant(Constant::known("input scale", [1], vec![factor.unwrap_or(1.0)])),
        };
        let x = graph.add_node("input", DenoiseInput(self.content), &[&[factor], &inputs[..]].concat())?[0];
        let y = unet(&mut graph, x, &self.archive)?;
        let output = DenoiseOutput { content: self.content, size: [h, w] };
        let denoised = graph.add_node("output", output, &[factor, y])?[0];
        graph.output("denoised", denoised);
        graph.set_precision(self.archive.precision());
        Ok(graph)
    }
}

/// The memory on the device that images of one size take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenoiserBytes {
    /// The weights, which all sizes share.
    pub weights: u64,
    /// The values inside of the network.
    pub values: u64,
    /// The network's inputs and its output. A frame in host memory needs as much again to be copied.
    pub images: u64,
}

impl DenoiserBytes {
    /// Returns the sum.
    pub fn total(&self) -> u64 {
        self.weights + self.values + self.images
    }
}

/// A denoising network on a device: see the [module](super).
pub struct Denoiser {
    context: Context,
    options: DenoiserOptions,
    made: Mutex<Made>,
}

/// The objects on the device.
#[derive(Default)]
struct Made {
    /// The model of the first size; those of others share its weights.
    model: Option<Model>,
    /// The session of the last size.
    session: Option<([usize; 2], Arc<Session>)>,
}

impl Denoiser {
    /// Creates a denoiser and checks its options and weights. It puts nothing on the device: the first image does.
    pub fn new(context: &Context, options: DenoiserOptions) -> Result<Denoiser> {
        options.graph([ALIGNMENT; 2])?;
        Ok(Denoiser { context: context.clone(), options, made: Mutex::default() })
    }

    /// Returns the bytes that images of `[width, height]` pixels take on the device, without using any.
    pub fn bytes(&self, size: [usize; 2]) -> Result<DenoiserBytes> {
        let graph = self.options.graph(size)?;
        let (caps, choices) = (self.context.caps(), self.context.choices());
        let precision = self.options.precision.unwrap_or(graph.precision().on(caps));
        let plan = Plan::with_precision(&graph.fused(), 1, caps, choices, precision)?;
        let images = plan.inputs.iter().chain(&plan.outputs).map(Port::bytes).sum();
        Ok(DenoiserBytes { weights: plan.weight_bytes(), values: plan.peak_bytes(), images })
    }

    /// Returns the session for images of `[width, height]` pixels: that of the last call if it has this size, otherwise a
    /// new one, for which pipelines are compiled and memory is allocated. The session of another size is dropped.
    ///
    /// Its inputs and its output are those of [`DenoiserOptions::graph`]. A renderer binds its own buffers to them
    /// ([`Session::bind`]), or textures ([`texture`](crate::texture)), and records it ([`Session::encode`]).
    pub fn session(&self, size: [usize; 2]) -> Result<Arc<Session>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, session)) = made.session.as_ref().filter(|(of, _)| *of == size) {
            return Ok(session.clone());
        }
        let graph = self.options.graph(size)?;
        let model = match &made.model {
            Some(model) => model.with_graph(&graph)?,
            None => Model::new(&self.context, &graph)?,
        };
        let model = match self.options.precision {
            Some(precision) => model.precision(precision),
            None => model,
        };
        // Both at once may not fit.
        made.session = None;
        let session = Arc::new(model.session(1)?);
        *made = Made { model: Some(model), session: Some((size, session.clone())) };
        Ok(session)
    }

    /// Denoises a frame in host memory. Returns an image with as many channels as the given one.
    pub async fn denoise(&self, images: &Images<'_>) -> Result<Vec<f32>> {
        let planes = images.planes(image_count(&self.options.archive)?)?;
        let outputs = self.session(images.size())?.run(&planes).await?;
        images.pixels(outputs[0].f32()?)
    }

    /// Denoises a frame in host memory and blocks this thread until the image is there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn denoise_blocking(&self, images: &Images<'_>) -> Result<Vec<f32>> {
        let planes = images.planes(image_count(&self.options.archive)?)?;
        let outputs = self.session(images.size())?.run_blocking(&planes)?;
        images.pixels(outputs[0].f32()?)
    }
}

impl std::fmt::Debug for Denoiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Denoiser({} on {:?})", self.options.content, self.context)
    }
}
