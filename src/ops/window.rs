//! The sliding window that convolutions and pooling share.

use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::graph::op::Taps;
use crate::kernel::layout::Image;

/// The most pixels along one axis, padding included. No device holds so many; 32 bits count a few times as many.
pub(crate) const MOST: usize = 1 << 28;

/// Checks a window along one axis: no size is 0, or beyond any image.
pub(crate) fn expect_window(kernel: usize, stride: usize, dilation: usize) -> Result<(), ErrorKind> {
    for (name, value) in [("kernel_size", kernel), ("stride", stride), ("dilation", dilation)] {
        if value == 0 {
            return Err(ErrorKind::argument(name, "1 or more", 0));
        }
        if value > MOST {
            return Err(ErrorKind::argument(name, format_args!("at most {MOST}"), value));
        }
    }
    Ok(())
}

/// Checks that the elements of one image of an output can be counted. It checks neither the device's memory nor the
/// number of images.
pub(crate) fn expect_countable(output: &Shape) -> Result<(), ErrorKind> {
    if Shape::from(&output[1..]).elements() <= i32::MAX as usize {
        return Ok(());
    }
    Err(ErrorKind::argument("output", "fewer than 2^31 elements an image", output))
}

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
    /// A window of one pixel.
    pub(crate) const PIXEL: Window = Window { size: [1; 2], stride: [1; 2], dilation: [1; 2], before: [0; 2] };

    /// Returns the pixels that the window spans along an axis.
    pub(crate) fn reach(&self, axis: usize) -> usize {
        reach(self.size[axis], self.dilation[axis])
    }

    /// Returns the elements of an image that all positions of the window read.
    pub(crate) fn touched(&self, x: Image, y: Image) -> usize {
        let along =
            |axis, size, outputs| touched(size, outputs, [self.size[axis], self.stride[axis], self.dilation[axis]]);
        [x.c, along(0, x.h, y.h), along(1, x.w, y.w)].into_iter().fold(x.n, usize::saturating_mul)
    }

    /// Returns the taps of an output pixel along the last `axes` axes.
    pub(crate) fn taps(&self, axes: usize) -> Vec<Taps> {
        let taps = |axis: usize| {
            Taps::window(self.size[axis], self.stride[axis], self.dilation[axis], self.before[axis] as isize)
        };
        (2 - axes..2).map(taps).collect()
    }

    /// Returns the number of positions along an axis of `size` pixels with `padding` more.
    pub(crate) fn output(&self, axis: usize, size: usize, padding: usize) -> Result<usize, ErrorKind> {
        let name = ["input height", "input width"][axis];
        positions(name, size, padding, [self.size[axis], self.stride[axis], self.dilation[axis]])
    }
}

/// Returns the pixels along an axis of `size` that `outputs` positions of a window read. A long stride skips some.
pub(crate) fn touched(size: usize, outputs: usize, [kernel, stride, dilation]: [usize; 3]) -> usize {
    if stride > reach(kernel, dilation) { size.min(outputs.saturating_mul(kernel)) } else { size }
}

/// Returns `floor((size + padding - dilation (kernel - 1) - 1) / stride) + 1`, for the axis of that name.
pub(crate) fn positions(
    name: &str,
    size: usize,
    padding: usize,
    [kernel, stride, dilation]: [usize; 3],
) -> Result<usize, ErrorKind> {
    expect_window(kernel, stride, dilation)?;
    let padded = size.saturating_add(padding);
    if padded > MOST {
        return Err(ErrorKind::argument("padding", format_args!("at most {MOST} pixels with the input's"), padding));
    }
    let reach = reach(kernel, dilation);
    let room = padded
        .checked_sub(reach)
        .ok_or_else(|| ErrorKind::argument(name, format_args!("at least {reach} pixels, padding included"), padded))?;
    Ok(room / stride + 1)
}

/// Returns the number of pixels that a window spans.
pub(crate) fn reach(kernel: usize, dilation: usize) -> usize {
    dilation.saturating_mul(kernel - 1).saturating_add(1)
}
