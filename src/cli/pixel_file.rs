//! Files of pixels, as a renderer writes and reads them: EXR, HDR (Radiance), PFM, PNG.

use super::Result;
use image::{DynamicImage, ImageFormat, Rgb32FImage, Rgba32FImage};
use shadernet::ErrorKind;
use shadernet::import::write_whole;
use std::io::Cursor;
use std::path::Path;

/// The rows of pixels of a file, from the top, each pixel's three or four channels together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PixelFile {
    /// Width and height.
    pub(super) size: [usize; 2],
    pub(super) channels: usize,
    pub(super) values: Vec<f32>,
    /// True if the values are bytes or words of a PNG in 0..1, as they are; otherwise they are `f32`s.
    pub(super) is_png: bool,
}

/// The formats that are read and written, by their files' extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelFormat {
    Exr,
    Hdr,
    Pfm,
    Png,
}

impl PixelFormat {
    pub(super) fn new(path: &Path) -> shadernet::Result<PixelFormat> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("exr") => Ok(PixelFormat::Exr),
            Some("hdr") => Ok(PixelFormat::Hdr),
            Some("pfm") => Ok(PixelFormat::Pfm),
            Some("png") => Ok(PixelFormat::Png),
            _ => Err(ErrorKind::file(path, "wanted a name that ends with .exr, .hdr, .pfm or .png").into()),
        }
    }
}

impl PixelFile {
    pub(super) fn read(path: &Path) -> shadernet::Result<PixelFile> {
        let format = PixelFormat::new(path)?;
        let bytes = std::fs::read(path).map_err(|error| ErrorKind::file(path, error))?;
        let format = match format {
            PixelFormat::Pfm => return Ok(read_pfm(&bytes).map_err(|problem| ErrorKind::file(path, problem))?),
            PixelFormat::Exr => ImageFormat::OpenExr,
            PixelFormat::Hdr => ImageFormat::Hdr,
            PixelFormat::Png => ImageFormat::Png,
        };
        let picture = image::load_from_memory_with_format(&bytes, format);
        let picture = picture.map_err(|error| ErrorKind::file(path, error))?;
        let size = [picture.width() as usize, picture.height() as usize];
        let is_png = format == ImageFormat::Png;
        Ok(match picture.color().has_alpha() {
            true => PixelFile { size, channels: 4, values: picture.into_rgba32f().into_raw(), is_png },
            false => PixelFile { size, channels: 3, values: picture.into_rgb32f().into_raw(), is_png },
        })
    }

    /// Writes a file, under its name only when it is complete. A PNG gets 16 bits, clamped to 0..1; HDR and PFM have no alpha.
    pub(super) fn write(&self, path: &Path) -> Result {
        let format = PixelFormat::new(path)?;
        let opaque =
            || -> Vec<f32> { self.values.chunks_exact(self.channels).flat_map(|pixel| &pixel[..3]).copied().collect() };
        if format == PixelFormat::Pfm {
            return Ok(write_whole(path, &write_pfm(self.size, &opaque()))?);
        }
        let [width, height] = self.size.map(|side| side as u32);
        let fits = "an image has as many values as its size says";
        let picture: DynamicImage = match (self.channels, format) {
            (4, PixelFormat::Exr | PixelFormat::Png) => {
                Rgba32FImage::from_raw(width, height, self.values.clone()).expect(fits).into()
            }
            _ => Rgb32FImage::from_raw(width, height, opaque()).expect(fits).into(),
        };
        let (picture, format) = match format {
            PixelFormat::Png if self.channels == 4 => (picture.into_rgba16().into(), ImageFormat::Png),
            PixelFormat::Png => (picture.into_rgb16().into(), ImageFormat::Png),
            PixelFormat::Hdr => (picture, ImageFormat::Hdr),
            _ => (picture, ImageFormat::OpenExr),
        };
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).map_err(|error| ErrorKind::file(path, error))?;
        Ok(write_whole(path, &bytes.into_inner())?)
    }
}

