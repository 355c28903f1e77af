//! Pooling: max, average and Lp, by windows, adaptive and global.

use super::pool3d::{self, Of};
use super::reduce::Split;
use super::window::{Window, positions, reach, touched};
use super::{image_kernels, one_to_one};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Op, Reach, Taps, expect_dtypes};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::{expect_inputs, expect_rank};
use crate::{DType, Graph, Shape, Value};

/// The function of the pixels in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PoolKind {
    /// The largest pixel; padding doesn't count. Minus infinity if a dilated window holds only padding.
    Max,
    /// The mean.
    Average,
    /// `(sum x^p)^(1/p)` for a finite p above 0, as in PyTorch. x keeps its sign: an odd p adds negative numbers.
    /// Results that aren't real (the root of a negative sum, a fractional power of a negative x) are NaN. A window that
    /// reaches beyond the image (`ceil_mode`) is scaled up to a whole one. Padding isn't allowed.
    Lp(f32),
    /// `(sum |x|^p)^(1/p)` of the pixels inside the image, as in ONNX: nothing is scaled, and padding adds nothing.
    PNorm(f32),
}

/// `torch.nn.MaxPool2d`, `AvgPool2d`, `LPPool2d`, `AdaptiveMaxPool2d`, `AdaptiveAvgPool2d`, 1-D and 3-D siblings, over
/// `[N, C, H, W]`, `[N, C, L]` or `[N, C, D, H, W]`; ONNX's `MaxPool`, `AveragePool` and `LpPool`.
#[derive(Clone, Debug)]
pub struct Pool<const D: usize> {
    kind: PoolKind,
    windows: Windows,
    ceil_mode: bool,
    count_include_pad: bool,
    return_indices: bool,
    /// True if padding may be as large as ONNX allows.
    by_side: bool,
}

/// Pooling over `[N, C, L]`.
pub type Pool1d = Pool<1>;

/// Pooling over `[N, C, H, W]`; sizes by axis are `[vertical, horizontal]`.
///
/// ```
/// use shadernet::ops::{Pool2d, PoolKind};
/// let pool = Pool2d::new(PoolKind::Max, 3).stride(2).padding(1).ceil_mode(true);
/// let wide = Pool2d::windows(PoolKind::Lp(2.0), [1, 4]).strides([1, 2]);
/// let global = Pool2d::global(PoolKind::Average);
/// ```
pub type Pool2d = Pool<2>;

/// Pooling over `[N, C, D, H, W]`; sizes by axis are `[depth, height, width]`.
pub type Pool3d = Pool<3>;

/// The windows of a volume; an image is a volume of depth 1, a signal an image of height 1.
#[derive(Clone, Copy, Debug)]
enum Windows {
    Sliding(Sliding),
    /// One window for each output pixel, of nearly equal sizes.
    Adaptive([usize; 3]),
}

/// Windows of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sliding {
    pub(crate) size: [usize; 3],
    pub(crate) stride: [usize; 3],
    pub(crate) dilation: [usize; 3],
    /// Padding before the first pixel of each axis.
    pub(crate) before: [usize; 3],
    /// Padding after the last pixel of each axis.
    pub(crate) after: [usize; 3],
}

impl Sliding {
    /// Returns size, stride and dilation along an axis.
    fn along(&self, axis: usize) -> [usize; 3] {
        [self.size[axis], self.stride[axis], self.dilation[axis]]
    }

    fn of_image(&self) -> Window {
        let last = |[_, y, x]: [usize; 3]| [y, x];
        let [size, stride, dilation, before] = [self.size, self.stride, self.dilation, self.before].map(last);
        Window { size, stride, dilation, before }
    }
}

params! {
    struct Params {
        in_h: usize,
        in_w: usize,
        out_h: usize,
        out_w: usize,
        c: usize,
        count: usize,
        size: [usize; 2] as [size_y, size_x],
        stride: [usize; 2] as [stride_y, stride_x],
        dilation: [usize; 2] as [dilation_y, dilation_x],
        before: [usize; 2] as [top, left],
        after: [usize; 2] as [bottom, right],
        p: f32,
        parity: u32,
        start: f32,
        nan: f32,
    }
}

/// Returns the number of pixels in all windows along an axis of `input` pixels that is pooled to `output`.
fn adaptive(input: usize, output: usize) -> usize {
    (0..output).map(|i| ((i + 1) * input).div_ceil(output) - i * input / output).sum()
}

