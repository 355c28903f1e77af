//! Small products for the check of a device's matrix units.

use super::matrix::TILES_K;
use super::{BLOCK, Gemm, Operand};
use crate::Shape;
use crate::error::ErrorKind;
use crate::graph::constant::Constant;
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout, Scalar};
use crate::ops::epilogue::Epilogue;
use crate::ops::trial::{Trial, numbers, rounded};
use crate::ops::window::Window;

/// Returns trials of every kernel for such a device's matrix units, with either stored form of values in turn.
///
/// Neither the pixels nor the channels of the products are multiples of a tile, and k of two isn't; the windows of two
/// reach beyond the image; the weights are in two bindings, or values in either order. One input is beyond the range of an
/// `f16`, another is NaN.
pub(crate) fn trials(caps: &Caps) -> Result<Vec<Trial>, ErrorKind> {
    let window = Window { size: [3; 2], stride: [2; 2], before: [1; 2], after: [1; 2], ..Window::PIXEL };
    let y = Image { n: 3, h: 6, w: 5, c: 76 };
    let x = |c: usize| Image { n: 3, h: 11, w: 9, c };
    let mut trials = products(caps, [x(20), y], window, None, Scalar::F32)?;
    trials.extend(products(caps, [x(64), y], window, None, Scalar::F16)?);
    trials.extend(products(caps, [Image { c: 64, ..y }, y], Window::PIXEL, None, Scalar::F32)?);
    let rows = |c: usize| Image { n: 90, h: 1, w: 1, c };
    trials.extend(products(caps, [rows(36), rows(76)], Window::PIXEL, Some(false), Scalar::F16)?);
    trials.extend(products(caps, [rows(64), rows(76)], Window::PIXEL, Some(true), Scalar::F32)?);
    Ok(trials)
}

/// Returns trials of one product, the first with values stored as `first`. The weights are values if they are said to be
/// `transposed` or not.
fn products(
    caps: &Caps,
    [x, y]: [Image; 2],
    window: Window,
    transposed: Option<bool>,
    first: Scalar,
) -> Result<Vec<Trial>, ErrorKind> {
    let taps = window.size[0] * window.size[1];
    let mut from = numbers(1, x.n * x.h * x.w * x.c);
    let last = from.len() - 1;
    (from[last], from[last / 2]) = (f32::NAN, 1e5);
    let weights = numbers(2, y.c * x.c * taps);
    let bias = numbers(3, y.c);
    let expected = expected(&from, &weights, &bias, (x, y), window);
    let mut inputs = vec![from];
    match transposed {
        Some(true) => inputs.push(weights.clone()),
        Some(false) => inputs.push((0..weights.len()).map(|i| weights[i % y.c * x.c + i / y.c]).collect()),
        None => (),
    }
    let shape: Shape = [y.c, x.c, window.size[0], window.size[1]].into();
    let [w, b] = [(shape, weights), ([y.c].into(), bias)].map(|(shape, data)| Constant::known("trial", shape, data));
    let values = |transposed: bool| Operand::Input {
        rows: x.c,
        transposed: [false, transposed],
        batch: [1; 4],
        x_batch: [0; 4],
        w_batch: [0; 4],
    };
    let gemm = Gemm {
        x,
        y,
        layout: if transposed.is_some() { Layout::rows_vec4 } else { Layout::channels },
        window,
        depth: None,
        groups: 1,
        lines: None,
        parts: &[],
        pools: false,
        w: transposed.map_or(Operand::Weight(&w), values),
        bias: Some(&b),
        epilogue: Epilogue::default(),
    };
    // One block of channels fits into a binding.
    let few = (taps * gemm.x.c.next_multiple_of(TILES_K) * BLOCK * 4) as u64;
    let kernels = gemm.matrix(&Caps { max_binding: few, max_buffer: few, ..caps.clone() })?;
    let forms = [Scalar::F32, Scalar::F16].into_iter().cycle().skip(usize::from(first == Scalar::F16));
    let trial = |(kernel, scalar): (&Kernel, Scalar)| {
        let kernel = kernel.stored_as(&vec![scalar; kernel.reads.len()], scalar, Scalar::F16)?;
        // Products are exact, so that only sums are rounded.
        Some(Trial { kernel, inputs: inputs.clone(), y: expected.clone(), scalar, tolerance: 1e-4 })
    };
    Ok(kernels.iter().zip(forms).filter_map(trial).collect())
}

/// Returns the convolution of numbers rounded to `f16`, in f64.
fn expected(from: &[f32], weights: &[f32], bias: &[f32], (x, y): (Image, Image), window: Window) -> Vec<f32> {
    let (from, weights) = (rounded(from), rounded(weights));
    let [height, width] = window.size;
    let mut to = Vec::new();
    for (n, row, column) in (0..y.n * y.h * y.w).map(|i| (i / (y.h * y.w), i / y.w % y.h, i % y.w)) {
        for o in 0..y.c {
            let mut sum = f64::from(bias[o]);
            for (v, u) in (0..height * width).map(|tap| (tap / width, tap % width)) {
                let [i, j] = [(row, v, 0), (column, u, 1)]
                    .map(|(at, tap, axis)| (at * window.stride[axis] + tap).wrapping_sub(window.before[axis]));
                if i < x.h && j < x.w {
                    let pixel = &from[((n * x.h + i) * x.w + j) * x.c..][..x.c];
                    let filter = (0..x.c).map(|c| weights[((o * x.c + c) * height + v) * width + u]);
                    sum += pixel.iter().zip(filter).map(|(x, w)| x * w).sum::<f64>();
                }
            }
            to.push(sum as f32);
        }
    }
    to
}
