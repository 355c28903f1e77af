//! Pooling: max, average and Lp, by windows, adaptive and global.

use super::image_kernels;
use super::reduce::Split;
use super::window::Window;
use crate::error::{ErrorKind, Result, expect_inputs, expect_rank};
use crate::graph::op::{Cost, Io, Op, Reach, Taps, expect_dtypes};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::{DType, Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// What is made of the pixels in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PoolKind {
    /// The largest; padding doesn't count. Where a dilated window holds nothing but padding: minus infinity.
    Max,
    /// The mean.
    Average,
    /// `(sum x^p)^(1/p)` for a finite p above 0, as PyTorch has it: x keeps its sign, so that an odd p adds negative numbers,
    /// and what is no real number (the root of a negative sum, a broken power of a negative x) is NaN. A window that reaches
    /// beyond the image (`ceil_mode`) is scaled up to a whole one. It takes no padding.
    Lp(f32),
}

/// `torch.nn.MaxPool2d`, `AvgPool2d`, `LPPool2d`, `AdaptiveMaxPool2d`, `AdaptiveAvgPool2d` and their 1-D siblings, over
/// `[N, C, H, W]` or `[N, C, L]`.
#[derive(Clone, Debug)]
pub struct Pool<const D: usize> {
    kind: PoolKind,
    windows: Windows,
    ceil_mode: bool,
    count_include_pad: bool,
    return_indices: bool,
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

/// Of an image; a signal is one of height 1.
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
    c: u32,
    count: u32,
    size: [u32; 2],
    stride: [u32; 2],
    dilation: [u32; 2],
    before: [u32; 2],
    p: f32,
    /// Of p: 0 even, 1 odd, 2 broken.
    parity: u32,
    /// What a window's result begins with.
    start: f32,
    nan: f32,
}

/// The pixels of all the windows along an axis of `input` pixels that is pooled to `output`.
fn adaptive(input: usize, output: usize) -> usize {
    (0..output).map(|i| ((i + 1) * input).div_ceil(output) - i * input / output).sum()
}

/// Sizes along the axes of an image, `missing` along those that a signal lacks.
fn axes<const D: usize>(sizes: [usize; D], missing: usize) -> [usize; 2] {
    let mut all = [missing; 2];
    all[2 - D..].copy_from_slice(&sizes);
    all
}

impl<const D: usize> Pool<D> {
    /// Pooling over windows of the same size along each axis, that don't overlap: the stride is the window's size, as in
    /// PyTorch.
    pub fn new(kind: PoolKind, size: usize) -> Pool<D> {
        Pool::windows(kind, [size; D])
    }

    /// Pooling over windows of a size by axis, that don't overlap.
    pub fn windows(kind: PoolKind, size: [usize; D]) -> Pool<D> {
        let size = axes(size, 1);
        let window = Window { size, stride: size, ..Window::PIXEL };
        let windows = Windows::Sliding(window);
        Pool { kind, windows, ceil_mode: false, count_include_pad: true, return_indices: false }
    }

    /// Pooling to a given output size: window i runs from `floor(i in / out)` to `ceil((i + 1) in / out)`.
    pub fn adaptive(kind: PoolKind, size: [usize; D]) -> Pool<D> {
        Pool { windows: Windows::Adaptive(axes(size, 1)), ..Pool::new(kind, 1) }
    }

    /// Pooling of the whole image to one pixel.
    pub fn global(kind: PoolKind) -> Pool<D> {
        Pool::adaptive(kind, [1; D])
    }

    /// Its windows, if all that it gives are the largest numbers in them.
    pub(crate) fn largest(&self) -> Option<Window> {
        match self.windows {
            Windows::Sliding(window) if self.kind == PoolKind::Max && !self.return_indices => Some(window),
            _ => None,
        }
    }

    fn with(mut self, set: impl FnOnce(&mut Window)) -> Pool<D> {
        if let Windows::Sliding(window) = &mut self.windows {
            set(window);
        }
        self
    }

    /// The stride along each axis. Adaptive windows have none of their own.
    #[must_use]
    pub fn stride(self, stride: usize) -> Pool<D> {
        self.strides([stride; D])
    }

    /// The stride by axis.
    #[must_use]
    pub fn strides(self, stride: [usize; D]) -> Pool<D> {
        self.with(|window| window.stride = axes(stride, 1))
    }

    /// The padding on all sides, at most half the window.
    #[must_use]
    pub fn padding(self, padding: usize) -> Pool<D> {
        self.paddings([padding; D])
    }

    /// The padding on both sides by axis, at most half the window (for a maximum: half of what the window spans).
    #[must_use]
    pub fn paddings(self, padding: [usize; D]) -> Pool<D> {
        self.with(|window| window.before = axes(padding, 0))
    }

