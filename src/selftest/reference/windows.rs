//! Convolution, padding and pooling along any number of axes.

use super::Tensor;
use crate::DType;
use crate::ops::{PaddingMode, PoolKind};

/// The attributes of a convolution along `D` axes, or of a transposed one.
#[derive(Clone, Copy, Debug)]
pub struct Conv<const D: usize = 2> {
    pub stride: [usize; D],
    /// The padding before and after each axis, which a transposed convolution cuts off.
    pub padding: [[usize; 2]; D],
    /// The pixels that a transposed convolution adds at the end of each axis.
    pub output_padding: [usize; D],
    pub dilation: [usize; D],
    pub groups: usize,
    pub mode: PaddingMode,
}

impl<const D: usize> Conv<D> {
    pub const ONE: Conv<D> = Conv {
        stride: [1; D],
        padding: [[0; 2]; D],
        output_padding: [0; D],
        dilation: [1; D],
        groups: 1,
        mode: PaddingMode::Zeros,
    };
}

pub fn conv<const D: usize>(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv<D>) -> Tensor {
    let x = pad(x, &conv.padding.map(|sides| sides.map(|pixels| pixels as isize)), conv.mode, 0.0);
    let (out, kernel) = (weight.shape[0], &weight.shape[1..]);
    let positions = (0..D).map(|a| (x.shape[2 + a] - conv.dilation[a] * (kernel[1 + a] - 1) - 1) / conv.stride[a] + 1);
    let terms = kernel.iter().product::<usize>();
    Tensor::build([x.shape[0], out].into_iter().chain(positions).collect::<Vec<_>>(), |i| {
        let mut sum = bias.map_or(0.0, |bias| bias.at(&[i[1]]));
        let mut at = i.to_vec();
        for term in 0..terms {
            let mut rest = term;
            for a in (0..D).rev() {
                at[2 + a] = i[2 + a] * conv.stride[a] + rest % kernel[1 + a] * conv.dilation[a];
                rest /= kernel[1 + a];
            }
            at[1] = i[1] / (out / conv.groups) * kernel[0] + rest;
            sum += x.at(&at) * f64::from(weight.data[i[1] * terms + term]);
        }
        sum
    })
}

/// Returns all indices of a shape, the last dimension fastest.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![Vec::new()], |outer, &size| {
        outer.iter().flat_map(|index| (0..size).map(|i| [&index[..], &[i]].concat())).collect()
    })
}

/// Scatters each input pixel: adds it to all the output pixels under its taps.
pub fn conv_transpose<const D: usize>(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv<D>) -> Tensor {
    let (inputs, group_out) = (x.shape[1], weight.shape[1]);
    let (out, group_in) = (group_out * conv.groups, inputs / conv.groups);
    let to: [usize; D] = std::array::from_fn(|a| {
        let spanned = (x.shape[2 + a] - 1) * conv.stride[a] + conv.dilation[a] * (weight.shape[2 + a] - 1) + 1;
        spanned + conv.output_padding[a] - conv.padding[a][0] - conv.padding[a][1]
    });
    let shape = [&[x.shape[0], out], &to[..]].concat();
    let pixels: usize = to.iter().product();
    let mut y = Tensor::build(shape, |i| bias.map_or(0.0, |bias| bias.at(&[i[1]])));
    let mut sums: Vec<f64> = y.data.iter().map(|&bias| f64::from(bias)).collect();
    let taps = indices(&weight.shape[1..]);
    for q in indices(&x.shape) {
        for (tap, weight) in taps.iter().zip(&weight.data[q[1] * taps.len()..]) {
            let at =
                |a: usize| (q[2 + a] * conv.stride[a] + tap[1 + a] * conv.dilation[a]).wrapping_sub(conv.padding[a][0]);
            if (0..D).all(|a| at(a) < to[a]) {
                let plane = q[0] * out + q[1] / group_in * group_out + tap[0];
                let place = (0..D).fold(0, |flat, a| flat * to[a] + at(a));
                sums[plane * pixels + place] += x.at(&q) * f64::from(*weight);
            }
        }
    }
    y.data = sums.into_iter().map(|sum| sum as f32).collect();
    y
}

