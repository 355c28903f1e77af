//! Walks over row-major tensors by strides, and the copy that moves elements from one walk to another.

use super::binary::eight;
use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Dispatch};
use std::num::Wrapping;

params! {
    struct Params {
        sizes: [usize; 8],
        x: [Wrapping<usize>; 8],
        y: [Wrapping<usize>; 8],
        count: usize,
        x_first: usize,
        y_first: usize,
    }
}

/// The start of a walk, and its stride along each dimension, in elements. A stride that wraps around goes backwards.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) first: usize,
    pub(crate) strides: Vec<usize>,
}

impl Walk {
    /// Returns the walk over all of a tensor.
    pub(crate) fn new(shape: &Shape) -> Walk {
        Walk { first: 0, strides: shape.strides() }
    }

    /// Returns true if each four neighbouring elements, counted from the first, are a texel of the tensor.
    fn is_aligned(&self, sizes: &[usize]) -> bool {
        let mut next = 1;
        let mut fours = self.first.is_multiple_of(4);
        for (&size, &stride) in sizes.iter().zip(&self.strides).rev().filter(|&(&size, _)| size != 1) {
            // The elements so far are consecutive, or whole texels.
            fours &= stride == next || (next.is_multiple_of(4) && stride.is_multiple_of(4));
            next = if stride == next { next * size } else { next };
        }
        fours && next.is_multiple_of(4)
    }
}

/// Copies one element from an input to an output for each index within `sizes`: row-major tensors in buffers. `y` is the
/// walk over the output; `None`: the elements are all of the output, in order.
pub(crate) fn strided(
    [input, output]: [usize; 2],
    sizes: &[usize],
    x: &Walk,
    y: Option<&Walk>,
) -> Result<Dispatch, ErrorKind> {
    let count: usize = sizes.iter().product();
    let in_order = Walk::new(&sizes.into());
    let aligned = y.is_none_or(|y| y.is_aligned(sizes));
    let y = y.unwrap_or(&in_order);
    let (sizes, [x_strides, y_strides]) = walks(sizes, [&x.strides, &y.strides])?;
    let params = Params {
        sizes,
        x: x_strides.map(Wrapping),
        y: y_strides.map(Wrapping),
        count,
        x_first: x.first,
        y_first: y.first,
    };
    let bindings = vec![Binding::Input(input), Binding::Output(output)];
    let shader = shader!("strided", "index").set("ALIGNED", aligned);
    Ok(Dispatch::for_each(shader, &params, bindings, count.div_ceil(4)))
}

/// Returns sizes and the strides of several walks in the shaders' form: eight, the missing outer ones filled in.
/// Dimensions that all walks cross as if they were one are merged.
pub(crate) fn walks<const N: usize>(
    sizes: &[usize],
    strides: [&[usize]; N],
) -> Result<([usize; 8], [[usize; 8]; N]), ErrorKind> {
    // Innermost first.
    let mut merged: Vec<(usize, [usize; N])> = Vec::new();
    for d in (0..sizes.len()).rev().filter(|&d| sizes[d] != 1) {
        let outer = strides.map(|strides| strides[d]);
        match merged.last_mut() {
            Some((size, inner)) if (0..N).all(|i| outer[i] == inner[i].wrapping_mul(*size)) => *size *= sizes[d],
            _ => merged.push((sizes[d], outer)),
        }
    }
    merged.reverse();
    let mut all = [[0; 8]; N];
    for (i, walk) in all.iter_mut().enumerate() {
        *walk = eight(&merged.iter().map(|(_, strides)| strides[i]).collect::<Vec<_>>(), 0)?;
    }
    Ok((eight(&merged.iter().map(|&(size, _)| size).collect::<Vec<_>>(), 1)?, all))
}

#[cfg(test)]
mod tests {
    use super::walks;

    /// `divide` of `shaders/lib/index.wgsl`, with a reciprocal that is off by some units of its last place.
    fn divide(a: i32, b: i32, off: i32) -> i32 {
        let inverse = f32::from_bits((1.0 / b as f32).to_bits().wrapping_add_signed(off));
        let guess = (a as f32 * inverse) as i32;
        let guess = guess + (a.wrapping_sub(guess.wrapping_mul(b)) as f32 * inverse) as i32;
        let rest = a.wrapping_sub(guess.wrapping_mul(b));
        guess + i32::from(rest >= b) - i32::from(rest < 0)
    }

    /// WGSL lets 2.5 units pass in a division.
    #[test]
    fn the_shaders_quotients_are_exact_below_two_to_the_31() {
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as i32
        };
        for i in 0..200_000 {
            let b = ((next() >> (next() % 31)) | 1).min(1 << 30);
            let near = next() / b * b;
            for a in [near, near.saturating_add(b - 1), near.saturating_sub(1).max(0), i32::MAX - i % 2000, i % 2000] {
                for off in -3..=3 {
                    assert_eq!(divide(a, b, off), a / b, "{a} / {b}, {off} units off");
                }
            }
        }
    }

    #[test]
    fn dimensions_that_are_crossed_as_one_are_one() {
        let last = |walk: [usize; 8]| [walk[5], walk[6], walk[7]];
        let (sizes, [x, y]) = walks(&[2, 3, 4, 5], [&[60, 20, 5, 1], &[60, 20, 5, 1]]).expect("four dimensions");
        assert_eq!((last(sizes), last(x), last(y)), ([1, 1, 120], [0, 0, 1], [0, 0, 1]));
        // The second walk repeats the second dimension, and sizes of 1 don't matter.
        let (sizes, [x, y]) = walks(&[2, 3, 1, 5], [&[15, 5, 5, 1], &[5, 0, 7, 1]]).expect("four dimensions");
        assert_eq!((last(sizes), last(x), last(y)), ([2, 3, 5], [15, 5, 1], [5, 0, 1]));
        // Backwards all the way.
        let back = |stride: usize| 0usize.wrapping_sub(stride);
        let (sizes, [x]) = walks(&[3, 5], [&[back(5), back(1)]]).expect("two dimensions");
        assert_eq!((last(sizes), last(x)), ([1, 1, 15], [0, 0, back(1)]));
        assert!(walks(&[2; 9], [&[1; 9]]).is_err());
    }
}