    /// The distance between the pixels of a window.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Pool<D> {
        self.dilations([dilation; D])
    }

    /// The distance between the pixels of a window by axis.
    #[must_use]
    pub fn dilations(self, dilation: [usize; D]) -> Pool<D> {
        self.with(|window| window.dilation = axes(dilation, 1))
    }

    /// Whether windows may reach over the far edge, so that no pixel is left out.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Pool<D> {
        Pool { ceil_mode, ..self }
    }

    /// Whether an average counts padding as zeros (PyTorch's default) or leaves it out.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Pool<D> {
        Pool { count_include_pad, ..self }
    }

    /// Whether there is a second output, as large as the first: where the largest pixels are, as `i32`s. A place is the index
    /// within the plane, `y * W + x` of `[H, W]` or `x` of `[L]`, as in PyTorch; padding is none. Of equal pixels the first is
    /// taken; NaN is larger than any number, and of several the last is taken. Where a dilated window holds nothing but
    /// padding the place is -1. Max pooling only.
    #[must_use]
    pub fn return_indices(self, return_indices: bool) -> Pool<D> {
        Pool { return_indices, ..self }
    }

    fn output(&self, window: &Window, axis: usize, size: usize) -> Result<usize, ErrorKind> {
        let pad = window.before[axis];
        let most = match self.kind {
            PoolKind::Max => window.reach(axis),
            PoolKind::Average => window.size[axis],
            PoolKind::Lp(_) => 0,
        };
        if pad > most / 2 {
            let wanted = if most == 0 { "0 for Lp pooling".into() } else { format!("at most half of {most}") };
            return Err(ErrorKind::argument("padding", wanted, pad));
        }
        // Shaders count pixels in an i32.
        if window.reach(axis) > 1 << 30 {
            return Err(ErrorKind::argument("kernel_size", "a window of at most 2^30 pixels", window.reach(axis)));
        }
        let floor = window.output(axis, size, 2 * pad)?;
        if !self.ceil_mode {
            return Ok(floor);
        }
        let ceil = (size + 2 * pad - window.reach(axis)).div_ceil(window.stride[axis]) + 1;
        // The last window must begin inside the image or its near padding.
        Ok(if (ceil - 1).saturating_mul(window.stride[axis]) >= size + pad { ceil - 1 } else { ceil })
    }
}

