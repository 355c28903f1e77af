//! Weights in the format of Open Image Denoise: archives of tensors, `.tza`.

use super::content::{Content, Guides, Quality};
use crate::error::{ErrorKind, Result};
use crate::files::Mapped;
use crate::{Constant, Precision, Shape};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The weights of a denoising network: an archive of tensors in Open Image Denoise's format, `.tza`, version 2.
///
/// All numbers of an archive are little-endian. It begins with the bytes `d7 41`, a byte each for the major and the minor
/// version, and the `u64` offset of the table. The table has a `u32` count, then for each tensor a `u16` length and
/// the name, a `u8` number of dimensions, a `u32` for each size, a letter for each dimension (`oihw` or `x`), a letter
/// for the type (`h` for `f16`, `f` for `f32`), and the `u64` offset of the numbers. Source: `training/tza.py` and
/// `core/tza.cpp` of Open Image Denoise.
///
/// An archive is checked when it is opened: what is truncated, overlaps, or isn't finite is an error. `f16`s stay as
/// they are; [graphs](super::DenoiserOptions::graph) then have [`Precision::F16`].
#[derive(Clone, Debug)]
pub struct Archive {
    /// The file, or the name that stands for it in errors.
    path: PathBuf,
    tensors: BTreeMap<String, Constant>,
    precision: Precision,
}

/// The bytes before the first tensor.
const HEADER: usize = 12;

impl Archive {
    /// Opens a file. It is mapped, and read once to check its numbers.
    pub fn open(path: impl AsRef<Path>) -> Result<Archive> {
        Archive::checked(path.as_ref(), Mapped::open(path.as_ref())?)
    }

    /// Reads an archive in memory, under a name for errors.
    pub fn from_bytes(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Archive> {
        Archive::checked(Path::new(name), Mapped::Owned(bytes.into()))
    }

    /// Returns the weights that this crate ships for images of this content with these guides: a small network that
    /// `scripts/train-denoiser.py` trained, for [`Content::Hdr`] with [`Guides::AlbedoNormal`]. An error for others.
    pub fn builtin(content: Content, guides: Guides) -> Result<Archive> {
        if (content, guides) == (Content::Hdr, Guides::AlbedoNormal) {
            let bytes = include_bytes!("../../assets/denoise/small_hdr_alb_nrm.tza");
            return Archive::checked(Path::new("small_hdr_alb_nrm.tza"), Mapped::Static(bytes));
        }
        let theirs = content.weights(guides, Quality::Balanced);
        let theirs = theirs.map_or_else(String::new, |name| format!(", here {name}.tza"));
        let problem = "builtin weights are for hdr with noisy albedo and normals only";
        Err(ErrorKind::Unsupported(format!("{problem}; take Open Image Denoise's for others{theirs}")).into())
    }

    fn checked(path: &Path, bytes: Mapped) -> Result<Archive> {
        let bytes = Arc::new(bytes);
        let failed = |problem: String| ErrorKind::file(path, problem);
        let entries = entries(bytes.as_slice()).map_err(failed)?;
        let count = |half: bool| entries.iter().filter(|of| of.half == half).map(|of| of.shape.elements()).sum();
        let [halves, singles]: [usize; 2] = [count(true), count(false)];
        let precision = if halves > singles { Precision::F16 } else { Precision::F32 };
        let mut tensors = BTreeMap::new();
        for Entry { name, shape, half, at } in entries {
            let owned = bytes.clone();
            let read = move || numbers(&owned.as_slice()[at.clone()], half);
            if let Some(number) = read().iter().find(|number| !number.is_finite()) {
                return Err(failed(format!("tensor {name:?}: wanted finite numbers, got {number}")).into());
            }
            let tensor = Constant::lazy(name.clone(), shape, read).into_parameter();
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(failed(format!("tensor {name:?} is there twice")).into());
            }
        }
        Ok(Archive { path: path.to_owned(), tensors, precision })
    }

    /// Returns the names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Returns the tensor of that name. An error if there is none.
    pub fn get(&self, name: &str) -> Result<&Constant> {
        self.tensors.get(name).ok_or_else(|| self.problem(format_args!("no tensor {name:?}")).into())
    }

    /// Returns true if there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Returns the precision that holds the numbers as they are: `F16` if most of them are `f16`s.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns an error about this archive.
    pub(super) fn problem(&self, problem: impl std::fmt::Display) -> ErrorKind {
        ErrorKind::file(&self.path, problem)
    }
}