/// Reads a Portable FloatMap: `PF` (or `Pf` of one channel), width, height, and a number whose sign is the byte order,
/// each followed by a blank; then rows from the bottom.
fn read_pfm(bytes: &[u8]) -> std::result::Result<PixelFile, String> {
    let mut rest = bytes;
    let mut word = || {
        let end = rest.iter().take(64).position(u8::is_ascii_whitespace).ok_or("its header isn't one of PFM")?;
        let (word, behind) = rest.split_at(end);
        rest = &behind[1..];
        std::str::from_utf8(word).map_err(|_| "its header isn't text")
    };
    let channels = match word()? {
        "PF" => 3,
        "Pf" => 1,
        other => return Err(format!("wanted PF or Pf as its first word, got {}", other.escape_default())),
    };
    let mut number = || Ok::<f64, String>(word()?.parse().map_err(|_| "wanted a number in its header")?);
    let [width, height, order] = [number()?, number()?, number()?];
    let side = |side: f64| (side.fract() == 0.0 && (1.0..=65536.0).contains(&side)).then_some(side as usize);
    let size =
        side(width).zip(side(height)).ok_or_else(|| format!("wanted sides of 1 to 65536, got {width} x {height}"))?;
    let (width, height) = size;
    let wanted = width * height * channels * 4;
    if rest.len() != wanted {
        return Err(format!(
            "wanted {wanted} bytes after the header for {width} x {height} pixels, got {}",
            rest.len()
        ));
    }
    let words = rest.as_chunks::<4>().0;
    let number = |&word: &[u8; 4]| if order < 0.0 { f32::from_le_bytes(word) } else { f32::from_be_bytes(word) };
    let rows = words.chunks_exact(width * channels).rev();
    let values = rows.flatten().flat_map(|word| std::iter::repeat_n(number(word), 3 / channels)).collect();
    Ok(PixelFile { size: [width, height], channels: 3, values, is_png: false })
}

fn write_pfm([width, height]: [usize; 2], values: &[f32]) -> Vec<u8> {
    let mut bytes = format!("PF\n{width} {height}\n-1.0\n").into_bytes();
    let rows = values.chunks_exact(width * 3).rev();
    rows.flatten().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(channels: usize, is_png: bool) -> PixelFile {
        let values = (0..7 * 5 * channels).map(|i| i as f32 / 128.0).collect();
        PixelFile { size: [7, 5], channels, values, is_png }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = std::env::temp_dir().join(format!("shadernet-pixels-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let again = |pixels: &PixelFile, name: &str| {
            pixels.write(&folder.join(name)).unwrap();
            PixelFile::read(&folder.join(name)).unwrap()
        };
        for (channels, name) in [(3, "a.exr"), (4, "b.exr"), (3, "c.PFM")] {
            assert_eq!(again(&gradient(channels, false), name), gradient(channels, false));
        }
        for (channels, name, error) in [(3, "d.png", 1e-5), (4, "e.png", 1e-5), (3, "f.hdr", 0.01)] {
            let (want, got) = (gradient(channels, name.ends_with("png")), again(&gradient(channels, false), name));
            assert_eq!((got.size, got.channels, got.is_png), (want.size, want.channels, want.is_png));
            for (got, want) in got.values.iter().zip(&want.values) {
                let want = if name.ends_with("png") { want.min(1.0) } else { *want };
                assert!((got - want).abs() <= error, "{name}: {got} of {want}");
            }
        }
        // Where a format has no alpha, the colors stay.
        assert_eq!(again(&gradient(4, false), "g.pfm").values[3..6], gradient(4, false).values[4..7]);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn maps_of_one_channel_and_of_the_other_byte_order_are_read() {
        let header = b"Pf 2 2\n1.0\n".to_vec();
        let numbers = [1.0f32, 2.0, 3.0, 4.0].map(f32::to_be_bytes).concat();
        let read = read_pfm(&[header.clone(), numbers].concat()).unwrap();
        assert_eq!(read.values, [3.0, 3.0, 3.0, 4.0, 4.0, 4.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        for (bytes, said) in [
            (&b""[..], "its header isn't one of PFM"),
            (b"P6 2 2 255 ", "wanted PF or Pf as its first word, got P6"),
            (b"PF 2 two -1 ", "wanted a number"),
            (b"PF 0 2 -1 ", "wanted sides of 1 to 65536, got 0 x 2"),
            (b"PF 1e9 1e9 -1 ", "wanted sides of 1 to 65536"),
            (&[&header[..], &[0; 15]].concat(), "wanted 16 bytes after the header for 2 x 2 pixels, got 15"),
        ] {
            let problem = read_pfm(bytes).unwrap_err();
            assert!(problem.contains(said), "\"{said}\" isn't in: {problem}");
        }
    }
}
