//! The sliding window that convolutions, transposed convolutions and pooling share, along any number of axes.

use crate::error::{ErrorKind, Result};
use crate::graph::op::Taps;
use crate::kernel::params::params;
use crate::{Constant, Shape};

/// The most pixels along one axis, padding included. No device holds so many; 32 bits count a few times as many.
const MOST: usize = 1 << 28;

/// A number for each of `D` spatial axes: one number for all, or an array, `[length]`, `[height, width]` or
/// `[depth, height, width]`.
pub trait PerAxis<const D: usize> {
    /// Returns the number of each axis.
    fn per_axis(self) -> [usize; D];
}

impl<const D: usize> PerAxis<D> for usize {
    fn per_axis(self) -> [usize; D] {
        [self; D]
    }
}

impl<const D: usize> PerAxis<D> for [usize; D] {
    fn per_axis(self) -> [usize; D] {
        self
    }
}

/// A sliding window along `D` axes, `[depth, height, width]` or the last of these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<const D: usize = 2> {
    pub(crate) size: [usize; D],
    pub(crate) stride: [usize; D],
    pub(crate) dilation: [usize; D],
    /// The padding before the first pixel of each axis.
    pub(crate) before: [usize; D],
    /// The padding after the last pixel of each axis.
    pub(crate) after: [usize; D],
}

/// A window along the depth of volumes, whose planes are images, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    /// The planes of a volume of the input, and of one of the output.
    pub(crate) planes: [usize; 2],
    pub(crate) size: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// The planes of zeros before the first one.
    pub(crate) before: usize,
}

impl Depth {
    /// Returns true unless each plane of the output sees the same plane of the input, as an image sees one.
    pub(crate) fn mixes(&self) -> bool {
        (self.size, self.stride, self.before, self.planes[0]) != (1, 1, 0, self.planes[1])
    }
}

params! {
    /// A [`Depth`], and the rows of a plane of the kernel.
    pub(crate) struct DepthParams {
        planes: [usize; 2] as [in_d, out_d],
        stride_z: usize,
        pad_front: isize,
        dilation_z: usize,
        kernel_h: usize,
    }
}

impl DepthParams {
    /// Returns the parameters. Only variants with DEEP read them.
    pub(crate) fn new(depth: Option<Depth>, kernel_h: usize) -> DepthParams {
        let none = Depth { planes: [1; 2], size: 1, stride: 1, dilation: 1, before: 0 };
        let Depth { planes, stride, dilation, before, .. } = depth.unwrap_or(none);
        DepthParams { planes, stride_z: stride, pad_front: before as isize, dilation_z: dilation, kernel_h }
    }
}

impl<const D: usize> Window<D> {
    /// A window of one pixel.
    pub(crate) const PIXEL: Window<D> =
        Window { size: [1; D], stride: [1; D], dilation: [1; D], before: [0; D], after: [0; D] };

    /// Returns the window of a convolution with such weights, which are refused later if their rank is another.
    pub(crate) fn for_weight(weight: &Constant) -> Window<D> {
        let size = weight.shape().get(2..).and_then(|size| size.try_into().ok());
        Window { size: size.unwrap_or([1; D]), ..Window::PIXEL }
    }

    /// Returns this window along the last `E` axes. It has one pixel along those that it lacks.
    pub(crate) fn over<const E: usize>(&self) -> Window<E> {
        let Window { size, stride, dilation, before, after } = *self;
        Window {
            size: last(size, 1),
            stride: last(stride, 1),
            dilation: last(dilation, 1),
            before: last(before, 0),
            after: last(after, 0),
        }
    }

    /// Returns this window over images: a line of pixels is an image one pixel high; of a volume, within a
    /// plane (`depth` has the other axis).
    pub(crate) fn image(&self) -> Window {
        self.over()
    }

