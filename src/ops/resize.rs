//! Resampling of images to another size.

use super::channels::Part;
use super::image_storage;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, Taps};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Storage, WeightKey};
use crate::shape::{expect_countable, expect_inputs};
use crate::{Graph, Shape, Value};

/// The interpolation between pixels, without antialiasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMode {
    /// `"nearest"`: pixel `floor(o * scale)`.
    Nearest,
    /// `"nearest-exact"`: pixel `floor((o + 0.5) * scale)`, as other libraries round.
    NearestExact,
    /// `"linear"` and `"bilinear"`.
    Linear,
    /// `"bicubic"`, with PyTorch's coefficient of -0.75; here over `[N, C, L]` too.
    Cubic,
}

/// `torch.nn.functional.interpolate` of `[N, C, H, W]` or `[N, C, L]`, to a size or by factors. Output pixel `o` lies
/// at `(o + 0.5) * scale - 0.5` of the input, where `scale` is the input's size divided by the output's. The modes that
/// pick a pixel have formulas of their own.
///
/// A pixel with weight 0 counts, as in PyTorch: an infinity beside a position makes the result NaN. But along an axis
/// that keeps its size, infinities stay as they are (in PyTorch they become NaN).
///
/// ```
/// use shadernet::ops::{Resize, ResizeMode};
/// let to_size = Resize::new(ResizeMode::Linear, [224, 224]).align_corners(true);
/// let doubled = Resize::by(ResizeMode::Nearest, [2.0, 2.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Resize {
    mode: ResizeMode,
    to: To,
    align_corners: bool,
    recompute_scale_factor: bool,
}

#[derive(Clone, Debug)]
enum To {
    Size(Vec<usize>),
    Factors(Vec<f64>),
}

params! {
    struct Params {
        in_h: usize,
        in_w: usize,
        out_h: usize,
        out_w: usize,
        c4: usize,
        count: usize,
        rows: u32,
        columns: u32,
    }
}

/// The position of an output pixel along an axis: a pixel of the input, and the fraction beyond it.
type Position = (i32, f32);

impl Resize {
    fn to(mode: ResizeMode, to: To) -> Resize {
        Resize { mode, to, align_corners: false, recompute_scale_factor: false }
    }

    /// Creates a resize to a size: `[height, width]` or `[length]`.
    pub fn new(mode: ResizeMode, size: impl Into<Vec<usize>>) -> Resize {
        Resize::to(mode, To::Size(size.into()))
    }

    /// Creates a resize by factors, `[vertical, horizontal]` or one, to `floor(input * factor)`; `scale` is
    /// `1 / factor`. As in PyTorch, [`ResizeMode::Nearest`] and [`ResizeMode::Linear`] copy axes that keep their sizes.
    pub fn by(mode: ResizeMode, scale_factor: impl Into<Vec<f64>>) -> Resize {
        Resize::to(mode, To::Factors(scale_factor.into()))
    }

    /// Sets whether the centres of the corner pixels stay where they are: output pixel `o` lies at
    /// `o * (in - 1) / (out - 1)`. For the linear and the cubic mode only, as in PyTorch.
    #[must_use]
    pub fn align_corners(self, align_corners: bool) -> Resize {
        Resize { align_corners, ..self }
    }

    /// Sets whether factors determine only the size, and `scale` is the input's size divided by the output's.
    #[must_use]
    pub fn recompute_scale_factor(self, recompute_scale_factor: bool) -> Resize {
        Resize { recompute_scale_factor, ..self }
    }

    /// Returns the sizes of the output.
    fn sizes(&self, x: &[usize]) -> Result<Vec<usize>, ErrorKind> {
        let wanted = |name: &str, got: String| {
            Err(ErrorKind::argument(name, format_args!("{} numbers, 1 pixel or more each", x.len()), got))
        };
        match &self.to {
            To::Size(size) if size.len() != x.len() || size.contains(&0) => wanted("size", format!("{size:?}")),
            To::Size(size) => Ok(size.clone()),
            To::Factors(factors) => {
                // NaN and negative numbers give 0 here; the check of the shape refuses numbers that are too large.
                let sizes: Vec<usize> =
                    x.iter().zip(factors).map(|(&x, factor)| (x as f64 * factor) as usize).collect();
                match factors.len() != x.len() || sizes.contains(&0) {
                    true => wanted("scale_factor", format!("{factors:?}")),
                    false => Ok(sizes),
                }
            }
        }
    }

