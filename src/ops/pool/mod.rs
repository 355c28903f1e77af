//! Pooling: max, average and Lp, by windows, adaptive and global.

mod kernels;

use super::window::{PerAxis, Window, step_setters};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, Taps, expect_dtypes};
use crate::kernel::{Caps, Kernel};
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

impl PoolKind {
    /// Returns the number of the kind in shaders.
    pub(super) fn code(self) -> u32 {
        match self {
            PoolKind::Max => 0,
            PoolKind::Average => 1,
            PoolKind::Lp(_) => 2,
            PoolKind::PNorm(_) => 3,
        }
    }

    /// Returns the order of the norm, 0 for other kinds.
    fn order(self) -> f32 {
        match self {
            PoolKind::Max | PoolKind::Average => 0.0,
            PoolKind::Lp(p) | PoolKind::PNorm(p) => p,
        }
    }

    /// Returns the kind of a norm's order: 0 even, 1 odd, 2 not an integer. The sign of x counts in PyTorch's norm alone.
    fn parity(self) -> u32 {
        match self {
            PoolKind::Lp(p) if p.fract() != 0.0 => 2,
            PoolKind::Lp(p) => (p % 2.0) as u32,
            _ => 0,
        }
    }

    /// Returns the initial value of a window's result.
    fn start(self) -> f32 {
        if self == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 }
    }
}

/// `torch.nn.MaxPool2d`, `AvgPool2d`, `LPPool2d`, `AdaptiveMaxPool2d`, `AdaptiveAvgPool2d`, 1-D and 3-D siblings, over
/// `[N, C, H, W]`, `[N, C, L]` or `[N, C, D, H, W]`; ONNX's `MaxPool`, `AveragePool` and `LpPool`.
#[derive(Clone, Debug)]
pub struct Pool<const D: usize> {
    kind: PoolKind,
    window: Window<D>,
    /// The output's size, if there is one window for each output pixel, of nearly equal sizes.
    adaptive: Option<[usize; D]>,
    ceil_mode: bool,
    count_include_pad: bool,
    return_indices: bool,
    /// True if padding may be as large as ONNX allows.
    per_side: bool,
}

/// Pooling over `[N, C, L]`.
pub type Pool1d = Pool<1>;

/// Pooling over `[N, C, H, W]`; sizes by axis are `[vertical, horizontal]`.
///
/// ```
/// use shadernet::ops::{Pool2d, PoolKind};
/// let pool = Pool2d::new(PoolKind::Max, 3).stride(2).padding(1).ceil_mode(true);
/// let wide = Pool2d::new(PoolKind::Lp(2.0), [1, 4]).stride([1, 2]);
/// let global = Pool2d::global(PoolKind::Average);
/// ```
pub type Pool2d = Pool<2>;

/// Pooling over `[N, C, D, H, W]`; sizes by axis are `[depth, height, width]`.
pub type Pool3d = Pool<3>;

/// Returns the number of pixels in all windows along an axis of `input` pixels that is pooled to `output`.
fn adaptive(input: usize, output: usize) -> usize {
    (0..output).map(|i| ((i + 1) * input).div_ceil(output) - i * input / output).sum()
}

/// Returns true if invocations should share a window: if large windows are few, or one invocation's loop is too long.
fn shares(pixels: usize, outputs: usize, caps: &Caps) -> bool {
    let pays = caps.fast_workgroup_memory && pixels >= 32 && outputs < 1 << 16;
    pays || pixels >= caps.max_loop_iterations as usize / 2
}

impl<const D: usize> Pool<D> {
    /// Creates pooling over windows of a size, one number or one for each axis, that don't overlap: the stride is the
    /// window's size, as in PyTorch.
    pub fn new(kind: PoolKind, size: impl PerAxis<D>) -> Pool<D> {
        let size = size.per_axis();
        let window = Window { size, stride: size, ..Window::PIXEL };
        let (adaptive, per_side) = (None, false);
        Pool { kind, window, adaptive, ceil_mode: false, count_include_pad: true, return_indices: false, per_side }
    }

    /// Creates pooling to a given output size: window i runs from `floor(i in / out)` to `ceil((i + 1) in / out)`. The
    /// window's other attributes are ignored.
    pub fn adaptive(kind: PoolKind, size: impl PerAxis<D>) -> Pool<D> {
        Pool { adaptive: Some(size.per_axis()), ..Pool::new(kind, 1) }
    }

    /// Creates pooling of the whole image to one pixel.
    pub fn global(kind: PoolKind) -> Pool<D> {
        Pool::adaptive(kind, 1)
    }

    /// Returns the windows over an image, if their maxima are the only output.
    pub(crate) fn largest(&self) -> Option<Window> {
        let largest = self.kind == PoolKind::Max && self.adaptive.is_none() && !self.return_indices;
        largest.then(|| self.window.image())
    }

    step_setters!(D);

    /// Sets the padding on both sides, at most half of the window's extent: one number, or one for each axis.
    #[must_use]
    pub fn padding(self, padding: impl PerAxis<D>) -> Pool<D> {
        Pool { per_side: false, ..self.padding_per_side(padding.per_axis().map(|padding| [padding; 2])) }
    }

