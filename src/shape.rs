//! The shape of a tensor: its sizes, outermost first, stored row-major.

use crate::error::ErrorKind;
use std::fmt;
use std::ops::Deref;

/// The size of a graph input's first dimension that stands for the batch of the
/// [`Session`](crate::Session): a graph is built once, for any batch.
pub const BATCH: usize = usize::MAX;

/// The sizes of a tensor, outermost dimension first. Images are `[N, C, H, W]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

/// The most elements of a tensor: no device holds as many, and neither products of sizes nor numbers of bits overflow.
const MOST_ELEMENTS: usize = {
    let (most, counted): (u64, u64) = (1 << 40, usize::MAX as u64 / 64);
    if most < counted { most as usize } else { counted as usize }
};

/// The most dimensions of a tensor: operations take at most 8, and a file may have a few more in between.
const MOST_DIMENSIONS: usize = 64;

impl Shape {
    /// Refuses sizes above 2^40, so that sums of sizes don't overflow.
    pub(crate) fn addable(&self) -> Result<(), ErrorKind> {
        match self.iter().all(|&size| size <= MOST_ELEMENTS) {
            true => Ok(()),
            false => Err(ErrorKind::argument("shape", "sizes of 2^40 at most", self)),
        }
    }

    /// Refuses more than 2^40 elements or 64 dimensions.
    pub(crate) fn countable(&self) -> Result<(), ErrorKind> {
        // A size of 0 must not hide other sizes whose product overflows.
        let product = self.iter().try_fold(1usize, |product, &size| product.checked_mul(size.max(1)));
        match product.filter(|&product| product <= MOST_ELEMENTS && self.len() <= MOST_DIMENSIONS) {
            Some(_) => Ok(()),
            None => {
                let (wanted, got) = (format!("{MOST_DIMENSIONS} dimensions and 2^40 elements at most"), self.len());
                let got = if got > MOST_DIMENSIONS { format!("{got} dimensions") } else { self.to_string() };
                Err(ErrorKind::argument("shape", wanted, got))
            }
        }
    }

    /// Returns the number of elements: the product of the sizes (1 for a scalar; `usize::MAX` if it is beyond that).
    pub fn elements(&self) -> usize {
        self.0.iter().fold(1, |product, &size| product.saturating_mul(size))
    }

    /// Returns the distance, in elements, between neighbours along each dimension.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.len()];
        for i in (1..self.len()).rev() {
            strides[i - 1] = strides[i] * self[i];
        }
        strides
    }

    /// Returns the shape to which two operands of an elementwise operation broadcast, by the rule that NumPy, PyTorch
    /// and ONNX share: aligned at the last dimension, a size of 1 is repeated. `None` if they don't fit.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.len().max(other.len());
        let size = |s: &Shape, i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
        (0..rank)
            .map(|i| match (size(self, i), size(other, i)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }

    /// Returns the strides with which this shape is read as the wider shape `to`: 0 where a size of 1 is repeated.
    pub fn broadcast_strides(&self, to: &Shape) -> Vec<usize> {
        let strides = self.strides();
        let missing = to.len() - self.len();
        (0..to.len()).map(|i| if i < missing || self[i - missing] == 1 { 0 } else { strides[i - missing] }).collect()
    }

    /// Returns the shape with every [`BATCH`] replaced by `batch`.
    pub fn with_batch(&self, batch: usize) -> Shape {
        Shape(self.0.iter().map(|&size| if size == BATCH { batch } else { size }).collect())
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<T: Into<Vec<usize>>> From<T> for Shape {
    fn from(sizes: T) -> Self {
        Shape(sizes.into())
    }
}

impl serde::Serialize for Shape {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, &size) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            if size == BATCH { f.write_str("batch")? } else { write!(f, "{size}")? }
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Checks that an operation has as many inputs as it takes.
pub(crate) fn expect_inputs<const N: usize>(inputs: &[Shape]) -> Result<&[Shape; N], ErrorKind> {
    inputs.try_into().map_err(|_| ErrorKind::argument("inputs", N, inputs.len()))
}

/// Checks that a shader can number the elements of an output whose size `argument` determines. Where a kernel numbers each
/// image on its own, `output` is that of one image.
pub(crate) fn expect_countable(argument: &str, output: &[usize]) -> Result<(), ErrorKind> {
    let output = Shape::from(output);
    if output.elements() <= i32::MAX as usize {
        return Ok(());
    }
    Err(ErrorKind::argument(argument, "an output of fewer than 2^31 elements", output))
}

/// Checks a tensor's rank.
pub(crate) fn expect_rank(argument: &str, shape: &Shape, rank: usize) -> Result<(), ErrorKind> {
    if shape.len() == rank {
        return Ok(());
    }
    Err(ErrorKind::argument(argument, format_args!("{rank} dimensions"), shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let shape = |sizes: &[usize]| Shape::from(sizes);
        assert_eq!(shape(&[2, 1, 3]).broadcast(&shape(&[4, 1])), Some(shape(&[2, 4, 3])));
        assert_eq!(shape(&[]).broadcast(&shape(&[5])), Some(shape(&[5])));
        assert_eq!(shape(&[2, 3]).broadcast(&shape(&[2, 4])), None);
        assert_eq!(shape(&[4, 1]).broadcast_strides(&shape(&[2, 4, 3])), [0, 1, 0]);
    }
}
