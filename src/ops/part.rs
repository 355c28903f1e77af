//! Parts of a convolution's loops over taps and channels, for devices that end loops early. Each dispatch adds its
//! products to the sums that earlier dispatches left in the output.

use crate::kernel::params::params;
use crate::kernel::{Caps, looped, plain};
use std::ops::Range;

params! {
    /// The products of one dispatch: a range of the kernel's planes, of the rows in each, and of the channels of each
    /// tap. Rows are never divided. In WGSL: the members of `Params` from `from_plane` to `ends`.
    pub(crate) struct Part {
        from: [usize; 3] as [from_plane, from_row, from_channel],
        to: [usize; 3] as [to_plane, to_row, to_channel],
        /// 1 in the part that starts from the bias; the others start from the output.
        begins: u32,
        /// 1 in the part that ends the sum: it adds the residual and computes the activation.
        ends: u32,
    }
}

/// The loops over a kernel of so many planes, rows and taps in a row, and over the channels of each tap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loops {
    pub(crate) planes: usize,
    pub(crate) rows: usize,
    pub(crate) taps: usize,
    pub(crate) channels: usize,
}

impl Loops {
    fn iterations(&self, planes: usize, rows: usize, channels: usize) -> usize {
        looped(planes, looped(rows, looped(self.taps, plain(channels)))).all
    }

    /// Returns the parts, in the order of their dispatches, each with the iterations of an invocation's loops. `others`
    /// is the number of iterations of other loops.
    pub(crate) fn parts(&self, others: usize, caps: &Caps) -> Vec<(Part, usize)> {
        let most = (caps.max_loop_iterations as usize).saturating_sub(others);
        let fitting = |all: usize, iterations: &dyn Fn(usize) -> usize| {
            // Iterations grow with the size, so that the first fit of a descending search is the largest.
            let fits = |size: &usize| iterations(*size) <= most;
            if fits(&all) { all } else { (1..all).rev().find(fits).unwrap_or(1) }
        };
        let channels = fitting(self.channels, &|channels| self.iterations(1, 1, channels));
        let rows = fitting(self.rows, &|rows| self.iterations(1, rows, channels));
        let planes = fitting(self.planes, &|planes| self.iterations(planes, rows, channels));
        let iterations = self.iterations(planes, rows, channels) + others;
        let mut parts = Vec::new();
        for plane in ranges(self.planes, planes) {
            for row in ranges(self.rows, rows) {
                for channel in ranges(self.channels, channels) {
                    let [from, to] = [[plane.start, row.start, channel.start], [plane.end, row.end, channel.end]];
                    parts.push((Part { from, to, begins: 0, ends: 0 }, iterations));
                }
            }
        }
        // None of these sizes is 0.
        if let Some((part, _)) = parts.first_mut() {
            part.begins = 1;
        }
        if let Some((part, _)) = parts.last_mut() {
            part.ends = 1;
        }
        parts
    }
}

/// Divides `0..all` into ranges of at most `each`.
pub(crate) fn ranges(all: usize, each: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..all).step_by(each).map(move |start| start..(start + each).min(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_each_product_once_and_end_in_time() {
        let loops = Loops { planes: 3, rows: 5, taps: 7, channels: 11 };
        for max_loop_iterations in [60, 100, 500, 1000, u32::MAX] {
            let parts = loops.parts(2, &Caps { max_loop_iterations, ..Caps::portable() });
            let mut seen = [[[0; 11]; 5]; 3];
            for (part, iterations) in &parts {
                assert!(*iterations <= max_loop_iterations as usize, "{iterations} of {max_loop_iterations}");
                for (plane, rows) in seen.iter_mut().enumerate() {
                    for (row, channels) in rows.iter_mut().enumerate() {
                        for (channel, times) in channels.iter_mut().enumerate() {
                            let at = [plane, row, channel];
                            *times += u32::from((0..3).all(|i| (part.from[i]..part.to[i]).contains(&at[i])));
                        }
                    }
                }
            }
            assert_eq!(seen, [[[1; 11]; 5]; 3], "{max_loop_iterations}");
            assert_eq!(parts.iter().map(|(part, _)| part.begins).sum::<u32>(), 1);
            assert!(parts[0].0.begins == 1 && parts[parts.len() - 1].0.ends == 1);
        }
        assert_eq!(loops.parts(2, &Caps::portable()).len(), 1);
    }
}
