//! Product of integer matrices.

use super::IntegerConv2d;
use super::packing::{Requantize, expect_one, grouped, packed, tile};
use super::strided::walks;
use crate::dtype::IntType;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, WeightKey};
use crate::{DType, Graph, Shape, Value};

/// ONNX's `MatMulInteger`: `(a - a_zero_point) (b - b_zero_point)`, exact in `i32`s, which wrap around. With an end
/// that [quantises](Requantize) the sums it is `QLinearMatMul`.
///
/// Inputs, all `i32`s: a `[.., M, K]`; b `[.., K, N]`, unless b is a weight, which stays packed on the device; the zero
/// point of a, one number or one per row (`[M]`, possibly between dimensions of 1); the zero point of b, one number or
/// `[N]`. Batch dimensions, and operands of one dimension, are those of [`MatMul`](super::MatMul).
#[derive(Clone, Debug, Default)]
pub struct IntegerMatMul {
    b: Option<Constant>,
    end: Option<Requantize>,
}

params! {
    struct Params {
        sizes: [usize; 8],
        a: [usize; 8],
        b: [usize; 8],
        rows: usize,
        k: usize,
        n: usize,
        m: usize,
        a_zeros: u32,
        b_zeros: u32,
        offset: i32,
        zero: i32,
        range: [i32; 2] as [lo, hi],
    }
}

struct Sizes {
    batch: Shape,
    a: Shape,
    b: Shape,
    m: usize,
    k: usize,
    n: usize,
}

impl IntegerMatMul {
    /// Creates a product of two inputs.
    pub fn new() -> IntegerMatMul {
        IntegerMatMul::default()
    }

    /// Creates a product with a [packed](Constant::packed) weight `[K, N]` of 4 or 8 bits, one byte each on the device.
    pub fn with(b: Constant) -> IntegerMatMul {
        IntegerMatMul { b: Some(b), end: None }
    }

    /// Quantises the sums.
    #[must_use]
    pub fn requantize(self, end: Requantize) -> IntegerMatMul {
        IntegerMatMul { end: Some(end), ..self }
    }

    /// Returns the shapes of a, b and their zero points.
    fn parts<'a>(&'a self, inputs: &'a [Shape]) -> Result<[&'a Shape; 4], ErrorKind> {
        match (&self.b, inputs) {
            (Some(b), [a, a_zero, b_zero]) => Ok([a, b.shape(), a_zero, b_zero]),
            (None, [a, b, a_zero, b_zero]) => Ok([a, b, a_zero, b_zero]),
            (b, _) => Err(ErrorKind::argument("inputs", if b.is_some() { 3 } else { 4 }, inputs.len())),
        }
    }

    fn sizes(&self, inputs: &[Shape]) -> Result<Sizes, ErrorKind> {
        let [a, b, a_zero, b_zero] = self.parts(inputs)?;
        let (a_batch, m, k) = match a[..] {
            [] => return Err(ErrorKind::argument("a", "1 dimension or more", a)),
            [k] => (&[][..], 1, k),
            [ref batch @ .., m, k] => (batch, m, k),
        };
        let (b_batch, rows, n) = match b[..] {
            [] => return Err(ErrorKind::argument("b", "1 dimension or more", b)),
            [k] => (&[][..], k, 1),
            [ref batch @ .., k, n] => (batch, k, n),
        };
        if rows != k || (self.b.is_some() && b.len() != 2) {
            let wanted = if self.b.is_some() || b.len() == 2 { "" } else { ".., " };
            return Err(ErrorKind::argument("b", format_args!("[{wanted}{k}, N] for a's {a}"), b));
        }
        let batches = [a_batch, b_batch].map(Shape::from);
        let batch = batches[0].broadcast(&batches[1]);
        let batch = batch
            .ok_or_else(|| ErrorKind::argument("b", format_args!("batch dimensions that broadcast with a's {a}"), b))?;
        let column = a_zero.len() >= 2 && a_zero[a_zero.len() - 2] == m;
        if a_zero.elements() != 1 && (a_zero.elements() != m || (a_zero.len() > 1 && !column)) {
            return Err(ErrorKind::argument("a_zero_point", format_args!("one, or [{m}]"), a_zero));
        }
        if b_zero.elements() != 1 && (b_zero.elements() != n || b_zero.last() != Some(&n)) {
            return Err(ErrorKind::argument("b_zero_point", format_args!("one, or [{n}]"), b_zero));
        }
        let [a, b] = batches;
        Ok(Sizes { batch, a, b, m, k, n })
    }

    /// Returns llvmpipe's dispatch, which is that of a convolution of images of one pixel.
    fn lanes(&self, io: &Io, [rows, k, n]: [usize; 3], caps: &Caps) -> Result<Option<Dispatch>, ErrorKind> {
        let (Some(b), [_, a_zero, b_zero]) = (&self.b, io.inputs) else { return Ok(None) };
        if a_zero.elements() > 1 {
            return Ok(None);
        }
        let inputs = [Shape::from([rows, k, 1, 1]), a_zero.clone(), b_zero.clone()];
        let outputs = [Shape::from([rows, n, 1, 1])];
        let io = Io { inputs: &inputs, outputs: &outputs, ..*io };
        IntegerConv2d::of_matrix(b.clone(), self.end.clone()).lanes(&io, caps)
    }

    /// Returns the second operand. A word of a weight holds four columns of a row.
    fn operand(&self, k: usize, n: usize, caps: &Caps) -> Result<Binding, ErrorKind> {
        let Some(b) = self.b.clone() else { return Ok(Binding::Input(1)) };
        let (key, quads) = (WeightKey::new("integer matmul").constants([Some(b.id())]).sizes([n]), n.div_ceil(4));
        expect_one(caps, "the weight", key, k * quads, move || {
            let numbers = b.counted();
            let one = |row: usize, column: usize| if column < n { numbers[row * n + column] } else { 0 };
            grouped(k, 0..quads, |row, quad| u32::from_le_bytes([0, 1, 2, 3].map(|lane| one(row, 4 * quad + lane))))
        })
    }
}

