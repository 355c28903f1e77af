//! The kernel of 3-D convolution, over volumes and videos.

use super::activation::ActivationParams;
use super::filters::Filters;
use super::gemm::chunks;
use super::part::{Loops, Part};
use super::window::Window;
use crate::error::{ErrorKind, Result};
use crate::graph::op::Io;
use crate::kernel::dispatch::WORKGROUP;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};

params! {
    struct Params {
        in_size: [usize; 3] as [in_d, in_h, in_w],
        in_c: usize,
        out_h: usize,
        out_w: usize,
        out_volume: usize,
        out_c: usize,
        kernel: [usize; 3] as [kernel_z, kernel_y, kernel_x],
        pixels: usize,
        stride: [usize; 3] as [stride_z, stride_y, stride_x],
        before: [usize; 3] as [before_z, before_y, before_x],
        dilation: [usize; 3] as [dilation_z, dilation_y, dilation_x],
        group_in: usize,
        group_out: usize,
        group_blocks: usize,
        first_block: usize,
        blocks: usize,
        activation: ActivationParams,
        part: Part,
    }
}

/// Returns the kernel of a convolution with these filters and this window.
pub(crate) fn kernels(filters: &Filters, window: &Window<3>, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
    // With fewer workgroups than a GPU needs, an invocation takes fewer channels.
    const ENOUGH: usize = 256;
    let (x, y) = (&io.inputs[0], &io.outputs[0]);
    let out_volume: usize = y[2..].iter().product();
    let pixels = y[0] * out_volume;
    let each = pixels.div_ceil(WORKGROUP).min(4);
    let tiles = pixels.div_ceil(WORKGROUP * each);
    let (group_in, group_out, groups) = (filters.weight.shape()[1], filters.group_out(), filters.groups);
    let blocks_of = |out4: usize| groups * group_out.div_ceil(4 * out4);
    let serves = |&out4: &usize| group_out.div_ceil(4) % out4 == 0 && blocks_of(out4) * tiles >= ENOUGH;
    let out4 = [4, 2].into_iter().find(serves).unwrap_or(1);

    let k = group_in * window.size.iter().product::<usize>();
    let shader = shader!("conv3d", "activation", "index", "nan").tile("PIXELS", each as u32).tile("OUT4", out4 as u32);
    let shader = filters.epilogue.specialize(shader);
    let [planes, rows, taps] = window.size;
    let parts = Loops { planes, rows, taps, channels: group_in }.parts(64, caps);
    let dispatch = |(first, count): (usize, usize), &(part, iterations): &(Part, usize)| {
        let params = Params {
            in_size: [x[2], x[3], x[4]],
            in_c: x[1],
            out_h: y[3],
            out_w: y[4],
            out_volume,
            out_c: y[1],
            kernel: window.size,
            pixels,
            stride: window.stride,
            before: window.before,
            dilation: window.dilation,
            group_in,
            group_out,
            group_blocks: group_out.div_ceil(4 * out4),
            first_block: first,
            blocks: count,
            activation: ActivationParams::new(filters.epilogue.activation),
            part,
        };
        let weight = Binding::Weight(filters.pack(out4, first..first + count));
        let bindings = vec![Binding::Input(0), weight, filters.epilogue.binding(), Binding::Output(0)];
        Dispatch::new(shader.clone(), &params, bindings, count * tiles).iterations(iterations)
    };
    let chunks = chunks(caps, 4 * out4, (k + 1) * out4 * 16, blocks_of(out4))?;
    let dispatches = chunks.flat_map(|chunk| parts.iter().map(move |part| (chunk, part)));
    let dispatches = dispatches.map(|(chunk, part)| dispatch(chunk, part));
    let reads = vec![Layout::ROWS; filters.epilogue.inputs()];
    Ok(vec![Kernel::several(reads, vec![Layout::ROWS], dispatches.collect())])
}
