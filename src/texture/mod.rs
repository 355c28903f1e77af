//! Textures as inputs and outputs of networks, on the device: for hosts that draw.
//!
//! A [`TextureInput`] writes a texture into a buffer that a session reads, resized and normalized for the network; a
//! [`TextureOutput`] draws a session's output into a texture. Both record into the host's encoder, as
//! [`Session::encode`](crate::Session::encode) does. Neither copies through the host, submits, or waits. Creation
//! compiles a pipeline for a format; binding a texture (a swap chain's image, say) compiles nothing; a frame creates
//! nothing.
//!
//! ```no_run
//! use shadernet::texture::{Drawing, Region, Sampling};
//! use shadernet::texture::{TextureInput, TextureOutput};
//! use shadernet::{Context, Result, Session, wgpu};
//!
//! # fn host(context: &Context, session: &Session, camera: &wgpu::Texture, screen: &wgpu::Texture,
//! #     encoder: &mut wgpu::CommandEncoder) -> Result<()> {
//! // Once.
//! let sampling = Sampling::new().mean([0.485, 0.456, 0.406]).std([0.229, 0.224, 0.225]);
//! let input = TextureInput::new(context, &session.inputs()[0], camera.format(), sampling)?;
//! let drawing = Drawing::image().mean([0.5]).std([0.5]); // The network's outputs are in -1..1.
//! let output = TextureOutput::new(context, &session.outputs()[0], screen.format(), screen.usage(), drawing)?;
//! let bound = session.bind(&[input.buffer()], &[output.buffer()])?;
//!
//! // Once for each texture.
//! let source = input.bind(Region::whole(camera).rect([64, 0, 512, 512]))?;
//! let target = output.bind(screen)?;
//!
//! // Each frame.
//! input.encode(encoder, &source)?;
//! session.encode(encoder, &bound)?;
//! output.encode(encoder, &target)?;
//! # Ok(()) }
//! ```

mod colors;
mod drawing;
mod history;
mod input;
mod output;
mod region;

pub use colors::{Channels, ColorSpace};
pub use drawing::{Alpha, Drawing, Filter};
pub(crate) use history::{Followed, History, check_depth};
pub use input::{Sampling, Source, TextureInput};
pub(crate) use output::drawn;
pub use output::{Target, TextureOutput};
pub use region::Region;

use crate::dtype::DType;
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::{buffer, check_lent};
use crate::kernel::Shader;
use crate::kernel::layout::Image;
use crate::plan::Port;
use std::sync::atomic::{AtomicU64, Ordering};

/// Returns the shaders that read and write textures, in all their variants.
pub fn shaders() -> Vec<Shader> {
    [input::shaders(), output::shaders(), history::shaders()].concat()
}

/// The width and height, in pixels, of the part that one workgroup of either shader computes.
const WORKGROUP: [u32; 2] = [16, 4];

/// Returns the workgroups for so many pixels; an error if they exceed the device's limit.
fn workgroups(context: &Context, what: &str, [width, height]: [u32; 2]) -> Result<[u32; 2]> {
    let groups = [width.div_ceil(WORKGROUP[0]), height.div_ceil(WORKGROUP[1])];
    let (need, have) = (groups[0].max(groups[1]), context.caps().max_workgroups);
    at_least(what, "max_compute_workgroups_per_dimension", need.into(), have.into())?;
    Ok(groups)
}

/// Checks that a need is within the device's limit.
fn at_least(what: &str, limit: &'static str, need: u64, have: u64) -> Result<()> {
    if need <= have { Ok(()) } else { Err(ErrorKind::Limit { what: what.into(), limit, need, have }.into()) }
}

/// Returns a number that tells bound textures from those of other inputs and outputs.
fn id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The range of a buffer that holds a port's values, as images.
struct Images {
    name: String,
    buffer: wgpu::Buffer,
    offset: u64,
    bytes: u64,
    of: Image,
}

impl Images {
    /// Uses the host's buffer, or creates one.
    fn new(context: &Context, port: &Port, of: Image, lent: Option<wgpu::BufferBinding<'_>>) -> Result<Images> {
        use wgpu::BufferUsages as Usage;
        let (name, bytes) = (port.name.clone(), port.bytes());
        let (buffer, offset) = match lent {
            Some(lent) => {
                check_lent(context, port, &lent)?;
                (lent.buffer.clone(), lent.offset)
            }
            None => (buffer(context, &name, bytes, Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST)?, 0),
        };
        Ok(Images { name, buffer, offset, bytes, of })
    }

    fn binding(&self) -> wgpu::BufferBinding<'_> {
        let size = wgpu::BufferSize::new(self.bytes);
        wgpu::BufferBinding { buffer: &self.buffer, offset: self.offset, size }
    }

    /// Returns the index of an image's first element.
    fn first(&self, image: usize) -> Result<u32> {
        let Image { n, c, h, w } = self.of;
        if image >= n {
            let wanted = format!("less than the batch of \"{}\", {n}", self.name);
            return Err(ErrorKind::argument("image", wanted, image).into());
        }
        // A buffer's size has been checked, so that this fits.
        Ok((image * c * h * w) as u32)
    }
}

/// Reads a port's shape as a batch of images, and checks that the device can hold them.
fn images(
    context: &Context,
    port: &Port,
    dtypes: &[DType],
    shapes: &str,
    read: impl Fn(&[usize]) -> Option<Image>,
) -> Result<Image> {
    let argument = || format!("\"{}\"", port.name);
    if !dtypes.contains(&port.dtype) {
        let wanted: Vec<String> = dtypes.iter().map(DType::to_string).collect();
        return Err(ErrorKind::argument(argument(), wanted.join(" or "), port.dtype).into());
    }
    let what = format!("the buffer of \"{}\"", port.name);
    at_least(&what, "max_storage_buffer_binding_size", port.bytes(), context.caps().max_binding)?;
    at_least(&what, "max_buffer_size", port.bytes(), context.caps().max_buffer)?;
    let image = read(&port.shape).filter(|image| image.c.min(image.h).min(image.w) > 0);
    image.ok_or_else(|| ErrorKind::argument(argument(), shapes, &port.shape).into())
}

/// Checks that a shader can load the single texels of a format, as floats.
pub(crate) fn check_format(context: &Context, argument: &str, format: wgpu::TextureFormat) -> Result<()> {
    let features = context.device().features();
    let float = matches!(format.sample_type(None, Some(features)), Some(wgpu::TextureSampleType::Float { .. }));
    if float && !format.is_compressed() && !format.is_multi_planar_format() {
        return Ok(());
    }
    let wanted = "a color format of floats or normalized integers that isn't compressed";
    Err(ErrorKind::argument(argument, wanted, format_args!("{format:?}")).into())
}
