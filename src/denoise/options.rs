//! The options of a denoiser, and the graphs and plans for images of a size.

use super::Archive;
use super::content::Content;
use super::exposure::Exposure;
use super::images::GUIDES;
use super::process::{DenoiseInput, DenoiseOutput};
use super::tiles::Tiles;
use super::unet::{image_count, overlap, unet};
use crate::error::{ErrorKind, Result};
use crate::plan::{Plan, Port};
use crate::texture::History;
use crate::{Constant, Context, Graph, Precision, Value};

/// The longest side of an image, in pixels: more than any device's memory holds.
const MOST_SIDE: usize = 1 << 16;

/// The tiles of a frame in host memory that are in flight at once: the host copies one while the device computes another.
pub(super) const IN_FLIGHT: usize = 2;

/// The network, the content of its images, and how to run it.
#[derive(Clone, Debug)]
pub struct DenoiserOptions {
    pub(super) content: Content,
    pub(super) archive: Archive,
    input_scale: Option<f32>,
    pub(super) precision: Option<Precision>,
    most_bytes: Option<u64>,
    /// The weight of a view's last frame.
    pub(super) temporal: Option<f32>,
}

/// The memory on the device that images of one size take, in bytes, and the tiles that they are denoised in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenoiserBytes {
    /// The weights, which all sizes share.
    pub weights: u64,
    /// The values inside of the network.
    pub values: u64,
    /// The images of a tile, to be denoised and denoised, and the whole image where its exposure is measured before.
    pub images: u64,
    /// The buffers through which images in host memory are copied. Textures and buffers on the device need none.
    pub copies: u64,
    /// The last frame of a view, and what it is compared by: 0 unless the options are [temporal](DenoiserOptions::temporal).
    pub history: u64,
    /// The size of a tile, `[width, height]`: the image's if there is only one.
    pub tile: [usize; 2],
    /// The number of tiles.
    pub tiles: usize,
}

impl DenoiserBytes {
    /// Returns the sum.
    pub fn total(&self) -> u64 {
        [self.values, self.images, self.copies, self.history].into_iter().fold(self.weights, u64::saturating_add)
    }
}

/// The graphs for images of one size.
pub(super) struct Graphs {
    pub(super) tiles: Tiles,
    pub(super) bytes: DenoiserBytes,
    /// The exposure of a whole image, where there are several tiles.
    pub(super) exposure: Option<Graph>,
    /// The network for a tile. Without a graph for the exposure it has one inside, or doesn't need one.
    pub(super) network: Graph,
}

/// The source of the factor by which an image is multiplied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// It is measured in the graph, unless it is given.
    Inside,
    /// It is an input, unless it is given.
    Input,
}

