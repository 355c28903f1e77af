//! The kernels of pooling over volumes.

use super::pool::{Sliding, shares, volume};
use crate::graph::op::Io;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, looped, plain};

params! {
    struct Params {
        input: [usize; 3],
        count: usize,
        output: [usize; 3],
        parity: u32,
        size: [usize; 3],
        p: f32,
        stride: [usize; 3],
        start: f32,
        dilation: [usize; 3],
        nan: f32,
        before: [usize; 3],
        padding: u32,
        after: [usize; 3],
    }
}

/// The function of the pixels in a window, in the shaders' terms.
pub(crate) struct Of {
    pub(crate) kind: u32,
    pub(crate) p: f32,
    pub(crate) parity: u32,
    /// The initial value of a window's result.
    pub(crate) start: f32,
    pub(crate) count_include_pad: bool,
}

/// Returns the kernel over sliding windows, or over adaptive ones if there are none, of at most so many pixels along
/// each axis. With `indices` it gives a maximum and its index.
pub(crate) fn kernel(
    io: &Io,
    caps: &Caps,
    windows: Option<Sliding>,
    [deep, high, wide]: [usize; 3],
    result: &Of,
    indices: bool,
) -> Kernel {
    let one = Sliding { size: [1; 3], stride: [1; 3], dilation: [1; 3], before: [0; 3], after: [0; 3] };
    let Sliding { size, stride, dilation, before, after } = windows.unwrap_or(one);
    // All steps that lead out of the volume are alike.
    let steps = |values: [usize; 3]| values.map(|v| v.min(1 << 30));
    let count = io.outputs[0].elements();
    let params = Params {
        input: steps(volume(&io.inputs[0])),
        count,
        output: steps(volume(&io.outputs[0])),
        parity: result.parity,
        size: steps(size),
        p: result.p,
        stride: steps(stride),
        start: result.start,
        dilation: steps(dilation),
        nan: f32::NAN,
        before: steps(before),
        padding: 0,
        after: steps(after),
    };
    let shader = if indices {
        shader!("max_pool3d_indices", "index", "order", "largest", "pool3d", "pool_window", "nan")
    } else {
        shader!("pool3d", "index", "pool3d", "pool_window", "nan")
            .set("KIND", result.kind)
            .set("COUNT_INCLUDE_PAD", result.count_include_pad)
    };
    // The invocations that share a window, and how many of them are neighbours along a row of the window.
    let lanes = if shares(deep * high * wide, count, caps) { 256 } else { 1 };
    let across = wide.next_power_of_two().min(lanes);
    let columns = 64usize.div_ceil(lanes);
    let iterations = looped((deep * high).div_ceil(lanes / across), plain(wide.div_ceil(across))).all + 16;
    let shader = shader
        .set("ADAPTIVE", windows.is_none())
        .set("LANES", lanes as u32)
        .set("ACROSS", across as u32)
        .set("COLUMNS", columns as u32);
    let outputs = 0..io.outputs.len();
    let bindings = [Binding::Input(0)].into_iter().chain(outputs.clone().map(Binding::Output)).collect();
    let dispatches = vec![Dispatch::new(shader, &params, bindings, count.div_ceil(columns)).iterations(iterations)];
    Kernel::several(vec![Layout::ROWS], outputs.map(|_| Layout::ROWS).collect(), dispatches)
}
