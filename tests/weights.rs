//! Weights from safetensors files: the values read, and the errors for unusable files.

use safetensors::tensor::{Dtype, TensorView, serialize};
use shadernet::{Error, ErrorKind, Weights};
use std::path::{Path, PathBuf};

/// A file in the temporary folder; dropping this removes it.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("shadernet-{name}-{}.safetensors", std::process::id()));
        std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// Numbers that every format here holds exactly.
const VALUES: [f32; 6] = [0.0, -0.5, 1.0, 3.25, -128.0, 0.0625];

fn file(name: &str) -> File {
    let f32s: Vec<u8> = VALUES.iter().flat_map(|value| value.to_le_bytes()).collect();
    let f16s: Vec<u8> = VALUES.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect();
    let bf16s: Vec<u8> = VALUES.iter().flat_map(|&value| half::bf16::from_f32(value).to_le_bytes()).collect();
    let view = |dtype, bytes| TensorView::new(dtype, vec![2, 3], bytes).expect("six values");
    let tensors = [
        ("f32", view(Dtype::F32, &f32s)),
        ("f16", view(Dtype::F16, &f16s)),
        ("bf16", view(Dtype::BF16, &bf16s)),
        ("i16", view(Dtype::I16, &f16s)),
    ];
    File::new(name, &serialize(tensors, None).expect("it can be written"))
}

fn problem(error: &Error, file: &Path) -> String {
    match &error.kind {
        ErrorKind::File { path, problem } => {
            assert_eq!(*path, file.display().to_string());
            problem.clone()
        }
        _ => panic!("{error}"),
    }
}

#[test]
fn single_and_half_precision_are_read() {
    let file = file("formats");
    let weights = Weights::open(&file.0).unwrap_or_else(|error| panic!("{error}"));
    assert!(!weights.is_seeded());
    for name in ["f32", "f16", "bf16"] {
        let constant = weights.get(name, [2, 3]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((constant.name(), &constant.shape()[..]), (name, &[2, 3][..]));
        assert_eq!(constant.values(), VALUES, "{name}");
    }
    let mut names = weights.names();
    names.sort_unstable();
    assert_eq!(names, ["bf16", "f16", "f32", "i16"]);
}

#[test]
fn what_is_wrong_is_said() {
    let file = file("wrong");
    let weights = Weights::open(&file.0).unwrap_or_else(|error| panic!("{error}"));
    let refused =
        |name: &str, shape: [usize; 2]| problem(&weights.get(name, shape).expect_err("it isn't there"), &file.0);
    assert_eq!(refused("f64", [2, 3]), "no tensor \"f64\", wanted with shape [2, 3]");
    assert_eq!(refused("f32", [3, 2]), "tensor \"f32\": wanted [3, 2], got [2, 3]");
    assert_eq!(refused("i16", [2, 3]), "tensor \"i16\": wanted f32, f16 or bf16, got I16");

    let bytes = std::fs::read(&file.0).expect("it was just written");
    let cut = File::new("cut", &bytes[..bytes.len() - 1]);
    assert!(
        problem(&Weights::open(&cut.0).expect_err("a byte is missing"), &cut.0)
            .contains("not a whole safetensors file")
    );
    let empty = File::new("empty", &[]);
    assert!(
        problem(&Weights::open(&empty.0).expect_err("it is empty"), &empty.0).contains("not a whole safetensors file")
    );
    let folder = std::env::temp_dir();
    assert!(!problem(&Weights::open(&folder).expect_err("a folder is no file"), &folder).is_empty());
}

#[test]
fn seeds_and_names_tell_tensors_apart() {
    let values = |seed, name: &str, shape: &[usize]| Weights::seeded(seed).get(name, shape).expect("any").values();
    assert_eq!(values(0, "a.weight", &[8, 4]), values(0, "a.weight", &[8, 4]));
    assert_ne!(values(0, "a.weight", &[8, 4]), values(1, "a.weight", &[8, 4]));
    assert_ne!(values(0, "a.weight", &[8, 4]), values(0, "b.weight", &[8, 4]));
    let within = |values: Vec<f32>, lo: f32, hi: f32| values.iter().all(|value| (lo..=hi).contains(value));
    assert!(within(values(0, "conv.weight", &[8, 6, 1, 1]), -1.0, 1.0), "He's bound for 6 is 1");
    assert!(within(values(0, "bn.weight", &[100]), 0.5, 1.5));
    assert!(within(values(0, "bn.running_var", &[100]), 1.0, 2.0));
    assert!(within(values(0, "bn.running_mean", &[100]), -0.2, 0.2));
    assert!(within(values(0, "fc.bias", &[100]), -0.1, 0.1));
    assert!(Weights::seeded(0).is_seeded() && Weights::seeded(0).names().is_empty());
}