/// Pads the last dimensions by `padding`, `[before, after]` each, the outermost first. Negative padding crops.
pub fn pad(x: &Tensor, padding: &[[isize; 2]], mode: PaddingMode, value: f64) -> Tensor {
    let missing = x.shape.len() - padding.len();
    let of = |d: usize| if d < missing { [0, 0] } else { padding[d - missing] };
    let sizes: Vec<usize> = (0..x.shape.len())
        .map(|d| usize::try_from(x.shape[d] as isize + of(d)[0] + of(d)[1]).expect("something is left"))
        .collect();
    let source = |d: usize, i: usize| {
        let ([before, after], size) = (of(d), x.shape[d] as isize);
        let mut i = i as isize - before;
        match mode {
            PaddingMode::Zeros => {}
            PaddingMode::Reflect => {
                while !(0..size).contains(&i) {
                    i = if i < 0 { -i } else { 2 * (size - 1) - i };
                }
            }
            PaddingMode::Replicate => i = i.clamp(0, size - 1),
            // A circular padding repeats only the elements that cropping leaves.
            PaddingMode::Circular => {
                let (from, to) = ((-before).max(0), size + after.min(0));
                i = from + (i - from).rem_euclid(to - from);
            }
        }
        usize::try_from(i).ok().filter(|&i| i < x.shape[d])
    };
    Tensor::build(sizes, |i| {
        let from: Option<Vec<usize>> = i.iter().enumerate().map(|(d, &i)| source(d, i)).collect();
        from.map_or(value, |from| x.at(&from))
    })
}
/// The attributes of pooling by sliding windows along `D` axes.
#[derive(Clone, Copy, Debug)]
pub struct Pool<const D: usize = 2> {
    pub kind: PoolKind,
    pub size: [usize; D],
    pub stride: [usize; D],
    /// The padding before and after each axis.
    pub padding: [[usize; 2]; D],
    pub dilation: [usize; D],
    pub ceil_mode: bool,
    pub count_include_pad: bool,
}

/// The windows along an axis: the pixels of each that are inside, and their number with the padding.
type Windows = Vec<(Vec<usize>, usize)>;

impl<const D: usize> Pool<D> {
    /// Max pooling by three pixels along each axis, with a stride of 2.
    pub const MAX: Pool<D> = Pool {
        kind: PoolKind::Max,
        size: [3; D],
        stride: [2; D],
        padding: [[0; 2]; D],
        dilation: [1; D],
        ceil_mode: false,
        count_include_pad: true,
    };

    pub fn terms(&self) -> usize {
        self.size.iter().product()
    }

    fn windows(&self, x: &Tensor) -> Vec<Windows> {
        let along = |axis: usize| {
            let (length, stride, dilation) = (x.shape[2 + axis], self.stride[axis], self.dilation[axis]);
            let [before, after] = self.padding[axis];
            let room = length + before + after - dilation * (self.size[axis] - 1) - 1;
            let ceil = room.div_ceil(stride) + 1;
            // A last window that would begin beyond the image and its leading padding is left out.
            let ceil_mode = self.ceil_mode && (ceil - 1) * stride < length + before;
            let window = |o: usize| {
                let padded = (0..self.size[axis]).map(|k| o * stride + k * dilation);
                let padded = padded.filter(|&i| i < length + before + after);
                let inside = padded.clone().filter_map(|i| i.checked_sub(before)).filter(|&i| i < length);
                (inside.collect(), padded.count())
            };
            (0..if ceil_mode { ceil } else { room / stride + 1 }).map(window).collect()
        };
        (0..D).map(along).collect()
    }
}

