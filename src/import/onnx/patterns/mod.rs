//! Patterns: chains of small operations that exporters write for one known operation, replaced by that operation.
//!
//! Each pattern is matched at its last operation, when that is added. The earlier operations stay in the graph until
//! [`Graph::pruned`](crate::Graph) drops unread values.

mod activation;
pub(super) mod attention;
mod norm;
mod shuffle;

use super::builder::Builder;
use super::views::View;
use crate::graph::Source;
use crate::ops::{Activation, Binary, BinaryKind, Concat, Linear, PackedLinear, Reduce, ReduceKind, Transpose, Unary};
use crate::{Constant, Graph, Op, Shape, Value};

/// A function that adds the recognised operation to a graph, and the operation's name.
type Found = (Box<dyn FnOnce(&mut Graph) -> crate::Result<Value>>, &'static str);

/// Returns the output of one operation that computes the same as the chain behind a value, or the value.
pub(super) fn recognised(b: &mut Builder, value: Value) -> Value {
    let seen = Seen(&b.graph);
    let found = activation::find(&seen, value)
        .or_else(|| norm::find(&seen, value))
        .or_else(|| attention::find(&seen, value))
        .or_else(|| shuffle::find(&seen, value))
        .or_else(|| bias(&seen, value))
        .or_else(|| token(&seen, value));
    let Some((add, name)) = found else { return value };
    let (shape, dtype) = (b.graph.known_shape(value).clone(), b.graph.dtype(value));
    match add(&mut b.graph) {
        // If the operation refuses the pattern, the small operations stay.
        Ok(better) if *b.graph.known_shape(better) == shape && b.graph.dtype(better) == dtype => better,
        Ok(_) => value,
        Err(error) => {
            log::debug!("no {name} after all: {error}");
            value
        }
    }
}

fn found(op: impl Op, inputs: &[Value]) -> Option<Found> {
    let (name, inputs) = (op.name(), inputs.to_vec());
    Some((Box::new(move |graph| graph.push(op, &inputs)), name))
}

/// Finds a linear layer plus a vector: a linear layer with a bias.
fn bias(seen: &Seen, value: Value) -> Option<Found> {
    let (x, bias) = seen.with_constant(value, BinaryKind::Add)?;
    let out = *seen.shape(x).last()?;
    let row = bias.shape().elements() == out && bias.shape().last() == Some(&out);
    let bias = row.then(|| bias.reshaped([out]))?;
    // The layer's rows may have been moved since.
    let moved = View::of(seen.0, x).rows(seen.0, x, out);
    let base = moved.as_ref().map_or(x, |(base, _)| *base);
    let (linear, name) = match (seen.op::<Linear>(base), seen.op::<PackedLinear>(base)) {
        (Some((linear, inputs)), _) => found(linear.with_bias(&bias)?, inputs)?,
        (_, Some((linear, inputs))) => found(linear.with_bias(&bias)?, inputs)?,
        _ => return None,
    };
    let shape = seen.shape(value).clone();
    let add = move |graph: &mut Graph| {
        let y = linear(graph)?;
        moved.map_or(Ok(y), |(_, view)| view.of_rows(y, out).place(graph, &shape))
    };
    Some((Box::new(add), name))
}

/// Finds a constant before computed rows, plus another constant: a padding with zeros, plus the sum of both constants.
fn token(seen: &Seen, value: Value) -> Option<Found> {
    let (joined, more) = seen.with_constant(value, BinaryKind::Add)?;
    let (_, inputs) = seen.op::<Concat>(joined)?;
    let &[first, x] = inputs else { return None };
    let (class, shape, of) = (seen.constant(first)?.clone(), seen.shape(joined).clone(), seen.shape(x).clone());
    let &[n, rows, width] = &shape[..] else { return None };
    let before = rows - of[1];
    let fits = class.shape()[..] == [n, before, width] && more.shape().ends_with(&[rows, width]);
    if !fits || more.shape().elements() != rows * width {
        return None;
    }
    let (learned, base) = ([class.clone(), more.clone()], more.clone());
    let values = move || {
        let (class, base) = (class.values(), base.values());
        let token = |i: usize| {
            if i % (rows * width) < before * width {
                class[i / (rows * width) * before * width + i % (rows * width)]
            } else {
                0.0
            }
        };
        (0..n * rows * width).map(|i| base[i % (rows * width)] + token(i)).collect()
    };
    let sum = Constant::lazy(more.name(), shape, values).made_of(&learned.each_ref());
    let add = move |graph: &mut Graph| {
        let x = graph.pad(x, [[0, 0], [before as isize, 0], [0, 0]], 0.0)?;
        let sum = graph.constant(sum);
        graph.sum(x, sum)
    };
    Some((Box::new(add), "add"))
}

/// The queries of patterns on a graph.
struct Seen<'a>(&'a Graph);

