//! Archives: what is in them, and what is wrong with them.

use crate::tiny::{Tensor, Tiny, archive};
use shadernet::Precision;
use shadernet::denoise::Archive;

fn two() -> Vec<Tensor> {
    let tensor =
        |name: &str, sizes: &[usize], values: Vec<f32>| Tensor { name: name.into(), sizes: sizes.into(), values };
    let weight = (0..12).map(|i| i as f32 - 5.5).collect();
    vec![tensor("a.weight", &[2, 3, 1, 2], weight), tensor("a.bias", &[2], vec![0.25, -65504.0])]
}

fn refused(bytes: Vec<u8>) -> String {
    Archive::from_bytes("two.tza", bytes).unwrap_err().to_string()
}

#[test]
fn tensors_are_read_as_they_are() {
    for half in [true, false] {
        let archive = Archive::from_bytes("two.tza", archive(&two(), half)).unwrap();
        assert_eq!(archive.names().collect::<Vec<_>>(), ["a.bias", "a.weight"]);
        assert_eq!(archive.precision(), if half { Precision::F16 } else { Precision::F32 });
        for Tensor { name, sizes, values } in two() {
            let tensor = archive.get(&name).unwrap();
            assert_eq!((&tensor.shape()[..], tensor.values()), (&sizes[..], values));
        }
        let error = archive.get("b").unwrap_err().to_string();
        assert_eq!(error, "two.tza: no tensor \"b\"");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let good = archive(&two(), true);
    let table = u64::from_le_bytes(good[4..12].try_into().unwrap()) as usize;
    // The first tensor of the table: its name ends after this many bytes.
    let first = table + 4 + 2 + "a.weight".len();
    let with = |at: usize, bytes: &[u8]| [&good[..at], bytes, &good[at + bytes.len()..]].concat();
    let beyond = (good.len() as u64).to_le_bytes();
    for (bytes, said) in [
        (Vec::new(), "it ends at byte 0, within the magic number"),
        (with(0, b"PK"), "not a .tza archive: wanted d7 41 as its first bytes, got 50 4b"),
        (with(2, &[1]), "wanted version 2 of the format, got 1.0"),
        (with(4, &beyond), "the table begins at byte"),
        (with(4, &[0xff; 8]), "the table begins at byte 18446744073709551615"),
        (with(4, &[3, 0]), "the table begins at byte 3, not between byte 12"),
        (with(table, &[0xff; 4]), "it ends at byte"),
        (with(table + 6, &[0xff]), "isn't UTF-8"),
        (with(first, &[3]), "tensor \"a.weight\": wanted dimensions oihw or x"),
        (with(first + 1, &[0; 4]), "tensor \"a.weight\": wanted sizes of 1 or more, got [0, 3, 1, 2]"),
        (
            with(first + 1, &[0xff; 16]),
            "tensor \"a.weight\": [4294967295, 4294967295, 4294967295, 4294967295] from byte 12",
        ),
        (with(first + 1, &[0xff; 4]), "ends beyond the archive"),
        (with(first + 17, b"hwio"), "wanted dimensions oihw or x, got hwio"),
        (with(first + 21, b"b"), "wanted numbers of type h (f16) or f (f32), got b"),
        (with(first + 22, &beyond), "ends beyond the archive"),
        (with(first + 22, &[13]), "a.weight and a.bias overlap, at byte 36"),
        (with(first + 22, &[0]), "overlap"),
        (with(12, &[0, 0x7c]), "tensor \"a.weight\": wanted finite numbers, got inf"),
        (archive(&[two(), two()].concat(), true), "tensor \"a.weight\" is there twice"),
    ] {
        let error = refused(bytes);
        assert!(error.starts_with("two.tza: ") && error.contains(said), "\"{said}\" isn't in: {error}");
    }
}

/// Every beginning of an archive is refused. An archive with a changed byte is refused, or holds no more than it has bytes.
#[test]
fn no_archive_is_a_panic() {
    let good = archive(&two(), true);
    for length in 0..good.len() {
        refused(good[..length].to_vec());
    }
    let mut accepted = 0;
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut bytes = good.clone();
            bytes[at] = byte;
            let Ok(archive) = Archive::from_bytes("two.tza", bytes) else { continue };
            let numbers = archive.names().map(|name| archive.get(name).unwrap().values().len()).sum::<usize>();
            assert!(2 * numbers <= good.len(), "byte {at} as {byte}: {numbers} numbers");
            accepted += 1;
        }
    }
    // Names, the minor version and most bits of numbers may be anything.
    assert!(accepted > good.len(), "{accepted}");
}

#[test]
fn a_file_is_read_like_its_bytes() {
    let bytes = Tiny { large: false, images: 1, channels: [4; 5] }.bytes();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tiny-{}.tza", std::process::id()));
    std::fs::write(&path, &bytes).unwrap();
    let (file, memory) = (Archive::open(&path).unwrap(), Archive::from_bytes("tiny", bytes).unwrap());
    assert!(file.names().eq(memory.names()) && file.names().count() == 32);
    for name in file.names() {
        assert_eq!(file.get(name).unwrap().values(), memory.get(name).unwrap().values());
    }
    std::fs::remove_file(&path).unwrap();
    let error = Archive::open(&path).unwrap_err().to_string();
    assert!(error.contains("tiny-"), "{error}");
}
