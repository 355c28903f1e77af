//! The common part of the attention kernels: parameters, bindings, and the split of keys among workgroups.

use super::{Attention, Form, Sizes};
use crate::Shape;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Order, Prepacked, Shader, Storage, WeightKey};

/// An attention that is lowered to dispatches.
pub(super) struct Lowering<'a> {
    op: &'a Attention,
    pub(super) sizes: Sizes,
    inputs: &'a [Shape],
}

/// The workgroups that keep a GPU busy, and the fewest keys of a split that is worth a join.
const WORKGROUPS: usize = 128;
const KEYS: usize = 256;

params! {
    struct Params {
        q: [usize; 4],
        k: [usize; 4],
        v: [usize; 4],
        y: [usize; 4],
        mask: [usize; 4],
        batch: usize,
        heads: usize,
        group: usize,
        queries: usize,
        keys: usize,
        d: usize,
        dv: usize,
        window: u32,
        splits: usize,
        positions: usize,
        causal: u32,
        masked: u32,
        scale: f32,
        unseen: f32,
    }
}

impl<'a> Lowering<'a> {
    pub(super) fn new(op: &'a Attention, sizes: Sizes, inputs: &'a [Shape]) -> Lowering<'a> {
        Lowering { op, sizes, inputs }
    }

    /// Returns the most keys that `queries` neighbouring queries see together.
    pub(super) fn span(&self, queries: usize) -> usize {
        let Sizes { keys, queries: all, .. } = self.sizes;
        let causal = if self.op.sees_the_past_only() && !self.op.cached { keys.min(all) } else { keys };
        self.op.window.map_or(causal, |window| causal.min(window.saturating_add(queries - 1)))
    }

    /// Returns the tiles of so many pairs of a query and a query head.
    pub(super) fn tiles(&self, pairs: usize) -> usize {
        self.sizes.batch * self.sizes.heads * self.sizes.pairs().div_ceil(pairs)
    }

    /// Returns the splits of the keys of a tile that sees `span` of them: several if there are few workgroups, or if an
    /// invocation would run more loop iterations than the device does.
    pub(super) fn splits(
        &self,
        span: usize,
        workgroups: usize,
        iterations: impl Fn(usize) -> usize,
        caps: &Caps,
    ) -> usize {
        let splits = (span / KEYS).min(WORKGROUPS / workgroups).max(1);
        let ends = |&splits: &usize| iterations(splits) <= caps.max_loop_iterations as usize;
        (splits..=span.max(splits)).find(ends).unwrap_or(splits)
    }

    /// Returns the parameters for rows of elements, or of whole texels.
    fn params(&self, splits: usize, texels: bool) -> Params {
        let Sizes { batch, heads, group, queries, keys, d, dv } = self.sizes;
        let all = heads * group;
        let [wide, wide_v] = [d, dv].map(|size| if texels { size.next_multiple_of(4) } else { size });
        let outer = |heads: usize, rows: usize, size: usize| [heads * rows * size, rows * size, size, 0];
        let inner = |heads: usize, rows: usize, size: usize| [rows * heads * size, size, heads * size, 0];
        let [q, k, v, y] = match self.op.form {
            Form::Outer => [
                outer(all, queries, wide),
                outer(heads, keys, wide),
                outer(heads, keys, wide_v),
                outer(all, queries, wide_v),
            ],
            Form::Inner(..) => {
                [inner(all, queries, d), inner(heads, keys, d), inner(heads, keys, dv), inner(all, queries, dv)]
            }
            Form::Qkv(..) => {
                let width = (all + 2 * heads) * d;
                let from = |head: usize| [keys * width, d, width, head * d];
                [from(0), from(all), from(all + heads), inner(all, queries, d)]
            }
        };
        let mask = match self.op.masked {
            true => {
                let strides = self.inputs[self.op.tensors()].broadcast_strides(&self.sizes.scores());
                strides.try_into().expect("scores have four dimensions")
            }
            false => [0; 4],
        };
        let positions = self.inputs.last().filter(|_| self.op.cached).map_or(0, Shape::elements);
        Params {
            q,
            k,
            v,
            y,
            mask,
            batch,
            heads,
            group,
            queries,
            keys,
            d,
            dv,
            window: self.op.window.map_or(u32::MAX, |window| window.try_into().unwrap_or(u32::MAX)),
            splits,
            positions,
            causal: self.op.sees_the_past_only().into(),
            masked: self.op.masked.into(),
            scale: self.op.scale.unwrap_or(1.0 / (d as f64).sqrt()) as f32,
            unseen: if self.op.plain_softmax { f32::NAN } else { 0.0 },
        }
    }

    pub(super) fn is_masked(&self) -> bool {
        self.op.masked
    }

    /// Returns true if the rows of queries, keys and values are whole `vec4`s.
    pub(super) fn is_aligned(&self) -> bool {
        self.sizes.d.is_multiple_of(4) && self.sizes.dv.is_multiple_of(4)
    }

    /// Returns true if each head's rows are whole `vec4`s once each row of an input is padded to whole texels.
    pub(super) fn is_padded_to_texels(&self) -> bool {
        self.is_aligned() || matches!(self.op.form, Form::Outer)
    }

    /// Returns a kernel of `workgroups` workgroups per split, and a join of several splits; `None`: the shader can't split
    /// the keys. Queries, keys and values have the first layout, the output the second. An invocation of a split runs
    /// `iterations` loop iterations.
    pub(super) fn kernel(
        &self,
        shader: Shader,
        layouts: [Layout; 2],
        workgroups: usize,
        splits: Option<usize>,
        iterations: usize,
    ) -> Kernel {
        let Sizes { batch, heads, dv, .. } = self.sizes;
        let op = self.op;
        let rows = batch * heads * self.sizes.pairs();
        let can_split = splits.is_some();
        let splits = splits.unwrap_or(1);
        // A shader that can split has a binding for the partial results, even of one split.
        let bytes = if splits > 1 { rows as u64 * splits as u64 * (dv.div_ceil(4) + 1) as u64 * 16 } else { 16 };
        let scratch = |write: bool| Binding::Scratch { index: 0, bytes, write };
        let tensors = op.tensors();
        let mut bindings: Vec<Binding> = (0..3).map(|i| Binding::Input(i % tensors)).collect();
        bindings.push(if op.masked { Binding::Input(tensors) } else { nothing() });
        bindings.push(if op.cached { Binding::Input(self.inputs.len() - 1) } else { nothing() });
        bindings.push(Binding::Output(0));
        if can_split {
            bindings.push(scratch(true));
        }
        let params = self.params(splits, layouts[0].order == Order::RowsVec4);
        let mut dispatches = vec![Dispatch::new(shader, &params, bindings, workgroups * splits).iterations(iterations)];
        if splits > 1 {
            let bindings = vec![scratch(false), Binding::Output(0)];
            let slices = 256 / (dv.div_ceil(4) + 1);
            let shader = shader!("attention_join", "attention", "index", "nan");
            let join = Dispatch::new(shader.set("ALIGNED", self.is_aligned()), &params, bindings, rows);
            dispatches.push(join.iterations(splits.div_ceil(256) + splits.div_ceil(slices) + slices + 32));
        }
        let mut reads = vec![Layout::ROWS; self.inputs.len()];
        reads[..tensors].fill(layouts[0]);
        Kernel::several(reads, vec![layouts[1]], dispatches)
    }
}

/// Returns the binding in place of a missing mask or position: something must be bound.
fn nothing() -> Binding {
    Binding::Weight(Prepacked::new(WeightKey::new("nothing"), Storage::Buffer, (1, 1), || vec![0.0; 4]))
}
