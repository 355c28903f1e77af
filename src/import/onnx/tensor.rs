//! Tensors that are known when a graph is built: initializers, constants, values computed from these and from shapes.

use super::element::ElementType;
use super::stored::Stored;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Quantised;
use crate::{Constant, Data, Shape};
use std::borrow::Cow;
use std::sync::Arc;

/// A tensor in host memory, or in a file that is read on demand.
#[derive(Clone)]
pub(super) struct Tensor {
    pub(super) element: ElementType,
    pub(super) shape: Shape,
    values: Values,
    /// True if all elements are one number. Such a tensor may exceed `MOST_FOLDED`: only the device reads it.
    pub(super) filled: bool,
    /// True if the tensor is the same for all sizes of the inputs: graphs for several sizes may share it.
    pub(super) fixed: bool,
}

#[derive(Clone)]
enum Values {
    /// Integers or booleans.
    Ints(Arc<Vec<i64>>),
    /// Integers or booleans in a file.
    Stored(Arc<Stored>),
    /// Floating-point numbers.
    Floats(Constant),
}

/// The maximum number of elements of a tensor that is computed on the host. A tensor made from a larger one may be as
/// large as that one, because that one is in the file.
pub(super) const MOST_FOLDED: usize = 1 << 24;

/// The maximum number of elements that are computed at once. Larger tensors that are only moved are lazy.
const EAGER: usize = 1 << 12;

impl Tensor {
    pub(super) fn ints(element: ElementType, shape: impl Into<Shape>, values: Vec<i64>) -> Tensor {
        Tensor { element, shape: shape.into(), values: Values::Ints(Arc::new(values)), filled: false, fixed: true }
    }

    pub(super) fn floats(element: ElementType, shape: impl Into<Shape>, values: Vec<f32>) -> Tensor {
        Tensor::of_constant(element, Constant::known("", shape, values))
    }

    /// Creates a tensor of a constant's floating-point numbers.
    pub(super) fn of_constant(element: ElementType, constant: Constant) -> Tensor {
        let shape = constant.shape().clone();
        Tensor { element, shape, values: Values::Floats(constant), filled: false, fixed: true }
    }

    /// Creates a vector of sizes, as the operator `Shape` returns it.
    pub(super) fn sizes(sizes: &[usize]) -> Tensor {
        Tensor::ints(ElementType::I64, [sizes.len()], sizes.iter().map(|&size| size as i64).collect())
    }

    pub(super) fn scalar(element: ElementType, value: f64) -> Tensor {
        match element.is_float() {
            true => Tensor::floats(element, [], vec![value as f32]),
            false => Tensor::ints(element, [], vec![element.wrap(value as i64)]),
        }
    }

    /// Creates a tensor with one number everywhere.
    pub(super) fn filled(element: ElementType, shape: Shape, value: f64) -> Result<Tensor, ErrorKind> {
        if !element.is_float() {
            let count = foldable(&shape)?;
            return Ok(Tensor::ints(element, shape, vec![element.wrap(value as i64); count]));
        }
        let count = shape.elements();
        let constant = Constant::lazy("", shape, move || vec![value as f32; count]);
        Ok(Tensor { filled: true, ..Tensor::of_constant(element, constant) })
    }

    /// Creates a tensor without elements, which is known however it is computed.
    pub(super) fn empty(element: ElementType, shape: Shape) -> Tensor {
        let tensor = match element.is_float() {
            true => Tensor::floats(element, shape, Vec::new()),
            false => Tensor::ints(element, shape, Vec::new()),
        };
        tensor.with_fixed(false)
    }

    /// Creates a tensor of a file. `name` is the name of its constant.
    pub(super) fn stored(name: &str, stored: Arc<Stored>) -> Tensor {
        let (element, shape) = (stored.element, stored.shape.clone());
        let values = match element.is_float() {
            true => Values::Floats(Constant::lazy(name, shape.clone(), move || stored.floats()).into_parameter()),
            false => Values::Stored(stored),
        };
        Tensor { element, shape, values, filled: false, fixed: true }
    }