    /// Returns the window along the depth of volumes.
    pub(crate) fn depth(&self, x: &Shape, y: &Shape) -> Option<Depth> {
        (D == 3).then(|| Depth {
            planes: [x[2], y[2]],
            size: self.size[0],
            stride: self.stride[0],
            dilation: self.dilation[0],
            before: self.before[0],
        })
    }

    /// Sets the padding `[before, after]` each axis.
    pub(crate) fn pad(&mut self, padding: [[usize; 2]; D]) {
        [self.before, self.after] = [0, 1].map(|side| padding.map(|sides| sides[side]));
    }

    /// Returns the padding `[before, after]` each axis.
    pub(crate) fn padding(&self) -> [[usize; 2]; D] {
        std::array::from_fn(|axis| [self.before[axis], self.after[axis]])
    }

    /// Returns the pixels that the window spans along an axis.
    pub(crate) fn reach(&self, axis: usize) -> usize {
        self.dilation[axis].saturating_mul(self.size[axis].saturating_sub(1)).saturating_add(1)
    }

    /// Checks the window along an axis: no size is 0, or beyond any image.
    fn expect(&self, axis: usize) -> Result<(), ErrorKind> {
        let values = [self.size, self.stride, self.dilation].map(|values| values[axis]);
        for (name, value) in ["kernel_size", "stride", "dilation"].into_iter().zip(values) {
            if value == 0 {
                return Err(ErrorKind::argument(name, "1 or more", 0));
            }
            if value > MOST {
                return Err(ErrorKind::argument(name, format_args!("at most {MOST}"), value));
            }
        }
        Ok(())
    }

    /// Returns the number of positions along an axis of `size` pixels:
    /// `floor((size + before + after - dilation (kernel - 1) - 1) / stride) + 1`.
    pub(crate) fn positions(&self, axis: usize, size: usize) -> Result<usize, ErrorKind> {
        self.expect(axis)?;
        let padding = self.before[axis].saturating_add(self.after[axis]);
        let padded = size.saturating_add(padding);
        if padded > MOST {
            return Err(ErrorKind::argument(
                "padding",
                format_args!("at most {MOST} pixels with the input's"),
                padding,
            ));
        }
        let (name, reach) = (["input depth", "input height", "input width"][3 - D + axis], self.reach(axis));
        let too_few = || ErrorKind::argument(name, format_args!("at least {reach} pixels, padding included"), padded);
        Ok(padded.checked_sub(reach).ok_or_else(too_few)? / self.stride[axis] + 1)
    }

    /// Returns the output's spatial sizes for an input `[N, C, ..]`: the number of positions along each axis.
    pub(crate) fn outputs(&self, x: &Shape) -> Result<[usize; D], ErrorKind> {
        let mut sizes = [0; D];
        for (axis, size) in sizes.iter_mut().enumerate() {
            *size = self.positions(axis, x[2 + axis])?;
        }
        Ok(sizes)
    }

    /// Returns the spatial sizes of a transposed convolution's output for an input `[N, C, ..]`, with `more` pixels
    /// added at the end of each axis and the padding cut off.
    pub(crate) fn grown(&self, x: &Shape, more: [usize; D]) -> Result<[usize; D], ErrorKind> {
        let mut sizes = [0; D];
        for (axis, size) in sizes.iter_mut().enumerate() {
            *size = self.grown_axis(axis, x[2 + axis], more[axis])?;
        }
        Ok(sizes)
    }

