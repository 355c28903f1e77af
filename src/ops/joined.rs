//! Operations that one kernel computes together: pairs, and the projections of one value.

use super::channels::Part;
use super::gemm::Projections;
use super::norm::Norm;
use super::{Append, Concat, Conv, Conv2d, Glu, LayerNorm, Linear, Pool, Resize, RmsNorm, RotaryEmbedding, Slice};
use crate::Shape;
use crate::graph::op::{Io, Op};
use crate::kernel::{Caps, Kernel};

/// Returns kernels that compute an operation and the only reader of its output in one step, if such kernels pay on the
/// device. The reader reads the output as the input `position`. The kernels' inputs are the first operation's, then the
/// other ones of the reader.
pub(crate) fn joined(
    (op, io): (&dyn Op, &Io),
    (next, next_io): (&dyn Op, &Io),
    position: usize,
    caps: &Caps,
) -> Option<Vec<Kernel>> {
    let concat = op.downcast_ref::<Concat>().map(|concat| concat.parts(io));
    let one = |part: Option<Part>| part.map(|part| vec![part]);
    let parts = concat.or_else(|| op.downcast_ref::<Slice>().map(|slice| one(slice.part(io))));
    let doubled = |resize: &Resize| one(resize.doubled(&io.inputs[0], &io.outputs[0]));
    let parts = parts.or_else(|| op.downcast_ref().map(doubled));
    if let Some(parts) = parts {
        let parts = parts.filter(|_| position == 0)?;
        let read = [over::<1>, over::<2>, over::<3>];
        return read.iter().find_map(|over| over(&parts, next, next_io, caps));
    }
    if let Some(rotary) = op.downcast_ref::<RotaryEmbedding>() {
        next.downcast_ref::<Append>().filter(|_| position == 1)?;
        return Some(vec![rotary.kernel(io, Some(next_io)).ok()?]);
    }
    let conv: &Conv2d = op.downcast_ref()?;
    match (next.downcast_ref::<Conv2d>(), position) {
        (Some(next), 0) => conv.with_pointwise(io, next, next_io, caps),
        (Some(next), _) => conv.added(io, next, next_io, caps),
        _ => conv.pooled(io, next.downcast_ref::<Pool<2>>()?.largest()?, next_io, caps),
    }
}

/// Returns the kernel that computes linear layers of one input in one step, with the norm before them and the gate after
/// two of them, if it pays on the device. The input of the norm, or that of each layer, has the shape `x`.
pub(crate) fn projected(
    norm: Option<&dyn Op>,
    layers: &[&dyn Op],
    gate: Option<&dyn Op>,
    x: &Shape,
    caps: &Caps,
) -> Option<Kernel> {
    let norm = match norm {
        Some(op) => Some(norm_of_rows(op, *x.last()?)?),
        None => None,
    };
    let gate = match gate {
        Some(op) => Some(op.downcast_ref::<Glu>()?.of_pair()?),
        None => None,
    };
    let layers = layers.iter().map(|op| Some(op.downcast_ref::<Linear>()?.gemm(x))).collect::<Option<_>>()?;
    Projections { norm, layers, gate }.kernel(caps)
}

/// Returns the normalisation of an operation that normalises rows of so many elements, one by one.
pub(crate) fn norm_of_rows(op: &dyn Op, length: usize) -> Option<&Norm> {
    let rms = op.downcast_ref::<RmsNorm>().and_then(|norm| norm.of_rows(length));
    rms.or_else(|| op.downcast_ref::<LayerNorm>()?.of_rows(length))
}

/// Returns the kernels that read the parts of a convolution's input where they are, if `op` is a convolution along `D` axes.
fn over<const D: usize>(parts: &[Part], op: &dyn Op, io: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
    op.downcast_ref::<Conv<D>>()?.gemm(io).over(parts, caps)
}
