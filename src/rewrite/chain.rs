//! Chains of elementwise functions of one tensor: one operation computes several, and nothing between is stored.

use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::unary::elementwise::{Elementwise, Function};
use crate::ops::{Activation, Binary, Unary};
use crate::{DType, Value};

/// Finds a function of a value that is itself one, and arithmetic with a number, which is a function in any layout.
pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = *node.outputs.first()?;
    let (x, functions) = functions(seen, value)?;
    let chained = before(seen, x, &functions);
    if chained.is_none() && node.op.downcast_ref::<Binary>().is_none() {
        return None;
    }
    let (x, functions) = chained.unwrap_or((x, functions));
    Replacement::op(Elementwise::new(functions)?, &[x])
}

/// Returns the chain that goes on with these functions, if one dispatch computes it and only they read its output.
fn before(seen: &Rewriting, x: Value, next: &[Function]) -> Option<(Value, Vec<Function>)> {
    let (base, first) = functions(seen, x).filter(|_| seen.read_once(x))?;
    let all = [&first, next].concat();
    Elementwise::new(all.clone()).map(|_| (base, all))
}

/// Returns the functions that give a value of `f32`s, and their operand.
fn functions(seen: &Rewriting, value: Value) -> Option<(Value, Vec<Function>)> {
    if seen.graph().known_dtype(value) != DType::F32 {
        return None;
    }
    if let Some((chain, inputs)) = seen.op::<Elementwise>(value) {
        return Some((inputs[0], chain.functions().to_vec()));
    }
    if let Some((&function, inputs)) = seen.op::<Unary>(value) {
        return Some((inputs[0], vec![Function::Unary(function)]));
    }
    if let Some((&activation, inputs)) = seen.op::<Activation>(value) {
        return Some((inputs[0], vec![Function::Activation(activation)]));
    }
    let (binary, inputs) = seen.op::<Binary>(value)?;
    let (x, number, first) = match (seen.number(inputs[0]), seen.number(inputs[1])) {
        (None, Some(number)) => (inputs[0], number, false),
        (Some(number), None) => (inputs[1], number, true),
        _ => return None,
    };
    let arithmetic = Function::Number(binary.kind(), number, first);
    let functions = [arithmetic].into_iter().chain(binary.activation().map(Function::Activation));
    // A number of more dimensions would give the result more, too.
    (seen.shape(x) == seen.shape(value)).then(|| (x, functions.collect()))
}
