//! A constant tensor: weights, with values that are produced when they are wanted.

use crate::dtype::Elements;
use crate::{DType, Data, Shape};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A constant tensor. Cheap to clone: it holds the way to its values, not a copy of them.
#[derive(Clone)]
pub struct Constant {
    id: u64,
    name: String,
    shape: Shape,
    dtype: DType,
    parameters: u64,
    values: Arc<dyn Fn() -> Data + Send + Sync>,
}

impl Constant {
    /// A constant with these values, row-major.
    ///
    /// # Panics
    /// If there are not as many values as the shape has elements.
    pub fn new(name: impl Into<String>, shape: impl Into<Shape>, values: Vec<f32>) -> Constant {
        let shape = shape.into();
        assert_eq!(values.len(), shape.elements(), "the values of a constant of shape {shape}");
        Constant::lazy(name, shape, move || values.clone())
    }

    /// A constant with these integers, row-major.
    ///
    /// # Panics
    /// If there are not as many values as the shape has elements.
    pub fn integers(name: impl Into<String>, shape: impl Into<Shape>, values: Vec<i32>) -> Constant {
        let shape = shape.into();
        assert_eq!(values.len(), shape.elements(), "the values of a constant of shape {shape}");
        Constant::of(name.into(), shape, DType::I32, Arc::new(move || Data::I32(values.clone())))
    }

    /// A constant whose values `make` produces, whenever they are wanted: as many as the shape has elements.
    pub fn lazy(
        name: impl Into<String>,
        shape: impl Into<Shape>,
        make: impl Fn() -> Vec<f32> + Send + Sync + 'static,
    ) -> Constant {
        Constant::of(name.into(), shape.into(), DType::F32, Arc::new(move || Data::F32(make())))
    }

    fn of(name: String, shape: Shape, dtype: DType, values: Arc<dyn Fn() -> Data + Send + Sync>) -> Constant {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Constant { id, name, shape, dtype, parameters: 0, values }
    }

    /// This constant as one that was learned: each of its numbers is a parameter.
    #[must_use]
    pub fn learned(self) -> Constant {
        Constant { parameters: self.shape.elements() as u64, ..self }
    }

    /// This constant as one whose values are made from others, whose parameters are then its own.
    #[must_use]
    pub fn made_of(self, others: &[&Constant]) -> Constant {
        Constant { parameters: others.iter().map(|other| other.parameters).sum(), ..self }
    }

    /// How many learned numbers it stands for, as a value that operations read like any other: those that
    /// [`Weights`](crate::Weights) gave, or that were [said to be learned](Constant::learned). (What an operation holds is counted
    /// by [`Op::cost`](crate::Op::cost), wherever it comes from.)
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// The same values under another shape, with as many elements.
    ///
    /// # Panics
    /// If it has another number of elements.
    #[must_use]
    pub fn reshaped(&self, shape: impl Into<Shape>) -> Constant {
        let shape = shape.into();
        assert_eq!(shape.elements(), self.shape.elements(), "{shape} for the values of {self:?}");
        Constant { shape, ..self.clone() }
    }

    /// A number that no constant with other values has in this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name that the weights file gives it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its values, row-major.
    pub fn data(&self) -> Data {
        let data = (self.values)();
        assert_eq!(data.view().elements(), self.shape.elements(), "the values of {self:?}");
        data
    }

    /// Its values, row-major, as `f32`s: what weights are.
    pub fn values(&self) -> Vec<f32> {
        match self.data() {
            Data::F32(values) => values,
            other => other.to_f32(),
        }
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Constant({} {})", self.name, self.shape)
    }
}
