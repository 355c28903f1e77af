//! Conversions of PNG and JPEG files to tensors, and of tensors to PNG files.

use super::pixels;
use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::models::{Network, Preprocess};
use image::imageops::{FilterType, crop_imm, resize};
use image::{DynamicImage, RgbImage};
use std::path::Path;

/// The mean and the standard deviation of ImageNet's red, green and blue in 0..1, from torchvision.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// The longest side of a picture whose shorter side is scaled to 256 pixels. The crop discards the excess anyway.
const LONGEST: usize = 16_384;

/// Reads a PNG or JPEG file as one image for a network: its shape `[1, C, H, W]` and its values, row-major.
///
/// Fails if the file is unreadable, no such image, or too elongated for [`Preprocess::ImageNet`]. The error names it.
pub fn load(path: &Path, network: &Network) -> Result<(Shape, Vec<f32>)> {
    prepare(&decode(path)?, network).map_err(|problem| ErrorKind::file(path, problem).into())
}

/// Reads a PNG or JPEG file.
pub fn decode(path: &Path) -> Result<DynamicImage> {
    let bytes = std::fs::read(path).map_err(|error| ErrorKind::file(path, error))?;
    let problem = |error| ErrorKind::file(path, format_args!("not a PNG or JPEG image: {error}")).into();
    image::load_from_memory(&bytes).map_err(problem)
}

/// Prepares a picture for a network: its shape `[1, C, H, W]` and its values, row-major. An error names the problem.
///
/// For ImageNet, as torchvision: scales the shorter side to 256 for an input of 224, bilinear and antialiased, on 8-bit
/// values. Then crops the middle.
pub fn prepare(picture: &DynamicImage, network: &Network) -> Result<(Shape, Vec<f32>), String> {
    let [_, height, width] = network.input;
    match network.preprocess {
        Preprocess::ImageNet => {
            let [w, h] = [picture.width() as usize, picture.height() as usize];
            let shorter = height.max(width) * 256 / 224;
            let scaled = |side: usize| shorter * side / w.min(h);
            if scaled(w.max(h)) > LONGEST {
                return Err(format!("wanted sides of at most 1 to {}, got {w}x{h}", LONGEST / shorter));
            }
            let whole = resize(&picture.to_rgb8(), scaled(w) as u32, scaled(h) as u32, FilterType::Triangle);
            let margin = |side: usize, crop: usize| ((side - crop) as f64 / 2.0).round_ties_even() as u32;
            let (x, y) = (margin(scaled(w), width), margin(scaled(h), height));
            let middle = crop_imm(&whole, x, y, width as u32, height as u32).to_image();
            Ok(planes(&middle, |channel, value| (value - MEAN[channel]) / DEVIATION[channel]))
        }
        Preprocess::Digit => {
            let grey = resize(&picture.to_luma8(), width as u32, height as u32, FilterType::Triangle);
            Ok((Shape::from([1, 1, height, width]), grey.pixels().map(|pixel| f32::from(pixel[0]) / 255.0).collect()))
        }
        Preprocess::Picture => Ok(planes(&picture.to_rgb8(), |_, value| value)),
    }
}

/// Returns the red, then the green, then the blue plane, scaled to 0..1 and mapped by `f(channel, value)`.
fn planes(picture: &RgbImage, f: impl Fn(usize, f32) -> f32) -> (Shape, Vec<f32>) {
    let shape = Shape::from([1, 3, picture.height() as usize, picture.width() as usize]);
    let plane = |channel: usize| picture.pixels().map(move |pixel| (channel, f32::from(pixel[channel]) / 255.0));
    (shape, (0..3).flat_map(plane).map(|(channel, value)| f(channel, value)).collect())
}

