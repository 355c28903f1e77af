//! `shadernet denoise`: files in, a file out.

#[path = "../denoise/tiny.rs"]
mod tiny;

use super::{Folder, fails, prints};
use tiny::Tiny;

const BASE: Tiny = Tiny { large: false, images: 1, channels: [4; 5] };

fn pfm([width, height]: [usize; 2], number: impl Fn(usize) -> f32) -> Vec<u8> {
    let header = format!("PF\n{width} {height}\n-1.0\n").into_bytes();
    let numbers = (0..width * height * 3).flat_map(|i| number(i).to_le_bytes());
    header.into_iter().chain(numbers).collect()
}

#[test]
fn a_frame_is_denoised_from_file_to_file() {
    let folder = Folder::new("denoise");
    let weights = folder.path("weights");
    std::fs::create_dir_all(&weights).unwrap();
    for (name, images) in [("rt_hdr", 1), ("rt_ldr", 1), ("rt_hdr_alb_nrm_small", 3)] {
        folder.write(&format!("weights/{name}.tza"), Tiny { images, ..BASE }.bytes());
    }
    let size = [21, 19];
    let noisy = folder.write("noisy.pfm", pfm(size, |i| (i * 37 % 101) as f32 / 20.0));
    let albedo = folder.write("albedo.pfm", pfm(size, |i| (i % 7) as f32 / 7.0));
    let normal = folder.write("normal.pfm", pfm(size, |i| (i % 5) as f32 / 2.0 - 1.0));
    let [exr, png, again] = ["clean.exr", "clean.png", "again.exr"].map(|name| folder.path(name));

    let said = prints(&["denoise", &noisy, "--weights", &weights, "--output", &exr]);
    assert!(said.contains("clean.exr: 21 x 19 pixels, hdr; ") && said.ends_with(" bytes on the device\n"), "{said}");
    let hdr = image::open(&exr).unwrap().into_rgb32f();
    assert_eq!(hdr.dimensions(), (21, 19));
    assert!(hdr.as_raw().iter().any(|&number| number > 0.0));
    // The file named is the folder's.
    prints(&["denoise", &noisy, "--weights", &folder.path("weights/rt_hdr.tza"), "--output", &again]);
    assert_eq!(image::open(&again).unwrap().into_rgb32f(), hdr);
    // A picture is clamped, and encoded as sRGB.
    prints(&["denoise", &noisy, "--weights", &weights, "--output", &png]);
    let shown = image::open(&png).unwrap().into_rgb32f();
    for (&linear, &shown) in hdr.as_raw().iter().zip(shown.as_raw()) {
        let curve = if linear <= 0.0031308 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
        assert!((curve.clamp(0.0, 1.0) - shown).abs() < 2e-5, "{linear} is shown as {shown}");
    }
    // A picture is sRGB, whose colors become linear in another file.
    prints(&["denoise", &png, "--weights", &weights, "--output", &again]);
    let said = prints(&["denoise", &png, "--weights", &weights, "--output", &png]);
    assert!(said.contains(", srgb; "), "{said}");
    let (linear, shown) = (image::open(&again).unwrap().into_rgb32f(), image::open(&png).unwrap().into_rgb32f());
    for (&linear, &shown) in linear.as_raw().iter().zip(shown.as_raw()) {
        let curve = if shown <= 0.04045 { shown / 12.92 } else { ((shown + 0.055) / 1.055).powf(2.4) };
        assert!((linear - curve).abs() < 5e-5, "{linear} is shown as {shown}");
    }
    let guided = ["denoise", &noisy, "--albedo", &albedo, "--normal", &normal, "--weights", &weights];
    prints(
        &[&guided[..], &["--quality", "fast", "--precision", "f32", "--input-scale", "0.5", "--output", &exr]].concat(),
    );
    assert_ne!(image::open(&exr).unwrap().into_rgb32f(), hdr);

    // Builtin weights take both guides.
    prints(&["denoise", &noisy, "--albedo", &albedo, "--normal", &normal, "--output", &exr]);
    assert!(image::open(&exr).unwrap().into_rgb32f().as_raw().iter().any(|&number| number > 0.0));
    // In tiles, the same up to rounding.
    let wide = folder.write("wide.pfm", pfm([1400, 33], |i| (i * 37 % 101) as f32 / 20.0));
    let [whole, tiled] = ["whole.pfm", "tiled.pfm"].map(|name| folder.path(name));
    let all = prints(&["denoise", &wide, "--weights", &weights, "--precision", "f32", "--output", &whole]);
    let said = prints(&[
        "denoise",
        &wide,
        "--weights",
        &weights,
        "--precision",
        "f32",
        "--memory",
        "4MiB",
        "--output",
        &tiled,
    ]);
    assert!(
        !all.contains("tiles") && said.contains(" bytes on the device, in ") && said.ends_with(" x 48\n"),
        "{said}"
    );
    let [whole, tiled] = [whole, tiled].map(|path| std::fs::read(path).unwrap());
    let numbers = |bytes: &[u8]| -> Vec<f32> {
        bytes[bytes.len() - 1400 * 33 * 12..]
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    };
    let most = numbers(&whole).iter().fold(0.0f32, |most, number| most.max(*number));
    for (whole, tiled) in numbers(&whole).iter().zip(numbers(&tiled)) {
        assert!((whole - tiled).abs() < 1e-4 * most, "{whole} and {tiled}");
    }

    let other = folder.write("other.pfm", pfm([19, 21], |_| 0.5));
    let file = folder.path("weights/rt_hdr.tza");
    let bright = folder.write("bright.pfm", pfm(size, |_| 7.0));
    let guides = ["--albedo", &albedo, "--normal", &normal];
    let short = folder.write("short.tza", &BASE.bytes()[..99]);
    for (args, what) in [
        (
            &[&noisy[..], "--weights", &weights, "--output", "clean.jpg"][..],
            &["clean.jpg", ".exr, .hdr, .pfm or .png"][..],
        ),
        (&["none.exr", "--weights", &weights, "--output", &exr], &["none.exr"]),
        (&[&short, "--weights", &weights, "--output", &exr], &["short.tza", ".pfm or .png"]),
        (&[&noisy, "--weights", &short, "--output", &exr], &["short.tza", "not between byte 12 and the end, 99"]),
        (&[&noisy, "--weights", &file, "--memory", "9B", "--output", &exr], &["error: --memory: wanted", "or more"]),
        (&[&noisy, "--weights", &file, "--input-scale", "0", "--output", &exr], &["error: --input-scale: wanted"]),
        (&[&noisy, "--weights", &file, "--quality", "fast", "--output", &exr], &["--quality", "to be a folder"]),
        (
            &[&[&noisy, "--weights", &file, "--clean", "--output", &exr], &guides[..]].concat(),
            &["--clean: wanted --weights to be a folder"],
        ),
        (
            &[&[&noisy, "--clean", "--output", &exr], &guides[..]].concat(),
            &["--weights: wanted a file", "noisy albedo"],
        ),
        (
            &[&noisy, "--albedo", &bright, "--normal", &normal, "--output", &exr],
            &["albedo: channel 0 of pixel (0, 0): wanted 0 to 1 (--clamp-guides takes the nearest)"],
        ),
        (&[&noisy, "--weights", &weights, "--quality", "fast", "--output", &exr], &["rt_hdr_small.tza"]),
        (
            &[&noisy, "--output", &exr],
            &["--weights: wanted a file or a folder (builtin", "normals only", "here rt_hdr.tza), got none"],
        ),
        (&[&noisy, "--quality", "fast", "--output", &exr], &["--quality", "to be a folder", "got none"]),
        (
            &[&noisy, "--weights", &file, "--albedo", &other, "--output", &exr],
            &["other.pfm", "wanted 21 x 19", "got 19 x 21"],
        ),
        (
            &[&noisy, "--weights", &file, "--albedo", &albedo, "--output", &exr],
            &["--albedo: wanted none: the network takes none"],
        ),
        (
            &[&noisy, "--weights", &weights, "--content", "lightmap", "--albedo", &albedo, "--output", &exr],
            &["--albedo", "lightmap has no guides"],
        ),
    ] {
        fails(&[&["denoise"], args].concat(), what);
    }
}

