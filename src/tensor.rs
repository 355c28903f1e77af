//! Tensors in host memory: what a session takes by name or position, and what it gives.

use crate::dtype::{DType, Data, Elements, View};
use crate::error::{ErrorKind, Result};
use crate::shape::Shape;
use std::ops::Index;
use std::sync::Arc;

/// A tensor in host memory: a shape, and as many values, row-major.
///
/// ```
/// use shadernet::Tensor;
/// let tensor = Tensor::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!((tensor.shape().to_string(), tensor.f32()?[5]), ("[2, 3]".into(), 6.0));
/// assert!(Tensor::new([2, 2], vec![1.0]).is_err());
/// # Ok::<(), shadernet::Error>(())
/// ```
///
/// With the feature `ndarray` a tensor is made from an array or a view of one, and becomes an array again:
///
/// ```
/// # #[cfg(feature = "ndarray")] {
/// use shadernet::Tensor;
/// let image = ndarray::Array3::<f32>::zeros((224, 224, 3));
/// let planes = Tensor::from(&image.view().permuted_axes([2, 0, 1]));
/// assert_eq!(planes.shape().to_string(), "[3, 224, 224]");
/// let array: ndarray::ArrayD<f32> = planes.try_into()?;
/// # }
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Shape,
    data: Data,
}

impl Tensor {
    /// Creates a tensor of a vector of `f32`, `i32` or `bool`.
    ///
    /// An error unless there are as many values as the shape has elements.
    pub fn new(shape: impl Into<Shape>, values: impl Into<Data>) -> Result<Tensor> {
        let (shape, data) = (shape.into(), values.into());
        let (wanted, got) = (shape.elements(), data.view().elements());
        if wanted != got {
            return Err(ErrorKind::argument("values", format_args!("{wanted} for {shape}"), got).into());
        }
        Ok(Tensor { shape, data })
    }

    /// Returns the shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the values.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Returns the values, without their shape.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// Returns the type of the elements.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// Converts the values to `f32`s: integers are rounded to the nearest, true is 1.
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.to_f32()
    }
}

macro_rules! element {
    ($type:ty, $borrow:ident, $take:ident) => {
        impl Tensor {
            #[doc = concat!("Returns the values, if they are `", stringify!($type), "`; otherwise an error.")]
            pub fn $borrow(&self) -> Result<&[$type]> {
                self.data.$borrow()
            }

            #[doc = concat!("Returns the values, if they are `", stringify!($type), "`; otherwise an error.")]
            pub fn $take(self) -> Result<Vec<$type>> {
                self.data.$take()
            }
        }

        /// Compares the values alone.
        impl<const N: usize> PartialEq<[$type; N]> for Tensor {
            fn eq(&self, other: &[$type; N]) -> bool {
                self.data == *other
            }
        }

        /// Compares the values alone.
        impl PartialEq<Vec<$type>> for Tensor {
            fn eq(&self, other: &Vec<$type>) -> bool {
                self.data == *other
            }
        }

        #[cfg(feature = "ndarray")]
        impl TryFrom<Tensor> for ndarray::ArrayD<$type> {
            type Error = crate::Error;

            fn try_from(tensor: Tensor) -> Result<Self> {
                let shape = tensor.shape.to_vec();
                let array = ndarray::ArrayD::from_shape_vec(shape, tensor.data.$take()?);
                array.map_err(|error| ErrorKind::argument("shape", "what ndarray takes", error).into())
            }
        }
    };
}

element!(f32, f32, into_f32);
element!(i32, i32, into_i32);
element!(bool, bool, into_bool);

impl Elements for Tensor {
    fn view(&self) -> View<'_> {
        self.data.view()
    }

    fn shape(&self) -> Option<&Shape> {
        Some(&self.shape)
    }
}

