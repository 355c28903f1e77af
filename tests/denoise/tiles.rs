//! Images in tiles: the same as whole, within a bound on memory.

use crate::tiny::{Tensor, Tiny, archive};
use crate::{BASE, context, distance, frame, images, options};
use shadernet::denoise::{Archive, Content, Denoiser, DenoiserOptions, DenoiserProgress, Images};
use shadernet::{Context, Precision, Result};
use std::ops::ControlFlow;

/// Returns the layers of Open Image Denoise's base network for an image with albedo and normals: name, inputs, outputs.
fn base_network() -> Vec<Tensor> {
    let layers = [
        ("enc_conv0", 9, 32),
        ("enc_conv1", 32, 32),
        ("enc_conv2", 32, 48),
        ("enc_conv3", 48, 64),
        ("enc_conv4", 64, 80),
        ("enc_conv5a", 80, 96),
        ("enc_conv5b", 96, 96),
        ("dec_conv4a", 96 + 64, 112),
        ("dec_conv4b", 112, 112),
        ("dec_conv3a", 112 + 48, 96),
        ("dec_conv3b", 96, 96),
        ("dec_conv2a", 96 + 32, 64),
        ("dec_conv2b", 64, 64),
        ("dec_conv1a", 64 + 9, 64),
        ("dec_conv1b", 64, 32),
        ("dec_conv0", 32, 3),
    ];
    let tensor = |name: String, sizes: Vec<usize>| Tensor { name, values: vec![0.0; sizes.iter().product()], sizes };
    let layer = |(name, inputs, outputs): (&str, usize, usize)| {
        [tensor(format!("{name}.weight"), vec![outputs, inputs, 3, 3]), tensor(format!("{name}.bias"), vec![outputs])]
    };
    layers.into_iter().flat_map(layer).collect()
}

fn denoiser(tensors: &[Tensor], options: impl Fn(DenoiserOptions) -> DenoiserOptions) -> Denoiser {
    let archive = Archive::from_bytes("tensors.tza", archive(tensors, true)).unwrap();
    Denoiser::new(context(true), options(DenoiserOptions::new(Content::Hdr, archive))).unwrap()
}

/// Returns a denoiser with the smallest tiles, as its error names their bytes.
pub(crate) fn in_small_tiles(context: &Context, options: &DenoiserOptions, size: [usize; 2]) -> Denoiser {
    let bounded = |most: u64| Denoiser::new(context, options.clone().most_bytes(most)).unwrap();
    let error = bounded(1).bytes(size).unwrap_err().to_string();
    let least = error.strip_prefix("most_bytes: wanted ").and_then(|rest| rest.split(' ').next());
    bounded(least.and_then(|least| least.parse().ok()).unwrap_or_else(|| panic!("{error}")))
}

/// A frame of 3840x2160 with albedo and normals, its buffers and their copies counted. Nothing runs.
#[test]
fn a_large_frame_fits_into_its_bound() {
    let tensors = base_network();
    for (precision, most) in [(Precision::F32, 1 << 30), (Precision::F16, 512 << 20)] {
        if precision == Precision::F16 && !context(true).caps().packs_f16 {
            continue;
        }
        let bytes = |options: &dyn Fn(DenoiserOptions) -> DenoiserOptions| {
            denoiser(&tensors, |of| options(of).precision(precision)).bytes([3840, 2160])
        };
        let tiled = bytes(&|options| options.most_bytes(most)).unwrap();
        assert!(tiled.total() <= most && tiled.tiles > 1, "{precision}: {tiled:?}");
        // Overlaps are computed several times: by less than two thirds more in all.
        assert!(tiled.tiles * tiled.tile[0] * tiled.tile[1] < 3840 * 2160 * 5 / 3, "{precision}: {tiled:?}");
        // With the bytes that it reports, the tiles are the same ones; with one less, they are smaller.
        assert_eq!(bytes(&|options| options.most_bytes(tiled.total())).unwrap(), tiled);
        assert!(bytes(&|options| options.most_bytes(tiled.total() - 1)).unwrap().tiles > tiled.tiles);
        let error = bytes(&|options| options.most_bytes(1 << 20)).unwrap_err().to_string();
        assert!(error.contains("most_bytes: wanted") && error.contains("3840 x 2160 pixels in tiles of 3"), "{error}");
        // A whole frame has values beyond what WebGPU's limits let a shader see at once, and is tiled without a bound.
        let free = bytes(&|options| options).unwrap();
        assert!(free.tiles > 1 && free.tiles <= tiled.tiles, "{precision}: {free:?}");
        println!("{precision}: {tiled:?}; without a bound {free:?}");
    }
}