impl<const D: usize> Op for Pool<D> {
    fn name(&self) -> &'static str {
        let names = match (self.kind, self.windows) {
            (PoolKind::Max, Windows::Sliding(_)) => ["max_pool1d", "max_pool2d"],
            (PoolKind::Average, Windows::Sliding(_)) => ["avg_pool1d", "avg_pool2d"],
            (PoolKind::Lp(_), Windows::Sliding(_)) => ["lp_pool1d", "lp_pool2d"],
            (PoolKind::Max, Windows::Adaptive(_)) => ["adaptive_max_pool1d", "adaptive_max_pool2d"],
            (PoolKind::Average, Windows::Adaptive(_)) => ["adaptive_avg_pool1d", "adaptive_avg_pool2d"],
            (PoolKind::Lp(_), Windows::Adaptive(_)) => ["adaptive_lp_pool1d", "adaptive_lp_pool2d"],
        };
        names[D - 1]
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 2 + D)?;
        if let PoolKind::Lp(p) = self.kind
            && !(p.is_finite() && p > 0.0)
        {
            return Err(ErrorKind::argument("norm_type", "a finite number above 0", p));
        }
        let Image { h, w, .. } = Image::of(x);
        if self.return_indices {
            if self.kind != PoolKind::Max {
                return Err(ErrorKind::argument("return_indices", "false for all but max pooling", true));
            }
            if h.saturating_mul(w) > i32::MAX as usize {
                return Err(ErrorKind::argument("input", "planes of less than 2^31 pixels", x));
            }
        }
        let size = match self.windows {
            Windows::Adaptive(size) => {
                for (to, from) in size.into_iter().zip([h, w]) {
                    // The shader multiplies both.
                    if to == 0 || to.saturating_mul(from) >= 1 << 31 {
                        let wanted = format!("1 or more, and below 2^31 times the input's {from}");
                        return Err(ErrorKind::argument("output_size", wanted, to));
                    }
                }
                size
            }
            Windows::Sliding(window) => [self.output(&window, 0, h)?, self.output(&window, 1, w)?],
        };
        let y: Shape = [&x[..2], &size[2 - D..]].concat().into();
        Ok(vec![y; if self.return_indices { 2 } else { 1 }])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::F32)?;
        Ok(if self.return_indices { vec![DType::F32, DType::I32] } else { vec![DType::F32] })
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        let count = if self.return_indices { io.outputs[0].elements() } else { y.n * y.h * y.w * y.c4() };
        let (adaptive, window) = match self.windows {
            Windows::Sliding(window) => (false, window),
            Windows::Adaptive(_) => (true, Window { size: [x.h.div_ceil(y.h), x.w.div_ceil(y.w)], ..Window::PIXEL }),
        };
        // Steps that lead out of the image are all the same.
        let steps = |values: [usize; 2]| values.map(|v| v.min(1 << 30) as u32);
        let (kind, p) = match self.kind {
            PoolKind::Max => (0u32, 0.0),
            PoolKind::Average => (1, 0.0),
            PoolKind::Lp(p) => (2, p),
        };
        let params = Params {
            in_h: x.h as u32,
            in_w: x.w as u32,
            out_h: y.h as u32,
            out_w: y.w as u32,
            c: x.c as u32,
            count: count as u32,
            size: window.size.map(|v| v as u32),
            stride: steps(window.stride),
            dilation: steps(window.dilation),
            before: window.before.map(|v| v as u32),
            p,
            parity: if p.fract() == 0.0 { (p % 2.0) as u32 } else { 2 },
            start: if self.kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 },
            nan: f32::NAN,
        };
        // Where few invocations would each read a large window, a workgroup shares it. (llvmpipe has few invocations to fill.)
        let pixels = window.size[0] * window.size[1];
        let shared = caps.lanes.is_none() && pixels >= 64 && count < 1 << 16;
        if self.return_indices {
            let Split { lanes, columns } = Split::new(if shared { pixels } else { 1 }, 1);
            let shader = shader!("max_pool_indices", "index", "order", "pool")
                .set("ADAPTIVE", adaptive)
                .set("LANES", lanes)
                .set("COLUMNS", columns);
            let bindings = vec![Binding::Input(0), Binding::Output(0), Binding::Output(1)];
            let dispatches = vec![Dispatch::new(shader, &params, bindings, count.div_ceil(columns as usize))];
            return Ok(vec![Kernel { rank: 0, reads: vec![Layout::ROWS], writes: vec![Layout::ROWS; 2], dispatches }]);
        }
        let (lanes, columns) = if shared { (256u32, count.next_power_of_two().min(16)) } else { (64, 64) };
        let shader = shader!("pool", "index", "pool")
            .set("KIND", kind)
            .set("ADAPTIVE", adaptive)
            .set("COUNT_INCLUDE_PAD", self.count_include_pad)
            .set("LANES", lanes)
            .set("COLUMNS", columns as u32);
        // A workgroup computes so many columns.
        Ok(image_kernels(caps, &shader, &params, count.div_ceil(columns) * 64))
    }

    /// Of n pixels a maximum is n - 1 operations, an average n, and a norm 2 n: powers, sum, root. Padding counts as pixels.
    fn cost(&self, io: &Io) -> Cost {
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        let outputs = io.outputs[0].elements();
        let (pixels, touched) = match self.windows {
            Windows::Sliding(window) => {
                (outputs.saturating_mul(window.size[0]).saturating_mul(window.size[1]), window.touched(x, y))
            }
            Windows::Adaptive(_) => {
                let all = adaptive(x.h, y.h).saturating_mul(adaptive(x.w, y.w));
                (all.saturating_mul(x.n).saturating_mul(x.c), io.inputs[0].elements())
            }
        };
        let other = match self.kind {
            PoolKind::Max => pixels - outputs,
            PoolKind::Average => pixels,
            PoolKind::Lp(_) => pixels.saturating_mul(2),
        };
        let moves = (touched < io.inputs[0].elements()).then(|| io.written().saturating_add(touched as u64));
        Cost { moves, ..Cost::held(other as u64) }
    }

    fn reach(&self, io: &Io) -> Reach {
        let (x, y) = (&io.inputs[0][2..], &io.outputs[0][2..]);
        match self.windows {
            Windows::Sliding(window) => Reach::Window(window.taps(D)),
            // As even as can be is even.
            Windows::Adaptive(_) if (0..D).all(|i| x[i] % y[i] == 0 && (y[i] > 1 || x[i] == 1)) => {
                Reach::Window((0..D).map(|i| Taps::window(x[i] / y[i], x[i] / y[i], 1, 0)).collect())
            }
            Windows::Adaptive(_) => Reach::Everything,
        }
    }
}

impl Graph {
    /// Adds a [`Pool1d`] that is to [return indices](Pool::return_indices), and returns the largest pixels and their places.
    pub fn max_pool1d_with_indices(&mut self, x: Value, pool: Pool1d) -> Result<[Value; 2]> {
        self.pool_with_indices(x, pool)
    }

    /// Adds a [`Pool2d`] that is to [return indices](Pool::return_indices), and returns the largest pixels and their places.
    pub fn max_pool2d_with_indices(&mut self, x: Value, pool: Pool2d) -> Result<[Value; 2]> {
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
}
