//! A linear layer whose weights stay packed.

use super::activation::ActivationParams;
use super::epilogue::Epilogue;
use super::gemm::chunks;
use super::image_storage;
use super::packing::{buffer, grouped, packed, tile};
use crate::dtype::IntType;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Storage, WeightKey, looped, plain};
use crate::{DType, Graph, Shape, Value};
use std::ops::Range;

/// A [`Linear`](super::Linear) layer over `f32`s whose weights stay integers of 4 or 8 bits on the device:
/// `y = x weightᵀ + bias` with `weight = (q - zero_point) * scale`, q [packed](Constant::packed) integers `[out, in]`.
///
/// It is ONNX's `DequantizeLinear` before a `MatMul`, and ONNX Runtime's `MatMulNBits`. There is one scale, one for
/// each output, `[out]`, or one for each [block](PackedLinear::block_size) of an output's inputs,
/// `[out, ceil(in / block_size)]`. There are one or as many zero points; the default is 0.
///
/// ```
/// use shadernet::{Constant, IntType, ops::PackedLinear};
/// let weight = Constant::packed("weight", [8, 64], IntType::I4, || vec![0x7f; 8 * 64 / 2]);
/// let scale = Constant::new("scale", [8, 2], vec![0.01; 8 * 2])?;
/// let linear = PackedLinear::new(weight, scale).block_size(32);
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackedLinear {
    weight: Constant,
    scale: Constant,
    zero_point: Option<Constant>,
    bias: Option<Constant>,
    block: Option<usize>,
    transposed: bool,
    epilogue: Epilogue,
}

params! {
    struct Params {
        rows: usize,
        k: usize,
        words: usize,
        chunk: usize,
        chunks_per_block: usize,
        blocks: usize,
        out_c: usize,
        first4: usize,
        wide4: usize,
        zero: f32,
        activation: ActivationParams,
    }
}

impl PackedLinear {
    /// Creates a layer with these weights and scales, without a bias.
    pub fn new(weight: Constant, scale: Constant) -> PackedLinear {
        let epilogue = Epilogue::default();
        PackedLinear { weight, scale, zero_point: None, bias: None, block: None, transposed: false, epilogue }
    }

    /// Sets the integers that stand for 0, in the range of the weight's type.
    #[must_use]
    pub fn zero_point(self, zero_point: Constant) -> PackedLinear {
        PackedLinear { zero_point: Some(zero_point), ..self }
    }

    /// Sets a bias `[out]`.
    #[must_use]
    pub fn bias(self, bias: Constant) -> PackedLinear {
        PackedLinear { bias: Some(bias), ..self }
    }

    /// Sets the number of neighbouring inputs that share a scale: a multiple of 8. A row of the weight may end within
    /// its last block, or be longer than x to fill the block, as in `MatMulNBits`.
    #[must_use]
    pub fn block_size(self, size: usize) -> PackedLinear {
        PackedLinear { block: Some(size), ..self }
    }

    /// Takes `[in, out]` weights and, for blocks, `[ceil(in / block_size), out]` scales and zero points: a matmul's.
    #[must_use]
    pub fn transposed(self) -> PackedLinear {
        PackedLinear { transposed: true, ..self }
    }

    /// Returns this layer with a bias, if it has neither a bias nor an epilogue yet.
    pub(crate) fn with_bias(&self, bias: &Constant) -> Option<PackedLinear> {
        let fits = self.bias.is_none() && self.epilogue == Epilogue::default();
        (fits && bias.shape()[..] == self.sizes().ok()?[..1]).then(|| self.clone().bias(bias.clone()))
    }

    /// Returns the numbers of outputs, inputs and blocks of the weight.
    fn sizes(&self) -> Result<[usize; 3], ErrorKind> {
        let shape = self.weight.shape();
        let wanted = if self.transposed { "[in, out]" } else { "[out, in]" };
        let &[a, b] = &shape[..] else { return Err(ErrorKind::argument("weight", wanted, shape)) };
        let [out, features] = if self.transposed { [b, a] } else { [a, b] };
        match self.block {
            Some(block) if block == 0 || !block.is_multiple_of(8) => {
                Err(ErrorKind::argument("block_size", "a multiple of 8", block))
            }
            block => Ok([out, features, block.map_or(1, |block| features.div_ceil(block))]),
        }
    }

