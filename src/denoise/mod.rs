//! Denoising of rendered images, with the networks of Open Image Denoise.
//!
//! A [`Denoiser`] removes the noise of a path tracer from an image, guided by albedo and normals where its weights take them.
//! It computes what Open Image Denoise 2 computes, on any GPU: exposure, transfer function, network and their inverses
//! are one [`Graph`](crate::Graph) on the device. The weights are that project's `.tza` files ([`Archive`]), or those of a
//! small network that this crate ships ([`Archive::builtin`]).
//!
//! ```no_run
//! use shadernet::denoise::{Archive, Content, Denoiser, DenoiserOptions, Images};
//! use shadernet::{Context, Result};
//!
//! # fn host(context: &Context, color: &[f32], albedo: &[f32], normal: &[f32]) -> Result<()> {
//! let weights = Archive::open("rt_hdr_alb_nrm.tza")?;
//! let denoiser = Denoiser::new(context, DenoiserOptions::new(Content::Hdr, weights))?;
//! let size = [1920, 1080];
//! println!("{} bytes on the device", denoiser.bytes(size)?.total());
//! let denoised = denoiser.denoise_blocking(&Images::new(size, color).albedo(albedo).normal(normal))?;
//! # Ok(()) }
//! ```
//!
//! A renderer's textures are denoised in its own encoder, by a [view](Denoiser::view) of their size, which may
//! blend each frame with the [last one](DenoiserOptions::temporal). Buffers on the device
//! are bound to the [session](Denoiser::session) of their size. `docs/denoise.md` has the rules and the figures.

mod content;
mod denoiser;
mod exposure;
mod images;
mod options;
mod process;
mod textures;
mod tiles;
mod tza;
mod unet;
mod view;

pub use content::{Content, Guides, Quality};
pub use denoiser::{Denoiser, DenoiserProgress};
pub use images::Images;
pub use options::{DenoiserBytes, DenoiserOptions};
pub use textures::DenoiserTextures;
pub use tza::Archive;
pub use view::{BoundTextures, DenoiserSlice, DenoiserSlices, DenoiserView};