impl Op for IntegerMatMul {
    fn name(&self) -> &'static str {
        "integer_matmul"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        if let Some(b) = &self.b {
            packed("b", b)?;
        }
        let [a, b, ..] = self.parts(inputs)?;
        let Sizes { batch, m, n, .. } = self.sizes(inputs)?;
        if let Some(end) = &self.end {
            end.expect(n)?;
        }
        let mut sizes = batch.to_vec();
        sizes.extend((a.len() > 1).then_some(m));
        sizes.extend((b.len() > 1).then_some(n));
        Ok(vec![sizes.into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::I32)?;
        Ok(vec![DType::I32])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let Sizes { batch, a, b, m, k, n } = self.sizes(io.inputs)?;
        let lanes = self.lanes(io, [m * batch.elements(), k, n], caps)?;
        let strides = |of: &Shape, size: usize| {
            of.broadcast_strides(&batch).into_iter().map(|stride| stride * size).collect::<Vec<_>>()
        };
        let (mut sizes, [mut a_strides, b_strides]) = walks(&batch, [&strides(&a, m * k), &strides(&b, k * n)])?;
        let (mut matrices, mut rows) = (batch.elements(), m);
        if self.b.is_some() {
            // A weight has no batch, so that all rows of a are one matrix.
            (sizes, a_strides) = ([1; 8], [0; 8]);
            (matrices, rows) = (1, m * matrices);
        }
        let [.., a_zeros, b_zeros] = self.parts(io.inputs)?;
        let (scale, zero, range) = Requantize::parts(self.end.as_ref(), n);
        let of = self.b.as_ref().map(|b| packed("b", b)).transpose()?;
        let params = Params {
            sizes,
            a: a_strides,
            b: b_strides,
            rows,
            k,
            n,
            m,
            a_zeros: u32::from(a_zeros.elements() > 1),
            b_zeros: u32::from(b_zeros.elements() > 1),
            offset: of.map_or(0, IntType::offset),
            zero,
            range,
        };
        let operands = 4 - usize::from(of.is_some());
        let weight = self.operand(k, n, caps)?;
        let [a_zero, b_zero] = [2, 1].map(|last| Binding::Input(operands - last));
        let bindings = vec![Binding::Input(0), weight, a_zero, b_zero, scale, Binding::Output(0)];
        let [high, columns] = tile(matrices, rows, n, caps);
        let shader = shader!("integer_matmul", "index", "quantize", "nan")
            .tile("ROWS", high as u32)
            .tile("COLUMNS", columns as u32)
            .set("PACKED", of.is_some())
            .set("REQUANTIZE", self.end.is_some());
        let tiles = matrices * rows.div_ceil(high) * n.div_ceil(4 * columns);
        let iterations = (k * columns).div_ceil(64) + 8 * high + 16;
        let dispatch = Dispatch::new(shader, &params, bindings, tiles).iterations(iterations);
        let kernel = |dispatch| Kernel::new(vec![Layout::ROWS; operands], Layout::ROWS, dispatch);
        let portable = kernel(dispatch).priority(u8::from(lanes.is_some()));
        Ok(lanes.map(kernel).into_iter().chain([portable]).collect())
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let Ok(Sizes { k, n, .. }) = self.sizes(io.inputs) else { return Metrics::default() };
        let weights = self.b.as_ref().map_or(0, |b| b.shape().elements()) as u64;
        let moves = io.read().saturating_add(io.written()).saturating_add((k * n.div_ceil(4)) as u64);
        let sums = io.written();
        Metrics::new(Cost {
            weights,
            parameters: weights,
            macs: sums.saturating_mul(k as u64),
            moves: self.b.is_some().then_some(moves),
            ..Cost::held(Requantize::other(self.end.as_ref(), sums))
        })
        .parameters(self.b.iter().collect())
    }
}

impl Graph {
    /// Adds an [`IntegerMatMul`] of two inputs. A missing zero point is 0.
    pub fn integer_matmul(
        &mut self,
        [a, b]: [Value; 2],
        [a_zero_point, b_zero_point]: [Option<Value>; 2],
        end: Option<Requantize>,
    ) -> Result<Value> {
        let zeros = [self.zero_point(a_zero_point), self.zero_point(b_zero_point)];
        self.push(IntegerMatMul { b: None, end }, &[a, b, zeros[0], zeros[1]])
    }

    /// Adds an [`IntegerMatMul`] with a packed weight. A missing zero point is 0.
    pub fn integer_linear(
        &mut self,
        a: Value,
        b: Constant,
        [a_zero_point, b_zero_point]: [Option<Value>; 2],
        end: Option<Requantize>,
    ) -> Result<Value> {
        let zeros = [self.zero_point(a_zero_point), self.zero_point(b_zero_point)];
        self.push(IntegerMatMul { b: Some(b), end }, &[a, zeros[0], zeros[1]])
    }
}
