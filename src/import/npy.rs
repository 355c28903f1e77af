//! NumPy's `.npy` files of `float32`: how the command takes and gives tensors.

use crate::Shape;
use crate::error::{ErrorKind, Result};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads a little-endian `float32` array in C order.
pub fn read(path: &Path) -> Result<(Shape, Vec<f32>)> {
    let bytes = std::fs::read(path).map_err(|error| ErrorKind::file(path, error))?;
    parse(&bytes).map_err(|problem| ErrorKind::file(path, problem).into())
}

fn parse(bytes: &[u8]) -> Result<(Shape, Vec<f32>), String> {
    let not_npy = || "not a whole .npy file".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(not_npy)?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err(not_npy()),
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(not_npy)?;
    let header = std::str::from_utf8(header).map_err(|_| not_npy())?;
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches([':', ' ']));
    let quoted = |text: &str| text.trim_start_matches(['\'', '"']).split(['\'', '"']).next().unwrap_or("").to_owned();
    let descr = after("'descr'").map(quoted).ok_or_else(not_npy)?;
    if descr != "<f4" {
        return Err(format!("wanted float32 ('<f4'), got '{descr}'"));
    }
    if !after("'fortran_order'").is_some_and(|text| text.starts_with("False")) {
        return Err("wanted C order, got Fortran order".into());
    }
    let sizes = after("'shape'").and_then(|text| text.strip_prefix('(')?.split_once(')')).ok_or_else(not_npy)?.0;
    let sizes: Vec<usize> = sizes
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| not_npy()))
        .collect::<Result<_, _>>()?;
    let shape = Shape::from(sizes);
    let wanted = shape.iter().try_fold(4usize, |n, &size| n.checked_mul(size));
    if wanted != Some(data.len()) {
        return Err(format!("its header says {shape}, {} bytes of data follow", data.len()));
    }
    let values = data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok((shape, values))
}

/// Writes an array, under its name only once it is whole.
pub fn write(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let sizes = if shape.len() > 1 { sizes.trim_end_matches(", ") } else { sizes.trim_end() };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    // The data begins at a multiple of 64 bytes; the header ends with a line break.
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(bytemuck::cast_slice::<f32, u8>(values));
    super::write_whole(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let path = std::env::temp_dir().join(format!("shadernet-npy-{}.npy", std::process::id()));
        for shape in [vec![], vec![3], vec![1, 2, 3]] {
            let shape = Shape::from(shape);
            let values: Vec<f32> = (0..shape.elements()).map(|i| i as f32 - 0.5).collect();
            write(&path, &shape, &values).unwrap();
            assert_eq!(std::fs::read(&path).unwrap().len() % 64, values.len() * 4 % 64);
            assert_eq!(read(&path).unwrap(), (shape, values));
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said() {
        let header = |text: &str| [MAGIC, &[1, 0], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
        let f8 = header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }");
        assert!(parse(&f8).unwrap_err().contains("'<f8'"));
        let short = header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        assert!(parse(&short).unwrap_err().contains("[2, 3]"));
        let huge = header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }");
        assert!(parse(&huge).is_err());
        assert!(parse(b"PK").is_err());
    }
}
