//! Padding and cropping: images in PyTorch's modes, tensors of any rank with a constant.

use super::binary::eight;
use super::{PaddingMode, image_kernels, one_to_one};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, Taps};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::{expect_inputs, expect_rank};
use crate::{Graph, Shape, Value};

/// `torch.nn.functional.pad` of the pixels of `[N, C, L]` or `[N, C, H, W]`, in any of its modes: `ConstantPad1d`,
/// `ReflectionPad2d` and their like. Negative padding crops.
///
/// A reflection must be smaller than the image. Circular padding may be as large as the image after cropping. Cropping
/// can't remove more pixels than the image has.
#[derive(Clone, Debug)]
pub struct ImagePad<const D: usize> {
    /// `[before, after]` of each axis.
    pub(crate) padding: [[isize; 2]; D],
    pub(crate) mode: PaddingMode,
    pub(crate) value: f32,
}

/// Padding of `[N, C, L]`.
pub type Pad1d = ImagePad<1>;

/// Padding of `[N, C, H, W]`.
///
/// ```
/// use shadernet::ops::{Pad2d, PaddingMode};
/// let around = Pad2d::new([1, 1, 2, 2], PaddingMode::Reflect);
/// let shifted_right = Pad2d::constant([0, 0, 1, -1], 0.5);
/// ```
pub type Pad2d = ImagePad<2>;

/// `torch.nn.functional.pad(x, padding, "constant", value)` of up to eight dimensions. Negative padding crops.
#[derive(Clone, Debug)]
pub struct Pad {
    padding: Vec<[isize; 2]>,
    value: f32,
}

params! {
    struct Params {
        in_h: usize,
        in_w: usize,
        out_h: usize,
        out_w: usize,
        c: usize,
        count: usize,
        value: f32,
        before: [isize; 2] as [top, left],
        /// The range of the image's pixels that padding repeats, `from` to `to`.
        from: [isize; 2] as [from_y, from_x],
        to: [isize; 2] as [to_y, to_x],
    }
}

params! {
    struct RowsParams {
        y: [usize; 8],
        x: [usize; 8],
        before: [isize; 8],
        first: usize,
        count: usize,
        value: f32,
    }
}

impl Pad1d {
    /// Padding by `[left, right]` pixels.
    pub fn new(padding: [isize; 2], mode: PaddingMode) -> Pad1d {
        ImagePad { padding: [padding], mode, value: 0.0 }
    }

    /// Padding by `[left, right]` pixels of this value.
    pub fn constant(padding: [isize; 2], value: f32) -> Pad1d {
        ImagePad { value, ..Pad1d::new(padding, PaddingMode::Zeros) }
    }
}

impl Pad2d {
    /// Padding by `[top, bottom, left, right]` pixels.
    pub fn new([top, bottom, left, right]: [isize; 4], mode: PaddingMode) -> Pad2d {
        ImagePad { padding: [[top, bottom], [left, right]], mode, value: 0.0 }
    }

    /// Padding by `[top, bottom, left, right]` pixels of this value.
    pub fn constant(padding: [isize; 4], value: f32) -> Pad2d {
        ImagePad { value, ..Pad2d::new(padding, PaddingMode::Zeros) }
    }
}

impl Pad {
    /// Padding of the last dimensions, the outermost first, by `[before, after]` elements of this value.
    pub fn new(padding: impl Into<Vec<[isize; 2]>>, value: f32) -> Pad {
        Pad { padding: padding.into(), value }
    }

    /// Returns the padding of each of `rank` dimensions.
    fn each(&self, rank: usize) -> Vec<[isize; 2]> {
        let mut all = vec![[0; 2]; rank - self.padding.len()];
        all.extend(&self.padding);
        all
    }
}

/// Returns the range of an axis that is left after cropping; `None` if the axis is too short.
fn kept(size: usize, [before, after]: [isize; 2]) -> Option<[usize; 2]> {
    let from = before.min(0).unsigned_abs();
    let to = size.checked_sub(after.min(0).unsigned_abs())?;
    (from <= to).then_some([from, to])
}

/// Returns the cost of padding the last dimensions.
fn padding_cost(io: &Io, padding: &[[isize; 2]]) -> Cost {
    let x = &io.inputs[0];
    let padded = x.len() - padding.len();
    let left =
        x[padded..].iter().zip(padding).filter_map(|(&size, &ends)| kept(size, ends)).map(|[from, to]| to - from);
    let read = x[..padded].iter().copied().chain(left).fold(1, usize::saturating_mul);
    Cost { moves: Some(io.written().saturating_add(read as u64)), ..Cost::held(0) }
}

/// Returns the region of a shift: each output pixel depends on the pixel that was moved there.
fn shifted(padding: &[[isize; 2]]) -> Reach {
    Reach::Window(padding.iter().map(|&[before, _]| Taps::window(1, 1, 1, before)).collect())
}

/// Returns the size of an axis with its padding.
fn padded(mode: PaddingMode, size: usize, padding: [isize; 2]) -> Result<usize, ErrorKind> {
    let error = |wanted: String, got: isize| Err(ErrorKind::argument("padding", wanted, got));
    let Some([from, to]) = kept(size, padding) else {
        return error(
            format!("to crop at most the {size} that there are"),
            padding[0].min(0).saturating_add(padding[1].min(0)),
        );
    };
    let most = padding[0].max(padding[1]);
    match mode {
        PaddingMode::Reflect if most >= size as isize => error(format!("less than the image's size, {size}"), most),
        PaddingMode::Circular if most > (to - from) as isize => {
            error(format!("at most the image's size, {}", to - from), most)
        }
        // Shaders count pixels in an i32.
        _ => match padding.iter().try_fold(to - from, |sum, &end| sum.checked_add(end.max(0) as usize)) {
            Some(sum) if (1..1 << 31).contains(&sum) => Ok(sum),
            _ => error(format!("1 to {} elements with the {} left of {size}", i32::MAX, to - from), most),
        },
    }
}