fn numbers(bytes: &[u8], half: bool) -> Vec<f32> {
    match half {
        true => bytes.as_chunks().0.iter().map(|&bytes| half::f16::from_le_bytes(bytes).to_f32()).collect(),
        false => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
    }
}

/// A tensor of the table.
struct Entry {
    name: String,
    shape: Shape,
    half: bool,
    /// The range of its bytes.
    at: Range<usize>,
}

/// Reads the table. It allocates no more than a small multiple of the archive's size, whatever the archive says.
fn entries(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mut header = Reader { bytes, at: 0 };
    let magic = header.take::<2>("the magic number")?;
    if magic != [0xd7, 0x41] {
        return Err(format!(
            "not a .tza archive: wanted d7 41 as its first bytes, got {:02x} {:02x}",
            magic[0], magic[1]
        ));
    }
    let [major, minor] = header.take("the version")?;
    if major != 2 {
        return Err(format!("wanted version 2 of the format, got {major}.{minor}"));
    }
    let offset = u64::from_le_bytes(header.take("the offset of the table")?);
    let begin = usize::try_from(offset).ok().filter(|begin| (HEADER..bytes.len()).contains(begin));
    let outside =
        || format!("the table begins at byte {offset}, not between byte {HEADER} and the end, {}", bytes.len());
    let begin = begin.ok_or_else(outside)?;
    let mut table = Reader { bytes, at: begin };
    let count = u32::from_le_bytes(table.take("the number of tensors")?);
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(table.entry()?);
    }
    let parts = entries.iter().map(|entry: &Entry| (entry.at.clone(), entry.name.as_str()));
    let mut parts: Vec<_> = parts.chain([(0..HEADER, "the header"), (begin..table.at, "the table")]).collect();
    parts.sort_by_key(|(range, _)| range.start);
    match parts.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
        Some(pair) => Err(format!("{} and {} overlap, at byte {}", pair[0].1, pair[1].1, pair[1].0.start)),
        None => Ok(entries),
    }
}

/// Bytes, and the number of those that were read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn slice(&mut self, length: usize, what: &str) -> Result<&'a [u8], String> {
        let slice = self.bytes[self.at..].get(..length);
        let slice = slice.ok_or_else(|| format!("it ends at byte {}, within {what}", self.bytes.len()))?;
        self.at += length;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let slice = self.slice(N, what)?;
        Ok(slice.try_into().expect("it has this length"))
    }

    fn entry(&mut self) -> Result<Entry, String> {
        let length = u16::from_le_bytes(self.take("the length of a name")?);
        let name = std::str::from_utf8(self.slice(length.into(), "a name")?);
        let name = name.map_err(|_| format!("the name that ends at byte {} isn't UTF-8", self.at))?.to_owned();
        let described = self.described(&name);
        described.map_err(|problem| format!("tensor {name:?}: {problem}"))
    }

    /// Reads a tensor of the table, from its number of dimensions on.
    fn described(&mut self, name: &str) -> Result<Entry, String> {
        let [rank] = self.take("the number of dimensions")?;
        let size = |_| Ok::<_, String>(u32::from_le_bytes(self.take("a size")?) as usize);
        let shape = Shape::from((0..rank).map(size).collect::<Result<Vec<_>, _>>()?);
        let order = self.slice(rank.into(), "the letters of the dimensions")?;
        if order != b"oihw" && order != b"x" {
            return Err(format!("wanted dimensions oihw or x, got {}", order.escape_ascii()));
        }
        let half = match self.take("the type")? {
            [b'h'] => true,
            [b'f'] => false,
            other => return Err(format!("wanted numbers of type h (f16) or f (f32), got {}", other.escape_ascii())),
        };
        let offset = u64::from_le_bytes(self.take("the offset of the numbers")?);
        let each = if half { 2 } else { 4 };
        let bytes = shape.iter().try_fold(each, |bytes: u64, &size| bytes.checked_mul(size as u64));
        let end = bytes.and_then(|bytes| offset.checked_add(bytes)).filter(|&end| end <= self.bytes.len() as u64);
        match end {
            _ if shape.contains(&0) => Err(format!("wanted sizes of 1 or more, got {shape}")),
            // They fit a usize, as they lie within the archive.
            Some(end) => Ok(Entry { name: name.to_owned(), shape, half, at: offset as usize..end as usize }),
            None => Err(format!("{shape} from byte {offset} on ends beyond the archive, at {}", self.bytes.len())),
        }
    }
}