/// Returns sizes along the axes of a volume, `missing` along those that an image or a signal lacks.
fn axes<const D: usize>(sizes: [usize; D], missing: usize) -> [usize; 3] {
    let mut all = [missing; 3];
    all[3 - D..].copy_from_slice(&sizes);
    all
}

/// Returns the spatial sizes of `[N, C, ..]`.
pub(crate) fn volume(shape: &Shape) -> [usize; 3] {
    let mut all = [1; 3];
    all[5 - shape.len()..].copy_from_slice(&shape[2..]);
    all
}

/// Returns true if invocations should share a window: if large windows are few, or one invocation's loop is too long.
pub(crate) fn shares(pixels: usize, outputs: usize, caps: &Caps) -> bool {
    let pays = caps.fast_workgroup_memory && pixels >= 64 && outputs < 1 << 16;
    pays || pixels >= caps.max_loop_iterations as usize / 2
}

impl<const D: usize> Pool<D> {
    /// Creates pooling over windows of one size along each axis that don't overlap: the stride is the window's size, as
    /// in PyTorch.
    pub fn new(kind: PoolKind, size: usize) -> Pool<D> {
        Pool::windows(kind, [size; D])
    }

    /// Creates pooling over windows of a size by axis that don't overlap.
    pub fn windows(kind: PoolKind, size: [usize; D]) -> Pool<D> {
        let size = axes(size, 1);
        let windows = Windows::Sliding(Sliding { size, stride: size, dilation: [1; 3], before: [0; 3], after: [0; 3] });
        Pool { kind, windows, ceil_mode: false, count_include_pad: true, return_indices: false, by_side: false }
    }

    /// Creates pooling to a given output size: window i runs from `floor(i in / out)` to `ceil((i + 1) in / out)`.
    pub fn adaptive(kind: PoolKind, size: [usize; D]) -> Pool<D> {
        Pool { windows: Windows::Adaptive(axes(size, 1)), ..Pool::new(kind, 1) }
    }

    /// Creates pooling of the whole image to one pixel.
    pub fn global(kind: PoolKind) -> Pool<D> {
        Pool::adaptive(kind, [1; D])
    }

    /// Returns the windows over an image, if their maxima are the only output.
    pub(crate) fn largest(&self) -> Option<Window> {
        match self.windows {
            Windows::Sliding(window) if self.kind == PoolKind::Max && !self.return_indices => Some(window.of_image()),
            _ => None,
        }
    }

    fn with(mut self, set: impl FnOnce(&mut Sliding)) -> Pool<D> {
        if let Windows::Sliding(window) = &mut self.windows {
            set(window);
        }
        self
    }

    /// Sets the stride along each axis. Adaptive windows ignore it.
    #[must_use]
    pub fn stride(self, stride: usize) -> Pool<D> {
        self.strides([stride; D])
    }

    /// Sets the stride by axis.
    #[must_use]
    pub fn strides(self, stride: [usize; D]) -> Pool<D> {
        self.with(|window| window.stride = axes(stride, 1))
    }

    /// Sets the padding on all sides, at most half of the window's extent.
    #[must_use]
    pub fn padding(self, padding: usize) -> Pool<D> {
        self.paddings([padding; D])
    }

    /// Sets the padding on both sides by axis, at most half of the window's extent.
    #[must_use]
    pub fn paddings(self, padding: [usize; D]) -> Pool<D> {
        Pool { by_side: false, ..self }
            .with(|window| (window.before, window.after) = (axes(padding, 0), axes(padding, 0)))
    }

    /// Sets the padding before and after each axis, as in ONNX: less than the window's extent.
    #[must_use]
    pub fn pads(self, padding: [[usize; 2]; D]) -> Pool<D> {
        let [before, after] = [0, 1].map(|side| axes(padding.map(|sides| sides[side]), 0));
        Pool { by_side: true, ..self }.with(|window| (window.before, window.after) = (before, after))
    }