    /// Checks the type and the shape of scales or zero points.
    fn expect(&self, argument: &str, of: &Constant, dtype: DType) -> Result<(), ErrorKind> {
        let [out, _, blocks] = self.sizes()?;
        if of.dtype() != dtype {
            return Err(ErrorKind::argument(argument, dtype, of.dtype()));
        }
        let shape = Shape::from(if self.transposed { [blocks, out] } else { [out, blocks] });
        let flat = blocks == 1 && of.shape()[..] == [out];
        if of.shape().elements() == 1 || *of.shape() == shape || flat {
            return Ok(());
        }
        let wanted = if blocks == 1 { format!("one, or [{out}]") } else { format!("one, or {shape}") };
        Err(ErrorKind::argument(argument, wanted, of.shape()))
    }

    /// Packs weights, scales and zero points of some quads of outputs.
    fn pack(&self, features: usize, quads: Range<usize>, of: IntType) -> Result<[Binding; 3], ErrorKind> {
        let [out, inputs, blocks] = self.sizes()?;
        let (transposed, wide) = (self.transposed, quads.len());
        // The indices of a quad's four outputs, in one of several rows. The last output stands for missing ones.
        let four = move |quad: usize, row: usize, rows: usize| {
            let at = |o: usize| if transposed { row * out + o } else { o * rows + row };
            [0, 1, 2, 3].map(|lane| at((4 * quad + lane).min(out - 1)))
        };
        let ids = [Some(self.weight.id()), Some(self.scale.id()), self.zero_point.as_ref().map(Constant::id)];
        let sizes = [out, features, blocks, usize::from(transposed), quads.start, quads.end];
        let key = |form| WeightKey::new(form).constants(ids).sizes(sizes);

        let (weight, part) = (self.weight.clone(), quads.clone());
        let each = (32 / of.bits()) as usize;
        let count = features.div_ceil(each);
        let weight = buffer(key("packed linear, weight"), 4 * count * wide, move || {
            let numbers = weight.counted();
            let word = |i: usize, quad: usize| {
                let ks = (i * each..features.min((i + 1) * each)).rev();
                ks.map(|k| four(quad, k, inputs).map(|at| u32::from(numbers[at])))
                    // The first k is in the lowest bits.
                    .fold([0; 4], |words, more| [0, 1, 2, 3].map(|lane| words[lane] << of.bits() | more[lane]))
            };
            grouped(count, part.clone(), word).into_flattened()
        });
        let (scale, part) = (self.scale.clone(), quads.clone());
        let scale = buffer(key("packed linear, scale"), 4 * blocks * wide, move || {
            let scales = scale.values();
            let scale = |at: usize| scales[at % scales.len()].to_bits();
            grouped(blocks, part.clone(), |block, quad| four(quad, block, blocks).map(scale)).into_flattened()
        });
        let several = self.zero_point.clone().filter(|zero_point| zero_point.shape().elements() > 1);
        let count = if several.is_some() { blocks * wide } else { 1 };
        let zeros = buffer(key("packed linear, zero points"), count, move || {
            let Some(zeros) = &several else { return vec![0] };
            let zeros = whole(zeros);
            let zero = |at: usize| zeros[at].wrapping_add(of.offset()) as u8;
            grouped(blocks, quads.clone(), |block, quad| u32::from_le_bytes(four(quad, block, blocks).map(zero)))
        });
        Ok([weight, scale, zeros].map(Binding::Weight))
    }
}

/// Returns the values of a constant of integers.
fn whole(constant: &Constant) -> Vec<i32> {
    constant.data().into_i32().expect("packed integers and zero points are integers")
}

