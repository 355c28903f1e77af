//! Weights by name: from a safetensors file, or seeded.

use crate::error::{ErrorKind, Result};
use crate::files::Mapped;
use crate::hash::{GOLDEN, fnv1a, mix};
use crate::{Constant, Shape};
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The source of a network's weights: a safetensors file with PyTorch's state-dict names, or a seed.
///
/// ```
/// use shadernet::Weights;
/// let weights = Weights::seeded(0);
/// let weight = weights.get("conv1.weight", [64, 3, 7, 7])?;
/// assert_eq!(weight.values().len(), 64 * 3 * 7 * 7);
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Weights {
    source: Source,
    /// The constants given so far: a second request returns the very same constant, which a device holds only once.
    given: Arc<Mutex<HashMap<(String, Shape), Constant>>>,
}

#[derive(Clone, Debug)]
enum Source {
    File { path: PathBuf, bytes: Arc<Mapped> },
    Seed(u64),
}

impl Weights {
    /// Opens a safetensors file. It is mapped, not read: tensors are read when they are uploaded.
    pub fn open(path: impl AsRef<Path>) -> Result<Weights> {
        Weights::checked(path.as_ref(), Mapped::open(path.as_ref())?)
    }

    /// Returns weights that are part of the program: the bytes of a safetensors file, under a name for errors.
    pub fn from_static(name: &str, bytes: &'static [u8]) -> Result<Weights> {
        Weights::checked(Path::new(name), Mapped::Static(bytes))
    }

    fn checked(path: &Path, bytes: Mapped) -> Result<Weights> {
        SafeTensors::deserialize(bytes.as_slice())
            .map_err(|error| ErrorKind::file(path, format_args!("not a whole safetensors file: {error}")))?;
        Ok(Weights { source: Source::File { path: path.to_owned(), bytes: Arc::new(bytes) }, given: Arc::default() })
    }

    /// Makes up weights from a seed and each tensor's name, the same on every machine: for networks without a weights
    /// file, whose speed doesn't depend on the numbers. `tests/goldens/seeded.py` makes the same weights for PyTorch.
    ///
    /// Weights of two dimensions or more are uniform with He's bound, `sqrt(6 / fan_in)`; scales of batch norm lie in
    /// 0.5..1.5, running variances in 1..2, running means in ±0.2, biases in ±0.1.
    pub fn seeded(seed: u64) -> Weights {
        Weights { source: Source::Seed(seed), given: Arc::default() }
    }

    /// Returns true if the weights are made up.
    pub fn is_seeded(&self) -> bool {
        matches!(self.source, Source::Seed(_))
    }

    /// Returns the tensor of that name and shape. A file's tensor may be f32, f16 or bf16.
    pub fn get(&self, name: &str, shape: impl Into<Shape>) -> Result<Constant> {
        let key = (name.to_owned(), shape.into());
        let mut given = self.given.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(constant) = given.get(&key) {
            return Ok(constant.clone());
        }
        let constant = self.read(name, key.1.clone())?.into_parameter();
        given.insert(key, constant.clone());
        Ok(constant)
    }

    fn read(&self, name: &str, shape: Shape) -> Result<Constant> {
        match &self.source {
            &Source::Seed(seed) => {
                let (of, name) = (shape.clone(), name.to_owned());
                Ok(Constant::lazy(name.clone(), shape, move || seeded(seed, &name, &of)))
            }
            Source::File { path, bytes } => {
                let tensors =
                    SafeTensors::deserialize(bytes.as_slice()).map_err(|error| ErrorKind::file(path, error))?;
                let tensor = tensors.tensor(name).map_err(|_| {
                    ErrorKind::file(path, format_args!("no tensor \"{name}\", wanted with shape {shape}"))
                })?;
                let got = Shape::from(tensor.shape());
                if got != shape {
                    return Err(
                        ErrorKind::file(path, format_args!("tensor \"{name}\": wanted {shape}, got {got}")).into()
                    );
                }
                let dtype = tensor.dtype();
                if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
                    let problem = format_args!("tensor \"{name}\": wanted f32, f16 or bf16, got {dtype:?}");
                    return Err(ErrorKind::file(path, problem).into());
                }
                // Keep the range of the bytes only: they are read when the values are needed.
                let first = tensor.data().as_ptr() as usize - bytes.as_slice().as_ptr() as usize;
                let range = first..first + tensor.data().len();
                let bytes = bytes.clone();
                Ok(Constant::lazy(name, shape, move || {
                    let values = floats(&bytes.as_slice()[range.clone()], dtype);
                    bytes.done_with(&range);
                    values
                }))
            }
        }
    }

    /// Returns the names of the tensors in the file; none if the weights are made up.
    pub fn names(&self) -> Vec<String> {
        match &self.source {
            Source::Seed(_) => Vec::new(),
            Source::File { bytes, .. } => SafeTensors::deserialize(bytes.as_slice())
                .map(|tensors| tensors.names().into_iter().map(|name| name.to_string()).collect())
                .expect("the file was read when it was opened"),
        }
    }
}

fn floats(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    let halves = bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    match dtype {
        Dtype::F16 => halves.map(|b| half::f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => halves.map(|b| half::bf16::from_le_bytes(b).to_f32()).collect(),
        _ => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    }
}

/// Returns uniform numbers that depend only on the seed, the name and the index in the tensor.
pub(crate) fn uniform(seed: u64, name: &str, count: usize, lo: f32, hi: f32) -> Vec<f32> {
    let key = mix(fnv1a(name.as_bytes()) ^ mix(seed.wrapping_add(GOLDEN)));
    (1..=count as u64)
        .map(|i| {
            let bits = mix(key.wrapping_add(i.wrapping_mul(GOLDEN))) >> 40;
            lo + (hi - lo) * (bits as f32 / (1 << 24) as f32)
        })
        .collect()
}

fn seeded(seed: u64, name: &str, shape: &Shape) -> Vec<f32> {
    let (lo, hi) = if shape.len() >= 2 {
        let fan_in: usize = shape[1..].iter().product();
        let bound = (6.0 / fan_in as f64).sqrt() as f32;
        (-bound, bound)
    } else if name.ends_with("running_mean") {
        (-0.2, 0.2)
    } else if name.ends_with("running_var") {
        (1.0, 2.0)
    } else if name.ends_with("weight") {
        (0.5, 1.5)
    } else {
        (-0.1, 0.1)
    };
    uniform(seed, name, shape.elements(), lo, hi)
}

/// Returns an input of uniform numbers in ±1 from a seed: for benchmarks and tests, where any numbers but zeros serve.
pub fn seeded_input(seed: u64, shape: &Shape) -> Vec<f32> {
    uniform(seed, "input", shape.elements(), -1.0, 1.0)
}
