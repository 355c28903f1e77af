//! Files of pixels, as a renderer writes and reads them: EXR, HDR (Radiance), PFM, PNG.

use super::Result;
use super::exr_file::{Role, read_exr};
use image::{DynamicImage, ImageFormat, ImageReader, Limits, Rgb32FImage, Rgba32FImage};
use shadernet::ErrorKind;
use shadernet::import::write_whole;
use std::io::Cursor;
use std::path::Path;

/// The longest side of a file's image, and the most bytes of it once it is decoded.
pub(super) const MOST_SIDE: u32 = 1 << 16;
pub(super) const MOST_BYTES: u64 = 8 << 30;

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
    /// Reads a file. Of a file with several images, the role decides.
    pub(super) fn read(path: &Path, role: Role) -> shadernet::Result<PixelFile> {
        let format = PixelFormat::new(path)?;
        let bytes = std::fs::read(path).map_err(|error| ErrorKind::file(path, error))?;
        let format = match format {
            PixelFormat::Pfm => return Ok(read_pfm(&bytes).map_err(|problem| ErrorKind::file(path, problem))?),
            PixelFormat::Exr => return Ok(read_exr(&bytes, role).map_err(|problem| ErrorKind::file(path, problem))?),
            PixelFormat::Hdr => ImageFormat::Hdr,
            PixelFormat::Png => ImageFormat::Png,
        };
        // The decoder's own limit is 512 MiB. What a file says of its size is checked against its bytes as it is decoded.
        let mut reader = ImageReader::with_format(Cursor::new(&bytes), format);
        let mut limits = Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(MOST_SIDE), Some(MOST_SIDE));
        limits.max_alloc = Some(MOST_BYTES);
        reader.limits(limits);
        let picture = reader.decode().map_err(|error| ErrorKind::file(path, error))?;
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
            PixelFormat::Hdr => (bounded(picture), ImageFormat::Hdr),
            _ => (picture, ImageFormat::OpenExr),
        };
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).map_err(|error| ErrorKind::file(path, error))?;
        Ok(write_whole(path, &bytes.into_inner())?)
    }
}

/// Clamps numbers to those that Radiance's format has: 0 and more, below 2^127.
fn bounded(picture: DynamicImage) -> DynamicImage {
    let mut picture = picture.into_rgb32f();
    for value in picture.iter_mut() {
        // NaN becomes 0, too.
        *value = if *value >= f32::MIN_POSITIVE { value.min(1.69e38) } else { 0.0 };
    }
    picture.into()
}

/// Reads a Portable FloatMap: `PF` (or `Pf` of one channel), width, height, and a number whose sign is the byte order,
/// each followed by a blank; then rows from the bottom.
fn read_pfm(bytes: &[u8]) -> std::result::Result<PixelFile, String> {
    let mut rest = bytes;
    let mut word = || {
        // More than one blank before a word, such as the CR LF of Windows; one after the last word.
        let begin = rest.iter().take(64).position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
        let end = rest[begin..].iter().take(64).position(u8::is_ascii_whitespace);
        let (word, behind) = rest[begin..].split_at(end.ok_or("its header isn't one of PFM")?);
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
    if !order.is_finite() || order == 0.0 {
        return Err(format!("wanted a number above or below 0 for the byte order, got {order}"));
    }
    let side = |side: f64| (side.fract() == 0.0 && (1.0..=65536.0).contains(&side)).then_some(side as usize);
    let size =
        side(width).zip(side(height)).ok_or_else(|| format!("wanted sides of 1 to 65536, got {width} x {height}"))?;
    let (width, height) = size;
    let wanted = width * height * channels * 4;
    // The last word may end with CR LF.
    if rest.len() == wanted + 1 && rest[0] == b'\n' {
        rest = &rest[1..];
    }
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
    fn hdr_gets_numbers_that_it_has() {
        let values = vec![f32::INFINITY, 3e38, 1.0, f32::NAN, -1.0, 1e-42];
        let picture: DynamicImage = Rgb32FImage::from_raw(2, 1, values).expect("two pixels").into();
        let DynamicImage::ImageRgb32F(picture) = bounded(picture) else { panic!("it stays in f32s") };
        assert_eq!(picture.into_raw(), [1.69e38, 1.69e38, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_header_of_pfm_may_have_several_blanks() {
        let plain = write_pfm([2, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let values = &plain[plain.len() - 24..];
        let wanted = read_pfm(&plain).expect("as it was written");
        for header in ["PF\r\n2  1\r\n-1.0\r\n", "PF 2 1 -1\n"] {
            assert_eq!(read_pfm(&[header.as_bytes(), values].concat()).expect(header), wanted);
        }
        assert!(read_pfm(&[b"PF\n2 1\nnan\n", values].concat()).is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = std::env::temp_dir().join(format!("shadernet-pixels-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let again = |pixels: &PixelFile, name: &str| {
            pixels.write(&folder.join(name)).unwrap();
            PixelFile::read(&folder.join(name), Role::Color).unwrap()
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