    /// Sets the distance between the pixels of a window.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Pool<D> {
        self.dilations([dilation; D])
    }

    /// Sets the distance between the pixels of a window by axis.
    #[must_use]
    pub fn dilations(self, dilation: [usize; D]) -> Pool<D> {
        self.with(|window| window.dilation = axes(dilation, 1))
    }

    /// Sets whether windows may reach beyond the far edge, so that no pixel is left out.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Pool<D> {
        Pool { ceil_mode, ..self }
    }

    /// Sets whether an average counts padding as zeros (PyTorch's default) or leaves it out.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Pool<D> {
        Pool { count_include_pad, ..self }
    }

    /// Sets whether a second output has the indices of the largest pixels, as `i32`s. An index counts within the plane,
    /// without padding, as in PyTorch: `y * W + x` of `[H, W]`, `x` of `[L]`, `(z * H + y) * W + x` of `[D, H, W]`. Of
    /// equal pixels the first is taken; NaN is larger than any number, and of several the last is taken. The index is
    /// -1 if a dilated window holds only padding. Max pooling only.
    #[must_use]
    pub fn return_indices(self, return_indices: bool) -> Pool<D> {
        Pool { return_indices, ..self }
    }

    fn output(&self, window: &Sliding, axis: usize, size: usize) -> Result<usize, ErrorKind> {
        let [before, after] = [window.before[axis], window.after[axis]];
        let (along, spans) = (window.along(axis), reach(window.size[axis].max(1), window.dilation[axis]));
        let (most, wanted) = match self.kind {
            PoolKind::Lp(_) => (0, "0 for Lp pooling".into()),
            _ if self.by_side => (spans.max(1) - 1, format!("less than {spans}")),
            _ => (spans / 2, format!("at most half of {spans}")),
        };
        if let Some(pad) = [before, after].into_iter().find(|&pad| pad > most) {
            return Err(ErrorKind::argument("padding", wanted, pad));
        }
        // Shaders count pixels in an i32.
        if spans > 1 << 30 {
            return Err(ErrorKind::argument("kernel_size", "a window of at most 2^30 pixels", spans));
        }
        let name = ["input depth", "input height", "input width"][axis];
        let floor = positions(name, size, before + after, along)?;
        if !self.ceil_mode {
            return Ok(floor);
        }
        let ceil = (size + before + after - spans).div_ceil(window.stride[axis]) + 1;
        // The last window must begin inside the image or its near padding.
        Ok(if (ceil - 1).saturating_mul(window.stride[axis]) >= size + before { ceil - 1 } else { ceil })
    }

    /// Returns the pixels of the largest window along each axis.
    fn pixels(&self, x: &Shape, y: &Shape) -> [usize; 3] {
        let (x, y) = (volume(x), volume(y));
        match self.windows {
            Windows::Sliding(window) => window.size,
            // Windows that don't divide an axis evenly begin and end within a pixel.
            Windows::Adaptive(_) => [0, 1, 2].map(|axis| (x[axis].div_ceil(y[axis]) + 1).min(x[axis])),
        }
    }

    /// Returns the spatial sizes of the output.
    fn sizes(&self, x: &Shape) -> Result<[usize; 3], ErrorKind> {
        let from = volume(x);
        let mut sizes = [1; 3];
        for axis in 3 - D..3 {
            sizes[axis] = match self.windows {
                Windows::Sliding(window) => self.output(&window, axis, from[axis])?,
                // The shader multiplies both sizes.
                Windows::Adaptive(to) if to[axis] > 0 && to[axis].saturating_mul(from[axis]) < 1 << 31 => to[axis],
                Windows::Adaptive(to) => {
                    let wanted = format!("1 or more, and below 2^31 times the input's {}", from[axis]);
                    return Err(ErrorKind::argument("output_size", wanted, to[axis]));
                }
            };
        }
        Ok(sizes)
    }
}