    /// Sets the padding `[before, after]` each axis, as in ONNX: less than the window's extent.
    #[must_use]
    pub fn padding_per_side(mut self, padding: [[usize; 2]; D]) -> Pool<D> {
        self.window.pad(padding);
        Pool { per_side: true, ..self }
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

    /// Returns the number of windows along an axis of `size` pixels.
    fn positions(&self, axis: usize, size: usize) -> Result<usize, ErrorKind> {
        let (window, spans) = (&self.window, self.window.reach(axis));
        let [before, after] = [window.before[axis], window.after[axis]];
        let (most, wanted) = match self.kind {
            PoolKind::Lp(_) => (0, "0 for Lp pooling".into()),
            _ if self.per_side => (spans.max(1) - 1, format!("less than {spans}")),
            _ => (spans / 2, format!("at most half of {spans}")),
        };
        if let Some(pad) = [before, after].into_iter().find(|&pad| pad > most) {
            return Err(ErrorKind::argument("padding", wanted, pad));
        }
        // Shaders count pixels in an i32.
        if spans > 1 << 30 {
            return Err(ErrorKind::argument("kernel_size", "a window of at most 2^30 pixels", spans));
        }
        let (floor, stride) = (window.positions(axis, size)?, window.stride[axis]);
        if !self.ceil_mode {
            return Ok(floor);
        }
        let ceil = (size + before + after - spans).div_ceil(stride) + 1;
        // The last window must begin inside the image or its near padding.
        Ok(if (ceil - 1).saturating_mul(stride) >= size + before { ceil - 1 } else { ceil })
    }

    /// Returns the window in the shaders' terms: the pixels of an adaptive one are neighbours.
    fn window(&self) -> Window<D> {
        if self.adaptive.is_some() { Window::PIXEL } else { self.window }
    }

    /// Returns the pixels of the largest window along each axis.
    fn pixels(&self, io: &Io) -> [usize; D] {
        let (x, y) = (&io.inputs[0][2..], &io.outputs[0][2..]);
        match self.adaptive {
            None => self.window.size,
            // Windows that don't divide an axis evenly begin and end within a pixel.
            Some(_) => std::array::from_fn(|axis| (x[axis].div_ceil(y[axis]) + 1).min(x[axis])),
        }
    }

    /// Returns the output's size along an axis of `from` pixels.
    fn size(&self, axis: usize, from: usize) -> Result<usize, ErrorKind> {
        let Some(to) = self.adaptive.map(|to| to[axis]) else { return self.positions(axis, from) };
        // The shader multiplies both sizes.
        if to > 0 && to.saturating_mul(from) < 1 << 31 {
            return Ok(to);
        }
        let wanted = format!("1 or more, and below 2^31 times the input's {from}");
        Err(ErrorKind::argument("output_size", wanted, to))
    }
}

impl<const D: usize> Op for Pool<D> {
    fn name(&self) -> &'static str {
        let names = match (self.kind, self.adaptive) {
            (PoolKind::Max, None) => ["max_pool1d", "max_pool2d", "max_pool3d"],
            (PoolKind::Average, None) => ["avg_pool1d", "avg_pool2d", "avg_pool3d"],
            (_, None) => ["lp_pool1d", "lp_pool2d", "lp_pool3d"],
            (PoolKind::Max, Some(_)) => ["adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"],
            (PoolKind::Average, Some(_)) => ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"],
            (_, Some(_)) => ["adaptive_lp_pool1d", "adaptive_lp_pool2d", "adaptive_lp_pool3d"],
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
            if Shape::from(&x[2..]).elements() > i32::MAX as usize {
                return Err(ErrorKind::argument("input", "planes of less than 2^31 pixels", x));
            }
        }
        let mut y = x.to_vec();
        for axis in 0..D {
            y[2 + axis] = self.size(axis, x[2 + axis])?;
        }
        Ok(vec![y.into(); if self.return_indices { 2 } else { 1 }])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::F32)?;
        Ok(if self.return_indices { vec![DType::F32, DType::I32] } else { vec![DType::F32] })
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(if self.return_indices { vec![self.indices(io, caps)] } else { self.channels_last(io, caps) })
    }

    /// Counts for n pixels, padding too: n - 1 for a maximum, n for an average, 2 n for a norm (powers, sum, root).
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let (pixels, touched) = match self.adaptive {
            None => {
                let pixels = self.window.size.into_iter().fold(y.elements(), usize::saturating_mul);
                (pixels, self.window.touched(x, y))
            }
            Some(_) => {
                let along = |axis: usize| adaptive(x[axis], y[axis]);
                ((2..2 + D).map(along).fold(x[0].saturating_mul(x[1]), usize::saturating_mul), x.elements())
            }
        };
        let other = match self.kind {
            PoolKind::Max => pixels - y.elements(),
            PoolKind::Average => pixels,
            PoolKind::Lp(_) | PoolKind::PNorm(_) => pixels.saturating_mul(2),
        };
        let moves = (touched < x.elements()).then(|| io.written().saturating_add(touched as u64));
        let (x, y) = (&io.inputs[0][2..], &io.outputs[0][2..]);
        Metrics::new(Cost { moves, ..Cost::held(other as u64) }).reach(match self.adaptive {
            None => Reach::Window(self.window.taps(Taps::window)),
            // Windows of one size that divide the axis are ordinary ones.
            Some(_) if (0..D).all(|i| x[i] % y[i] == 0 && (y[i] > 1 || x[i] == 1)) => {
                Reach::Window((0..D).map(|i| Taps::window(x[i] / y[i], x[i] / y[i], 1, 0)).collect())
            }
            Some(_) => Reach::Everything,
        })
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
        let outputs = self.add_node(name, pool.return_indices(true), &[x])?;
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
