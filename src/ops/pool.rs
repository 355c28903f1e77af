//! Pooling: max and average, by windows, adaptive and global.

use super::image_kernels;
use super::window::Window;
use crate::error::{ErrorKind, Result, expect_inputs, expect_rank};
use crate::graph::op::{Cost, Io, Op};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel};
use crate::{Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// What is made of the pixels in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest; padding doesn't count. (Where a dilated window holds nothing but padding: the lowest finite number.)
    Max,
    /// The mean.
    Average,
}

/// `torch.nn.MaxPool2d`, `AvgPool2d`, `AdaptiveMaxPool2d` and `AdaptiveAvgPool2d`, over `[N, C, H, W]`.
///
/// ```
/// use shadernet::ops::{Pool2d, PoolKind};
/// let pool = Pool2d::new(PoolKind::Max, 3).stride(2).padding(1).ceil_mode(true);
/// let global = Pool2d::adaptive(PoolKind::Average, [1, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct Pool2d {
    kind: PoolKind,
    windows: Windows,
    ceil_mode: bool,
    count_include_pad: bool,
}

#[derive(Clone, Copy, Debug)]
enum Windows {
    Sliding(Window),
    /// As many windows as the output has pixels, as even as can be.
    Adaptive([usize; 2]),
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
    c4: u32,
    count: u32,
    size: [u32; 2],
    stride: [u32; 2],
    dilation: [u32; 2],
    before: [u32; 2],
}

impl Pool2d {
    /// Pooling over square windows that don't overlap: the stride is the window's size, as in PyTorch.
    pub fn new(kind: PoolKind, size: usize) -> Pool2d {
        let window = Window { size: [size; 2], stride: [size; 2], dilation: [1; 2], before: [0; 2] };
        Pool2d { kind, windows: Windows::Sliding(window), ceil_mode: false, count_include_pad: true }
    }

    /// Pooling to a given output size `[height, width]`: window i runs from `floor(i in / out)` to `ceil((i + 1) in / out)`.
    pub fn adaptive(kind: PoolKind, size: [usize; 2]) -> Pool2d {
        Pool2d { kind, windows: Windows::Adaptive(size), ceil_mode: false, count_include_pad: true }
    }

    fn with(mut self, set: impl FnOnce(&mut Window)) -> Pool2d {
        if let Windows::Sliding(window) = &mut self.windows {
            set(window);
        }
        self
    }

    /// The stride, vertical and horizontal. Adaptive windows have none of their own.
    #[must_use]
    pub fn stride(self, stride: usize) -> Pool2d {
        self.with(|window| window.stride = [stride; 2])
    }

    /// The padding on all sides, at most half the window.
    #[must_use]
    pub fn padding(self, padding: usize) -> Pool2d {
        self.with(|window| window.before = [padding; 2])
    }

    /// The distance between the pixels of a window.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Pool2d {
        self.with(|window| window.dilation = [dilation; 2])
    }

    /// Whether windows may reach over the far edge, so that no pixel is left out.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Pool2d {
        Pool2d { ceil_mode, ..self }
    }

    /// Whether an average counts padding as zeros (PyTorch's default) or leaves it out.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Pool2d {
        Pool2d { count_include_pad, ..self }
    }

    fn output(&self, window: &Window, axis: usize, size: usize) -> Result<usize, ErrorKind> {
        let pad = window.before[axis];
        let floor = window.output(axis, size, 2 * pad)?;
        if !self.ceil_mode {
            return Ok(floor);
        }
        let ceil = (size + 2 * pad - window.reach(axis)).div_ceil(window.stride[axis]) + 1;
        // The last window must begin inside the image or its near padding.
        Ok(if (ceil - 1) * window.stride[axis] >= size + pad { ceil - 1 } else { ceil })
    }
}

impl Op for Pool2d {
    fn name(&self) -> &'static str {
        match (self.kind, self.windows) {
            (PoolKind::Max, Windows::Sliding(_)) => "max_pool2d",
            (PoolKind::Average, Windows::Sliding(_)) => "avg_pool2d",
            (PoolKind::Max, Windows::Adaptive(_)) => "adaptive_max_pool2d",
            (PoolKind::Average, Windows::Adaptive(_)) => "adaptive_avg_pool2d",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 4)?;
        let Image { n, c, h, w } = Image::of(x);
        let [h, w] = match self.windows {
            Windows::Adaptive([0, _] | [_, 0]) => return Err(ErrorKind::argument("output_size", "1 or more", 0)),
            Windows::Adaptive(size) => size,
            Windows::Sliding(window) => {
                for (pad, size) in window.before.into_iter().zip(window.size) {
                    if pad * 2 > size {
                        return Err(ErrorKind::argument("padding", format_args!("at most half of {size}"), pad));
                    }
                }
                [self.output(&window, 0, h)?, self.output(&window, 1, w)?]
            }
        };
        Ok(vec![[n, c, h, w].into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        let count = y.n * y.h * y.w * y.c4();
        let (adaptive, window) = match self.windows {
            Windows::Sliding(window) => (false, window),
            Windows::Adaptive(_) => (true, Window::PIXEL),
        };
        let params = Params {
            in_h: x.h as u32,
            in_w: x.w as u32,
            out_h: y.h as u32,
            out_w: y.w as u32,
            c4: x.c4() as u32,
            count: count as u32,
            size: window.size.map(|v| v as u32),
            stride: window.stride.map(|v| v as u32),
            dilation: window.dilation.map(|v| v as u32),
            before: window.before.map(|v| v as u32),
        };
        let shader = shader!("pool", "index")
            .set("AVERAGE", self.kind == PoolKind::Average)
            .set("ADAPTIVE", adaptive)
            .set("COUNT_INCLUDE_PAD", self.count_include_pad);
        Ok(image_kernels(caps, &shader, &params, count))
    }

    fn cost(&self, _io: &Io) -> Cost {
        Cost { activations: true, ..Cost::default() }
    }
}

impl Graph {
    /// Adds a [`Pool2d`].
    pub fn pool2d(&mut self, x: Value, pool: Pool2d) -> Result<Value> {
        self.push(pool, &[x])
    }
}
