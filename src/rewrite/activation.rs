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
    let [constant, first, second, third] = polynomial(seen, x, inner, 8)?;
    let odd = constant == 0.0 && second == 0.0;
    let fits = odd && near(first, (2.0 / std::f64::consts::PI).sqrt()) && near(third / first, 0.044_715);
    fits.then_some((Activation::GeluTanh, x))
}

/// Returns the coefficients of a polynomial of x, however it is written, if its degree is at most 3: the constant first.
/// `depth` is the number of operations that may be nested.
fn polynomial(seen: &Rewriting, x: Value, value: Value, depth: usize) -> Option<[f64; 4]> {
    if value == x {
        return Some([0.0, 1.0, 0.0, 0.0]);
    }
    if let Some(number) = seen.number(value) {
        return Some([number.into(), 0.0, 0.0, 0.0]);
    }
    let depth = depth.checked_sub(1)?;
    let of = |value: Value| polynomial(seen, x, value, depth);
    if let Some((inner, factor)) = seen.times(value) {
        return Some(of(inner)?.map(|coefficient| coefficient * factor));
    }
    if let Some([a, b]) = seen.binary(value, BinaryKind::Add) {
        let (a, b) = (of(a)?, of(b)?);
        return Some(std::array::from_fn(|i| a[i] + b[i]));
    }
    if let Some([a, b]) = seen.binary(value, BinaryKind::Mul) {
        return multiplied(of(a)?, of(b)?);
    }
    let [base, exponent] = seen.binary(value, BinaryKind::Pow)?;
    let (base, exponent) = (of(base)?, seen.number(exponent)?);
    let square = multiplied(base, base)?;
    match exponent {
        2.0 => Some(square),
        3.0 => multiplied(square, base),
        _ => None,
    }
}

/// Returns the product of two polynomials, if its degree is at most 3.
fn multiplied(a: [f64; 4], b: [f64; 4]) -> Option<[f64; 4]> {
    let mut product = [0.0; 7];
    for (i, a) in a.into_iter().enumerate() {
        b.iter().enumerate().for_each(|(j, b)| product[i + j] += a * b);
    }
    let [constant, first, second, third, above @ ..] = product;
    (above == [0.0; 3]).then_some([constant, first, second, third])
}
