//! The kernel of 3-D transposed convolution, over volumes.

use super::activation::ActivationParams;
use super::filters::Filters;
use super::gemm::chunks;
use super::part::{Loops, Part};
use super::window::{Window, volume};
use crate::Constant;
use crate::error::{ErrorKind, Result};
use crate::graph::op::Io;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Storage, WeightKey};
use std::ops::Range;

params! {
    struct Params {
        input: [usize; 3],
        in_c: usize,
        output: [usize; 3],
        out_c: usize,
        kernel: [usize; 3],
        pixels: usize,
        stride: [usize; 3],
        group_in: usize,
        dilation: [usize; 3],
        group_out: usize,
        before: [usize; 3],
        group_blocks: usize,
        step: [usize; 3],
        first_block: usize,
        count: usize,
        activation: ActivationParams,
        part: Part,
    }
}

/// Returns the kernel of a transposed convolution with these filters and this window.
pub(crate) fn kernels(filters: &Filters, window: &Window<3>, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
    let (x, y) = (&io.inputs[0], &io.outputs[0]);
    let pixels = y[0] * volume(y).iter().product::<usize>();
    let (groups, epilogue) = (filters.groups, filters.epilogue);
    let (group_in, group_out) = (x[1] / groups, y[1] / groups);
    let group_blocks = group_out.div_ceil(4);
    let k = group_in * window.size.iter().product::<usize>();
    let shader = epilogue.specialize(shader!("conv_transpose3d", "activation", "index", "transposed", "nan"));
    let step = window.tap_step();
    let [planes, rows, taps] = window.size;
    // Only every `step`-th tap of a row reaches a pixel; a loop finds the first.
    let loops = Loops { planes, rows, taps: taps.div_ceil(step[2]), channels: group_in };
    let parts = loops.parts(step.iter().sum::<usize>() + 16, caps);
    let dispatch = |(first, blocks): (usize, usize), &(part, iterations): &(Part, usize)| {
        let params = Params {
            input: volume(x),
            in_c: x[1],
            output: volume(y),
            out_c: y[1],
            kernel: window.size,
            pixels,
            stride: window.stride,
            group_in,
            dilation: window.dilation,
            group_out,
            before: window.before,
            group_blocks,
            step,
            first_block: first,
            count: blocks * pixels,
            activation: ActivationParams::new(epilogue.activation),
            part,
        };
        let weight = Binding::Weight(pack(filters, group_in, first..first + blocks));
        let bindings = vec![Binding::Input(0), weight, epilogue.binding(), Binding::Output(0)];
        Dispatch::for_each(shader.clone(), &params, bindings, blocks * pixels).iterations(iterations)
    };
    let chunks = chunks(caps, 4, (k + 1) * 16, groups * group_blocks)?;
    let dispatches = chunks.flat_map(|chunk| parts.iter().map(move |part| (chunk, part)));
    let dispatches = dispatches.map(|(chunk, part)| dispatch(chunk, part));
    let reads = vec![Layout::ROWS; epilogue.inputs()];
    Ok(vec![Kernel::several(reads, vec![Layout::ROWS], dispatches.collect())])
}

/// Packs blocks of 4 output channels of one group: filters, `[tap][channel]` texels, then the bias.
fn pack(filters: &Filters, group_in: usize, blocks: Range<usize>) -> Prepacked {
    let (weight, bias) = (filters.weight.clone(), filters.bias.clone());
    let group_out = weight.shape()[1];
    let taps: usize = weight.shape()[2..].iter().product();
    let (k, group_blocks) = (taps * group_in, group_out.div_ceil(4));
    let bias_id = bias.as_ref().map(Constant::id);
    let sizes = [taps, group_in, group_out, blocks.start, blocks.end];
    let key = WeightKey::new("conv transpose 3d").constants([Some(weight.id()), bias_id]).sizes(sizes);
    let texels = (blocks.len(), k + 1);
    let values = move || {
        let (from, bias) = (weight.values(), bias.as_ref().map(Constant::values));
        let mut to = vec![0.0; blocks.len() * (k + 1) * 4];
        for (block, to) in blocks.clone().zip(to.chunks_exact_mut((k + 1) * 4)) {
            let (group, within) = (block / group_blocks, block % group_blocks * 4);
            for lane in 0..4.min(group_out - within) {
                for (i, to) in to[..4 * k].chunks_exact_mut(4).enumerate() {
                    let (tap, c) = (i / group_in, group * group_in + i % group_in);
                    to[lane] = from[(c * group_out + within + lane) * taps + tap];
                }
                to[4 * k + lane] = bias.as_ref().map_or(0.0, |bias| bias[group * group_out + within + lane]);
            }
        }
        to
    };
    Prepacked::new(key, Storage::Buffer, texels, values)
}