    /// Creates a tensor from a user's values.
    pub(super) fn given(element: ElementType, tensor: &crate::Tensor) -> Tensor {
        let ints = |values: Vec<i64>| Tensor::ints(element, tensor.shape().clone(), values);
        match tensor.data() {
            Data::F32(values) => Tensor::floats(element, tensor.shape().clone(), values.clone()),
            Data::I32(values) => ints(values.iter().map(|&value| value.into()).collect()),
            Data::Bool(values) => ints(values.iter().map(|&value| value.into()).collect()),
        }
    }

    pub(super) fn elements(&self) -> usize {
        self.shape.elements()
    }

    /// Returns the integers or booleans. Fails for floating-point numbers.
    pub(super) fn as_ints(&self) -> Result<Cow<'_, [i64]>, ErrorKind> {
        match &self.values {
            Values::Ints(values) => Ok(Cow::Borrowed(values)),
            Values::Stored(stored) => Ok(Cow::Owned(stored.ints())),
            Values::Floats(_) => Err(ErrorKind::argument("elements", "integers", self.element)),
        }
    }

    /// Returns the floating-point numbers. Fails for integers and booleans.
    pub(super) fn constant(&self) -> Result<Constant, ErrorKind> {
        match &self.values {
            Values::Floats(constant) => Ok(constant.clone()),
            _ => Err(ErrorKind::argument("elements", "floating-point numbers", self.element)),
        }
    }

    /// Returns the values in the device's types. Fails if an integer doesn't fit in 32 bits.
    pub(super) fn data(&self) -> Result<Data, ErrorKind> {
        if let Values::Floats(constant) = &self.values {
            return Ok(Data::F32(constant.values()));
        }
        let values = self.as_ints()?;
        if self.element == ElementType::Bool {
            return Ok(Data::Bool(values.iter().map(|&value| value != 0).collect()));
        }
        let value = |&value: &i64| {
            // A `uint64` is stored in an `i64`, so a negative number stands for a larger one.
            let large = value < 0 && self.element == ElementType::U64;
            let small = i32::try_from(value).ok().filter(|_| !large);
            small.ok_or_else(|| {
                let got = if large { (value as u64).to_string() } else { value.to_string() };
                ErrorKind::argument("values", "integers of 32 bits", got)
            })
        };
        Ok(Data::I32(values.iter().map(value).collect::<Result<_, _>>()?))
    }

    /// Returns all numbers, exact except for integers beyond 2^53.
    pub(super) fn numbers(&self) -> Vec<f64> {
        match &self.values {
            Values::Floats(constant) => constant.values().into_iter().map(f64::from).collect(),
            _ => self.whole().into_iter().map(|value| value as f64).collect(),
        }
    }

    /// Returns all integers or booleans; nothing for floating-point numbers.
    pub(super) fn whole(&self) -> Vec<i128> {
        let values = self.as_ints().unwrap_or_default();
        match self.element {
            ElementType::U64 => values.iter().map(|&value| i128::from(value as u64)).collect(),
            _ => values.iter().map(|&value| value.into()).collect(),
        }
    }

    /// Returns the only number, if the tensor has one element.
    pub(super) fn number(&self) -> Option<f64> {
        Some(self.as_many(1)?[0])
    }

    /// Returns the numbers, if there are exactly `count`.
    pub(super) fn as_many(&self, count: usize) -> Option<Vec<f64>> {
        (self.elements() == count).then(|| self.numbers())
    }

    /// Returns the packed integers of a file, if the tensor has their shape.
    pub(super) fn packed(&self) -> Option<&Arc<Stored>> {
        match &self.values {
            Values::Stored(stored) if self.shape == stored.shape => Some(stored),
            _ => None,
        }
    }

    /// Returns an address that identifies integers in a file as long as the network exists.
    pub(super) fn place(&self) -> Option<usize> {
        match &self.values {
            Values::Stored(stored) => Some(Arc::as_ptr(stored) as usize),
            _ => None,
        }
    }

    /// Casts the numbers to another type, which rounds the numbers that it can't hold.
    pub(super) fn cast(&self, element: ElementType) -> Result<Tensor, ErrorKind> {
        if element == ElementType::String {
            return Err(ErrorKind::Unsupported("strings".into()));
        }
        if !matches!((element.is_float(), &self.values), (true, Values::Floats(_))) {
            made_of(&self.shape, &[self])?;
        }
        let values = match (element.is_float(), &self.values) {
            _ if element == self.element => return Ok(self.clone()),
            (true, Values::Floats(constant)) => Values::Floats(rounded(constant, element)?),
            (true, _) => {
                let values = self.numbers().into_iter().map(|value| value as f32).collect::<Vec<_>>();
                let constant = Constant::known("", self.shape.clone(), values);
                // Narrow integers in a file are weights: some files spell their dequantisation out.
                let learned = self.place().is_some() && self.element.int_type().is_some();
                let constant = if learned { constant.into_parameter() } else { constant };
                Values::Floats(rounded(&constant, element)?)
            }
            (false, Values::Floats(constant)) => {
                let values = constant.values();
                let values = values.iter().map(|&value| match element {
                    ElementType::Bool => i64::from(value != 0.0),
                    // The device also casts by way of 32 bits.
                    _ if element.bits() < 64 && element != ElementType::U32 => element.wrap((value as i32).into()),
                    _ => element.wrap(value as i64),
                });
                Values::Ints(Arc::new(values.collect()))
            }
            (false, _) => {
                let wrap = |&value: &i64| match element {
                    ElementType::Bool => i64::from(value != 0),
                    _ => element.wrap(value),
                };
                Values::Ints(Arc::new(self.as_ints()?.iter().map(wrap).collect()))
            }
        };
        Ok(Tensor { element, shape: self.shape.clone(), values, ..self.clone() })
    }

    /// Returns the same elements under another shape with as many elements.
    pub(super) fn reshaped(&self, shape: Shape) -> Tensor {
        let values = match &self.values {
            Values::Floats(constant) => Values::Floats(constant.with_shape(shape.clone())),
            Values::Stored(stored) if shape != stored.shape => Values::Ints(Arc::new(stored.ints())),
            other => other.clone(),
        };
        Tensor { shape, values, ..self.clone() }
    }

    /// Returns the elements at `strides` from `first` on, as a tensor of `shape`.
    pub(super) fn strided(&self, shape: Shape, first: usize, strides: Vec<isize>) -> Result<Tensor, ErrorKind> {
        let count = made_of(&shape, &[self])?;
        let places = move |shape: &Shape| places(shape, first, &strides);
        let values = match &self.values {
            Values::Floats(constant) if count > EAGER => {
                let (base, of) = (constant.clone(), shape.clone());
                let moved = move || {
                    let values = base.values();
                    places(&of).map(|place| values[place]).collect()
                };
                let name = constant.name().to_owned();
                Values::Floats(Constant::lazy(name, shape.clone(), moved).derived_from(&[constant]))
            }
            Values::Floats(constant) => {
                let values = constant.values();
                let moved: Vec<f32> = places(&shape).map(|place| values[place]).collect();
                Values::Floats(Constant::known(constant.name(), shape.clone(), moved).derived_from(&[constant]))
            }
            _ => {
                let values = self.as_ints()?;
                Values::Ints(Arc::new(places(&shape).map(|place| values[place]).collect()))
            }
        };
        Ok(Tensor { shape, values, ..self.clone() })
    }

    /// Returns the transposed matrix.
    pub(super) fn turned(&self) -> Result<Tensor, ErrorKind> {
        let &[rows, columns] = &self.shape[..] else {
            return Err(ErrorKind::argument("a constant", "2 dimensions", &self.shape));
        };
        let turned = self.strided([columns, rows].into(), 0, vec![1, columns as isize])?;
        let quantised = self.constant().ok().and_then(|constant| constant.quantised().cloned());
        let (Some(of), Ok(constant)) = (quantised, turned.constant()) else { return Ok(turned) };
        Ok(turned.with_constant(constant.with_quantised(Quantised { transposed: !of.transposed, ..of })))
    }

    /// Returns the elements at these positions, as a tensor of `shape`.
    pub(super) fn picked(&self, shape: Shape, places: &[usize]) -> Result<Tensor, ErrorKind> {
        made_of(&shape, &[self])?;
        let values = match &self.values {
            Values::Floats(constant) => {
                let values = constant.values();
                let picked: Vec<f32> = places.iter().map(|&place| values[place]).collect();
                Values::Floats(Constant::known(constant.name(), shape.clone(), picked).derived_from(&[constant]))
            }
            _ => {
                let values = self.as_ints()?;
                Values::Ints(Arc::new(places.iter().map(|&place| values[place]).collect()))
            }
        };
        Ok(Tensor { shape, values, ..self.clone() })
    }

    /// Creates a tensor of numbers that were computed from the tensors `of`.
    pub(super) fn computed(element: ElementType, shape: Shape, numbers: Vec<f64>, of: &[&Tensor]) -> Tensor {
        if !element.is_float() {
            return Tensor::computed_ints(element, shape, numbers.into_iter().map(|value| value as i128).collect(), of);
        }
        let values = numbers.into_iter().map(|value| value as f32).collect::<Vec<_>>();
        let mut learned: Vec<Constant> = of.iter().filter_map(|tensor| tensor.constant().ok()).collect();
        learned.dedup_by_key(|constant| constant.id());
        let constant = Constant::known("", shape, values).derived_from(&learned.iter().collect::<Vec<_>>());
        Tensor::of_constant(element, constant).with_fixed(of.iter().all(|tensor| tensor.fixed))
    }

    /// Creates a tensor of integers that were computed from the tensors `of`. Integers beyond the type wrap around.
    pub(super) fn computed_ints(element: ElementType, shape: Shape, numbers: Vec<i128>, of: &[&Tensor]) -> Tensor {
        let values = numbers.into_iter().map(|value| element.wrap(value as i64)).collect();
        Tensor::ints(element, shape, values).with_fixed(of.iter().all(|tensor| tensor.fixed))
    }

    #[must_use]
    pub(super) fn with_fixed(self, fixed: bool) -> Tensor {
        Tensor { fixed, ..self }
    }

    /// Replaces the constant by an equal one that was made before, whose identity the tensor then shares.
    pub(super) fn with_constant(self, constant: Constant) -> Tensor {
        Tensor { values: Values::Floats(constant), ..self }
    }
}

