//! The questions that rules ask about a graph.

use crate::graph::Source;
use crate::graph::rewrite::Rewriting;
use crate::ops::{Activation, Binary, BinaryKind, Reduce, ReduceKind, Transpose, Unary};
use crate::{Constant, DType, Value};

impl Rewriting {
    /// Returns the number of a constant with one element.
    pub(super) fn number(&self, value: Value) -> Option<f32> {
        let constant = self.constant(value)?;
        (constant.shape().elements() == 1).then(|| constant.values()[0])
    }

    /// Returns the number of an `i32` constant with one element.
    pub(super) fn integer(&self, value: Value) -> Option<i32> {
        let Source::Constant(constant) = self.graph().source(value) else { return None };
        let one = constant.dtype() == DType::I32 && constant.shape().elements() == 1;
        one.then(|| constant.data().into_i32().ok()?.pop())?
    }

    pub(super) fn binary(&self, value: Value, kind: BinaryKind) -> Option<[Value; 2]> {
        let (op, inputs) = self.op::<Binary>(value)?;
        (op.kind() == kind && op.activation().is_none()).then(|| [inputs[0], inputs[1]])
    }

    pub(super) fn unary(&self, value: Value, function: Unary) -> Option<Value> {
        let (op, inputs) = self.op::<Unary>(value)?;
        (*op == function).then(|| inputs[0])
    }

    pub(super) fn activation(&self, value: Value) -> Option<(Activation, Value)> {
        let (op, inputs) = self.op::<Activation>(value)?;
        Some((*op, inputs[0]))
    }

    /// Returns the value and the constant of a binary operation. The constant may come first unless order matters.
    pub(super) fn with_constant(&self, value: Value, kind: BinaryKind) -> Option<(Value, &Constant)> {
        let [a, b] = self.binary(value, kind)?;
        match (self.constant(a), self.constant(b)) {
            (None, Some(constant)) => Some((a, constant)),
            (Some(constant), None) if kind != BinaryKind::Div && kind != BinaryKind::Sub => Some((b, constant)),
            _ => None,
        }
    }

    /// Returns the value and the number of a sum.
    pub(super) fn plus(&self, value: Value) -> Option<(Value, f32)> {
        let [a, b] = self.binary(value, BinaryKind::Add)?;
        match (self.number(a), self.number(b)) {
            (None, Some(number)) => Some((a, number)),
            (Some(number), None) => Some((b, number)),
            _ => None,
        }
    }

    /// Returns the value and the number of a product. A division by a number counts as a product.
    pub(super) fn times(&self, value: Value) -> Option<(Value, f64)> {
        if let Some([a, b]) = self.binary(value, BinaryKind::Div) {
            return Some((a, 1.0 / f64::from(self.number(b)?)));
        }
        let [a, b] = self.binary(value, BinaryKind::Mul)?;
        match (self.number(a), self.number(b)) {
            (None, Some(number)) => Some((a, number.into())),
            (Some(number), None) => Some((b, number.into())),
            _ => None,
        }
    }

    /// Returns the value inside nested products, and the product of their numbers.
    pub(super) fn scaled(&self, mut value: Value) -> (Value, f64) {
        let mut factor = 1.0;
        while let Some((inner, number)) = self.times(value) {
            (value, factor) = (inner, factor * number);
        }
        (value, factor)
    }

    /// Returns the value whose square this is.
    pub(super) fn square(&self, value: Value) -> Option<Value> {
        if let Some([a, b]) = self.binary(value, BinaryKind::Mul) {
            return (a == b).then_some(a);
        }
        let [a, b] = self.binary(value, BinaryKind::Pow)?;
        (self.number(b)? == 2.0).then_some(a)
    }

    /// Returns the operand of a mean over the last dimensions, which stay with a size of 1, and their number.
    pub(super) fn mean(&self, value: Value) -> Option<(Value, usize)> {
        let (op, inputs) = self.op::<Reduce>(value)?;
        let (kind, axes, keepdim) = op.parts();
        let rank = self.shape(inputs[0]).len();
        let last = (rank - axes.len().min(rank)..rank).all(|axis| axes.contains(&axis));
        (kind == ReduceKind::Mean && keepdim && last && !axes.is_empty()).then_some((inputs[0], axes.len()))
    }

    pub(super) fn transposed(&self, value: Value) -> Option<(Value, &[usize])> {
        let (op, inputs) = self.op::<Transpose>(value)?;
        Some((inputs[0], op.order()))
    }
}

/// Returns true if a number equals the formula's, within the digits that exporters write.
pub(super) fn near(number: f64, wanted: f64) -> bool {
    (number - wanted).abs() <= 1e-4 * wanted.abs()
}
