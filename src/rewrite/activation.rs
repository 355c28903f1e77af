//! Patterns of activations: products of x and a gate.

use super::queries::near;
use crate::Value;
use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::{Activation, BinaryKind, Unary};

pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = node.outputs[0];
    let (activation, x) = gate(seen, value).or_else(|| product(seen, value))?;
    Replacement::op(activation, &[x])
}

/// Finds `relu6(x + 3) / 6`: a hardsigmoid.
fn gate(seen: &Rewriting, value: Value) -> Option<(Activation, Value)> {
    let (clamped, factor) = seen.times(value)?;
    let (activation, shifted) = seen.activation(clamped)?;
    let (x, number) = seen.plus(shifted)?;
    let fits = is_relu6(activation) && number == 3.0 && near(factor, 1.0 / 6.0);
    fits.then_some((Activation::Hardsigmoid, x))
}

fn is_relu6(activation: Activation) -> bool {
    matches!(activation, Activation::Relu6) || activation == Activation::Clamp(0.0, 6.0)
}

/// Returns the factors of products nested up to `depth` deep, and the product of the numbers among them.
fn factors(seen: &Rewriting, value: Value, depth: usize) -> Option<(Vec<Value>, f64)> {
    if let Some((inner, number)) = seen.times(value).filter(|_| depth > 0) {
        let (values, factor) = factors(seen, inner, depth - 1)?;
        return Some((values, factor * number));
    }
    match seen.binary(value, BinaryKind::Mul).filter(|_| depth > 0) {
        Some([a, b]) => {
            let ((mut values, x), (more, y)) = (factors(seen, a, depth - 1)?, factors(seen, b, depth - 1)?);
            values.extend(more);
            Some((values, x * y))
        }
        None => Some((vec![value], 1.0)),
    }
}

fn product(seen: &Rewriting, value: Value) -> Option<(Activation, Value)> {
    // Only a product or a quotient can be such an activation.
    seen.binary(value, BinaryKind::Mul).or_else(|| seen.binary(value, BinaryKind::Div))?;
    let (values, factor) = factors(seen, value, 4)?;
    let [a, b] = values[..] else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(x, gate)| gated(seen, x, gate, factor))
}

/// Finds `factor x gate`, where the gate is a function of x.
fn gated(seen: &Rewriting, x: Value, gate: Value, factor: f64) -> Option<(Activation, Value)> {
    if let Some((activation, inner)) = seen.activation(gate) {
        let one = near(factor, 1.0);
        return match activation {
            Activation::Sigmoid if inner == x && one => Some((Activation::Silu, x)),
            Activation::Hardsigmoid if inner == x && one => Some((Activation::Hardswish, x)),
            Activation::Tanh if one => {
                let (softplus, inner) = seen.activation(inner)?;
                (softplus == Activation::Softplus(1.0) && inner == x).then_some((Activation::Mish, x))
            }
            clamp if is_relu6(clamp) && near(factor, 1.0 / 6.0) => {
                let (inner, number) = seen.plus(inner)?;
                (inner == x && number == 3.0).then_some((Activation::Hardswish, x))
            }
            _ => None,
        };
    }
    // 0.5 x (1 + f(..))
    let (function, number) = seen.plus(gate)?;
    if number != 1.0 || !near(factor, 0.5) {
        return None;
    }
    if let Some(inner) = seen.unary(function, Unary::Erf) {
        let (inner, scale) = seen.scaled(inner);
        return (inner == x && near(scale, std::f64::consts::FRAC_1_SQRT_2)).then_some((Activation::Gelu, x));
    }
    let (Activation::Tanh, inner) = seen.activation(function)? else { return None };
    let (sum, scale) = seen.scaled(inner);
    let [a, b] = seen.binary(sum, BinaryKind::Add)?;
    let cubic = [(a, b), (b, a)].into_iter().any(|(first, second)| first == x && is_cubic(seen, x, second));
    (cubic && near(scale, (2.0 / std::f64::consts::PI).sqrt())).then_some((Activation::GeluTanh, x))
}

/// Returns true for `0.044715 x³`.
fn is_cubic(seen: &Rewriting, x: Value, value: Value) -> bool {
    let (power, scale) = seen.scaled(value);
    let cube = match (seen.binary(power, BinaryKind::Pow), seen.binary(power, BinaryKind::Mul)) {
        (Some([base, exponent]), _) => base == x && seen.number(exponent) == Some(3.0),
        (_, Some([a, b])) => [(a, b), (b, a)].into_iter().any(|(a, b)| a == x && seen.square(b) == Some(x)),
        _ => false,
    };
    cube && near(scale, 0.044_715)
}
