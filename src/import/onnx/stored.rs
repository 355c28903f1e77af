//! The bytes of an ONNX file and of its external data: mapped, and read on demand.

use super::element::ElementType;
use super::proto::TensorProto;
use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::files::Mapped;
use prost::bytes::Bytes;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Bytes, and the file that they are mapped from.
#[derive(Clone)]
pub(super) struct Region {
    bytes: Bytes,
    file: Option<Arc<Mapped>>,
}

/// A mapped file as the decoder's buffer: the decoder takes slices of it and copies nothing.
struct Owner(Arc<Mapped>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Region {
    pub(super) fn open(path: &Path) -> Result<Region> {
        let file = Arc::new(Mapped::open(path)?);
        Ok(Region { bytes: Bytes::from_owner(Owner(file.clone())), file: Some(file) })
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Region {
        Region { bytes: bytes.into(), file: None }
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the part of this region that the decoder took.
    fn part(&self, bytes: &Bytes) -> Region {
        Region { bytes: bytes.clone(), file: self.file.clone() }
    }

    fn slice(&self, offset: u64, length: Option<u64>) -> Option<Region> {
        let offset = usize::try_from(offset).ok()?;
        let end = match length {
            Some(length) => offset.checked_add(usize::try_from(length).ok()?)?,
            None => self.bytes.len(),
        };
        (offset <= end && end <= self.bytes.len()).then(|| self.part(&self.bytes.slice(offset..end)))
    }

    /// Lets the system take back the pages that were read.
    fn done(&self) {
        // An empty part has no position in the file.
        if let Some(file) = self.file.as_ref().filter(|_| !self.bytes.is_empty()) {
            let first = self.bytes.as_ptr() as usize - file.as_slice().as_ptr() as usize;
            file.done_with(&(first..first + self.bytes.len()));
        }
    }
}

/// The files of a model: the one with the graph, and those with external data. Each is mapped once.
pub(super) struct Files {
    /// The folder of external data; `None` for a model in memory.
    folder: Option<PathBuf>,
    main: Region,
    external: Mutex<HashMap<String, Region>>,
}

impl Files {
    pub(super) fn new(folder: Option<PathBuf>, main: Region) -> Files {
        Files { folder, main, external: Mutex::default() }
    }

    /// Returns the file with the graph.
    pub(super) fn main(&self) -> &Region {
        &self.main
    }

    /// Returns the size of all opened files, in bytes.
    pub(super) fn len(&self) -> usize {
        let external = self.external.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        external.values().map(|region| region.bytes.len()).fold(self.main.bytes.len(), usize::saturating_add)
    }

    /// Opens the file of external data at `location`, a path from the model's folder that must not leave the folder.
    fn external(&self, location: &str) -> Result<Region, ErrorKind> {
        let refused = |got: &str| ErrorKind::argument("external data", "a file in the model's folder", got);
        let mut external = self.external.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(region) = external.get(location) {
            return Ok(region.clone());
        }
        let folder = self.folder.as_ref().ok_or_else(|| refused("a model that isn't a file, and has no folder"))?;
        let inside = |component| matches!(component, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || location.contains('\\') || !Path::new(location).components().all(inside) {
            return Err(refused(&format!("\"{location}\"")));
        }
        let path = folder.join(location);
        // A link could lead out of the folder.
        let real = |path: &Path| path.canonicalize().map_err(|error| ErrorKind::file(path, error));
        if !real(&path)?.starts_with(real(folder)?) {
            return Err(refused(&format!("\"{location}\", which leads out of it")));
        }
        if !path.is_file() {
            return Err(refused(&format!("\"{location}\", which is none")));
        }
        let region = Region::open(&path).map_err(|error| error.kind)?;
        external.insert(location.to_owned(), region.clone());
        Ok(region)
    }
}

/// A tensor in its stored form.
pub(super) struct Stored {
    pub(super) element: ElementType,
    pub(super) shape: Shape,
    content: Content,
}

enum Content {
    /// Little-endian bytes. Elements smaller than a byte are packed from the lowest bits up.
    Raw(Region),
    /// The decoded typed fields, `float_data` for example.
    Fields(TensorProto),
}

impl Stored {
    /// Creates a tensor of a file. Checks its type, its shape, and the number of bytes that these require.
    pub(super) fn new(proto: &TensorProto, files: &Files) -> Result<Stored, ErrorKind> {
        let element = ElementType::of_code(proto.data_type)
            .ok_or_else(|| ErrorKind::argument("element type", "one of ONNX's", proto.data_type))?;
        if element == ElementType::String {
            return Err(ErrorKind::Unsupported("tensors of strings".into()));
        }
        let shape = sizes(&proto.dims)?;
        let elements = shape.elements();
        let bytes = (elements * element.bits()).div_ceil(8);
        let (content, got) = if proto.data_location == 1 {
            let region = external(proto, files)?;
            let length = region.bytes.len();
            (Content::Raw(region), length)
        } else if !proto.raw_data.is_empty() || elements == 0 {
            (Content::Raw(files.main.part(&proto.raw_data)), proto.raw_data.len())
        } else {
            let fields = TensorProto { dims: Vec::new(), name: String::new(), ..proto.clone() };
            let numbers = count(&fields, element);
            // Elements smaller than a byte are packed: an integer holds those of one byte.
            let per = (8 / element.bits()).max(1);
            let got = if numbers == elements.div_ceil(per) { bytes } else { numbers * per * element.bits() / 8 };
            (Content::Fields(fields), got)
        };
        if got != bytes {
            let wanted = format!("{bytes} bytes of {element} for shape {shape}");
            return Err(ErrorKind::argument("data", wanted, got));
        }
        Ok(Stored { element, shape, content })
    }

    /// Returns the elements of a tensor of integers or booleans.
    pub(super) fn ints(&self) -> Vec<i64> {
        use ElementType::{Bool, I2, I4, I8, I16, I32, I64, U2, U4, U8, U16, U32, U64};
        let count = self.shape.elements();
        let Content::Raw(region) = &self.content else { return self.field_ints(count) };
        let bytes = &region.bytes[..];
        let values = match self.element {
            I64 | U64 => bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect(),
            I32 => bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
            U32 => bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b).into()).collect(),
            I16 => bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b).into()).collect(),
            U16 => bytes.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b).into()).collect(),
            I8 => bytes.iter().map(|&b| (b as i8).into()).collect(),
            Bool => bytes.iter().map(|&b| i64::from(b != 0)).collect(),
            U8 => bytes.iter().map(|&b| b.into()).collect(),
            I4 | U4 | I2 | U2 => {
                self.small(bytes.iter().copied(), count).map(|v| self.element.wrap(v.into())).collect()
            }
            _ => Vec::new(),
        };
        region.done();
        values
    }

    /// Unpacks elements smaller than a byte, the lowest bits first.
    fn small(&self, bytes: impl Iterator<Item = u8>, count: usize) -> impl Iterator<Item = u8> {
        let bits = self.element.bits();
        bytes.flat_map(move |byte| (0..8 / bits).map(move |i| byte >> (i * bits) & (u8::MAX >> (8 - bits)))).take(count)
    }

    fn field_ints(&self, count: usize) -> Vec<i64> {
        use ElementType::{Bool, I2, I4, I64, U2, U4, U32, U64};
        let Content::Fields(proto) = &self.content else { return Vec::new() };
        match self.element {
            I64 => proto.int64_data.clone(),
            U32 | U64 => proto.uint64_data.iter().map(|&v| v as i64).collect(),
            Bool => proto.int32_data.iter().map(|&v| i64::from(v != 0)).collect(),
            I2 | U2 | I4 | U4 => {
                let bytes = proto.int32_data.iter().map(|&v| v as u8);
                self.small(bytes, count).map(|v| self.element.wrap(v.into())).collect()
            }
            _ => proto.int32_data.iter().map(|&v| self.element.wrap(v.into())).collect(),
        }
    }

    /// Returns the elements of a tensor of floating-point numbers as `f32`s.
    pub(super) fn floats(&self) -> Vec<f32> {
        use ElementType::{BF16, F4E2M1, F16, F32, F64};
        let count = self.shape.elements();
        let halves = |bits: u16| match self.element {
            F16 => half::f16::from_bits(bits).to_f32(),
            _ => half::bf16::from_bits(bits).to_f32(),
        };
        match &self.content {
            Content::Raw(region) => {
                let bytes = &region.bytes[..];
                let values = match self.element {
                    F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
                    F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
                    F16 | BF16 => bytes.as_chunks().0.iter().map(|&b| halves(u16::from_le_bytes(b))).collect(),
                    F4E2M1 => self.small(bytes.iter().copied(), count).map(|b| small_float(self.element, b)).collect(),
                    _ => bytes.iter().map(|&b| small_float(self.element, b)).collect(),
                };
                region.done();
                values
            }
            Content::Fields(proto) => match self.element {
                F32 => proto.float_data.clone(),
                F64 => proto.double_data.iter().map(|&v| v as f32).collect(),
                F16 | BF16 => proto.int32_data.iter().map(|&v| halves(v as u16)).collect(),
                _ => {
                    let bytes = proto.int32_data.iter().map(|&v| v as u8);
                    self.small(bytes, count).map(|b| small_float(self.element, b)).collect()
                }
            },
        }
    }

    /// Returns true if an `f16` holds the numbers of a tensor of bfloat16 exactly, but for those so much smaller than the
    /// largest that it doesn't matter: the largest finite one is 0, or a normal `f16`.
    pub(super) fn fits_f16(&self) -> bool {
        let finite = |bits: u16| Some(bits & 0x7FFF).filter(|&size| size < 0x7F80);
        let largest = match &self.content {
            Content::Raw(region) => {
                let largest = region.bytes.as_chunks().0.iter().filter_map(|&b| finite(u16::from_le_bytes(b))).max();
                region.done();
                largest
            }
            Content::Fields(proto) => proto.int32_data.iter().filter_map(|&v| finite(v as u16)).max(),
        };
        let normal = half::bf16::from_f32(2f32.powi(-14)).to_bits()..half::bf16::from_f32(2f32.powi(16)).to_bits();
        largest.is_none_or(|size| size == 0 || normal.contains(&size))
    }

    /// Returns the packed bytes of integers of 8 bits or fewer.
    pub(super) fn packed(&self) -> Vec<u8> {
        match &self.content {
            Content::Raw(region) => {
                let bytes = region.bytes.to_vec();
                region.done();
                bytes
            }
            Content::Fields(proto) => proto.int32_data.iter().map(|&v| v as u8).collect(),
        }
    }
}