impl DenoiserOptions {
    /// Creates options for images of this content, with these weights. Weights for another content give bad images: an
    /// archive says only how many images its network takes. [`Content::weights`] names the right ones.
    pub fn new(content: Content, archive: Archive) -> DenoiserOptions {
        DenoiserOptions { content, archive, input_scale: None, precision: None, most_bytes: None, temporal: None }
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

    /// Sets a bound on the [bytes](DenoiserBytes::total) that images of one size take on the device. Larger images are
    /// denoised in tiles, the largest that fit, whose edges don't show: they overlap by as much as the network sees.
    ///
    /// Without a bound, only an image beyond the device's limits is denoised in tiles.
    #[must_use]
    pub fn most_bytes(self, bytes: u64) -> DenoiserOptions {
        DenoiserOptions { most_bytes: Some(bytes), ..self }
    }

    /// Lets a [view](super::Denoiser::view) blend each denoised frame with its last one, so that a sequence flickers less. `weight`
    /// is the part of the last frame, above 0 and below 1: 0.5 halves what a change of light shows in a frame.
    ///
    /// Its textures then include [depth](super::DenoiserTextures::depth), [motion](super::DenoiserTextures::motion) and normals. Images
    /// in host memory are refused: they have no last frame.
    #[must_use]
    pub fn temporal(self, weight: f32) -> DenoiserOptions {
        DenoiserOptions { temporal: Some(weight), ..self }
    }

    /// Builds the graph for whole images of `[width, height]` pixels. Its inputs are `image` and, as the weights take them,
    /// `albedo` and `normal`, its output is `denoised`: each `[1, 3, H, W]`.
    pub fn graph(&self, size: [usize; 2]) -> Result<Graph> {
        self.network(size, Scale::Inside)
    }

    /// Returns the number of images that the network takes.
    pub(super) fn images(&self) -> Result<usize> {
        image_count(&self.archive)
    }

    /// Returns true if the exposure is measured.
    fn measures(&self) -> bool {
        self.input_scale.is_none() && self.content.is_hdr()
    }

    fn network(&self, size: [usize; 2], scale: Scale) -> Result<Graph> {
        if let Some(side) = size.into_iter().find(|side| !(1..=MOST_SIDE).contains(side)) {
            return Err(ErrorKind::argument("size", format_args!("sides of 1 to {MOST_SIDE} pixels"), side).into());
        }
        if let Some(weight) = self.temporal.filter(|&weight| !(weight > 0.0 && weight < 1.0)) {
            return Err(ErrorKind::argument("temporal", "a weight above 0 and below 1", weight).into());
        }
        let count = self.images()?;
        if count > 1 && !self.content.takes_guides() {
            let wanted = format!("weights for one image, as {} has no guides", self.content);
            return Err(self.archive.problem(format_args!("wanted {wanted}, got some for {count}")).into());
        }
        let [w, h] = size;
        let mut graph = Graph::new();
        let inputs: Vec<Value> =
            ["image"].iter().chain(&GUIDES[..count - 1]).map(|name| graph.input(*name, [1, 3, h, w])).collect();
        let factor = match self.input_scale {
            Some(factor) if !(factor.is_finite() && factor > 0.0) => {
                return Err(ErrorKind::argument("input_scale", "a finite number above 0", factor).into());
            }
            None if self.measures() && scale == Scale::Input => graph.input("scale", [1]),
            None if self.measures() => graph.add_node("exposure", Exposure, &inputs[..1])?[0],
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

    /// Builds the graph that measures the exposure of images of `[width, height]` pixels.
    fn exposure([w, h]: [usize; 2]) -> Result<Graph> {
        let mut graph = Graph::new();
        let image = graph.input("image", [1, 3, h, w]);
        let scale = graph.add_node("exposure", Exposure, &[image])?[0];
        graph.output("scale", scale);
        Ok(graph)
    }

    /// Builds the graphs for images of a size in tiles, and counts their bytes.
    fn tiled(&self, context: &Context, tiles: Tiles, image: [usize; 2]) -> Result<Graphs> {
        let is_tiled = tiles.count() > 1;
        let exposure = if is_tiled && self.measures() { Some(DenoiserOptions::exposure(image)?) } else { None };
        let network = self.network(tiles.size(), if is_tiled { Scale::Input } else { Scale::Inside })?;
        let (caps, choices) = (context.caps(), context.choices());
        let plan = |graph: &Graph| {
            let precision = self.precision.unwrap_or(graph.precision().on(caps));
            Plan::with_precision(&graph.fused(), 1, caps, choices, precision)
        };
        let ports = |plan: &Plan| plan.inputs.iter().chain(&plan.outputs).map(Port::bytes).sum::<u64>();
        let (first, main) = (exposure.as_ref().map(&plan).transpose()?, plan(&network)?);
        let [values, whole] = first.map_or([0; 2], |plan| [plan.peak_bytes(), ports(&plan)]);
        let (tile, more) = (ports(&main), if is_tiled { IN_FLIGHT as u64 - 1 } else { 0 });
        let bytes = DenoiserBytes {
            weights: main.weight_bytes(),
            values: main.peak_bytes() + values,
            images: tile + whole,
            // A frame in flight has its buffers on the device, and as much again that the host maps.
            copies: tile + whole + 2 * more * tile,
            history: self.temporal.map_or(0, |_| History::bytes(image)),
            tile: tiles.size(),
            tiles: tiles.count(),
        };
        Ok(Graphs { tiles, bytes, exposure, network })
    }

    /// Returns the graphs for images of a size, in the largest tiles that fit.
    pub(super) fn graphs(&self, context: &Context, size: [usize; 2]) -> Result<Graphs> {
        let (mut tiles, mut least) = (Tiles::whole(size, overlap(&self.archive)), None);
        loop {
            let smaller = tiles.smaller();
            match self.tiled(context, tiles, size) {
                Ok(graphs) if self.most_bytes.is_none_or(|most| graphs.bytes.total() <= most) => return Ok(graphs),
                Ok(Graphs { bytes, .. }) => {
                    let fewest = least.filter(|least: &DenoiserBytes| least.total() <= bytes.total());
                    least = Some(fewest.unwrap_or(bytes));
                }
                Err(error) if smaller.is_some() && matches!(error.kind, ErrorKind::Limit { .. }) => {}
                Err(error) => return Err(error),
            }
            match (smaller, least, self.most_bytes) {
                (Some(smaller), ..) => tiles = smaller,
                (None, Some(least), Some(most)) => {
                    let ([w, h], [width, height], total) = (least.tile, size, least.total());
                    let wanted = format!("{total} or more, for {width} x {height} pixels in tiles of {w} x {h}");
                    return Err(ErrorKind::argument("most_bytes", wanted, most).into());
                }
                _ => unreachable!("tiles that fit, and errors of the smallest, have returned"),
            }
        }
    }
}
