//! An embedding: learned rows by their index.

use super::index_select::{places, select, wide};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op, expect_dtypes};
use crate::kernel::{Binding, Caps, Kernel, Layout, Prepacked, Storage, WeightKey};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};
use std::ops::Range;

/// `torch.nn.Embedding`: a row of the weight `[num_embeddings, embedding_dim]` for each index. The input holds `i32`s
/// of any shape; the output has `embedding_dim` as an additional last dimension.
///
/// Indices out of range are treated as in [`IndexSelect`](super::IndexSelect). PyTorch's `padding_idx` matters to
/// training only. A weight larger than a binding is read in parts, one dispatch each, if its rows are whole `vec4`s.
#[derive(Clone, Debug)]
pub struct Embedding {
    weight: Constant,
}

impl Embedding {
    /// Creates an embedding with the rows of `weight`.
    pub fn new(weight: Constant) -> Embedding {
        Embedding { weight }
    }

    /// Returns the number of the weight's rows and their length.
    fn sizes(&self) -> Result<[usize; 2], ErrorKind> {
        let shape = self.weight.shape();
        let wanted = || ErrorKind::argument("weight", "[num_embeddings, embedding_dim], 1 or more of each", shape);
        shape[..].try_into().ok().filter(|sizes: &[usize; 2]| !sizes.contains(&0)).ok_or_else(wanted)
    }

    /// Packs some of the rows.
    fn pack(&self, rows: Range<usize>, length: usize) -> Prepacked {
        let texels = (rows.len() * length).div_ceil(4);
        let key = WeightKey::new("embedding").constants([Some(self.weight.id())]).sizes([rows.start, rows.end]);
        let weight = self.weight.clone();
        let values = move || {
            let mut values = weight.values()[rows.start * length..rows.end * length].to_vec();
            values.resize(texels * 4, 0.0);
            values
        };
        Prepacked::new(key, Storage::Buffer, (1, texels), values)
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [index] = expect_inputs::<1>(inputs)?;
        let [_, length] = self.sizes()?;
        Ok(vec![[&index[..], &[length]].concat().into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::I32)?;
        Ok(vec![DType::F32])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let [size, length] = self.sizes()?;
        let most = usize::try_from(caps.max_binding).unwrap_or(usize::MAX) / 4 / length;
        let rows = if wide(length) { most.clamp(1, size) } else { size };
        let part = |first: usize| {
            let rows = first..(first + rows).min(size);
            let weight = Binding::Weight(self.pack(rows.clone(), length));
            select(weight, 0, io, length, size, rows)
        };
        let dispatches = (0..size).step_by(rows).map(part).collect();
        Ok(vec![Kernel::several(vec![Layout::ROWS], vec![Layout::ROWS], dispatches).with_range(0, places(size))])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost { parameters: self.weight.shape().elements() as u64, ..Cost::copy(io.written(), io.read()) })
            .parameters(vec![&self.weight])
    }
}

impl Graph {
    /// Adds an [`Embedding`].
    pub fn embedding(&mut self, index: Value, weight: Constant) -> Result<Value> {
        self.push(Embedding::new(weight), &[index])
    }
}