/// Converts numbers of 0 or more, which needn't be a shape. `None` if a number is negative.
pub(super) fn counts(numbers: &[i64]) -> Option<Vec<usize>> {
    numbers.iter().map(|&number| usize::try_from(number).ok()).collect()
}

/// Converts sizes in a file to a shape.
pub(super) fn sizes(dims: &[i64]) -> Result<Shape, ErrorKind> {
    let error = || ErrorKind::argument("shape", "sizes of 0 or more", format!("{dims:?}"));
    let shape = Shape::from(counts(dims).ok_or_else(error)?);
    shape.countable()?;
    Ok(shape)
}

fn count(proto: &TensorProto, element: ElementType) -> usize {
    use ElementType::{F32, F64, I64, U32, U64};
    match element {
        F32 => proto.float_data.len(),
        F64 => proto.double_data.len(),
        I64 => proto.int64_data.len(),
        U32 | U64 => proto.uint64_data.len(),
        _ => proto.int32_data.len(),
    }
}

fn external(proto: &TensorProto, files: &Files) -> Result<Region, ErrorKind> {
    let entry = |key: &str| proto.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let number = |key: &str| {
        let wrong = |text| ErrorKind::argument(format!("external data's {key}"), "a number", format!("\"{text}\""));
        entry(key).map(|text| text.parse::<u64>().map_err(|_| wrong(text))).transpose()
    };
    let location = entry("location").unwrap_or_default();
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let file = files.external(location)?;
    file.slice(offset, length).ok_or_else(|| {
        let wanted = format!("a part of \"{location}\", which has {} bytes", file.bytes.len());
        ErrorKind::argument("external data", wanted, format!("offset {offset}, length {length:?}"))
    })
}

