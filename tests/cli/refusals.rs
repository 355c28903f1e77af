//! Messages about wrong arguments and files.

use super::{Folder, SEVEN, digits, fails};
use safetensors::tensor::TensorView;
use safetensors::{SafeTensors, serialize_to_file};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Returns a file of the digits' network with one tensor changed or left out.
fn changed(folder: &Folder, name: &str, change: impl Fn(&str, Vec<usize>) -> Option<Vec<usize>>) -> String {
    let bytes = std::fs::read("assets/digits/digits.safetensors").unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let kept: HashMap<String, TensorView> = tensors
        .tensors()
        .into_iter()
        .filter_map(|(name, view)| {
            let shape = change(&name, view.shape().to_vec())?;
            Some((name, TensorView::new(view.dtype(), shape, view.data()).unwrap()))
        })
        .collect();
    serialize_to_file(kept, None, &folder.0.join(name)).unwrap();
    folder.path(name)
}

#[test]
fn what_is_wrong_is_said_in_one_line_and_nothing_is_left_behind() {
    let folder = Folder::new("wrong");
    let (images, _) = digits(1);
    let weights = std::fs::read("assets/digits/digits.safetensors").unwrap();
    let truncated = folder.write("truncated.safetensors", &weights[..weights.len() - 100]);
    let empty = folder.write("empty.safetensors", []);
    let missing = changed(&folder, "missing.safetensors", |name, shape| (name != "fc.bias").then_some(shape));
    let misshapen = changed(&folder, "misshapen.safetensors", |name, shape| {
        Some(if name == "fc.bias" { vec![1, 10] } else { shape })
    });
    let text_png = folder.write("text.png", "no image");
    let text_npy = folder.write("text.npy", "no array");
    let half_png = folder.write("half.png", &std::fs::read("assets/upscale/photo.png").unwrap()[..999]);
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 8, 8), }\n";
    let f64s = [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header.as_bytes(), &[0; 512]].concat();
    let f64s = folder.write("f64.npy", f64s);
    let colour = folder.write_npy("colour.npy", &[1, 3, 8, 8], &images.repeat(3));
    let flat = folder.write_npy("flat.npy", &[64], &images);
    let none = folder.write_npy("none.npy", &[0, 1, 8, 8], &[]);
    let two = folder.write_npy("two.npy", &[2, 1, 8, 8], &images.repeat(2));
    let with = |value: f32| [&images[..9], &[value], &images[10..]].concat();
    let nan = folder.write_npy("nan.npy", &[1, 1, 8, 8], &with(f32::NAN));
    let inf = folder.write_npy("inf.npy", &[1, 8, 8], &with(f32::INFINITY));
    let tiny = folder.write_npy("tiny.npy", &[3, 1, 1], &[0.0; 3]);

    for (args, what) in [
        (&["digits", "--input", SEVEN, "--weights", &truncated][..], &["truncated.safetensors"][..]),
        (&["digits", "--input", SEVEN, "--weights", &empty], &["empty.safetensors"]),
        (&["digits", "--input", SEVEN, "--weights", SEVEN], &["seven.png", "safetensors"]),
        (&["digits", "--input", SEVEN, "--weights", "none.safetensors"], &["none.safetensors"]),
        (&["digits", "--input", SEVEN, "--weights", &missing], &["missing.safetensors", "fc.bias", "[10]"]),
        (
            &["digits", "--input", SEVEN, "--weights", &misshapen],
            &["misshapen.safetensors", "fc.bias", "[10]", "[1, 10]"],
        ),
        (&["digits", "--input", "none.png"], &["none.png"]),
        (&["digits", "--input", "none.npy"], &["none.npy"]),
        (&["digits", "--input", &text_png], &["text.png", "image"]),
        (&["digits", "--input", &text_npy], &["text.npy", ".npy"]),
        (&["upscale", "--input", &half_png], &["half.png", "image"]),
        (&["digits", "--input", &f64s], &["f64.npy", "float32", "<f8"]),
        (&["digits", "--input", &colour], &["colour.npy", "[N, 1, H, W]", "[1, 3, 8, 8]"]),
        (&["digits", "--input", &flat], &["flat.npy", "[64]"]),
        (&["digits", "--input", &none], &["none.npy", "[0, 1, 8, 8]"]),
        (&["digits", "--input", &nan], &["nan.npy", "NaN", "[0, 0, 1, 1]"]),
        (&["digits", "--input", &inf], &["inf.npy", "inf", "[0, 1, 1]"]),
        (&["digits", "--input", &format!("picture={SEVEN}")], &["--input", "image", "picture"]),
        (&["digits", "--input", SEVEN, "--input", SEVEN], &["--input", "one"]),
        (&["digits", "--input", SEVEN, "--batch", "0"], &["--batch", "0"]),
        (&["digits", "--input", SEVEN, "--batch", "65537"], &["--batch", "65537"]),
        (&["digits", "--input", &two, "--batch", "3"], &["--batch", "two.npy", "3"]),
        (&["digits", "--input", SEVEN, "--top", "0"], &["--top"]),
        (&["digits", "--input", SEVEN, "--adapter", "abacus"], &["adapter", "abacus"]),
        (&["upscale", "--input", SEVEN, "--top", "5"], &["--top", "upscale"]),
        (&["alexnet", "--input", &tiny], &["conv2d", "height"]),
        (&["resnet50", "--input", SEVEN, "--batch", "65536"], &["image", "max_"]),
        (&["lenet", "--input", SEVEN], &["model", "lenet", "resnet50"]),
    ] {
        let out = folder.path("out");
        fails(&[&["run", "--output", &out], args].concat(), what);
        assert!(!Path::new(&out).exists(), "{args:?}");
    }
    fails(&["run", "digits", "--input", SEVEN, "--output", &text_png], &["text.png"]);
    let json = folder.path("no/bench.json");
    let to_json = format!("--json={json}");
    for (args, what) in [
        (&["summary", "lenet"][..], &["model", "lenet"][..]),
        (&["summary", "digits", "--batch", "0"], &["--batch", "0"]),
        (&["summary", "vgg19", "--size", "8x8"], &["max_pool2d", "height"]),
        // A subcommand that uses no adapter refuses a choice of one.
        (&["summary", "digits", "--adapter", "abacus"], &["--adapter", "summary"]),
        (&["summary", "digits", "--portable"], &["--portable", "summary"]),
        (&["compare", &json, &json, "--no-cache"], &["--no-cache", "compare"]),
        (&["bench", "lenet"], &["model", "lenet"]),
        (&["bench", "digits", "--batch", "1,0"], &["--batch", "0"]),
        (&["bench", "digits", "--in-flight", "0"], &["--in-flight", "0"]),
        (&["bench", "digits", "--frames", "0"], &["--frames", "0"]),
        (&["bench", "digits", "--time", "0"], &["--time", "0"]),
        (&["bench", "digits", "--time", "nan"], &["--time"]),
        (&["profile", "digits", "--batch", "0"], &["--batch", "0"]),
        (&["profile", "lenet"], &["model", "lenet"]),
        (&["bench", "digits", "--weights", &missing], &["fc.bias"]),
        (
            &["bench", "vgg19", "--size", "16384x16384"],
            &["features.0", "one image: wanted an output of fewer than 2^31 elements"],
        ),
        (&["bench", "digits", "--frames", "1", &to_json], &["bench.json"]),
    ] {
        fails(args, what);
    }
    let left: Vec<PathBuf> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.is_file() && path.extension().is_some_and(|e| e != "partial")), "{left:?}");
}
