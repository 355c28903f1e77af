//! Chains of elementwise functions: one operation computes several, and nothing between is stored.

use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::unary::elementwise::{Elementwise, Function, Operand};
use crate::ops::{Activation, Binary, Unary};
use crate::{DType, Value};

/// Functions of the first input, one after the other. Arithmetic may read any of the inputs.
struct Chain {
    inputs: Vec<Value>,
    functions: Vec<Function>,
}

/// Joins a function to the chain that gives its operand. Arithmetic with a number becomes a chain even alone, which runs in
/// any layout.
pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = *node.outputs.first()?;
    let fitting = |chain: Chain| {
        let op = Elementwise::new(chain.functions).filter(|op| seen.gives(op, &chain.inputs, value))?;
        Some((op, chain.inputs))
    };
    let longer = chains(seen, value).into_iter().find_map(|chain| fitting(before(seen, &chain)?));
    let with_number = || {
        let number = node.inputs.iter().any(|&input| seen.number(input).is_some());
        node.op.downcast_ref::<Binary>().filter(|_| number)?;
        fitting(chains(seen, value).pop()?)
    };
    let (op, inputs) = longer.or_else(with_number)?;
    Replacement::op(op, &inputs)
}

/// Returns the chain that gives the first input of `next`, continued by `next`, if only the first function of `next` reads
/// that value.
fn before(seen: &Rewriting, next: &Chain) -> Option<Chain> {
    let x = next.inputs[0];
    let again = |function: &Function| matches!(function, Function::Arithmetic(_, Operand::Input(0), _));
    if !seen.read_once(x) || next.functions.iter().any(again) {
        return None;
    }
    let mut all = chains(seen, x).into_iter().next()?;
    for &function in &next.functions {
        let function = match function {
            Function::Arithmetic(kind, Operand::Input(i), first) => {
                Function::Arithmetic(kind, all.operand(next.inputs[i]), first)
            }
            _ => function,
        };
        all.functions.push(function);
    }
    Some(all)
}

impl Chain {
    /// Returns an operand of this chain's functions, which becomes an input if it isn't one.
    fn operand(&mut self, value: Value) -> Operand {
        let known = self.inputs.iter().position(|&input| input == value);
        Operand::Input(known.unwrap_or_else(|| {
            self.inputs.push(value);
            self.inputs.len() - 1
        }))
    }
}

/// Returns the chains of one operation that give a value of `f32`s. Arithmetic on two tensors is a function of either, of
/// the deeper one first: the other one is ready earlier.
fn chains(seen: &Rewriting, value: Value) -> Vec<Chain> {
    let Some(node) = seen.node(value).filter(|_| seen.graph().known_dtype(value) == DType::F32) else {
        return Vec::new();
    };
    let inputs = &node.inputs;
    let one = |functions: Vec<Function>| vec![Chain { inputs: inputs.clone(), functions }];
    if let Some(chain) = node.op.downcast_ref::<Elementwise>() {
        return one(chain.functions().to_vec());
    }
    if let Some(&function) = node.op.downcast_ref::<Unary>() {
        return one(vec![Function::Unary(function)]);
    }
    if let Some(&activation) = node.op.downcast_ref::<Activation>() {
        return one(vec![Function::Activation(activation)]);
    }
    let Some(binary) = node.op.downcast_ref::<Binary>() else { return Vec::new() };
    let deepest = seen.deepest_inputs(node);
    let others = (0..2).filter(|i| !deepest.contains(i));
    let of = |position: usize| {
        let (x, other) = (inputs[position], inputs[1 - position]);
        let mut chain = Chain { inputs: vec![x], functions: Vec::new() };
        let operand = seen.number(other).map_or_else(|| chain.operand(other), Operand::Number);
        let arithmetic = Function::Arithmetic(binary.kind(), operand, position == 1);
        chain.functions = [arithmetic].into_iter().chain(binary.activation().map(Function::Activation)).collect();
        chain
    };
    deepest.iter().copied().chain(others).filter(|&i| seen.number(inputs[i]).is_none()).map(of).collect()
}