/// An output depends on nothing beyond a tile: each input pixel of 16 lights up the outputs that it reaches.
#[test]
fn tiles_overlap_by_what_the_network_sees() {
    for (large, overlap) in [(false, 80), (true, 96)] {
        let lit = |mut tensor: Tensor| {
            let number = if tensor.sizes.len() == 4 { 0.3 } else { 0.0 };
            tensor.values.fill(number);
            tensor
        };
        let tensors: Vec<Tensor> = Tiny { large, ..BASE }.tensors().into_iter().map(lit).collect();
        let archive = Archive::from_bytes("lit.tza", archive(&tensors, false)).unwrap();
        let options = DenoiserOptions::new(Content::Srgb, archive).precision(Precision::F32);
        let denoiser = Denoiser::new(context(true), options).unwrap();
        let mut needed = 0;
        for place in 192..208 {
            let mut image = vec![0.0; 400 * 3];
            image[place * 3] = 1.0;
            let output = denoiser.denoise_blocking(&Images::new([400, 1], &image)).unwrap();
            let reached: Vec<usize> = (0..400).filter(|x| output[x * 3] > 0.0).collect();
            let (first, last) = (reached[0], reached[reached.len() - 1]);
            assert!(reached.len() == last - first + 1 && first > 32 && last < 368, "{first} to {last}");
            // A tile's pixels that count begin and end at multiples of 16.
            needed = needed.max(last / 16 * 16 - place).max(place + 1 - first.next_multiple_of(16));
        }
        assert!(needed <= overlap && needed > overlap - 16, "{needed}");
        let error = Denoiser::new(context(true), crate::options(&Tiny { large, ..BASE }, Content::Hdr).most_bytes(1));
        let error = error.and_then(|denoiser| denoiser.bytes([2000, 2000])).unwrap_err().to_string();
        let least = format!("in tiles of {0} x {0}", 4 * overlap);
        assert!(error.contains(&least), "\"{least}\" isn't in: {error}");
    }
}

/// Seams don't show: the exposure is the whole image's, and the border is seen only where it is.
#[test]
fn tiles_are_the_whole_image() {
    let large = Tiny { large: true, images: 1, channels: [3, 5, 6, 7, 9] };
    for (tiny, content, size, parts) in
        [(Tiny { images: 3, ..BASE }, Content::Hdr, [701, 489], 6), (large, Content::Normal, [777, 20], 2)]
    {
        let mut images = images(size, content, tiny.images);
        // From dark to bright, so that each tile would have an exposure of its own.
        for (i, number) in images[0].iter_mut().enumerate() {
            *number *= 0.02 + (i / 3 % size[0]) as f32 / size[0] as f32;
        }
        let forms =
            if context(true).caps().packs_f16 { &[Precision::F32, Precision::F16][..] } else { &[Precision::F32] };
        for &precision in forms {
            let options = || options(&tiny, content).precision(precision);
            let whole = Denoiser::new(context(true), options()).unwrap();
            let tiled = in_small_tiles(context(true), &options(), size);
            let bytes = tiled.bytes(size).unwrap();
            assert!(bytes.tiles >= parts, "{tiny:?}, {size:?}: {bytes:?}");
            let want = whole.denoise_blocking(&frame(size, &images)).unwrap();
            let want: Vec<f64> = want.iter().map(|&number| number.into()).collect();
            let mut told = Vec::new();
            let got = tiled.denoise_with_blocking(&frame(size, &images), |DenoiserProgress { done, tiles }| {
                told.push((done, tiles));
                ControlFlow::Continue(())
            });
            let [mean, most] = distance(&got.unwrap().unwrap(), &want);
            let bound = if precision == Precision::F32 { 1e-4 } else { 2e-2 };
            assert!(mean <= bound && most <= bound, "{tiny:?}, {content}, {precision}: {mean:e}, {most:e}");
            assert_eq!(told, (1..=bytes.tiles).map(|done| (done, bytes.tiles)).collect::<Vec<_>>());
            // The session is of a tile, with the exposure as an input; that of whole images is refused.
            let error = tiled.session(size).map(drop).unwrap_err().to_string();
            assert!(error.contains("size: wanted images that need one tile"), "{error}");
        }
    }
}

#[test]
fn a_frame_can_be_broken_off_between_tiles() {
    let size = [700, 64];
    let images = images(size, Content::Ldr, 1);
    let denoiser = in_small_tiles(context(true), &options(&BASE, Content::Ldr), size);
    pollster::block_on(denoiser.prepare_in_background(size)).unwrap();
    let mut told = 0;
    let frame = frame(size, &images);
    let broken = denoiser.denoise_with(&frame, |progress| {
        told += 1;
        assert!(progress.done == told && progress.tiles > 1, "{progress:?}");
        ControlFlow::Break(())
    });
    assert_eq!(pollster::block_on(broken).unwrap(), None);
    assert_eq!(told, 1);
    let whole: Result<Vec<f32>> = pollster::block_on(denoiser.denoise(&frame));
    assert!(whole.unwrap().iter().all(|number| number.is_finite()));
}