fn exr(path: &str, channels: &[(&str, &dyn Fn(usize) -> f32)]) {
    use exr::prelude::{AnyChannel, AnyChannels, FlatSamples, Image, WritableImage};
    let [width, height] = SIZE;
    let samples = |number: &dyn Fn(usize) -> f32| FlatSamples::F32((0..width * height).map(number).collect());
    let list = channels.iter().map(|(name, number)| AnyChannel::new(*name, samples(number))).collect();
    Image::from_channels((width, height), AnyChannels::sort(list)).write().to_file(path).unwrap();
}

const SIZE: [usize; 2] = [21, 19];

#[test]
fn channels_of_an_exr_are_found() {
    let folder = Folder::new("denoise-channels");
    let light = |c: usize| move |i: usize| ((3 * i + c) * 37 % 101) as f32 / 20.0;
    let albedo = |c: usize| move |i: usize| ((3 * i + c) % 7) as f32 / 7.0;
    let normal = |c: usize| move |i: usize| ((3 * i + c) % 5) as f32 / 2.0 - 1.0;
    let (color, guide) = ([light(0), light(1), light(2)], [albedo(0), albedo(1), albedo(2)]);
    let normals = [normal(0), normal(1), normal(2)];
    // A PFM begins with the last row.
    let flipped = |pixel: usize| (SIZE[1] - 1 - pixel / SIZE[0]) * SIZE[0] + pixel % SIZE[0];
    let of = |numbers: &[&dyn Fn(usize) -> f32; 3], i: usize| numbers[i % 3](flipped(i / 3));
    let of_color = |i| of(&color.each_ref().map(|f| f as _), i);
    let (noisy, plain, vectors) = (
        folder.write("noisy.pfm", pfm(SIZE, of_color)),
        folder.write("albedo.pfm", pfm(SIZE, |i| of(&guide.each_ref().map(|f| f as _), i))),
        folder.write("normal.pfm", pfm(SIZE, |i| of(&normals.each_ref().map(|f| f as _), i))),
    );
    let [all, xyz, grey, same, wanted, got] =
        ["all.exr", "xyz.exr", "grey.exr", "same.pfm", "wanted.pfm", "got.pfm"].map(|name| folder.path(name));
    exr(
        &all,
        &[
            ("R", &color[0]),
            ("G", &color[1]),
            ("B", &color[2]),
            ("View.Albedo.R", &guide[0]),
            ("View.Albedo.G", &guide[1]),
            ("View.Albedo.B", &guide[2]),
            ("View.Normal.X", &normals[0]),
            ("View.Normal.Y", &normals[1]),
            ("View.Normal.Z", &normals[2]),
        ],
    );
    exr(&xyz, &[("X", &normals[0]), ("Y", &normals[1]), ("Z", &normals[2])]);
    prints(&["denoise", &noisy, "--albedo", &plain, "--normal", &vectors, "--output", &wanted]);
    for (image, albedo, normal) in [(&all, &all, &all), (&noisy, &plain, &xyz)] {
        prints(&["denoise", image, "--albedo", albedo, "--normal", normal, "--output", &got]);
        assert!(std::fs::read(&got).unwrap() == std::fs::read(&wanted).unwrap(), "{image} {albedo} {normal}");
    }
    // One channel is grey: three equal ones.
    exr(&grey, &[("Y", &color[0])]);
    std::fs::write(&same, pfm(SIZE, |i| color[0](flipped(i / 3)))).unwrap();
    prints(&["denoise", &same, "--albedo", &plain, "--normal", &vectors, "--output", &wanted]);
    prints(&["denoise", &grey, "--albedo", &plain, "--normal", &vectors, "--output", &got]);
    assert!(std::fs::read(&got).unwrap() == std::fs::read(&wanted).unwrap());
    fails(&["denoise", &xyz, "--output", &got], &["xyz.exr: wanted the channels R, G, B, or only one, got X, Y, Z"]);
    let grey_normals = ["denoise", &noisy, "--albedo", &plain, "--normal", &grey, "--output", &got];
    fails(&grey_normals, &["grey.exr: wanted the channels R, G, B or X, Y, Z, got Y"]);
}

#[cfg(unix)]
#[test]
fn an_output_is_written_where_a_link_leads() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::new("denoise-link");
    let noisy = folder.write("noisy.pfm", pfm(SIZE, |i| (i * 37 % 101) as f32 / 20.0));
    let guide = folder.write("guide.pfm", pfm(SIZE, |i| (i % 7) as f32 / 7.0));
    let [link, file, later] = ["link.pfm", "folder/file.pfm", "folder/later.pfm"].map(|name| folder.path(name));
    std::fs::create_dir(folder.path("folder")).unwrap();
    let denoise = || prints(&["denoise", &noisy, "--albedo", &guide, "--normal", &guide, "--output", &link]);
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    for target in [&file, &later] {
        let _none = std::fs::remove_file(&link);
        symlink(target.strip_prefix(&folder.path("")).unwrap(), &link).unwrap();
        denoise();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(std::fs::read(target).unwrap().starts_with(b"PF\n21 19\n"));
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(folder.path("folder")).unwrap().count(), 2, "no partial file stays");
}
