//! Images that are doubled before they are joined with others, as in U-Nets: the concatenation doubles them.

use crate::graph::Node;
use crate::graph::op::Io;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::{Concat, Resize};

/// Finds a concatenation of channels whose input is an image that each pixel of another one stands four times in, and that
/// nothing else reads.
pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let concat: &Concat = node.op.downcast_ref()?;
    let (&output, count) = (node.outputs.first()?, node.inputs.len());
    let doubles = |&value: &crate::Value| {
        let (resize, &[x]) = seen.op::<Resize>(value)? else { return None };
        resize.doubled(seen.shape(x), seen.shape(value)).filter(|_| seen.read_once(value)).map(|_| x)
    };
    let (i, x) = node.inputs.iter().enumerate().find_map(|(i, value)| Some((i, doubles(value)?)))?;
    let mut inputs = node.inputs.clone();
    inputs[i] = x;
    let shapes: Vec<_> = inputs.iter().map(|&value| seen.shape(value).clone()).collect();
    let (outputs, dtypes) = ([seen.shape(output).clone()], vec![seen.graph().known_dtype(output); count]);
    let op = concat.doubling(i, count);
    // Only images in whole texels are doubled as they are copied.
    op.parts(&Io { inputs: &shapes, outputs: &outputs, dtypes: &dtypes })?;
    Replacement::op(op, &inputs)
}