/// Decodes a floating-point number of 8 bits or fewer, <https://onnx.ai/onnx/technical/float8.html>.
fn small_float(element: ElementType, bits: u8) -> f32 {
    use ElementType::{F4E2M1, F8E4M3Fn, F8E4M3FnUz, F8E5M2, F8E8M0};
    // The bits of the number, the bits of the fraction, and the bias of the exponent.
    let (all, fraction, bias) = match element {
        F4E2M1 => (4, 1, 1),
        F8E4M3Fn => (8, 3, 7),
        F8E4M3FnUz => (8, 3, 8),
        F8E5M2 => (8, 2, 15),
        F8E8M0 => return if bits == 255 { f32::NAN } else { 2f64.powi(i32::from(bits) - 127) as f32 },
        _ => (8, 2, 16),
    };
    let magnitude = bits & ((1 << (all - 1)) - 1);
    let negative = bits >> (all - 1) == 1;
    let special = match element {
        F4E2M1 => None,
        F8E4M3Fn => (magnitude == 0x7F).then_some(f32::NAN),
        F8E5M2 if magnitude == 0x7C => Some(f32::INFINITY),
        F8E5M2 => (magnitude > 0x7C).then_some(f32::NAN),
        // These formats have no negative zero: its bits encode NaN.
        _ => (bits == 0x80).then_some(f32::NAN),
    };
    let (exponent, rest) = (i32::from(magnitude >> fraction), f32::from(magnitude & ((1 << fraction) - 1)));
    let unit = 2f32.powi(-fraction);
    let value = special.unwrap_or_else(|| match exponent {
        0 => rest * unit * 2f32.powi(1 - bias),
        _ => (1.0 + rest * unit) * 2f32.powi(exponent - bias),
    });
    if negative { -value } else { value }
}