/// Converts the first image of a `[N, 3, H, W]` tensor of RGB to 8 bits, rounded. Values outside 0..1 are clamped.
pub fn picture(shape: &Shape, values: &[f32]) -> Result<RgbImage> {
    let (height, width) = match shape[..] {
        [_, 3, height, width] if values.len() == shape.elements() && !values.is_empty() => (height, width),
        _ => {
            let got = format!("{shape} and {} values", values.len());
            return Err(ErrorKind::argument("picture", "[N, 3, H, W] and as many values", got).into());
        }
    };
    Ok(RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let at = |channel: usize| values[(channel * height + y as usize) * width + x as usize];
        image::Rgb([0, 1, 2].map(|channel| (at(channel) * 255.0).round() as u8))
    }))
}

/// Writes the first image of a `[N, 3, H, W]` tensor of RGB in 0..1 as a PNG, under its name only when complete.
pub fn save(path: &Path, shape: &Shape, values: &[f32]) -> Result<()> {
    pixels::save(path, &picture(shape, values)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7])).into()
    }

    fn network(name: &str) -> Network {
        crate::models::find(name).unwrap()
    }

    #[test]
    fn imagenet_takes_the_middle() {
        // The picture is already 256 wide, so nothing is interpolated: rows 22..246 and columns 16..240 remain.
        let (shape, values) = prepare(&gradient(256, 268), &network("resnet18")).unwrap();
        assert_eq!(shape[..], [1, 3, 224, 224]);
        let at = |c: usize, y: usize, x: usize| values[(c * 224 + y) * 224 + x] * DEVIATION[c] + MEAN[c];
        for (x, y) in [(0, 0), (223, 0), (100, 223)] {
            let expected = [(x + 16) as u8, (y + 22) as u8, 7].map(|byte| f32::from(byte) / 255.0);
            for (c, expected) in expected.into_iter().enumerate() {
                assert!((at(c, y, x) - expected).abs() < 1e-6, "channel {c} at {x}, {y}");
            }
        }
    }

    #[test]
    fn imagenet_takes_any_size_and_shape_but_a_thread() {
        for (width, height) in [(1, 1), (640, 480), (3, 150)] {
            let (shape, values) = prepare(&gradient(width, height), &network("resnet18")).unwrap();
            assert_eq!((&shape[..], values.len()), (&[1, 3, 224, 224][..], shape.elements()));
        }
        let problem = prepare(&gradient(1, 65), &network("resnet18")).unwrap_err();
        assert!(problem.contains("1x65"), "{problem}");
    }

    #[test]
    fn shrinking_is_antialiased() {
        // Stripes one pixel wide become grey; sampled without antialiasing they would stay stripes.
        let stripes = RgbImage::from_fn(1024, 1024, |x, _| image::Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
        let (_, values) = prepare(&stripes.into(), &network("resnet18")).unwrap();
        for value in &values[..224 * 224] {
            assert!((value * DEVIATION[0] + MEAN[0] - 0.5).abs() < 0.02);
        }
    }

    #[test]
    fn a_digit_is_grey_and_small() {
        let (shape, values) = prepare(&gradient(8, 8), &network("digits")).unwrap();
        assert_eq!(shape[..], [1, 1, 8, 8]);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        assert_eq!(prepare(&gradient(300, 20), &network("digits")).unwrap().0, shape);
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let path = std::env::temp_dir().join(format!("shadernet-image-{}.png", std::process::id()));
        let (shape, mut values) = prepare(&gradient(5, 3), &network("upscale")).unwrap();
        assert_eq!(shape[..], [1, 3, 3, 5]);
        save(&path, &shape, &values).unwrap();
        assert_eq!(load(&path, &network("upscale")).unwrap(), (shape.clone(), values.clone()));
        // A network's output may lie outside 0..1.
        (values[0], values[1]) = (-0.5, 1.5);
        let picture = picture(&shape, &values).unwrap();
        assert_eq!((picture.get_pixel(0, 0)[0], picture.get_pixel(1, 0)[0]), (0, 255));
        std::fs::write(&path, "no image").unwrap();
        let error = load(&path, &network("upscale")).unwrap_err().to_string();
        assert!(error.contains("shadernet-image") && error.contains("not a PNG or JPEG"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(load(&path, &network("upscale")).is_err());
        assert!(save(&path, &Shape::from([1, 1, 8, 8]), &[0.0; 64]).is_err());
    }
}