impl<const D: usize> Op for Pool<D> {
    fn name(&self) -> &'static str {
        let names = match (self.kind, self.windows) {
            (PoolKind::Max, Windows::Sliding(_)) => ["max_pool1d", "max_pool2d", "max_pool3d"],
            (PoolKind::Average, Windows::Sliding(_)) => ["avg_pool1d", "avg_pool2d", "avg_pool3d"],
            (_, Windows::Sliding(_)) => ["lp_pool1d", "lp_pool2d", "lp_pool3d"],
            (PoolKind::Max, Windows::Adaptive(_)) => {
                ["adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"]
            }
            (PoolKind::Average, Windows::Adaptive(_)) => {
                ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"]
            }
            (_, Windows::Adaptive(_)) => ["adaptive_lp_pool1d", "adaptive_lp_pool2d", "adaptive_lp_pool3d"],
        };
        names[D - 1]
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 2 + D)?;
        if let PoolKind::Lp(p) | PoolKind::PNorm(p) = self.kind
            && !(p.is_finite() && p > 0.0)
        {
            return Err(ErrorKind::argument("norm_type", "a finite number above 0", p));
        }
        if self.return_indices {
            if self.kind != PoolKind::Max {
                return Err(ErrorKind::argument("return_indices", "false for all but max pooling", true));
            }
            if volume(x).into_iter().fold(1, usize::saturating_mul) > i32::MAX as usize {
                return Err(ErrorKind::argument("input", "planes of less than 2^31 pixels", x));
            }
        }
        let size = self.sizes(x)?;
        let y: Shape = [&x[..2], &size[3 - D..]].concat().into();
        Ok(vec![y; if self.return_indices { 2 } else { 1 }])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::F32)?;
        Ok(if self.return_indices { vec![DType::F32, DType::I32] } else { vec![DType::F32] })
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (kind, p) = match self.kind {
            PoolKind::Max => (0u32, 0.0),
            PoolKind::Average => (1, 0.0),
            PoolKind::Lp(p) => (2, p),
            PoolKind::PNorm(p) => (3, p),
        };
        // The kind of p: 0 even, 1 odd, 2 not an integer.
        let parity = match self.kind {
            PoolKind::Lp(p) if p.fract() != 0.0 => 2,
            PoolKind::Lp(p) => (p % 2.0) as u32,
            _ => 0,
        };
        let start = if self.kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 };
        if D == 3 {
            let windows = match self.windows {
                Windows::Sliding(window) => Some(window),
                Windows::Adaptive(_) => None,
            };
            let result = Of { kind, p, parity, start, count_include_pad: self.count_include_pad };
            let pixels = self.pixels(&io.inputs[0], &io.outputs[0]);
            return Ok(vec![pool3d::kernel(io, caps, windows, pixels, &result, self.return_indices)]);
        }
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        let count = if self.return_indices { io.outputs[0].elements() } else { y.n * y.h * y.w * y.c4() };
        let (adaptive, window) = match self.windows {
            Windows::Sliding(window) => (false, window.of_image()),
            Windows::Adaptive(_) => (true, Window { size: [x.h.div_ceil(y.h), x.w.div_ceil(y.w)], ..Window::PIXEL }),
        };
        let after = match self.windows {
            Windows::Sliding(Sliding { after: [_, y, x], .. }) => [y, x],
            Windows::Adaptive(_) => [0; 2],
        };
        // All steps that lead out of the image are alike.
        let steps = |values: [usize; 2]| values.map(|v| v.min(1 << 30));
        let params = Params {
            in_h: x.h,
            in_w: x.w,
            out_h: y.h,
            out_w: y.w,
            c: x.c,
            count,
            size: window.size,
            stride: steps(window.stride),
            dilation: steps(window.dilation),
            before: window.before,
            after,
            p,
            parity,
            start,
            nan: f32::NAN,
        };
        let pixels = self.pixels(&io.inputs[0], &io.outputs[0]).iter().product();
        let shared = shares(pixels, count, caps);
        if self.return_indices {
            let split = Split::new(if shared { pixels } else { 1 }, 1, caps);
            let Split { lanes, columns } = split;
            let shader = shader!("max_pool_indices", "index", "order", "largest", "pool", "pool_window", "nan")
                .set("ADAPTIVE", adaptive)
                .set("LANES", lanes)
                .set("COLUMNS", columns);
            let bindings = vec![Binding::Input(0), Binding::Output(0), Binding::Output(1)];
            let dispatch = Dispatch::new(shader, &params, bindings, count.div_ceil(columns as usize));
            let dispatches = vec![dispatch.iterations(split.iterations(pixels))];
            return Ok(vec![Kernel::several(vec![Layout::ROWS], vec![Layout::ROWS; 2], dispatches)]);
        }
        let (lanes, mut columns) = if shared { (256, count.next_power_of_two().min(16)) } else { (64, 64) };
        let iterations = |columns: usize| (pixels * columns).div_ceil(lanes) + 16;
        while shared && columns > 1 && iterations(columns) > caps.max_loop_iterations as usize {
            columns /= 2;
        }
        let shader = shader!("pool", "index", "pool", "pool_window", "nan")
            .set("KIND", kind)
            .set("ADAPTIVE", adaptive)
            .set("COUNT_INCLUDE_PAD", self.count_include_pad)
            .set("LANES", lanes as u32)
            .set("COLUMNS", columns as u32);
        let dispatch = Dispatch::new(shader, &params, one_to_one(), count.div_ceil(columns));
        Ok(image_kernels(caps, &dispatch.iterations(iterations(columns))))
    }

    /// Counts for n pixels, padding too: n - 1 for a maximum, n for an average, 2 n for a norm (powers, sum, root).
    fn cost(&self, io: &Io) -> Cost {
        let (x, y) = (volume(&io.inputs[0]), volume(&io.outputs[0]));
        let (planes, outputs) = (io.inputs[0][0].saturating_mul(io.inputs[0][1]), io.outputs[0].elements());
        let (pixels, touched) = match self.windows {
            Windows::Sliding(window) => {
                let along = |axis: usize| touched(x[axis], y[axis], window.along(axis));
                let pixels = window.size.into_iter().fold(outputs, usize::saturating_mul);
                (pixels, (0..3).map(along).fold(planes, usize::saturating_mul))
            }
            Windows::Adaptive(_) => {
                let along = |axis: usize| adaptive(x[axis], y[axis]);
                ((0..3).map(along).fold(planes, usize::saturating_mul), io.inputs[0].elements())
            }
        };
        let other = match self.kind {
            PoolKind::Max => pixels - outputs,
            PoolKind::Average => pixels,
            PoolKind::Lp(_) | PoolKind::PNorm(_) => pixels.saturating_mul(2),
        };
        let moves = (touched < io.inputs[0].elements()).then(|| io.written().saturating_add(touched as u64));
        Cost { moves, ..Cost::held(other as u64) }
    }

    fn reach(&self, io: &Io) -> Reach {
        let (x, y) = (&io.inputs[0][2..], &io.outputs[0][2..]);
        match self.windows {
            Windows::Sliding(window) => {
                let taps = |axis: usize| {
                    let [size, stride, dilation] = window.along(axis);
                    Taps::window(size, stride, dilation, window.before[axis] as isize)
                };
                Reach::Window((3 - D..3).map(taps).collect())
            }
            // Windows of one size that divide the axis are ordinary ones.
            Windows::Adaptive(_) if (0..D).all(|i| x[i] % y[i] == 0 && (y[i] > 1 || x[i] == 1)) => {
                Reach::Window((0..D).map(|i| Taps::window(x[i] / y[i], x[i] / y[i], 1, 0)).collect())
            }
            Windows::Adaptive(_) => Reach::Everything,
        }
    }
}

