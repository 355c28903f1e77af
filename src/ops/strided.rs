//! The strided copy that transpose and concat are made of.

use super::binary::eight;
use crate::error::{ErrorKind, Result};
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Dispatch};
use bytemuck::{Pod, Zeroable};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    sizes: [u32; 8],
    x: [u32; 8],
    y: [u32; 8],
    count: u32,
    first: u32,
    pad: [u32; 2],
}

/// `y[first + sum_d i_d ys_d] = x[sum_d i_d xs_d]` for each index within `sizes`: row-major tensors in buffers.
pub(crate) fn strided(
    input: usize,
    sizes: &[usize],
    x_strides: &[usize],
    y_strides: &[usize],
    first: usize,
) -> Result<Dispatch, ErrorKind> {
    let count: usize = sizes.iter().product();
    let params = Params {
        sizes: eight(sizes, 1)?,
        x: eight(x_strides, 0)?,
        y: eight(y_strides, 0)?,
        count: count as u32,
        first: first as u32,
        pad: [0; 2],
    };
    let bindings = vec![Binding::Input(input), Binding::Output(0)];
    Ok(Dispatch::new(shader!("strided", "index"), &params, bindings, count.div_ceil(64)))
}
