//! The windows of convolutions and pools.

use crate::Shape;
use crate::error::Result;
use crate::import::onnx::node::Node;
use crate::import::onnx::stored::counts;

/// A window as its node's attributes describe it, one number per spatial axis.
pub(super) struct Window {
    pub(super) size: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    /// The padding before and after each axis.
    pub(super) pads: Vec<[usize; 2]>,
}

/// Returns an attribute of `count` numbers of 0 or more, if the node has it.
pub(super) fn numbers(node: &Node, name: &'static str, count: usize) -> Result<Option<Vec<usize>>> {
    let wrong = |got: &[i64]| {
        node.refused(&format!("attribute {name}"), &format!("{count} numbers of 0 or more"), format_args!("{got:?}"))
    };
    let Some(given) = node.ints(name)? else { return Ok(None) };
    counts(&given).filter(|sizes| sizes.len() == count).map(Some).ok_or_else(|| wrong(&given))
}

impl Window {
    /// Reads the attributes of windows of `size` over the spatial axes of `shape`.
    pub(super) fn from_node(node: &Node, size: Vec<usize>, shape: &Shape) -> Result<Window> {
        let rank = size.len();
        if shape.len() != rank + 2 {
            return Err(node.refused("input", &format!("{} dimensions", rank + 2), shape));
        }
        let stride = numbers(node, "strides", rank)?.unwrap_or_else(|| vec![1; rank]);
        let dilation = numbers(node, "dilations", rank)?.unwrap_or_else(|| vec![1; rank]);
        if let Some(&zero) =
            size.iter().chain(&stride).chain(&dilation).find(|&&number| number == 0 || number > 1 << 28)
        {
            return Err(node.refused("kernel_shape, strides, dilations", "1 to 2^28", zero));
        }
        let given = numbers(node, "pads", 2 * rank)?;
        let auto = node.one_of("auto_pad", &["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])?;
        let pads = match auto {
            "NOTSET" => {
                let given = given.unwrap_or_else(|| vec![0; 2 * rank]);
                (0..rank).map(|axis| [given[axis], given[axis + rank]]).collect()
            }
            "VALID" => vec![[0, 0]; rank],
            _ => (0..rank)
                .map(|axis| {
                    // Each axis has as many windows as strides begin in the image.
                    let (input, span) = (shape[axis + 2], dilation[axis] * (size[axis] - 1) + 1);
                    let all =
                        (input.div_ceil(stride[axis]).saturating_sub(1) * stride[axis] + span).saturating_sub(input);
                    let less = all / 2;
                    if auto == "SAME_UPPER" { [less, all - less] } else { [all - less, less] }
                })
                .collect(),
        };
        Ok(Window { size, stride, dilation, pads })
    }
}

/// Returns the window and the groups of a convolution, given the shapes of its weights and of its input.
pub(super) fn window(node: &Node, weight: &Shape, x: &Shape) -> Result<(Window, usize)> {
    let size = weight.get(2..).unwrap_or_default().to_vec();
    if let Some(stated) = numbers(node, "kernel_shape", size.len())?.filter(|stated| *stated != size) {
        return Err(node.refused(
            "attribute kernel_shape",
            &format!("{size:?}, as W says"),
            format_args!("{stated:?}"),
        ));
    }
    Ok((Window::from_node(node, size, x)?, node.count("group", 1, 1)?))
}