impl Graph {
    /// Adds a [`Pool1d`] with [indices](Pool::return_indices), and returns the largest pixels and their indices.
    pub fn max_pool1d_with_indices(&mut self, x: Value, pool: Pool1d) -> Result<[Value; 2]> {
        self.pool_with_indices(x, pool)
    }

    /// Adds a [`Pool2d`] with [indices](Pool::return_indices), and returns the largest pixels and their indices.
    pub fn max_pool2d_with_indices(&mut self, x: Value, pool: Pool2d) -> Result<[Value; 2]> {
        self.pool_with_indices(x, pool)
    }

    /// Adds a [`Pool3d`] with [indices](Pool::return_indices), and returns the largest pixels and their indices.
    pub fn max_pool3d_with_indices(&mut self, x: Value, pool: Pool3d) -> Result<[Value; 2]> {
        self.pool_with_indices(x, pool)
    }

    fn pool_with_indices<const D: usize>(&mut self, x: Value, pool: Pool<D>) -> Result<[Value; 2]> {
        let name = format!("{}_{}", pool.name(), self.nodes().len());
        let outputs = self.add(name, pool.return_indices(true), &[x])?;
        Ok([outputs[0], outputs[1]])
    }

    /// Adds a [`Pool1d`].
    pub fn pool1d(&mut self, x: Value, pool: Pool1d) -> Result<Value> {
        self.push(pool, &[x])
    }

    /// Adds a [`Pool2d`].
    pub fn pool2d(&mut self, x: Value, pool: Pool2d) -> Result<Value> {
        self.push(pool, &[x])
    }

    /// Adds a [`Pool3d`].
    pub fn pool3d(&mut self, x: Value, pool: Pool3d) -> Result<Value> {
        self.push(pool, &[x])
    }
}
