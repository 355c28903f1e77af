//! A constant tensor: weights, whose values are produced on demand.

use crate::dtype::{Elements, IntType};
use crate::error::{ErrorKind, Result};
use crate::kernel::{Prepacked, Scalar, Storage, WeightKey};
use crate::{DType, Data, Shape};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A constant tensor. Cheap to clone: it holds the function that makes its values, not a copy of them.
#[derive(Clone)]
pub struct Constant {
    id: u64,
    name: String,
    shape: Shape,
    dtype: DType,
    parameters: u64,
    values: Arc<dyn Fn() -> Data + Send + Sync>,
    /// The values as narrow integers, if the constant was made from such.
    packed: Option<(IntType, Bytes)>,
    quantised: Option<Arc<Quantised>>,
}

type Bytes = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;

/// The integers from which a constant's numbers were computed: `(weight - zero_point) * scale`.
#[derive(Clone)]
pub(crate) struct Quantised {
    /// Packed integers of 4 or 8 bits.
    pub(crate) weight: Constant,
    pub(crate) scale: Constant,
    pub(crate) zero_point: Option<Constant>,
    /// The axis along which scales differ, and the size of blocks that share a scale. `None` for a single scale.
    pub(crate) of: Option<(usize, Option<usize>)>,
    /// True if the numbers are those of the transposed matrix.
    pub(crate) transposed: bool,
}

impl Constant {
    /// Creates a constant with these values, row-major: a vector of `f32`, `i32` or `bool`.
    ///
    /// An error unless there are as many values as the shape has elements.
    pub fn new(name: impl Into<String>, shape: impl Into<Shape>, values: impl Into<Data>) -> Result<Constant> {
        let (name, shape, values) = (name.into(), shape.into(), values.into());
        let (wanted, got) = (shape.elements(), values.view().elements());
        if wanted != got {
            let argument = format!("the values of constant \"{name}\"");
            return Err(ErrorKind::argument(argument, format_args!("{wanted} for {shape}"), got).into());
        }
        Ok(Constant::known(name, shape, values))
    }

    /// Creates a constant with values of which it is known that there are as many as the shape has elements.
    pub(crate) fn known(name: impl Into<String>, shape: impl Into<Shape>, values: impl Into<Data>) -> Constant {
        let (shape, values) = (shape.into(), values.into());
        assert_eq!(values.view().elements(), shape.elements(), "the values of a constant of shape {shape}");
        Constant::from_values(name.into(), shape, values.dtype(), Arc::new(move || values.clone()))
    }

    /// Creates a constant whose values `make` produces on demand.
    ///
    /// # Panics
    /// When the values are used: if `make` returns another number of them than the shape has elements.
    pub fn lazy(
        name: impl Into<String>,
        shape: impl Into<Shape>,
        make: impl Fn() -> Vec<f32> + Send + Sync + 'static,
    ) -> Constant {
        Constant::from_values(name.into(), shape.into(), DType::F32, Arc::new(move || Data::F32(make())))
    }

