//! Tests that tie the numbers of kinds in shaders to those of the operations.

use super::activation::{self, Activation as A};
use super::binary::Integers as I;
use super::glu::Halves;
use super::unary::elementwise::{Function, Operand};
use super::{BinaryKind as B, GridPadding, PaddingMode as P, PoolKind, ReduceKind as R, ScatterKind as S, Unary as U};
use crate::graph::op::Op;

/// Returns the comments of a shader as one line.
fn comments(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("//"));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Checks that the shader's comment has, after `mark`, each number before its name, from 0 on without a gap, and no
/// further one.
fn check(path: &str, mark: &str, mut kinds: Vec<(u32, &str)>) {
    kinds.sort_unstable();
    let text = comments(path);
    let (_, mut rest) = text.split_once(mark).unwrap_or_else(|| panic!("{path} has no \"{mark}\""));
    for (i, (code, name)) in kinds.iter().enumerate() {
        assert_eq!(*code as usize, i, "{path}: the number of {name}");
        let stated = format!("{code} {name}");
        let at = rest.find(&stated).unwrap_or_else(|| panic!("{path}: \"{stated}\" isn't in: {rest}"));
        rest = &rest[at + stated.len()..];
    }
    let end = rest.split(". ").next().unwrap_or_default();
    assert!(!end.contains(&format!(" {} ", kinds.len())), "{path} has another kind: {end}");
}

#[test]
fn kinds_have_one_number_in_shaders_and_operations() {
    #[rustfmt::skip]
    let unary = [
        U::Abs, U::Neg, U::Sign, U::Floor, U::Ceil, U::Round, U::Sqrt, U::Rsqrt, U::Reciprocal, U::Exp, U::Log, U::Sin,
        U::Cos, U::Erf, U::Tan, U::Sinh, U::Cosh, U::Asin, U::Acos, U::Atan, U::Asinh, U::Acosh, U::Atanh,
    ];
    check("lib/unary.wgsl", "kind: ", unary.iter().map(|kind| (*kind as u32, kind.name())).collect());
    #[rustfmt::skip]
    let binary = [
        (B::Add, "add"), (B::Sub, "subtract"), (B::Mul, "multiply"), (B::Div, "divide"), (B::Max, "maximum"),
        (B::Min, "minimum"), (B::Pow, "power"), (B::Mod, "the remainder with b's"),
        (B::Fmod, "the remainder with a's"),
    ];
    check("lib/arithmetic.wgsl", "kind: ", binary.map(|(kind, name)| (kind as u32, name)).into());
    #[rustfmt::skip]
    let integers = [
        (I::Add, "add"), (I::Sub, "subtract"), (I::Mul, "multiply"), (I::Div, "divide"), (I::Max, "maximum"),
        (I::Min, "minimum"), (I::And, "and"), (I::Or, "or"), (I::Xor, "xor"), (I::Mod, "the remainder with b's"),
        (I::Fmod, "with a's"), (I::ShiftLeft, "shift left"), (I::ShiftRight, "right"), (I::Pow, "power"),
        (I::Not, "not (of a boolean)"), (I::BitNot, "not (of all bits)"), (I::Abs, "abs"), (I::Neg, "negate"),
        (I::Sign, "sign"),
    ];
    check("integer.wgsl", "KIND: ", integers.map(|(kind, name)| (kind as u32, name)).into());
    #[rustfmt::skip]
    let activations = [
        (A::Relu, "clamp"), (A::LeakyRelu(0.1), "leaky ReLU"), (A::Sigmoid, "sigmoid"), (A::Tanh, "tanh"),
        (A::Silu, "SiLU"), (A::Hardswish, "Hardswish"), (A::Gelu, "GELU (erf)"), (A::GeluTanh, "GELU (tanh)"),
        (A::Elu(1.0), "ELU"), (A::Selu, "SELU"), (A::Celu(1.0), "CELU"), (A::Hardsigmoid, "hard sigmoid"),
        (A::Mish, "Mish"), (A::Softplus(1.0), "softplus"), (A::Softsign, "softsign"),
    ];
    check("lib/activation.wgsl", "code: ", activations.map(|(kind, name)| (activation::code(Some(kind)), name)).into());
    #[rustfmt::skip]
    let reductions = [
        (R::Sum, "sum"), (R::Mean, "mean"), (R::Max, "maximum"), (R::Min, "minimum"), (R::Prod, "product"),
        (R::L1, "L1 norm"), (R::L2, "L2 norm"), (R::LogSumExp, "log-sum-exp"),
    ];
    check("reduce.wgsl", "KIND: ", reductions.map(|(kind, name)| (kind as u32, name)).into());
    let kinds = [
        (PoolKind::Max, "max"),
        (PoolKind::Average, "average"),
        (PoolKind::Lp(2.0), "Lp"),
        (PoolKind::PNorm(2.0), "the p-norm"),
    ];
    check("pool.wgsl", "KIND: ", kinds.map(|(kind, name)| (kind.code(), name)).into());
    #[rustfmt::skip]
    let updates = [
        (S::Replace, "the update"), (S::Add, "sum"), (S::Mul, "product"), (S::Max, "maximum"), (S::Min, "minimum"),
    ];
    check("lib/scatter.wgsl", "KIND: ", updates.map(|(kind, name)| (kind as u32, name)).into());
    #[rustfmt::skip]
    let modes = [
        (P::Zeros, "constant"), (P::Reflect, "reflect"), (P::Replicate, "replicate"), (P::Circular, "circular"),
    ];
    check("pad.wgsl", "MODE: ", modes.map(|(mode, name)| (mode as u32, name)).into());
    let outside =
        [(GridPadding::Zeros, "zeros"), (GridPadding::Border, "the edge pixel"), (GridPadding::Reflection, "mirrors")];
    check("lib/grid.wgsl", "padding: ", outside.map(|(padding, name)| (padding as u32, name)).into());
    let halves = [
        (Halves::Inputs, "in two tensors"),
        (Halves::Texels, "in one tensor: `half` texels"),
        (Halves::Lanes, "in one tensor with y's rows"),
        (Halves::Elements, "in one row-major tensor"),
    ];
    check("glu.wgsl", "layout of a and b: ", halves.map(|(halves, name)| (halves as u32, name)).into());
    let link = |operand: Operand, first: bool| Function::Arithmetic(B::Add, operand, first).code();
    let [x, x1, x2] = [0, 1, 2].map(|i| link(Operand::Input(i), false));
    let number = link(Operand::Number(1.0), false);
    let stated = format!(
        "from {} on a kind of `unary`, from {number} on a kind of `combine` with a number, from {x} on with x, from {x1} on with x1, from {x2} on with x2, each {} higher if this operand is the first",
        Function::Unary(U::Abs).code(),
        link(Operand::Number(1.0), true) - number,
    );
    assert!(comments("elementwise.wgsl").contains(&stated), "elementwise.wgsl: {stated}");
}