impl<'a> Seen<'a> {
    fn shape(&self, value: Value) -> &'a Shape {
        self.0.known_shape(value)
    }

    /// Returns the operation that computes a value, if it is a `T`, and its inputs.
    fn op<T: Op>(&self, value: Value) -> Option<(&'a T, &'a [Value])> {
        let &Source::Node(node) = self.0.source(value) else { return None };
        let node = &self.0.nodes()[node];
        Some((node.op.downcast_ref()?, &node.inputs))
    }

    fn constant(&self, value: Value) -> Option<&'a Constant> {
        match self.0.source(value) {
            Source::Constant(constant) if constant.dtype() == crate::DType::F32 => Some(constant),
            _ => None,
        }
    }

    /// Returns the number of a constant with one element.
    fn number(&self, value: Value) -> Option<f32> {
        let constant = self.constant(value)?;
        (constant.shape().elements() == 1).then(|| constant.values()[0])
    }

    fn binary(&self, value: Value, kind: BinaryKind) -> Option<[Value; 2]> {
        let (op, inputs) = self.op::<Binary>(value)?;
        (op.kind() == kind && op.activation().is_none()).then(|| [inputs[0], inputs[1]])
    }

    fn unary(&self, value: Value, function: Unary) -> Option<Value> {
        let (op, inputs) = self.op::<Unary>(value)?;
        (*op == function).then(|| inputs[0])
    }

    fn activation(&self, value: Value) -> Option<(Activation, Value)> {
        let (op, inputs) = self.op::<Activation>(value)?;
        Some((*op, inputs[0]))
    }

    /// Returns the value and the constant of a binary operation. The constant may come first unless order matters.
    fn with_constant(&self, value: Value, kind: BinaryKind) -> Option<(Value, &'a Constant)> {
        let [a, b] = self.binary(value, kind)?;
        match (self.constant(a), self.constant(b)) {
            (None, Some(constant)) => Some((a, constant)),
            (Some(constant), None) if kind != BinaryKind::Div && kind != BinaryKind::Sub => Some((b, constant)),
            _ => None,
        }
    }

    /// Returns the value and the number of a sum.
    fn plus(&self, value: Value) -> Option<(Value, f32)> {
        let [a, b] = self.binary(value, BinaryKind::Add)?;
        match (self.number(a), self.number(b)) {
            (None, Some(number)) => Some((a, number)),
            (Some(number), None) => Some((b, number)),
            _ => None,
        }
    }

    /// Returns the value and the number of a product. A division by a number counts as a product.
    fn times(&self, value: Value) -> Option<(Value, f64)> {
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
    fn scaled(&self, mut value: Value) -> (Value, f64) {
        let mut factor = 1.0;
        while let Some((inner, number)) = self.times(value) {
            (value, factor) = (inner, factor * number);
        }
        (value, factor)
    }

    /// Returns the value whose square this is.
    fn square(&self, value: Value) -> Option<Value> {
        if let Some([a, b]) = self.binary(value, BinaryKind::Mul) {
            return (a == b).then_some(a);
        }
        let [a, b] = self.binary(value, BinaryKind::Pow)?;
        (self.number(b)? == 2.0).then_some(a)
    }

    /// Returns the operand of a mean over the last dimensions, which stay with a size of 1, and their number.
    fn mean(&self, value: Value) -> Option<(Value, usize)> {
        let (op, inputs) = self.op::<Reduce>(value)?;
        let (kind, axes, keepdim) = op.parts();
        let rank = self.shape(inputs[0]).len();
        let last = (rank - axes.len().min(rank)..rank).all(|axis| axes.contains(&axis));
        (kind == ReduceKind::Mean && keepdim && last && !axes.is_empty()).then_some((inputs[0], axes.len()))
    }

    fn transposed(&self, value: Value) -> Option<(Value, &'a [usize])> {
        let (op, inputs) = self.op::<Transpose>(value)?;
        Some((inputs[0], op.order()))
    }
}

/// Returns true if a number equals the formula's, within the digits that exporters write.
fn near(number: f64, wanted: f64) -> bool {
    (number - wanted).abs() <= 1e-4 * wanted.abs()
}
