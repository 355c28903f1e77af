//! NumPy's `.npy` files: the format in which the command reads and writes tensors.

use crate::error::{ErrorKind, Result};
use crate::{Data, Shape, Tensor};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// A number type that `.npy` files can hold.
pub trait Number: Copy {
    /// The type's name in the header.
    const DESCR: &str;

    /// Appends the number's bytes, little-endian.
    fn write(self, bytes: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($type:ty, $descr:literal;)*) => {
        $(impl Number for $type {
            const DESCR: &str = $descr;

            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
        })*
    };
}

numbers! {
    f32, "<f4";
    f64, "<f8";
    half::f16, "<f2";
    i64, "<i8";
    i32, "<i4";
    i16, "<i2";
    i8, "|i1";
    u64, "<u8";
    u32, "<u4";
    u16, "<u2";
    u8, "|u1";
}

impl Number for bool {
    const DESCR: &str = "|b1";

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.push(self.into());
    }
}

/// Reads a little-endian `float32` array in C order.
pub fn read(path: &Path) -> Result<(Shape, Vec<f32>)> {
    let (shape, descr, data) = open(path)?;
    match values(&descr, &data) {
        Ok(Data::F32(values)) if descr == "<f4" => Ok((shape, values)),
        _ => Err(ErrorKind::file(path, format!("wanted float32 ('<f4'), got '{descr}'")).into()),
    }
}

/// Reads a C-order array of floating-point numbers, integers that fit in 32 bits, or booleans.
pub fn read_tensor(path: &Path) -> Result<Tensor> {
    let (shape, descr, data) = open(path)?;
    let values = values(&descr, &data).map_err(|problem| ErrorKind::file(path, problem))?;
    Tensor::new(shape, values)
}

fn open(path: &Path) -> Result<(Shape, String, Vec<u8>)> {
    let bytes = std::fs::read(path).map_err(|error| ErrorKind::file(path, error))?;
    parse(&bytes).map_err(|problem| ErrorKind::file(path, problem).into())
}

/// Decodes `data` as numbers of the type `descr`.
fn values(descr: &str, data: &[u8]) -> Result<Data, String> {
    fn each<const N: usize, T>(data: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
        data.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
    }
    let integers = |numbers: Vec<i64>| {
        let number = |number: i64| i32::try_from(number).map_err(|_| format!("wanted 32 bits, got {number}"));
        numbers.into_iter().map(number).collect::<Result<Vec<_>, _>>().map(Data::I32)
    };
    match descr {
        "<f4" => Ok(Data::F32(each(data, f32::from_le_bytes))),
        "<f8" => Ok(Data::F32(each(data, |bytes| f64::from_le_bytes(bytes) as f32))),
        "<f2" => Ok(Data::F32(each(data, |bytes| half::f16::from_le_bytes(bytes).to_f32()))),
        "|b1" => Ok(Data::Bool(data.iter().map(|&byte| byte != 0).collect())),
        "<i8" => integers(each(data, i64::from_le_bytes)),
        "<u8" => integers(each(data, |bytes| i64::try_from(u64::from_le_bytes(bytes)).unwrap_or(i64::MAX))),
        "<i4" => integers(each(data, |bytes| i32::from_le_bytes(bytes).into())),
        "<u4" => integers(each(data, |bytes| u32::from_le_bytes(bytes).into())),
        "<i2" => integers(each(data, |bytes| i16::from_le_bytes(bytes).into())),
        "<u2" => integers(each(data, |bytes| u16::from_le_bytes(bytes).into())),
        "|i1" => integers(each(data, |bytes| i8::from_le_bytes(bytes).into())),
        "|u1" => integers(each(data, |bytes| u8::from_le_bytes(bytes).into())),
        _ => Err(format!("wanted numbers, little-endian, got '{descr}'")),
    }
}

/// Parses a file into its shape, type and data. The data's length must fit the shape and the type.
fn parse(bytes: &[u8]) -> Result<(Shape, String, Vec<u8>), String> {
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
    let size: usize = descr.get(2..).and_then(|size| size.parse().ok()).unwrap_or(1);
    if !after("'fortran_order'").is_some_and(|text| text.starts_with("False")) {
        return Err("wanted C order, got Fortran order: save numpy.ascontiguousarray of it".into());
    }
    let sizes = after("'shape'").and_then(|text| text.strip_prefix('(')?.split_once(')')).ok_or_else(not_npy)?.0;
    let sizes: Vec<usize> = sizes
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| not_npy()))
        .collect::<Result<_, _>>()?;
    let shape = Shape::from(sizes);
    let wanted = shape.iter().try_fold(size, |n, &size| n.checked_mul(size));
    if wanted != Some(data.len()) {
        return Err(format!("its header says {shape} of '{descr}', {} bytes of data follow", data.len()));
    }
    Ok((shape, descr, data.to_vec()))
}

/// Writes an array. The file gets its name only when complete.
pub fn write<T: Number>(path: &Path, shape: &[usize], values: &[T]) -> Result<()> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let sizes = if shape.len() > 1 { sizes.trim_end_matches(", ") } else { sizes.trim_end() };
    let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({sizes}), }}", T::DESCR);
    // The data begins at a multiple of 64 bytes; the header ends with a line break.
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    values.iter().for_each(|value| value.write(&mut bytes));
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
        let written: [(&dyn Fn() -> Result<()>, Data); 4] = [
            (&|| write(&path, &[2], &[-1i64, 7]), Data::I32(vec![-1, 7])),
            (&|| write(&path, &[2], &[255u8, 7]), Data::I32(vec![255, 7])),
            (&|| write(&path, &[2], &[true, false]), Data::Bool(vec![true, false])),
            (&|| write(&path, &[2], &[half::f16::ONE, half::f16::NEG_ONE]), Data::F32(vec![1.0, -1.0])),
        ];
        for (write, data) in written {
            write().unwrap();
            assert_eq!(read_tensor(&path).unwrap(), Tensor::new([2], data).unwrap());
            assert!(read(&path).is_err());
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said() {
        let header = |text: &str| [MAGIC, &[1, 0], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
        let complex = values("<c8", &[0; 8]);
        assert!(complex.unwrap_err().contains("'<c8'"));
        assert!(values("<i8", &i64::MAX.to_le_bytes()).unwrap_err().contains("32 bits"));
        let short = header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        assert!(parse(&short).unwrap_err().contains("[2, 3]"));
        let huge = header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }");
        assert!(parse(&huge).is_err());
        assert!(parse(b"PK").is_err());
    }
}