/// Returns the number of elements of a shape. Fails if they are too many to compute on the host.
pub(super) fn foldable(shape: &Shape) -> Result<usize, ErrorKind> {
    made_of(shape, &[])
}

/// Returns the element count of a tensor made from `of`. Its limit is at least the largest of `of` that isn't `filled`.
pub(super) fn made_of(shape: &Shape, of: &[&Tensor]) -> Result<usize, ErrorKind> {
    let read = of.iter().filter(|tensor| !tensor.filled).map(|tensor| tensor.elements());
    let most = read.fold(MOST_FOLDED, usize::max);
    // A size of 0 counts as 1, because loops still run over the other sizes.
    let steps = |shape: &Shape| shape.iter().fold(1usize, |product, &size| product.saturating_mul(size.max(1)));
    match of.iter().map(|tensor| &tensor.shape).chain([shape]).find(|shape| steps(shape) > most) {
        None => Ok(shape.elements()),
        Some(large) => Err(ErrorKind::argument("a constant", format_args!("at most {most} elements"), large)),
    }
}

/// Returns the positions in memory of a view's elements, in order.
pub(super) fn places(shape: &Shape, first: usize, strides: &[isize]) -> impl Iterator<Item = usize> + use<> {
    let mut index = vec![0; shape.len()];
    let (shape, strides, mut place) = (shape.clone(), strides.to_vec(), first as isize);
    let count = shape.elements();
    (0..count).map(move |_| {
        let here = place;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            place += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            place -= strides[axis] * shape[axis] as isize;
            index[axis] = 0;
        }
        here as usize
    })
}

/// Rounds numbers to the values that a type holds.
fn rounded(constant: &Constant, element: ElementType) -> Result<Constant, ErrorKind> {
    let round: fn(f32) -> f32 = match element {
        ElementType::F32 | ElementType::F64 => return Ok(constant.clone()),
        ElementType::F16 => |value| half::f16::from_f32(value).to_f32(),
        ElementType::BF16 => |value| half::bf16::from_f32(value).to_f32(),
        _ => return Err(ErrorKind::Unsupported(format!("constants that are rounded to {element}"))),
    };
    let base = constant.clone();
    let values = move || base.values().into_iter().map(round).collect();
    Ok(Constant::lazy(constant.name(), constant.shape().clone(), values).derived_from(&[constant]))
}