    fn grown_axis(&self, axis: usize, size: usize, more: usize) -> Result<usize, ErrorKind> {
        self.expect(axis)?;
        let most = self.stride[axis].max(self.dilation[axis]) - 1;
        if more > most {
            let wanted = format_args!("less than the stride or the dilation: at most {most}");
            return Err(ErrorKind::argument("output_padding", wanted, more));
        }
        let steps = (size - 1).saturating_mul(self.stride[axis]);
        let grown = steps.saturating_add(self.reach(axis)).saturating_add(more);
        if grown > MOST {
            let wanted = format_args!("at most {MOST} pixels before they are cut");
            return Err(ErrorKind::argument("output", wanted, grown));
        }
        let [before, after] = [self.before[axis], self.after[axis]];
        let cut = before.saturating_add(after);
        if cut < grown {
            return Ok(grown - cut);
        }
        if before == after {
            let wanted = format_args!("less than half of the {grown} pixels that it cuts");
            return Err(ErrorKind::argument("padding", wanted, before));
        }
        Err(ErrorKind::argument("padding", format_args!("less than the {grown} pixels that it cuts"), cut))
    }

    /// Returns the distance, along each axis, between the taps of a transposed convolution that reach one pixel.
    pub(crate) fn tap_step(&self) -> [usize; D] {
        std::array::from_fn(|axis| self.stride[axis] / gcd(self.stride[axis], self.dilation[axis]))
    }

    /// Returns the elements of the input that all positions of the window read. A long stride skips some.
    pub(crate) fn touched(&self, x: &Shape, y: &Shape) -> usize {
        let along = |axis: usize| match (x[2 + axis], y[2 + axis]) {
            (size, outputs) if self.stride[axis] > self.reach(axis) => {
                size.min(outputs.saturating_mul(self.size[axis]))
            }
            (size, _) => size,
        };
        (0..D).map(along).fold(x[0].saturating_mul(x[1]), usize::saturating_mul)
    }

    /// Returns the taps of an output pixel along each axis; `taps` is one of the constructors of [`Taps`].
    pub(crate) fn taps(&self, taps: fn(usize, usize, usize, isize) -> Taps) -> Vec<Taps> {
        let along =
            |axis: usize| taps(self.size[axis], self.stride[axis], self.dilation[axis], self.before[axis] as isize);
        (0..D).map(along).collect()
    }
}

/// Returns the sizes along the last `E` axes, `missing` along those that `sizes` lacks.
fn last<const D: usize, const E: usize>(sizes: [usize; D], missing: usize) -> [usize; E] {
    let axis = |axis: usize| (axis + D).checked_sub(E).map_or(missing, |axis| sizes[axis]);
    std::array::from_fn(axis)
}

/// Returns the spatial sizes of `[N, C, ..]`: an image is a volume one pixel deep.
pub(crate) fn volume(shape: &Shape) -> [usize; 3] {
    let mut all = [1; 3];
    all[5 - shape.len()..].copy_from_slice(&shape[2..]);
    all
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Defines the methods that set stride and dilation of an operation's `window` along `$d` axes.
macro_rules! step_setters {
    ($d:tt) => {
        /// Sets the stride: one number, or one for each axis.
        #[must_use]
        pub fn stride(mut self, stride: impl $crate::ops::PerAxis<$d>) -> Self {
            self.window.stride = stride.per_axis();
            self
        }

        /// Sets the dilation, the distance between taps: one number, or one for each axis.
        #[must_use]
        pub fn dilation(mut self, dilation: impl $crate::ops::PerAxis<$d>) -> Self {
            self.window.dilation = dilation.per_axis();
            self
        }
    };
}

/// Defines the methods that set stride, dilation and padding of an operation's `window` along `$d` axes.
macro_rules! window_setters {
    ($d:tt) => {
        $crate::ops::window::step_setters!($d);

        /// Sets the padding on both sides: one number, or one for each axis.
        #[must_use]
        pub fn padding(self, padding: impl $crate::ops::PerAxis<$d>) -> Self {
            self.padding_per_side(padding.per_axis().map(|padding| [padding; 2]))
        }

        /// Sets the padding `[before, after]` each axis, as in ONNX.
        #[must_use]
        pub fn padding_per_side(mut self, padding: [[usize; 2]; $d]) -> Self {
            self.window.pad(padding);
            self
        }
    };
}

pub(crate) use {step_setters, window_setters};