impl Op for PackedLinear {
    fn name(&self) -> &'static str {
        "packed_linear"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.epilogue.expect_inputs(inputs)?;
        packed("weight", &self.weight)?;
        let [out, features, _] = self.sizes()?;
        self.expect("scale", &self.scale, DType::F32)?;
        if let Some(zero_point) = &self.zero_point {
            self.expect("zero_point", zero_point, DType::I32)?;
        }
        let x = &inputs[0];
        let fits = |&last: &usize| last == features || self.block.is_some_and(|b| last.next_multiple_of(b) == features);
        if !x.last().is_some_and(fits) {
            return Err(ErrorKind::argument("input", format_args!("[.., {features}]"), x));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.shape()[..] != [out]) {
            return Err(ErrorKind::argument("bias", Shape::from([out]), bias.shape()));
        }
        let mut sizes = x.to_vec();
        sizes[x.len() - 1] = out;
        self.epilogue.output(inputs, sizes.into())
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        // The most words, all of one scale, in a chunk.
        const CHUNK: usize = 8;
        let x = &io.inputs[0];
        let features = x[x.len() - 1];
        let [out, _, blocks] = self.sizes()?;
        let of = packed("weight", &self.weight)?;
        let each = (32 / of.bits()) as usize;
        let (rows, count) = (x.elements() / features, features.div_ceil(each));
        let of_block = self.block.map_or(count, |block| block / each);
        let chunk = if blocks == 1 { CHUNK } else { CHUNK.min(1 << of_block.trailing_zeros()) };
        let layout = if x.len() == 2 { Layout::channels } else { Layout::rows_vec4 };
        let [high, columns] = tile(1, rows, out, caps);
        let shader = shader!("packed_linear", "activation", "index", "quantize", "nan")
            .tile("ROWS", high as u32)
            .tile("COLUMNS", columns as u32)
            .set("BITS", of.bits());
        let zero = self.zero_point.as_ref().filter(|zero| zero.shape().elements() == 1);
        let zero = zero.map_or(0, |zero| whole(zero)[0]).wrapping_add(of.offset());
        let several = self.zero_point.as_ref().is_some_and(|zero| zero.shape().elements() > 1);
        let shader = self.epilogue.specialize(shader.set("ZEROS", several));
        let out4 = out.div_ceil(4);
        let bias = self.bias.clone();
        let key = WeightKey::new("packed linear, bias").constants([bias.as_ref().map(Constant::id)]);
        let bias = buffer(key, 4 * out4, move || {
            bias.as_ref().map_or_else(Vec::new, Constant::values).into_iter().map(f32::to_bits).collect()
        });
        let kernel = |(priority, &storage): (usize, &Storage)| {
            let dispatches = chunks(caps, 4, count.max(blocks) * 16, out4)?.map(|(first4, wide4)| {
                let params = Params {
                    rows,
                    k: features,
                    words: count,
                    chunk,
                    chunks_per_block: if blocks == 1 { u32::MAX as usize } else { of_block / chunk },
                    blocks,
                    out_c: out,
                    first4,
                    wide4,
                    zero: zero as f32,
                    activation: ActivationParams::new(self.epilogue.activation),
                };
                let [weight, scale, zeros] = self.pack(features, first4..first4 + wide4, of)?;
                let (bias, residual) = (Binding::Weight(bias.clone()), self.epilogue.binding());
                let bindings = vec![Binding::Input(0), weight, scale, zeros, bias, residual, Binding::Output(0)];
                let texture = storage == Storage::Texture;
                let shader =
                    ["x", "residual", "y"].iter().fold(shader.clone(), |shader, name| shader.texture(name, texture));
                let slices = 64 / columns;
                let iterations = looped(count.div_ceil(chunk).div_ceil(slices), plain(chunk)).all + 8 * high;
                let tiles = rows.div_ceil(high) * wide4.div_ceil(columns);
                Ok(Dispatch::new(shader, &params, bindings, tiles).iterations(iterations))
            });
            let (reads, writes) = (vec![layout(storage); self.epilogue.inputs()], vec![layout(storage)]);
            let dispatches = dispatches.collect::<Result<_, ErrorKind>>()?;
            Ok(Kernel::several(reads, writes, dispatches).priority(priority as u8))
        };
        // All invocations of a slice load the same x: a conversion to a texture pays.
        image_storage(caps).iter().enumerate().map(kernel).collect()
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let weights = self.weight.shape().elements() as u64;
        let bias = self.bias.as_ref().map_or(0, |bias| bias.shape().elements() as u64);
        let Ok([out, _, blocks]) = self.sizes() else { return Metrics::default() };
        let rows = (io.outputs[0].elements() / out) as u64;
        let bits = self.weight.int_type().map_or(32, |of| u64::from(of.bits()));
        let held = (weights * bits).div_ceil(32) + (out * blocks) as u64 + bias;
        Metrics::new(Cost {
            weights,
            parameters: weights + bias,
            macs: weights.saturating_mul(rows),
            moves: Some(io.read().saturating_add(held).saturating_add(io.written())),
            ..Cost::held(self.epilogue.other(self.bias.is_some(), io.written()))
        })
        .parameters(std::iter::once(&self.weight).chain(&self.bias).collect())
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        let epilogue = self.epilogue.with(next)?;
        Some(Box::new(PackedLinear { epilogue, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`PackedLinear`].
    pub fn packed_linear(&mut self, x: Value, linear: PackedLinear) -> Result<Value> {
        self.push(linear, &[x])
    }
}
