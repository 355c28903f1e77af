//! The portable GEMM: tiles in workgroup memory, of a size that suits the problem and the device.

use super::model::{self, Choice, Problem};
use super::{BLOCK, Gemm, Operand, parts};
use crate::error::{ErrorKind, Result};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader, Storage, looped, plain};
use crate::ops::Activation;
use crate::ops::activation::ActivationParams;
use crate::ops::window::{DepthParams, Window};
use std::num::Wrapping;

params! {
    pub(super) struct GemmParams {
        pixels: usize,
        out_w: usize,
        out_hw: usize,
        out_c: usize,
        in_h: usize,
        in_w: usize,
        in_c: usize,
        in4: usize,
        stride: [usize; 2] as [stride_y, stride_x],
        before: [isize; 2] as [pad_top, pad_left],
        dilation: [usize; 2] as [dilation_y, dilation_x],
        kernel_w: usize,
        taps: usize,
        span4: usize,
        k4: usize,
        pixel4: usize,
        row4: usize,
        first4: usize,
        wide4: usize,
        w_rows: usize,
        splits: usize,
        share4: usize,
        activation: ActivationParams,
        depth: DepthParams,
        zeros: [u32; 2],
        groups: [usize; 4],
        batch: [[usize; 4]; 3] as [batch, x_batch, w_batch],
        parts: [[Wrapping<usize>; 4]; 3] as [ends, pitch, shift],
    }
}

params! {
    struct JoinParams {
        splits: usize,
        count: usize,
        out_c: usize,
        activation: ActivationParams,
    }
}

/// The part of a product that a dispatch computes: its first channel and its channels, in texels; the rows of a second
/// operand; the number of shares of k, and the texels of each.
pub(super) struct Share {
    pub(super) first4: usize,
    pub(super) wide4: usize,
    pub(super) w_rows: usize,
    pub(super) splits: usize,
    pub(super) share4: usize,
}

/// Returns the shader, its variants' common text.
pub(super) fn shader() -> Shader {
    shader!("gemm", "activation", "index", "gemm", "gemm_operands", "blocks", "groups", "nan")
}