#[cfg(feature = "ndarray")]
impl<T, S, D> From<&ndarray::ArrayBase<S, D>> for Tensor
where
    T: Clone,
    S: ndarray::Data<Elem = T>,
    D: ndarray::Dimension,
    Vec<T>: Into<Data>,
{
    fn from(array: &ndarray::ArrayBase<S, D>) -> Tensor {
        let values: Vec<T> = array.iter().cloned().collect();
        Tensor { shape: array.shape().into(), data: values.into() }
    }
}

/// The outputs of one frame, in the order in which the graph names them.
///
/// ```no_run
/// # async fn run(session: &shadernet::Session, image: Vec<f32>) -> shadernet::Result<()> {
/// let outputs = session.run(&[("image", image)]).await?;
/// println!("{} boxes, {:?}", outputs["boxes"].shape(), outputs[1].f32()?);
/// let scores = outputs.take("scores")?.into_f32()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    names: Arc<[String]>,
    tensors: Vec<Tensor>,
}

impl Outputs {
    pub(crate) fn new(names: Arc<[String]>, tensors: Vec<Tensor>) -> Outputs {
        Outputs { names, tensors }
    }

    /// Returns the number of outputs.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Returns true if the graph names no output.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Returns the output of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.position(name).map(|position| &self.tensors[position])
    }

    /// Returns the output of that name and drops the others. An error lists the names that there are.
    pub fn take(mut self, name: &str) -> Result<Tensor> {
        match self.position(name) {
            Some(position) => Ok(self.tensors.swap_remove(position)),
            None => Err(ErrorKind::argument("output", self.names.join(", "), name).into()),
        }
    }

    /// Returns the names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the tensors, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tensor> {
        self.tensors.iter()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }
}

/// # Panics
/// If there are fewer outputs.
impl Index<usize> for Outputs {
    type Output = Tensor;

    fn index(&self, position: usize) -> &Tensor {
        &self.tensors[position]
    }
}

/// # Panics
/// If there is no output of that name. [`Outputs::get`] returns `None` then.
impl Index<&str> for Outputs {
    type Output = Tensor;

    fn index(&self, name: &str) -> &Tensor {
        self.get(name).unwrap_or_else(|| panic!("no output \"{name}\": there are {}", self.names.join(", ")))
    }
}

/// Gives the tensors, in order.
impl IntoIterator for Outputs {
    type Item = Tensor;
    type IntoIter = std::vec::IntoIter<Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

impl<'a> IntoIterator for &'a Outputs {
    type Item = &'a Tensor;
    type IntoIter = std::slice::Iter<'a, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Compares the values alone, in order.
impl<T, const N: usize> PartialEq<[T; N]> for Outputs
where
    Tensor: PartialEq<T>,
{
    fn eq(&self, other: &[T; N]) -> bool {
        self.tensors == *other
    }
}

/// Compares the values alone, in order.
impl<T> PartialEq<Vec<T>> for Outputs
where
    Tensor: PartialEq<T>,
{
    fn eq(&self, other: &Vec<T>) -> bool {
        self.tensors == *other
    }
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use super::*;
    use ndarray::{Array2, ArrayD, array};

    #[test]
    fn arrays_become_tensors_and_arrays_again() {
        let rows: Array2<i32> = array![[1, 2, 3], [4, 5, 6]];
        let tensor = Tensor::from(&rows.t());
        assert_eq!(tensor, Tensor::new([3, 2], vec![1, 4, 2, 5, 3, 6]).unwrap());
        assert_eq!(ArrayD::<i32>::try_from(tensor.clone()).unwrap(), rows.t().into_dyn());
        assert!(ArrayD::<f32>::try_from(tensor).unwrap_err().to_string().contains("wanted f32, got i32"));
    }

    #[test]
    fn values_are_taken_only_as_their_own_type() {
        let (integers, bools) = (Tensor::new([2], vec![3, -4]).unwrap(), Tensor::new([2], vec![true, false]).unwrap());
        assert_eq!(integers.clone().into_i32().unwrap(), [3, -4]);
        assert_eq!(bools.clone().into_bool().unwrap(), [true, false]);
        assert!(integers.into_bool().is_err() && bools.into_i32().is_err());
    }
}
