//! Elementwise arithmetic on one, two or many operands.

use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::ops::{BinaryKind, Compare, IsInf, IsNan, Logical, Unary};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Add" => |b, node| binary(b, node, BinaryKind::Add),
        "Sub" => |b, node| binary(b, node, BinaryKind::Sub),
        "Mul" => |b, node| binary(b, node, BinaryKind::Mul),
        "Div" => |b, node| binary(b, node, BinaryKind::Div),
        "Pow" => pow,
        "Mod" => modulo,
        "Tan" => |b, node| unary(b, node, Unary::Tan),
        "Sinh" => |b, node| unary(b, node, Unary::Sinh),
        "Cosh" => |b, node| unary(b, node, Unary::Cosh),
        "Asin" => |b, node| unary(b, node, Unary::Asin),
        "Acos" => |b, node| unary(b, node, Unary::Acos),
        "Atan" => |b, node| unary(b, node, Unary::Atan),
        "Asinh" => |b, node| unary(b, node, Unary::Asinh),
        "Acosh" => |b, node| unary(b, node, Unary::Acosh),
        "Atanh" => |b, node| unary(b, node, Unary::Atanh),
        "IsNaN" => |b, node| Ok(vec![b.typed(ElementType::Bool, IsNan, &[node.input(0)?])?]),
        "IsInf" => is_inf,
        // Of 64-bit integers, only 32 bits exist.
        "BitwiseAnd" => |b, node| binary(b, node, BinaryKind::BitAnd),
        "BitwiseOr" => |b, node| binary(b, node, BinaryKind::BitOr),
        "BitwiseXor" => |b, node| binary(b, node, BinaryKind::BitXor),
        "BitwiseNot" => |b, node| unary(b, node, Unary::BitNot),
        "BitShift" => bit_shift,
        "Max" => |b, node| Ok(vec![many(b, node, BinaryKind::Max)?]),
        "Min" => |b, node| Ok(vec![many(b, node, BinaryKind::Min)?]),
        "Sum" => |b, node| Ok(vec![many(b, node, BinaryKind::Add)?]),
        "Equal" => |b, node| compare(b, node, Compare::Eq),
        "Less" => |b, node| compare(b, node, Compare::Lt),
        "LessOrEqual" => |b, node| compare(b, node, Compare::Le),
        "Greater" => |b, node| compare(b, node, Compare::Gt),
        "GreaterOrEqual" => |b, node| compare(b, node, Compare::Ge),
        "And" => |b, node| logical(b, node, Logical::And),
        "Or" => |b, node| logical(b, node, Logical::Or),
        "Xor" => |b, node| logical(b, node, Logical::Xor),
        "Not" => |b, node| Ok(vec![b.logical(Logical::Not, &[node.input(0)?])?]),
        "Where" => |b, node| Ok(vec![b.where_(node.input(0)?, node.input(1)?, node.input(2)?)?]),
        "Abs" => |b, node| unary(b, node, Unary::Abs),
        "Neg" => |b, node| unary(b, node, Unary::Neg),
        "Sign" => |b, node| unary(b, node, Unary::Sign),
        "Floor" => |b, node| unary(b, node, Unary::Floor),
        "Ceil" => |b, node| unary(b, node, Unary::Ceil),
        "Round" => |b, node| unary(b, node, Unary::Round),
        "Sqrt" => |b, node| unary(b, node, Unary::Sqrt),
        "Reciprocal" => |b, node| unary(b, node, Unary::Reciprocal),
        "Exp" => |b, node| unary(b, node, Unary::Exp),
        "Log" => |b, node| unary(b, node, Unary::Log),
        "Sin" => |b, node| unary(b, node, Unary::Sin),
        "Cos" => |b, node| unary(b, node, Unary::Cos),
        "Erf" => |b, node| unary(b, node, Unary::Erf),
        _ => return None,
    })
}

fn unary(b: &mut Builder, node: &Node, function: Unary) -> Result<Vec<Operand>> {
    // Before opset 6, this attribute was a hint about memory.
    node.ignore(&["consumed_inputs"]);
    Ok(vec![b.unary(node.input(0)?, function)?])
}