impl Gemm<'_> {
    /// Returns the variants over channels last or matrices that suit, best first.
    pub(super) fn tiled(&self, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        self.variants(caps, false)
    }

    /// Returns the variants that read x as NCHW, the order of a network's input, best first.
    pub(super) fn tiled_rows(&self, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        self.variants(caps, true)
    }

    fn variants(&self, caps: &Caps, rows: bool) -> Result<Vec<Kernel>, ErrorKind> {
        // `packing` is the same product.
        let Some(packing) = (if rows { self.flattened() } else { Some(Gemm { ..*self }) }) else {
            return Ok(Vec::new());
        };
        let problem = Problem {
            matrices: self.products(),
            pixels: self.pixels(),
            channels: self.y.c,
            k: packing.taps() * packing.span4(BLOCK) * 4,
            grouped: self.groups > 1,
            filter: None,
        };
        // The dispatch that adds shares of k knows no lines.
        let several = |splits: usize| self.lines.is_none() && self.shared(splits) <= caps.max_binding;
        let held = |choice: &Choice| choice.splits == 1 || (!self.pools && several(choice.splits));
        let choices = model::choices(&problem, caps).into_iter().map(|choice| packing.ending(choice, caps));
        let mut choices: Vec<Choice> = choices.filter(held).collect();
        choices.dedup();
        choices.into_iter().map(|choice| self.variant(caps, &packing, choice, rows)).collect()
    }

    /// Returns the choice with enough splits of k that the device runs the loop over each to its end.
    fn ending(&self, choice: Choice, caps: &Caps) -> Choice {
        let ends = |splits: usize| self.iterations(Choice { splits, ..choice }) <= caps.max_loop_iterations as usize;
        let k4 = self.taps() * self.span4(BLOCK);
        let splits = (choice.splits..=k4).find(|&splits| ends(splits)).unwrap_or(choice.splits);
        Choice { splits, ..choice }
    }

    /// Returns the loop iterations of an invocation that computes a share of k.
    fn iterations(&self, choice: Choice) -> usize {
        let span4 = self.span4(BLOCK);
        let share4 = choice.share4(self.taps() * span4);
        // Each pixel of each quad may need a second sum.
        let [quads_m, quads_n] = choice.tile.quads;
        let again = if self.mixed(BLOCK) { quads_m * quads_n * looped(4, plain(share4)).all } else { 0 };
        choice.tile.iterations(share4) + again
    }

    /// Returns the bytes of the partial results of all splits.
    fn shared(&self, splits: usize) -> u64 {
        (splits * self.texels() * 16) as u64
    }

    fn texels(&self) -> usize {
        self.products() * self.pixels() * self.y.c4()
    }

    /// Returns one variant, for weights packed as those of `packing`.
    fn variant(&self, caps: &Caps, packing: &Gemm, choice: Choice, rows: bool) -> Result<Kernel, ErrorKind> {
        let Choice { tile, splits } = choice;
        let span4 = packing.span4(BLOCK);
        let k4 = packing.taps() * span4;
        let share4 = choice.share4(k4);
        let shader = tile.specialize(shader());
        let shader = shader.set("POINT", self.is_point() && !rows).set("X_ROWS", rows);
        let shader = if self.lines.is_some() { shader.set("LINES", true) } else { shader };
        let shader = if self.deep() || (rows && self.depth.is_some()) { shader.set("DEEP", true) } else { shader };
        let shader = self.of_parts(if self.pools { shader.tile("POOL", 4) } else { shader });
        let (shader, w_rows) = match self.w {
            Operand::Weight(_) => (shader, 0),
            Operand::Input { rows, transposed: [x, w], .. } => {
                (shader.set("W_ROWS", true).set("X_COLUMNS", x).set("W_COLUMNS", w), rows)
            }
        };
        let (shader, activation) = match splits {
            1 => (self.epilogue.specialize(shader), self.epilogue.activation),
            _ => (shader.set("PARTIAL", true), None),
        };
        let shader = shader.set("GROUPED", packing.mixed(BLOCK));
        let scratch = |write| Binding::Scratch { index: 0, bytes: self.shared(splits), write };
        let dispatch = |first4: usize, wide4: usize, w: Binding| {
            let share = Share { first4, wide4, w_rows, splits, share4 };
            let params = self.params(packing, &share, activation);
            let mut bindings = self.bindings(w, self.bias());
            if splits > 1 {
                bindings[3..].clone_from_slice(&[Binding::Input(0), scratch(true)]);
            }
            // Something must be bound in place of parts that aren't there.
            bindings.extend((1..4).map(|i| Binding::Input(if i < self.parts.len() { i } else { 0 })));
            let tiles = self.pixels().div_ceil(tile.m) * (4 * wide4).div_ceil(tile.n);
            Dispatch::new(shader.clone(), &params, bindings, self.products() * tiles * splits)
                .iterations(packing.iterations(choice))
        };
        let mut dispatches: Vec<Dispatch> = match self.w {
            Operand::Weight(w) => chunks(caps, BLOCK, 4 * k4 * BLOCK * 4, self.y.c.div_ceil(BLOCK))?
                .map(|(first, count)| {
                    let w = packing.pack(w, BLOCK, span4, first..first + count, Storage::Buffer, BLOCK * k4);
                    let (first4, wide4) = self.texels_of(first, count);
                    dispatch(first4, wide4, Binding::Weight(w))
                })
                .collect(),
            Operand::Input { .. } => vec![dispatch(0, self.y.c4(), Binding::Input(1))],
        };
        if splits > 1 {
            dispatches.push(self.join(splits, scratch(false)));
        }
        let mut reads = self.reads(Storage::Buffer);
        if rows {
            reads[0] = Layout::ROWS;
        }
        Ok(Kernel::several(reads, vec![(self.layout)(Storage::Buffer)], dispatches))
    }

    /// Returns the parameters of a dispatch, for weights packed as those of `packing`.
    pub(super) fn params(&self, packing: &Gemm, share: &Share, activation: Option<Activation>) -> GemmParams {
        let Window { size, stride, dilation, before, .. } = self.window;
        let (out_c, row4) = self.stored();
        let span4 = packing.span4(BLOCK);
        GemmParams {
            pixels: self.pixels(),
            out_w: self.y.w,
            out_hw: self.y.h * self.y.w,
            out_c,
            in_h: self.x.h,
            in_w: self.x.w,
            in_c: self.lines.map_or(self.x.c, |lines| lines.samples),
            in4: self.x.c4(),
            stride,
            before: before.map(|v| v as isize),
            dilation,
            kernel_w: size[1],
            taps: self.taps(),
            span4,
            k4: packing.taps() * span4,
            pixel4: self.y.c4(),
            row4,
            first4: share.first4,
            wide4: share.wide4,
            w_rows: share.w_rows,
            splits: share.splits,
            share4: share.share4,
            activation: ActivationParams::new(activation),
            depth: DepthParams::new(self.depth, size[0]),
            zeros: [0; 2],
            groups: self.channel_groups().params(),
            batch: self.matrices(),
            parts: parts::params(self.parts),
        }
    }

    /// Returns the product that reads x as NCHW, with its taps flattened into k, one for each tap of each channel.
    /// Channels last would pad the channels to four. `None` if it doesn't pay.
    pub(super) fn flattened(&self) -> Option<Self> {
        let whole = self.lines.is_none() && self.parts.is_empty();
        let few = self.x.c <= 4 && self.groups == 1 && self.x.h * self.x.w > 1 && whole;
        let flat = Image { c: self.x.c * self.taps(), ..self.x };
        (few && matches!(self.w, Operand::Weight(_))).then_some(Gemm {
            x: flat,
            window: Window::PIXEL,
            depth: None,
            ..*self
        })
    }

    /// Returns the dispatch that adds the partial sums of several workgroups.
    fn join(&self, splits: usize, shared: Binding) -> Dispatch {
        let params = JoinParams {
            splits,
            count: self.texels(),
            out_c: self.y.c,
            activation: ActivationParams::new(self.epilogue.activation),
        };
        // The shader binds all but x.
        let bindings = self.bindings(shared, self.bias()).split_off(1);
        let shader = self.epilogue.specialize(shader!("gemm_join", "activation", "index", "nan"));
        Dispatch::for_each(shader, &params, bindings, self.texels()).iterations(splits + 1)
    }

    /// Returns the first texel of the outputs of `count` blocks from `block` on, and the number of their texels.
    pub(super) fn texels_of(&self, block: usize, count: usize) -> (usize, usize) {
        let first4 = block * BLOCK / 4;
        (first4, (count * BLOCK / 4).min(self.y.c4() - first4))
    }
}

/// Returns the runs of blocks, (first, count), whose weights fit into one binding. A block has `block` output channels
/// and `bytes` bytes of weights.
pub(crate) fn chunks(
    caps: &Caps,
    block: usize,
    bytes: usize,
    blocks: usize,
) -> Result<impl Iterator<Item = (usize, usize)>, ErrorKind> {
    let limits = [(caps.max_binding, "max_storage_buffer_binding_size"), (caps.max_buffer, "max_buffer_size")];
    let (have, limit) = limits.into_iter().min().expect("there are two");
    let per_chunk = (have / bytes as u64) as usize;
    if per_chunk == 0 {
        let what = format!("the weights of {block} outputs");
        return Err(ErrorKind::Limit { what, limit, need: bytes as u64, have });
    }
    Ok((0..blocks).step_by(per_chunk).map(move |first| (first, per_chunk.min(blocks - first))))
}