    /// Creates a constant of narrow integers, whose bytes `make` produces on demand: row-major, little-endian, two
    /// integers of 4 bits to a byte with the first in its low half, as ONNX stores them.
    ///
    /// Operations that hold weights, such as [`PackedLinear`](crate::ops::PackedLinear), keep the integers narrow on
    /// the device. As a value that operations read like any other, the constant is a tensor of [`DType::I32`].
    ///
    /// # Panics
    /// When the integers are used: if `make` returns another number of bytes than they take.
    pub fn packed(
        name: impl Into<String>,
        shape: impl Into<Shape>,
        of: IntType,
        make: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Constant {
        let (name, shape) = (name.into(), shape.into());
        let (wanted, what) = (of.bytes(shape.elements()), format!("the bytes of {name}, {of} {shape}"));
        let bytes: Bytes = Arc::new(move || {
            let bytes = make();
            assert_eq!(bytes.len(), wanted, "{what}");
            bytes
        });
        let (elements, packed) = (shape.elements(), bytes.clone());
        let values = move || Data::I32(unpacked(&packed(), of, elements));
        Constant { packed: Some((of, bytes)), ..Constant::from_values(name, shape, DType::I32, Arc::new(values)) }
    }

    fn from_values(name: String, shape: Shape, dtype: DType, values: Arc<dyn Fn() -> Data + Send + Sync>) -> Constant {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Constant { id, name, shape, dtype, parameters: 0, values, packed: None, quantised: None }
    }

    /// Returns this constant as PyTorch's `Parameter`: each of its numbers counts as learned.
    #[must_use]
    pub fn into_parameter(self) -> Constant {
        Constant { parameters: self.shape.elements() as u64, ..self }
    }

    /// Returns this constant as derived from others, whose parameters then count as its own.
    #[must_use]
    pub fn derived_from(self, others: &[&Constant]) -> Constant {
        Constant { parameters: others.iter().map(|other| other.parameters).sum(), ..self }
    }

    /// Returns the number of learned numbers in a constant that operations read like any other value: those from
    /// [`Weights`](crate::Weights), or [marked as parameters](Constant::into_parameter). ([`Op::metrics`](crate::Op::metrics) counts
    /// the constants that operations hold, of any origin.)
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Returns this constant with the integers from which its numbers were computed.
    pub(crate) fn with_quantised(self, quantised: Quantised) -> Constant {
        Constant { quantised: Some(Arc::new(quantised)), ..self }
    }

    /// Returns the integers from which the numbers were computed, if rules may use these instead.
    pub(crate) fn quantised(&self) -> Option<&Quantised> {
        self.quantised.as_deref()
    }

    /// Returns the same values under another shape, which must have as many elements.
    pub fn reshaped(&self, shape: impl Into<Shape>) -> Result<Constant> {
        let shape = shape.into();
        if shape.elements() != self.shape.elements() {
            let wanted = format_args!("{} elements, as {} has", self.shape.elements(), self.shape);
            return Err(ErrorKind::argument("shape", wanted, shape).into());
        }
        Ok(self.with_shape(shape))
    }

    /// Returns the same values under another shape, of which it is known that it has as many elements.
    pub(crate) fn with_shape(&self, shape: impl Into<Shape>) -> Constant {
        let shape = shape.into();
        assert_eq!(shape.elements(), self.shape.elements(), "{shape} for the values of {self:?}");
        // The scales' axis is one of the old shape.
        Constant { shape, quantised: None, ..self.clone() }
    }

    /// Returns some of the rows of a weight `[rows, ..]`. The same rows of the same constant are one constant, so sessions
    /// of different graphs share their memory.
    pub(crate) fn rows_of(&self, rows: &Range<usize>) -> Constant {
        let each: usize = self.shape[1..].iter().product();
        let (from, elements) = (self.clone(), rows.start * each..rows.end * each);
        let key = WeightKey::new("rows of").constants([Some(self.id)]).sizes([elements.start, elements.end]);
        let shape = Shape::from([&[rows.len()], &self.shape[1..]].concat());
        Constant::lazy(self.name(), shape, move || from.values()[elements.clone()].to_vec()).computed_as(key)
    }

    /// Returns this constant with the id of every constant that was computed so. The key names the computation and all
    /// that the values depend on. Graphs that are built again, such as those of one network for several sizes, thereby
    /// share the memory of weights that rules have computed for each.
    pub(crate) fn computed_as(self, key: WeightKey) -> Constant {
        static IDS: Mutex<BTreeMap<WeightKey, u64>> = Mutex::new(BTreeMap::new());
        let mut ids = IDS.lock().unwrap_or_else(PoisonError::into_inner);
        let id = *ids.entry(key).or_insert(self.id);
        forget_oldest(&mut ids, MOST_IDS);
        Constant { id, ..self }
    }

    /// Returns an id that no constant with other values has in this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the constant's name in the weights file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Returns the type of the [narrow integers](Constant::packed) that the constant holds, if any.
    pub fn int_type(&self) -> Option<IntType> {
        self.packed.as_ref().map(|&(of, _)| of)
    }

    /// Returns the narrow integers of up to 8 bits, each in a byte and offset so that the least is 0.
    pub(crate) fn counted(&self) -> Vec<u8> {
        let (of, bytes) = self.packed.as_ref().expect("it was checked");
        let (bytes, sign) = (bytes(), of.offset() as u8);
        match of.bits() {
            4 => {
                let halves = bytes.into_iter().flat_map(|byte| [(byte & 15) ^ sign, (byte >> 4) ^ sign]);
                halves.take(self.shape.elements()).collect()
            }
            _ => bytes.into_iter().map(|byte| byte ^ sign).collect(),
        }
    }

    /// Returns the values as operations read any other tensor: row-major in a buffer, as bits if they aren't `f32`s.
    pub(crate) fn rows(&self) -> Prepacked {
        let texels = self.shape.elements().div_ceil(4).max(1);
        let constant = self.clone();
        let values = move || {
            let mut values = match constant.data() {
                Data::F32(values) => values,
                Data::I32(values) => values.into_iter().map(|value| f32::from_bits(value as u32)).collect(),
                Data::Bool(values) => values.into_iter().map(|value| f32::from_bits(value.into())).collect(),
            };
            values.resize(texels * 4, 0.0);
            values
        };
        Prepacked::new(WeightKey::new("rows").constants([Some(self.id)]), Storage::Buffer, (1, texels), values)
    }

    /// Returns true if the values may be stored so. A single `f16`, such as an epsilon, would save nothing.
    pub(crate) fn fits(&self, scalar: Scalar) -> bool {
        let several = self.dtype == DType::F32 && self.shape.elements() > 1;
        scalar == Scalar::F32 || (several && scalar.holds(&self.values()))
    }

    /// Returns the values, row-major.
    pub fn data(&self) -> Data {
        let data = (self.values)();
        assert_eq!(data.view().elements(), self.shape.elements(), "the values of {self:?}");
        data
    }

    /// Returns the values, row-major, as `f32`s: the form of weights.
    pub fn values(&self) -> Vec<f32> {
        match self.data() {
            Data::F32(values) => values,
            other => other.to_f32(),
        }
    }
}

/// The number of computed constants whose ids are known: more than the networks in use have. One that is forgotten and computed
/// again gets another id, and memory of its own.
const MOST_IDS: usize = 1 << 16;

/// Drops the older half of the ids if there are more than `most`.
fn forget_oldest<K: Ord>(ids: &mut BTreeMap<K, u64>, most: usize) {
    if ids.len() > most {
        let mut all: Vec<u64> = ids.values().copied().collect();
        let (_, &mut middle, _) = all.select_nth_unstable(most / 2);
        ids.retain(|_, id| *id > middle);
    }
}

fn unpacked(bytes: &[u8], of: IntType, count: usize) -> Vec<i32> {
    let signed = |bits: u32| ((bits as i32) ^ of.offset()) - of.offset();
    match of.bits() {
        4 => {
            bytes.iter().flat_map(|&byte| [byte & 15, byte >> 4]).take(count).map(|half| signed(half.into())).collect()
        }
        8 => bytes.iter().map(|&byte| signed(byte.into())).collect(),
        _ => bytes.chunks_exact(2).map(|pair| signed(u16::from_le_bytes([pair[0], pair[1]]).into())).collect(),
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Constant({} {})", self.name, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        let error = Constant::new("w", [2, 3], vec![1.0; 5]).unwrap_err().to_string();
        assert!(error.contains("the values of constant \"w\": wanted 6 for [2, 3], got 5"), "{error}");
        let error = Constant::new("w", [2, 3], vec![1; 6]).unwrap().reshaped([4]).unwrap_err().to_string();
        assert!(error.contains("shape: wanted 6 elements, as [2, 3] has, got [4]"), "{error}");
    }

    #[test]
    fn the_same_rows_are_the_same_constant() {
        let whole = Constant::known("w", [3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let rows = whole.rows_of(&(1..3));
        assert_eq!((rows.shape().to_vec(), rows.values()), (vec![2, 2], vec![2.0, 3.0, 4.0, 5.0]));
        assert_eq!(rows.id(), whole.with_shape([3, 2, 1]).rows_of(&(1..3)).id());
        let others = [whole.id(), whole.rows_of(&(0..2)).id(), rows.rows_of(&(0..1)).id()];
        assert!(!others.contains(&rows.id()), "{others:?}");
    }

    /// The ids of constants that were computed long ago are forgotten.
    #[test]
    fn ids_are_not_kept_for_ever() {
        let mut ids = BTreeMap::new();
        for id in 0..100 {
            ids.insert(id * 37 % 101, id);
            forget_oldest(&mut ids, 10);
            assert!(ids.len() <= 10 && ids.values().any(|&kept| kept == id));
        }
        assert!(ids.values().all(|&id| id >= 90));
    }

    #[test]
    fn narrow_integers_are_unpacked() {
        let constant = |of, bytes: &[u8], count: usize| {
            let bytes = bytes.to_vec();
            Constant::packed("w", [count], of, move || bytes.clone())
        };
        let data = |of, bytes: &[u8], count| constant(of, bytes, count).data();
        assert_eq!(data(IntType::U4, &[0x21, 0x8f, 0x07], 5), [1, 2, 15, 8, 7]);
        assert_eq!(data(IntType::I4, &[0x21, 0x8f, 0x07], 5), [1, 2, -1, -8, 7]);
        assert_eq!(data(IntType::U8, &[0, 127, 128, 255], 4), [0, 127, 128, 255]);
        assert_eq!(data(IntType::I8, &[0, 127, 128, 255], 4), [0, 127, -128, -1]);
        assert_eq!(data(IntType::U16, &[1, 2, 0xff, 0xff], 2), [513, 65_535]);
        assert_eq!(data(IntType::I16, &[1, 2, 0xff, 0xff], 2), [513, -1]);
        assert_eq!(constant(IntType::I4, &[0x21, 0x8f, 0x07], 5).counted(), [9, 10, 7, 0, 15]);
        assert_eq!(constant(IntType::U4, &[0x21, 0x8f, 0x07], 5).counted(), [1, 2, 15, 8, 7]);
        assert_eq!(constant(IntType::I8, &[0, 127, 128, 255], 4).counted(), [128, 255, 0, 127]);
        let learned = constant(IntType::I8, &[1; 6], 6).into_parameter().reshaped([2, 3]).unwrap();
        assert_eq!((learned.parameters(), learned.dtype(), learned.int_type()), (6, DType::I32, Some(IntType::I8)));
        assert_eq!(IntType::I16.range(), [-32_768, 32_767]);
        assert_eq!(IntType::U4.range(), [0, 15]);
    }
}