    /// Returns the factor of a spatial axis, counted from the last, if it determines the scale.
    fn factor(&self, from_last: usize) -> Option<f64> {
        match &self.to {
            To::Factors(factors) if !self.recompute_scale_factor => factors.iter().rev().nth(from_last).copied(),
            _ => None,
        }
    }

    /// Returns true if the mode copies this axis, as in PyTorch: no infinity or NaN then spreads to neighbours.
    fn copies(&self, input: usize, output: usize) -> bool {
        input == output && matches!(self.mode, ResizeMode::Nearest | ResizeMode::Linear)
    }

    /// Returns the positions of the output pixels of an axis.
    fn positions(&self, input: usize, output: usize, factor: Option<f64>) -> Vec<Position> {
        let copies = self.copies(input, output);
        let scale = match factor {
            _ if self.align_corners => (input - 1) as f64 / (output - 1).max(1) as f64,
            Some(factor) if !copies => 1.0 / factor,
            _ => input as f64 / output as f64,
        };
        let at = |o: usize| {
            let source = match self.mode {
                // PyTorch computes in f32, whose rounding picks the pixel where a product is nearly whole.
                ResizeMode::Nearest => f64::from((o as f32 * scale as f32).floor()),
                ResizeMode::NearestExact => f64::from(((o as f32 + 0.5) * scale as f32).floor()),
                _ if self.align_corners => o as f64 * scale,
                ResizeMode::Linear => ((o as f64 + 0.5) * scale - 0.5).max(0.0),
                ResizeMode::Cubic => (o as f64 + 0.5) * scale - 0.5,
            };
            let pixel = source.floor().min((input - 1) as f64);
            (pixel as i32, (source - pixel).clamp(0.0, 1.0) as f32)
        };
        (0..output).map(at).collect()
    }

    /// Returns the number of pixels along an axis that make one output pixel.
    fn taps(&self) -> u32 {
        match self.mode {
            ResizeMode::Nearest | ResizeMode::NearestExact => 1,
            ResizeMode::Linear => 2,
            ResizeMode::Cubic => 4,
        }
    }

    /// Returns the pixels of an axis that an output pixel depends on, if the factor matches the sizes.
    fn seen(&self, input: usize, output: usize, factor: Option<f64>) -> Option<Taps> {
        let (same, copies) = (input == output, self.copies(input, output));
        let [x, y] = [input, output].map(|size| i64::try_from(size).ok().filter(|&size| size < 1 << 31));
        let (x, y) = (x?, y?);
        if factor.is_some_and(|factor| factor * x as f64 != y as f64) && !self.align_corners && !copies {
            return None;
        }
        if same {
            return Some(Taps::window(1, 1, 1, 0));
        }
        // The pixels less than `distance` away from the position `(o * down + at) / up`.
        let near = |up: i64, down: i64, at: i64, distance: i64| {
            Taps::between(up as usize, down as usize, at - distance * up + 1, at + distance * up - 1)
        };
        let distance = i64::from(self.taps() / 2);
        Some(match self.mode {
            ResizeMode::Nearest => Taps::between(output, input, 1 - y, 0),
            ResizeMode::NearestExact => Taps::between(2 * output, 2 * input, x - 2 * y + 1, x),
            _ if self.align_corners && output == 1 => return None,
            _ if self.align_corners => near(y - 1, x - 1, 0, distance),
            _ => near(2 * y, 2 * x, x - y, distance),
        })
    }

    /// Returns the channels of an image that this operation doubles in height and width, each pixel standing for four, if it
    /// does that.
    pub(crate) fn doubled(&self, x: &Shape, y: &Shape) -> Option<Part> {
        let picks = matches!(self.mode, ResizeMode::Nearest | ResizeMode::NearestExact) && x.len() == 4;
        let halves = |axis: usize| {
            let positions = || self.positions(x[axis], y[axis], self.factor(3 - axis));
            y[axis] == 2 * x[axis] && positions().iter().enumerate().all(|(o, (pixel, _))| *pixel as usize == o / 2)
        };
        let part = (picks && (2..4).all(halves)).then(|| Part::new([x[1], 0], [y[1], 0], y[1]))??;
        Some(Part { doubled: true, ..part })
    }

