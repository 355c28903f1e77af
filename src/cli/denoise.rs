//! `shadernet denoise`: a rendered image without its noise.

use super::exr_file::Role;
use super::pixel_file::{PixelFile, PixelFormat};
use super::{DeviceArgs, Progress, Result, while_compiling};
use shadernet::denoise::{Archive, Content, Denoiser, DenoiserOptions, DenoiserProgress};
use shadernet::denoise::{Guides, Images, Quality};
use shadernet::measure::thousands;
use shadernet::{Error, ErrorKind, Precision};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

#[derive(clap::Args)]
pub(super) struct DenoiseArgs {
    /// The noisy image: .exr, .hdr, .pfm or .png
    image: PathBuf,
    /// The albedo of what is seen: linear, or a .png in sRGB
    #[arg(long, value_name = "FILE")]
    albedo: Option<PathBuf>,
    /// Its normals: in -1..1, or a .png of normal / 2 + 1/2. They need --albedo
    #[arg(long, value_name = "FILE", requires = "albedo")]
    normal: Option<PathBuf>,
    /// Albedo and normals are without noise: takes the weights for such from the folder --weights
    #[arg(long, requires = "normal")]
    clean: bool,
    /// The weights: a file of Open Image Denoise (.tza), or a folder of them under their own names [default: the builtin ones,
    /// for hdr with albedo and normals]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The network of a folder of weights: high (the large one, where there is one), balanced or fast
    #[arg(long, value_name = "NAME")]
    quality: Option<Quality>,
    /// The content of the image: hdr, ldr (linear, in 0..1), srgb, albedo, normal, lightmap or directional [default: srgb for a .png,
    /// otherwise hdr]
    #[arg(long, value_name = "NAME")]
    content: Option<Content>,
    /// The factor by which the image is multiplied before it is encoded [default: measured for hdr and lightmap, else 1]
    #[arg(long, value_name = "X")]
    input_scale: Option<f32>,
    /// Store the network's numbers as f32, as f16, or mixed [default: as the weights are]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    /// Denoise in tiles that take at most so many bytes on the device, such as 1GiB or 512MiB [default: as few tiles as the
    /// device allows]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory: Option<u64>,
    /// Take the nearest numbers for albedos outside of 0..1 and normals outside of -1..1, which are an error otherwise
    #[arg(long)]
    clamp_guides: bool,
    /// The denoised image: .exr, .hdr, .pfm or .png. Linear colors become sRGB in a .png, and sRGB becomes linear in others
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// The names of the library that errors have, and the arguments that they stand for here.
const ARGUMENTS: [(&str, &str); 5] = [
    ("most_bytes", "--memory"),
    ("input_scale", "--input-scale"),
    ("Images::clamp_guides", "--clamp-guides"),
    ("albedo", "--albedo"),
    ("normal", "--normal"),
];

pub(super) fn denoise(args: &DenoiseArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    denoised(args, device, out).map_err(|error| match error.downcast::<Error>() {
        Ok(error) => in_arguments(*error).into(),
        Err(other) => other,
    })
}

/// Returns an error about an argument of the library as one about the command's.
fn in_arguments(error: Error) -> Error {
    let Error { at, kind: ErrorKind::Argument { argument, wanted, got } } = error else { return error };
    let (argument, wanted) = ARGUMENTS.iter().fold((argument, wanted), |(argument, wanted), (name, flag)| {
        let argument = if argument == *name { (*flag).to_owned() } else { argument };
        (argument, if name.contains("::") { wanted.replace(name, flag) } else { wanted })
    });
    Error { at, kind: ErrorKind::Argument { argument, wanted, got } }
}

fn denoised(args: &DenoiseArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    let format = PixelFormat::new(&args.output)?;
    let role = match args.content {
        Some(Content::Albedo) => Role::Albedo,
        Some(Content::Normal) => Role::Normal,
        _ => Role::Color,
    };
    let image = PixelFile::read(&args.image, role)?;
    let content = args.content.unwrap_or(if image.is_png { Content::Srgb } else { Content::Hdr });
    let is_png = format == PixelFormat::Png;
    // A file's numbers as the content's, and the content's as a file's.
    let read: Option<fn(f32) -> f32> = match content {
        _ if !image.is_png => None,
        Content::Normal | Content::Directional => Some(to_signed),
        Content::Srgb => None,
        _ => Some(to_linear),
    };
    let write: Option<fn(f32) -> f32> = match content {
        Content::Srgb if image.is_png && !is_png => Some(to_linear),
        Content::Srgb => None,
        _ if !is_png => None,
        Content::Normal | Content::Directional => Some(from_signed),
        _ => Some(to_srgb),
    };
    let size = image.size;
    let image = mapped(image, read);
    let guide = |path: &Option<PathBuf>, role: Role, read: fn(f32) -> f32| -> Result<Option<PixelFile>> {
        let Some(path) = path else { return Ok(None) };
        let guide = PixelFile::read(path, role)?;
        if guide.size != size {
            let [[w, h], [width, height]] = [size, guide.size];
            return Err(ErrorKind::file(
                path,
                format_args!("wanted {w} x {h} pixels, as the image has, got {width} x {height}"),
            )
            .into());
        }
        let read = guide.is_png.then_some(read);
        Ok(Some(mapped(guide, read)))
    };
    let albedo = guide(&args.albedo, Role::Albedo, to_linear)?;
    let normal = guide(&args.normal, Role::Normal, to_signed)?;

    let mut options = DenoiserOptions::new(content, weights(args, content)?);
    if let Some(factor) = args.input_scale {
        options = options.input_scale(factor);
    }
    if let Some(precision) = args.precision {
        options = options.precision(precision);
    }
    if let Some(bytes) = args.memory {
        options = options.most_bytes(bytes);
    }
    let context = device.context()?;
    let denoiser = Denoiser::new(&context, options)?;
    let mut images = Images::new(size, &image.values);
    if let Some(albedo) = &albedo {
        images = images.albedo(&albedo.values);
    }
    if let Some(normal) = &normal {
        images = images.normal(&normal.values);
    }
    if args.clamp_guides {
        images = images.clamp_guides();
    }
    let bytes = denoiser.bytes(size)?;
    while_compiling(&context, || denoiser.prepare(size))?;
    let start = Instant::now();
    let progress = (bytes.tiles > 1).then(Progress::new);
    let values = denoiser.denoise_with_blocking(&images, |DenoiserProgress { done, tiles }| {
        if let Some(progress) = &progress {
            progress.stage(&format!("denoised {done} of {tiles} tiles"));
        }
        ControlFlow::Continue(())
    })?;
    let values = values.expect("nothing breaks it off");
    let took = start.elapsed();
    drop(progress);
    mapped(PixelFile { values, ..image }, write).write(&args.output)?;
    let [width, height] = size;
    let (path, total) = (args.output.display(), thousands(bytes.total()));
    let tiles = match (bytes.tiles, bytes.tile) {
        (1, _) => String::new(),
        (tiles, [w, h]) => format!(", in {tiles} tiles of {w} x {h}"),
    };
    writeln!(
        out,
        "{path}: {width} x {height} pixels, {content}; {:.0} ms, {total} bytes on the device{tiles}",
        took.as_secs_f64() * 1e3
    )?;
    Ok(())
}

/// Parses a number of bytes, with a unit or none.
fn parse_bytes(text: &str) -> std::result::Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let units = [("", 0), ("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let shift = units.into_iter().find(|(unit, _)| *unit == text[digits..].trim()).map(|(_, shift)| shift);
    let Some(shift) = shift.filter(|_| digits > 0) else {
        return Err("wanted a number of B, KiB, MiB or GiB, such as 512MiB".into());
    };
    let bytes = text[..digits].parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("wanted at most {} GiB", u64::MAX >> 30))
}

/// Returns the weights: those of the given file, those of a folder for the content, the guides and the quality, or builtin ones.
fn weights(args: &DenoiseArgs, content: Content) -> shadernet::Result<Archive> {
    let guides = match (&args.albedo, &args.normal, args.clean) {
        (None, ..) => Guides::None,
        (Some(_), None, _) => Guides::Albedo,
        (Some(_), Some(_), false) => Guides::AlbedoNormal,
        (Some(_), Some(_), true) => Guides::CleanAlbedoNormal,
    };
    match &args.weights {
        Some(folder) if folder.is_dir() => match content.weights(guides, args.quality.unwrap_or_default()) {
            Some(name) => Archive::open(folder.join(name + ".tza")),
            None => Err(ErrorKind::argument("--albedo", format_args!("none: {content} has no guides"), "one").into()),
        },
        given if args.quality.is_some() || (given.is_some() && args.clean) => {
            let argument = if args.quality.is_some() { "--quality" } else { "--clean" };
            let got = given.as_ref().map_or("none".into(), |file| file.display().to_string());
            Err(ErrorKind::argument(argument, "--weights to be a folder, of which it chooses a file", got).into())
        }
        Some(file) => Archive::open(file),
        None => Archive::builtin(content, guides).map_err(|error| match error.kind {
            ErrorKind::Unsupported(reason) => {
                ErrorKind::argument("--weights", format_args!("a file or a folder ({reason})"), "none").into()
            }
            _ => error,
        }),
    }
}

/// Applies a function to the colors; alpha stays.
fn mapped(mut pixels: PixelFile, f: Option<fn(f32) -> f32>) -> PixelFile {
    if let Some(f) = f {
        for pixel in pixels.values.chunks_exact_mut(pixels.channels) {
            pixel[..3].iter_mut().for_each(|value| *value = f(*value));
        }
    }
    pixels
}

fn to_linear(v: f32) -> f32 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

fn to_srgb(v: f32) -> f32 {
    if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

fn to_signed(v: f32) -> f32 {
    v * 2.0 - 1.0
}

fn from_signed(v: f32) -> f32 {
    v * 0.5 + 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        for (text, bytes) in [("1GiB", 1 << 30), ("512 MiB", 512 << 20), ("3KiB", 3072), ("17B", 17), ("1000", 1000)] {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        for text in ["1TB", "MiB", "", "-1", "1.5GiB"] {
            assert!(parse_bytes(text).is_err_and(|error| error.contains("B, KiB, MiB or GiB")), "{text}");
        }
        for text in ["17179869184GiB", "99999999999GiB", "99999999999999999999"] {
            assert!(parse_bytes(text).is_err_and(|error| error == "wanted at most 17179869183 GiB"), "{text}");
        }
    }
}