fn adaptive_windows(x: &Tensor, to: &[usize]) -> Vec<Windows> {
    let along = |(&length, &outputs): (&usize, &usize)| {
        let window = |o: usize| (o * length / outputs..((o + 1) * length).div_ceil(outputs)).collect::<Vec<_>>();
        (0..outputs).map(|o| (window(o), window(o).len())).collect()
    };
    x.shape[2..].iter().zip(to).map(along).collect()
}

/// Computes `f` of the pixels of each window and their number with the padding.
fn of_windows(x: &Tensor, axes: &[Windows], f: impl Fn(&[Vec<usize>], usize) -> f64) -> Tensor {
    let shape: Vec<usize> = x.shape[..2].iter().copied().chain(axes.iter().map(Vec::len)).collect();
    Tensor::build(shape, |i| {
        let (mut pixels, mut padded) = (vec![i[..2].to_vec()], 1);
        for (windows, &o) in axes.iter().zip(&i[2..]) {
            let (inside, count) = &windows[o];
            pixels = pixels.iter().flat_map(|at| inside.iter().map(|&p| [&at[..], &[p]].concat())).collect();
            padded *= count;
        }
        f(&pixels, padded)
    })
}

/// Returns the largest pixel and its index in the plane: the first of equal ones, the last NaN, -1 if there is none.
fn largest(x: &Tensor, pixels: &[Vec<usize>]) -> (f64, f64) {
    pixels.iter().fold((f64::NEG_INFINITY, -1.0), |best, at| {
        let value = x.at(at);
        let place = at[2..].iter().zip(&x.shape[2..]).fold(0, |flat, (&p, &size)| flat * size + p);
        if best.1 < 0.0 || value > best.0 || value.is_nan() { (value, place as f64) } else { best }
    })
}

/// Pools windows; `whole` is the number of pixels to which PyTorch's norm is scaled, if it is.
fn pooled(x: &Tensor, kind: PoolKind, axes: &[Windows], whole: Option<usize>, count_padding: bool) -> Tensor {
    of_windows(x, axes, |pixels, padded| {
        let (values, inside) = (pixels.iter().map(|at| x.at(at)), pixels.len());
        match kind {
            PoolKind::Max => largest(x, pixels).0,
            PoolKind::Average => values.sum::<f64>() / (if count_padding { padded } else { inside }) as f64,
            PoolKind::Lp(p) => {
                let scale = whole.map_or(1.0, |whole| whole as f64 / inside as f64);
                (values.map(|x| x.powf(p.into())).sum::<f64>() * scale).powf(1.0 / f64::from(p))
            }
            PoolKind::PNorm(p) => values.map(|x| x.abs().powf(p.into())).sum::<f64>().powf(1.0 / f64::from(p)),
        }
    })
}

pub fn pool<const D: usize>(x: &Tensor, pool: &Pool<D>) -> Tensor {
    pooled(x, pool.kind, &pool.windows(x), Some(pool.terms()), pool.count_include_pad)
}

pub fn adaptive_pool(x: &Tensor, kind: PoolKind, to: &[usize]) -> Tensor {
    pooled(x, kind, &adaptive_windows(x, to), None, true)
}

fn with_indices(x: &Tensor, axes: &[Windows]) -> [Tensor; 2] {
    let place = of_windows(x, axes, |pixels, _| largest(x, pixels).1);
    [pooled(x, PoolKind::Max, axes, None, true), place.with_dtype(DType::I32)]
}

/// Returns the largest pixels and their indices.
pub fn max_pool_with_indices<const D: usize>(x: &Tensor, pool: &Pool<D>) -> [Tensor; 2] {
    with_indices(x, &pool.windows(x))
}

pub fn adaptive_max_pool_with_indices(x: &Tensor, to: &[usize]) -> [Tensor; 2] {
    with_indices(x, &adaptive_windows(x, to))
}
