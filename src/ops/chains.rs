//! Scatters of many updates, in time proportional to their number: each finds the others of its place in a chain.

use super::scatter::{ScatterKind, in_place};
use crate::graph::op::Io;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, looped, plain};
use crate::ops::part::ranges;

/// The positions that a scatter's updates go to.
pub(crate) struct Places {
    /// The shape of the updates, and the strides in x of their coordinates, if these take part.
    pub(crate) shape: [usize; 8],
    pub(crate) strides: [usize; 8],
    pub(crate) dimensions: usize,
    /// The sizes and the strides of the dimensions of x that `k` indices of an update count.
    pub(crate) sizes: [usize; 8],
    pub(crate) own: [usize; 8],
    pub(crate) k: usize,
    /// The number of updates.
    pub(crate) count: usize,
    /// The number of elements of an update. The strides count slices of so many.
    pub(crate) inner: usize,
}

params! {
    struct LinkParams {
        shape: [usize; 8],
        strides: [usize; 8],
        sizes: [usize; 8],
        own: [usize; 8],
        dimensions: usize,
        k: usize,
        first: usize,
        end: usize,
    }
}

params! {
    struct ClearParams {
        count: usize,
    }
}

params! {
    struct ChainedParams {
        inner: usize,
        first: usize,
        end: usize,
    }
}

/// The number of updates that three dispatches apply together, and of the chains. With half as many updates as chains, most
/// chains have one place. Larger shares take longer where many updates have one place.
const SHARE: usize = 1 << 14;
const CHAINS: usize = 1 << 15;

/// `LONGEST` of the shader.
const LONGEST: usize = 32;

impl Places {
    /// Returns the kernel that applies such updates; `None` if a device ends its loops too early.
    pub(crate) fn kernel(&self, kind: ScatterKind, io: &Io, range: [i32; 2], caps: &Caps) -> Option<Kernel> {
        let share = SHARE.min(self.count);
        // Each following update is a search.
        let in_chain = looped(LONGEST + 1, plain(LONGEST));
        let in_share = looped(share.div_ceil(4), plain(4));
        let turns = (plain(LONGEST) + in_chain + in_share).all;
        if turns > caps.max_loop_iterations as usize {
            return None;
        }
        let scratch =
            |index: usize, count: usize| move |write: bool| Binding::Scratch { index, bytes: 4 * count as u64, write };
        let (place, head, next) = (scratch(0, share), scratch(1, CHAINS), scratch(2, share));
        let clear = shader!("scatter_clear", "chains", "index");
        let link = shader!("scatter_link", "chains", "index", "scatter", "nan");
        let apply = kind.shader(shader!("scatter_chained", "chains", "index", "scatter", "nan"), io);
        let dispatches = ranges(self.count, SHARE).flat_map(|share| {
            let &Places { shape, strides, dimensions, sizes, own, k, inner, .. } = self;
            let (first, end) = (share.start, share.end);
            let clear = Dispatch::for_each(clear.clone(), &ClearParams { count: CHAINS }, vec![head(true)], CHAINS);
            let params = LinkParams { shape, strides, sizes, own, dimensions, k, first, end };
            let bindings = vec![Binding::Input(1), place(true), head(true), next(true)];
            let link = Dispatch::for_each(link.clone(), &params, bindings, share.len());
            let params = ChainedParams { inner, first, end };
            let bindings = vec![place(false), head(false), next(false), Binding::Input(2), Binding::Update(0)];
            let apply = Dispatch::for_each(apply.clone(), &params, bindings, share.len() * inner);
            [clear, link.iterations((plain(dimensions) + plain(k)).all), apply.iterations(turns)]
        });
        Some(in_place(dispatches.collect(), range))
    }
}