/// Returns the kernels that pad images along both axes, channels last.
fn image(io: &Io, caps: &Caps, padding: [[isize; 2]; 2], mode: PaddingMode, value: f32) -> Vec<Kernel> {
    let (x, y) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]));
    let count = y.n * y.h * y.w * y.c4();
    let kept = |axis: usize| match mode {
        // Circular padding doesn't repeat cropped pixels.
        PaddingMode::Circular => kept([x.h, x.w][axis], padding[axis]).expect("the shape was checked"),
        _ => [0, [x.h, x.w][axis]],
    };
    let params = Params {
        in_h: x.h,
        in_w: x.w,
        out_h: y.h,
        out_w: y.w,
        c: x.c,
        count,
        value,
        before: padding.map(|[before, _]| before),
        from: [kept(0)[0] as isize, kept(1)[0] as isize],
        to: [kept(0)[1] as isize, kept(1)[1] as isize],
    };
    let shader = shader!("pad", "index").set("MODE", mode as u32);
    image_kernels(caps, &Dispatch::for_each(shader, &params, one_to_one(), count))
}

impl<const D: usize> Op for ImagePad<D> {
    fn name(&self) -> &'static str {
        ["pad1d", "pad2d"][D - 1]
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 2 + D)?;
        let mut sizes = x.to_vec();
        for (size, &padding) in sizes[2..].iter_mut().zip(&self.padding) {
            *size = padded(self.mode, *size, padding)?;
        }
        Ok(vec![sizes.into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let mut padding = [[0; 2]; 2];
        padding[2 - D..].copy_from_slice(&self.padding);
        Ok(image(io, caps, padding, self.mode, self.value))
    }

    /// Excludes cropped elements, which aren't read.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(padding_cost(io, &self.padding)).reach(
            // Circular padding reads the opposite edge.
            if self.mode == PaddingMode::Circular { Reach::Everything } else { shifted(&self.padding) },
        )
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        eight(x, 1)?;
        if self.padding.len() > x.len() {
            let wanted = format!("a pair for each of at most {} dimensions", x.len());
            return Err(ErrorKind::argument("padding", wanted, format_args!("{} pairs", self.padding.len())));
        }
        let each = x.iter().zip(self.each(x.len()));
        let sizes: Result<Vec<usize>, _> = each.map(|(&size, ends)| padded(PaddingMode::Zeros, size, ends)).collect();
        Ok(vec![sizes?.into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let each = self.each(x.len());
        // Neighbouring dimensions without padding are merged.
        let mut merged: Vec<(usize, usize, [isize; 2])> = Vec::new();
        for ((&from, &to), &ends) in x.iter().zip(y.iter()).zip(&each) {
            match merged.last_mut() {
                Some((x, y, [0, 0])) if ends == [0, 0] => (*x, *y) = (*x * from, *y * to),
                _ => merged.push((from, to, ends)),
            }
        }
        let sizes = |size: fn(&(usize, usize, [isize; 2])) -> usize| merged.iter().map(size).collect::<Vec<_>>();
        let params = RowsParams {
            y: eight(&sizes(|axis| axis.1), 1)?,
            x: eight(&sizes(|axis| axis.0), 1)?,
            before: eight(&merged.iter().map(|axis| axis.2[0]).collect::<Vec<_>>(), 0)?,
            first: 8 - merged.len(),
            count: y.elements(),
            value: self.value,
        };
        let bindings = vec![Binding::Input(0), Binding::Output(0)];
        let dispatch = Dispatch::for_each(shader!("pad_rows", "index"), &params, bindings, y.elements().div_ceil(4));
        let mut kernels = vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)];
        match each[..] {
            [[0, 0], [0, 0], across] => {
                kernels.extend(image(io, caps, [[0; 2], across], PaddingMode::Zeros, self.value))
            }
            [[0, 0], [0, 0], down, across] => {
                kernels.extend(image(io, caps, [down, across], PaddingMode::Zeros, self.value));
            }
            _ => {}
        }
        Ok(kernels)
    }

    /// Excludes cropped elements, which aren't read.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(padding_cost(io, &self.each(io.inputs[0].len())))
            .reach(shifted(self.each(io.inputs[0].len()).get(2..).unwrap_or_default()))
    }
}

impl Graph {
    /// Adds a [`Pad`] of the last dimensions, the outermost first, by `[before, after]` elements.
    pub fn pad(&mut self, x: Value, padding: impl Into<Vec<[isize; 2]>>, value: f32) -> Result<Value> {
        self.push(Pad::new(padding, value), &[x])
    }

    /// Adds a [`Pad1d`] of `[left, right]` pixels.
    pub fn pad1d(&mut self, x: Value, padding: [isize; 2], mode: PaddingMode) -> Result<Value> {
        self.push(Pad1d::new(padding, mode), &[x])
    }

    /// Adds a [`Pad2d`] of `[top, bottom, left, right]` pixels.
    pub fn pad2d(&mut self, x: Value, padding: [isize; 4], mode: PaddingMode) -> Result<Value> {
        self.push(Pad2d::new(padding, mode), &[x])
    }
}
