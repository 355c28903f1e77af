//! A sliding window: what convolutions and pooling share.

use crate::error::{ErrorKind, Result};

/// A sliding window, `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) size: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Padding before the first row and the first column.
    pub(crate) before: [usize; 2],
}

impl Window {
    /// One pixel at a time.
    pub(crate) const PIXEL: Window = Window { size: [1; 2], stride: [1; 2], dilation: [1; 2], before: [0; 2] };

    /// The pixels that the window spans along an axis.
    pub(crate) fn reach(&self, axis: usize) -> usize {
        self.dilation[axis].saturating_mul(self.size[axis].saturating_sub(1)).saturating_add(1)
    }

    /// The number of positions along an axis of `size` pixels with `padding` more:
    /// `floor((size + padding - dilation (k - 1) - 1) / stride) + 1`.
    pub(crate) fn output(&self, axis: usize, size: usize, padding: usize) -> Result<usize, ErrorKind> {
        for (name, values) in [("kernel_size", self.size), ("stride", self.stride), ("dilation", self.dilation)] {
            if values[axis] == 0 {
                return Err(ErrorKind::argument(name, "1 or more", 0));
            }
        }
        let room = (size + padding).checked_sub(self.reach(axis)).ok_or_else(|| {
            let wanted = format!("at least {} pixels, padding included", self.reach(axis));
            ErrorKind::argument(["input height", "input width"][axis], wanted, size + padding)
        })?;
        Ok(room / self.stride[axis] + 1)
    }
}