/// Returns both operands of a node. Before opset 7, the second was broadcast only on request, from `axis` on.
fn operands(b: &mut Builder, node: &Node) -> Result<[Operand; 2]> {
    let (x, mut y) = (node.input(0)?.clone(), node.input(1)?.clone());
    if node.opset < 7 {
        node.ignore(&["consumed_inputs"]);
        let broadcast = node.flag("broadcast", false)?;
        let (wide, narrow) = (b.shape(&x), b.shape(&y));
        let axis = node.int("axis", wide.len() as i64 - narrow.len() as i64)?;
        if broadcast {
            let wrong = || ErrorKind::argument("attribute axis", format_args!("a place in {wide} for {narrow}"), axis);
            let after =
                wide.len().checked_sub(narrow.len() + usize::try_from(axis).map_err(|_| wrong())?).ok_or_else(wrong)?;
            y = b.reshape(&y, [&narrow[..], &vec![1; after]].concat())?;
        } else if wide != narrow {
            return Err(node.refused("inputs", "one shape, without broadcast=1 before opset 7", narrow));
        }
    }
    Ok([x, y])
}

fn binary(b: &mut Builder, node: &Node, kind: BinaryKind) -> Result<Vec<Operand>> {
    let [x, y] = operands(b, node)?;
    Ok(vec![b.binary(kind, &x, &y)?])
}

fn compare(b: &mut Builder, node: &Node, kind: Compare) -> Result<Vec<Operand>> {
    let [x, y] = operands(b, node)?;
    Ok(vec![b.compare(&x, kind, &y)?])
}

fn logical(b: &mut Builder, node: &Node, kind: Logical) -> Result<Vec<Operand>> {
    let [x, y] = operands(b, node)?;
    Ok(vec![b.logical(kind, &[&x, &y])?])
}

/// Imports `Pow`. The result has the type of the base; the exponent may have another.
fn pow(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let [x, y] = operands(b, node)?;
    let element = x.element();
    if !element.is_float() && y.element().is_float() {
        // A root of an integer may be whole, and f32s would miss it.
        let exponents = b.known("exponent", &y)?.numbers();
        if let Some(broken) = exponents.iter().find(|number| number.fract() != 0.0) {
            return Err(node.refused("exponent", "whole numbers, as the base's are", broken));
        }
    }
    let wide = if element.is_float() { element } else { ElementType::I64 };
    let (x, y) = (b.cast(&x, wide)?, b.cast(&y, wide)?);
    let power = b.binary(BinaryKind::Pow, &x, &y)?;
    Ok(vec![b.cast(&power, element)?])
}

/// Computes the remainder, with the divisor's sign, or with the dividend's if `fmod` is set.
fn modulo(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let [x, y] = operands(b, node)?;
    let kind = if node.flag("fmod", false)? { BinaryKind::Fmod } else { BinaryKind::Mod };
    Ok(vec![b.binary(kind, &x, &y)?])
}

fn is_inf(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let test = IsInf {
        detect_positive: node.flag("detect_positive", true)?,
        detect_negative: node.flag("detect_negative", true)?,
    };
    Ok(vec![b.typed(ElementType::Bool, test, &[node.input(0)?])?])
}

fn bit_shift(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let kind = match node.string("direction")?.as_deref() {
        Some("LEFT") => BinaryKind::ShiftLeft,
        Some("RIGHT") => BinaryKind::ShiftRight,
        other => return Err(node.refused("attribute direction", "LEFT or RIGHT", format_args!("{other:?}"))),
    };
    binary(b, node, kind)
}

/// Combines any number of operands.
pub(super) fn many(b: &mut Builder, node: &Node, kind: BinaryKind) -> Result<Operand> {
    let all = node.all()?;
    let (first, rest) = all.split_first().ok_or_else(|| node.refused("inputs", "1 or more", 0))?;
    rest.iter().try_fold(first.clone(), |all, next| b.binary(kind, &all, next))
}