    /// Packs the positions of rows, then of columns.
    fn pack(&self, x: Image, y: Image) -> Prepacked {
        let texels = (1, (y.h + y.w).div_ceil(2));
        // A factor of 0 stands for none: the sizes then determine the positions.
        let [rows, columns] = [1, 0].map(|axis| self.factor(axis).unwrap_or(0.0));
        let sizes = [self.mode as usize, usize::from(self.align_corners), x.h, x.w, y.h, y.w];
        let key = WeightKey::new("resize").sizes(sizes).number(rows).number(columns);
        let resize = self.clone();
        let values = move || {
            let rows = resize.positions(x.h, y.h, resize.factor(1));
            let columns = resize.positions(x.w, y.w, resize.factor(0));
            let words = |(pixel, fraction): Position| [f32::from_bits(pixel as u32), fraction];
            let mut values: Vec<f32> = rows.into_iter().chain(columns).flat_map(words).collect();
            values.resize(4 * texels.1, 0.0);
            values
        };
        Prepacked::new(key, Storage::Buffer, texels, values)
    }
}

impl Op for Resize {
    fn name(&self) -> &'static str {
        "interpolate"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if !(3..=4).contains(&x.len()) {
            return Err(ErrorKind::argument("input", "3 or 4 dimensions", x));
        }
        if self.align_corners && matches!(self.mode, ResizeMode::Nearest | ResizeMode::NearestExact) {
            return Err(ErrorKind::argument("align_corners", "false, for a mode that picks a pixel", true));
        }
        let y = Shape::from([&x[..2], &self.sizes(&x[2..])?].concat());
        expect_countable("size", &y)?;
        Ok(vec![y])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]));
        let count = y.n * y.h * y.w * y.c4();
        let taps = |input, output| if self.copies(input, output) { 1 } else { self.taps() };
        let params = Params {
            in_h: x.h,
            in_w: x.w,
            out_h: y.h,
            out_w: y.w,
            c4: x.c4(),
            count,
            rows: taps(x.h, y.h),
            columns: taps(x.w, y.w),
        };
        let kernel = |&storage: &Storage| {
            let texture = storage == Storage::Texture;
            let shader =
                shader!("resize", "index", "taps").set("TAPS", self.taps()).texture("x", texture).texture("y", texture);
            let bindings = vec![Binding::Input(0), Binding::Weight(self.pack(x, y)), Binding::Output(0)];
            let dispatch = Dispatch::for_each(shader, &params, bindings, count);
            Kernel::new(vec![Layout::channels(storage)], Layout::channels(storage), dispatch)
        };
        Ok(image_storage(caps).iter().map(kernel).collect())
    }

    /// Counts a weighted sum of taps. Each pixel of the input that is a tap is read once.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let rank = io.inputs[0].len();
        let each = (self.taps() as u64).pow(rank as u32 - 2);
        let read = io.read().min(io.written().saturating_mul(each));
        let moves = (read < io.read()).then(|| io.written().saturating_add(read));
        let taps = |axis: usize| self.seen(io.inputs[0][axis], io.outputs[0][axis], self.factor(rank - 1 - axis));
        let reach = (2..rank).map(taps).collect::<Option<_>>().map_or(Reach::Everything, Reach::Window);
        Metrics::new(Cost { moves, ..Cost::held(super::sampling::weighted(io.written(), each)) }).reach(reach)
    }
}

impl Graph {
    /// Adds a [`Resize`].
    pub fn resize(&mut self, x: Value, resize: Resize) -> Result<Value> {
        self.push(resize, &[x])
    }

    /// Adds a [`Resize`] of `[N, C, H, W]` by one factor, `torch.nn.Upsample`.
    pub fn upsample(&mut self, x: Value, scale_factor: f64, mode: ResizeMode) -> Result<Value> {
        self.push(Resize::by(mode, [scale_factor; 2]), &[x])
    }
}
