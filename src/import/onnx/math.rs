//! Operations that compute: on the host if the operands are known, otherwise on the device.

// Long because each method computes twice: numbers on the host, and the operation for the device.

use super::builder::Builder;
use super::element::ElementType;
use super::node::Operand;
use super::tensor::{Tensor, made_of, places};
use crate::error::{ErrorKind, Result};
use crate::ops::{
    Activation, Binary, BinaryKind, Compare, FloatFormat, Logical, Reduce, ReduceKind, ReducePrecision, Unary, Where,
};
use crate::{DType, Op, Shape};

/// Computes numbers from tensors that are broadcast to one shape. Returns that shape and the numbers.
fn walked<T: Copy, U, const N: usize>(
    inputs: [&Tensor; N],
    numbers: impl Fn(&Tensor) -> Vec<T>,
    f: impl Fn([T; N]) -> U,
) -> Result<(Shape, Vec<U>), ErrorKind> {
    let wrong = || {
        let shapes = inputs.map(|tensor| tensor.shape.to_string()).join(", ");
        ErrorKind::argument("inputs", "shapes that broadcast", shapes)
    };
    let first = Some(inputs[0].shape.clone());
    let shape = inputs.iter().fold(first, |shape, tensor| shape?.broadcast(&tensor.shape)).ok_or_else(wrong)?;
    made_of(&shape, &inputs)?;
    let strides = |tensor: &Tensor| {
        tensor.shape.broadcast_strides(&shape).into_iter().map(|stride| stride as isize).collect::<Vec<_>>()
    };
    let numbers = inputs.map(numbers);
    let mut walks = inputs.map(|tensor| places(&shape, 0, &strides(tensor)));
    let mut at = |i: usize| numbers[i][walks[i].next().unwrap_or(0)];
    let computed = (0..shape.elements()).map(|_| f(std::array::from_fn(&mut at))).collect();
    Ok((shape, computed))
}

/// Computes a tensor from others element by element, with broadcasting.
pub(super) fn broadcast<const N: usize>(
    inputs: [&Tensor; N],
    element: ElementType,
    f: impl Fn([f64; N]) -> f64,
) -> Result<Tensor, ErrorKind> {
    let (shape, numbers) = walked(inputs, Tensor::numbers, f)?;
    Ok(Tensor::computed(element, shape, numbers, &inputs))
}

/// Computes a tensor from integers or booleans, exactly and with broadcasting. Results beyond the type wrap around.
fn broadcast_ints<const N: usize>(
    inputs: [&Tensor; N],
    element: ElementType,
    f: impl Fn([i128; N]) -> i128,
) -> Result<Tensor, ErrorKind> {
    let (shape, numbers) = walked(inputs, Tensor::whole, f)?;
    Ok(Tensor::computed_ints(element, shape, numbers, &inputs))
}

/// Computes the integer `a` to the power of `b`. A negative power is rounded toward zero.
fn power(a: i128, b: i128) -> i128 {
    if b < 0 {
        return match a {
            1 => 1,
            -1 => 1 - 2 * (b & 1),
            _ => 0,
        };
    }
    let (mut product, mut base, mut rest) = (1i128, a, b);
    while rest > 0 {
        if rest & 1 == 1 {
            product = product.wrapping_mul(base);
        }
        (base, rest) = (base.wrapping_mul(base), rest >> 1);
    }
    product
}

impl Builder<'_> {
    /// Applies a function to each element: `host` on the host, `device` on the device.
    pub(super) fn map(&mut self, x: &Operand, host: impl Fn(f64) -> f64, device: impl Op) -> Result<Operand> {
        match x {
            Operand::Host(tensor) => Ok(broadcast([tensor], tensor.element, |[x]| host(x))?.into()),
            Operand::Device(..) => self.moved(device, &[x]),
        }
    }

    pub(super) fn unary(&mut self, x: &Operand, function: Unary) -> Result<Operand> {
        if !x.element().is_float() {
            let host: Option<fn(i128) -> i128> = match function {
                Unary::Floor | Unary::Ceil | Unary::Round => return Ok(x.clone()),
                Unary::Abs => Some(i128::abs),
                Unary::Neg => Some(|x| -x),
                Unary::Sign => Some(i128::signum),
                _ => None,
            };
            if let (Operand::Host(tensor), Some(host)) = (x, host) {
                return Ok(broadcast_ints([tensor], tensor.element, |[x]| host(x))?.into());
            }
            let y = self.moved(function, &[x])?;
            return self.wrapped(y);
        }
        let host = match function {
            Unary::Abs => f64::abs,
            Unary::Neg => |x: f64| -x,
            Unary::Sign => |x: f64| if x == 0.0 { x } else { x.signum() },
            Unary::Floor => f64::floor,
            Unary::Ceil => f64::ceil,
            Unary::Round => f64::round_ties_even,
            Unary::Sqrt => f64::sqrt,
            Unary::Rsqrt => |x: f64| 1.0 / x.sqrt(),
            Unary::Reciprocal => |x: f64| 1.0 / x,
            Unary::Exp => f64::exp,
            Unary::Log => f64::ln,
            Unary::Sin => f64::sin,
            Unary::Cos => f64::cos,
            _ => {
                // The other functions don't occur in shapes: the device computes them, of constants too.
                let y = self.moved(function, &[x])?;
                return self.wrapped(y);
            }
        };
        self.map(x, host, function)
    }

    pub(super) fn activation(&mut self, x: &Operand, activation: Activation) -> Result<Operand> {
        if activation == Activation::Relu {
            // Trip counts of loops are computed with Relu.
            if let (Operand::Host(tensor), false) = (x, x.element().is_float()) {
                return Ok(broadcast_ints([tensor], tensor.element, |[x]| x.max(0))?.into());
            }
            return self.map(x, |x| if x < 0.0 { 0.0 } else { x }, activation);
        }
        self.moved(activation, &[x])
    }

    /// Multiplies an operand by a number.
    pub(super) fn scaled(&mut self, x: &Operand, factor: f32) -> Result<Operand> {
        match factor {
            1.0 => Ok(x.clone()),
            -1.0 => self.unary(x, Unary::Neg),
            _ => self.binary(BinaryKind::Mul, x, &Tensor::scalar(x.element(), factor.into()).into()),
        }
    }

    /// Computes a binary operation on operands of one type, with broadcasting.
    pub(super) fn binary(&mut self, kind: BinaryKind, a: &Operand, b: &Operand) -> Result<Operand> {
        let element = same_element(a, b)?;
        let host: Option<fn([f64; 2]) -> f64> = match kind {
            BinaryKind::Add => Some(|[a, b]| a + b),
            BinaryKind::Sub => Some(|[a, b]| a - b),
            BinaryKind::Mul => Some(|[a, b]| a * b),
            BinaryKind::Div => Some(|[a, b]| a / b),
            BinaryKind::Max => Some(|[a, b]| greater(a, b)),
            BinaryKind::Min => Some(|[a, b]| -greater(-a, -b)),
            BinaryKind::Pow => Some(|[a, b]| a.powf(b)),
            BinaryKind::Mod => Some(|[a, b]| {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }),
            BinaryKind::Fmod => Some(|[a, b]| a % b),
            // Bitwise operations don't occur in the computation of shapes.
            _ => None,
        };
        // The quotient by 0 is the dividend, as on the device.
        let whole: Option<fn([i128; 2]) -> i128> = match kind {
            BinaryKind::Add => Some(|[a, b]| a + b),
            BinaryKind::Sub => Some(|[a, b]| a - b),
            BinaryKind::Mul => Some(|[a, b]| a.wrapping_mul(b)),
            BinaryKind::Div => Some(|[a, b]| a.checked_div(b).unwrap_or(a)),
            BinaryKind::Max => Some(|[a, b]| a.max(b)),
            BinaryKind::Min => Some(|[a, b]| a.min(b)),
            BinaryKind::Pow => Some(|[a, b]| power(a, b)),
            BinaryKind::Mod => Some(|[a, b]| if b == 0 { a } else { (a % b + b) % b }),
            BinaryKind::Fmod => Some(|[a, b]| a.checked_rem(b).unwrap_or(a)),
            _ => None,
        };
        match (a, b, host, whole) {
            (Operand::Host(a), Operand::Host(b), Some(f), _) if element.is_float() => {
                return Ok(broadcast([a, b], element, f)?.into());
            }
            (Operand::Host(a), Operand::Host(b), _, Some(f)) if !element.is_float() => {
                return Ok(broadcast_ints([a, b], element, f)?.into());
            }
            _ => {}
        }
        let y = self.moved(Binary::new(kind), &[a, b])?;
        // Only these kinds turn non-negative operands into a negative result, or one that int32 doesn't hold.
        use BinaryKind::{Add, Mul, Pow, ShiftLeft, Sub};
        let leaves = matches!(kind, Add | Sub | Mul | Pow | ShiftLeft);
        if leaves || !element.is_unsigned() { self.wrapped(y) } else { Ok(y) }
    }

    /// Wraps integers of fewer than 32 bits around at the ends of their type.
    pub(super) fn wrapped(&mut self, x: Operand) -> Result<Operand> {
        let element = x.element();
        let [lo, hi] = element.range();
        if matches!(element, ElementType::U32 | ElementType::U64) {
            return Err(ErrorKind::argument("elements", "float or integers that int32 holds", element).into());
        }
        if element.is_float() || element.bits() >= 32 || element == ElementType::Bool {
            return Ok(x);
        }
        let Operand::Device(value, _) = x else { return Ok(x) };
        // The computation is in int32; the result has the element type again.
        let x = Operand::Device(value, ElementType::I32);
        let number = |value: i64| Operand::from(Tensor::ints(ElementType::I32, [], vec![value]));
        let shifted = if lo == 0 { x } else { self.binary(BinaryKind::Sub, &x, &number(lo))? };
        let bits = self.binary(BinaryKind::BitAnd, &shifted, &number(hi - lo))?;
        let wrapped = if lo == 0 { bits } else { self.binary(BinaryKind::Add, &bits, &number(lo))? };
        Ok(Operand::Device(self.value(&wrapped)?, element))
    }

    pub(super) fn compare(&mut self, a: &Operand, compare: Compare, b: &Operand) -> Result<Operand> {
        same_element(a, b)?;
        let (Operand::Host(a), Operand::Host(b)) = (a, b) else {
            return self.typed(ElementType::Bool, compare, &[a, b]);
        };
        fn holds<T: PartialOrd>(compare: Compare, [a, b]: [T; 2]) -> bool {
            match compare {
                Compare::Eq => a == b,
                Compare::Ne => a != b,
                Compare::Lt => a < b,
                Compare::Le => a <= b,
                Compare::Gt => a > b,
                Compare::Ge => a >= b,
            }
        }
        let inputs = [a, b];
        let (shape, truths) = match a.element.is_float() {
            true => walked(inputs, Tensor::numbers, |numbers| i128::from(holds(compare, numbers)))?,
            false => walked(inputs, Tensor::whole, |numbers| i128::from(holds(compare, numbers)))?,
        };
        Ok(Tensor::computed_ints(ElementType::Bool, shape, truths, &inputs).into())
    }

    pub(super) fn logical(&mut self, kind: Logical, inputs: &[&Operand]) -> Result<Operand> {
        let truth = |holds: bool| f64::from(u8::from(holds));
        match inputs {
            [Operand::Host(x)] => Ok(broadcast([x], ElementType::Bool, |[x]| truth(x == 0.0))?.into()),
            [Operand::Host(a), Operand::Host(b)] => {
                let joined = |[a, b]: [f64; 2]| match kind {
                    Logical::And => truth(a != 0.0 && b != 0.0),
                    Logical::Or => truth(a != 0.0 || b != 0.0),
                    Logical::Xor | Logical::Not => truth((a != 0.0) != (b != 0.0)),
                };
                Ok(broadcast([a, b], ElementType::Bool, joined)?.into())
            }
            _ => self.typed(ElementType::Bool, kind, inputs),
        }
    }

    /// Selects `a` where the condition holds, `b` elsewhere.
    pub(super) fn where_(&mut self, condition: &Operand, a: &Operand, b: &Operand) -> Result<Operand> {
        let element = same_element(a, b)?;
        match (condition, a, b) {
            (Operand::Host(c), Operand::Host(a), Operand::Host(b)) if element.is_float() => {
                Ok(broadcast([c, a, b], element, |[c, a, b]| if c != 0.0 { a } else { b })?.into())
            }
            (Operand::Host(c), Operand::Host(a), Operand::Host(b)) => {
                Ok(broadcast_ints([c, a, b], element, |[c, a, b]| if c != 0 { a } else { b })?.into())
            }
            _ => self.typed(element, Where, &[condition, a, b]),
        }
    }

    pub(super) fn cast(&mut self, x: &Operand, to: ElementType) -> Result<Operand> {
        self.cast_saturating(x, to, true)
    }

    /// Casts an operand. With `saturate`, numbers too large for floats of 8 bits become the largest one.
    pub(super) fn cast_saturating(&mut self, x: &Operand, to: ElementType, saturate: bool) -> Result<Operand> {
        let (value, from) = match x {
            Operand::Host(tensor) if small_float(to).is_none() || to == tensor.element || tensor.elements() == 0 => {
                return Ok(tensor.cast(to)?.into());
            }
            // Only the device rounds to small floats.
            Operand::Host(tensor) => (self.value(x)?, tensor.element),
            Operand::Device(value, from) => (*value, *from),
        };
        let dtype = to.dtype().ok_or_else(|| ErrorKind::Unsupported(format!("a cast to {to}")))?;
        let same = self.graph.known_dtype(value) == dtype;
        let mut y = if same { value } else { self.graph.cast(value, dtype)? };
        if dtype != DType::F32 {
            let ([lo, hi], [from_lo, from_hi]) = (to.range(), from.range());
            let signed = to.is_unsigned() && !from.is_unsigned() && from != ElementType::Bool;
            let fits = !from.is_float() && !signed && lo <= from_lo && from_hi <= hi;
            // 64-bit integers have 32 bits on the device anyway.
            let wide = to.bits() >= 32 && !matches!(to, ElementType::U32 | ElementType::U64);
            let y = Operand::Device(y, to);
            return if fits || wide || to == ElementType::Bool { Ok(y) } else { self.wrapped(y) };
        }
        let format = match to {
            ElementType::F32 | ElementType::F64 => None,
            _ if to == from => None,
            ElementType::F16 => Some(FloatFormat::F16),
            ElementType::BF16 => Some(FloatFormat::Bf16),
            _ => small_float(to),
        };
        if let Some(format) = format {
            // 16-bit floats have an infinity for numbers that are too large.
            let saturate = saturate && small_float(to).is_some();
            y = self.graph.reduce_precision(y, ReducePrecision::new(format).saturate(saturate))?;
        }
        Ok(Operand::Device(y, to))
    }

    /// Returns the mean over some axes, the differences from it, and the mean of their squares.
    pub(super) fn moments(&mut self, x: &Operand, axes: &[usize]) -> Result<[Operand; 3]> {
        let mean = self.reduce(x, ReduceKind::Mean, axes, true)?;
        let centred = self.binary(BinaryKind::Sub, x, &mean)?;
        let squares = self.binary(BinaryKind::Mul, &centred, &centred)?;
        let variance = self.reduce(&squares, ReduceKind::Mean, axes, true)?;
        Ok([mean, centred, variance])
    }

    /// Reduces the given axes, or all axes if none is given.
    pub(super) fn reduce(&mut self, x: &Operand, kind: ReduceKind, axes: &[usize], keepdim: bool) -> Result<Operand> {
        let Operand::Host(tensor) = x else {
            let (element, op) = (x.element(), Reduce::new(kind, axes).keepdim(keepdim));
            if element == ElementType::Bool {
                let numbers = self.cast(x, ElementType::I32)?;
                let y = self.moved(op, &[&numbers])?;
                return self.cast(&y, element);
            }
            if kind == ReduceKind::Mean && !element.is_float() && element.bits() > 16 {
                // The sum may not fit in the type even if the mean does.
                return Err(ErrorKind::Unsupported(format!("the mean of {element} on the device")).into());
            }
            let y = self.moved(op, &[x])?;
            // A maximum or minimum is one of the integers, so it needs no wrapping.
            return if matches!(kind, ReduceKind::Max | ReduceKind::Min) { Ok(y) } else { self.wrapped(y) };
        };
        made_of(&tensor.shape, &[tensor])?;
        let reduced = |axis: usize| axes.is_empty() || axes.contains(&axis);
        let kept = tensor.shape.iter().enumerate().map(|(axis, &size)| if reduced(axis) { 1 } else { size });
        let kept = Shape::from(kept.collect::<Vec<_>>());
        let strides =
            kept.broadcast_strides(&tensor.shape).into_iter().map(|stride| stride as isize).collect::<Vec<_>>();
        let (count, exact) = (
            tensor.elements() / kept.elements().max(1),
            !tensor.element.is_float() && !matches!(kind, ReduceKind::L2 | ReduceKind::LogSumExp),
        );
        let at = places(&tensor.shape, 0, &strides);
        let shape = match keepdim {
            true => kept.clone(),
            false => tensor
                .shape
                .iter()
                .enumerate()
                .filter(|(axis, _)| !reduced(*axis))
                .map(|(_, &s)| s)
                .collect::<Vec<_>>()
                .into(),
        };
        if exact {
            let [least, greatest] = tensor.element.ends();
            let start = match kind {
                ReduceKind::Prod => 1,
                ReduceKind::Max => least,
                ReduceKind::Min => greatest,
                _ => 0,
            };
            let mut sums = vec![start; kept.elements()];
            for (place, number) in at.zip(tensor.whole()) {
                let sum = &mut sums[place];
                *sum = match kind {
                    ReduceKind::Max => number.max(*sum),
                    ReduceKind::Min => number.min(*sum),
                    ReduceKind::Prod => sum.wrapping_mul(number),
                    ReduceKind::L1 => *sum + number.abs(),
                    _ => *sum + number,
                };
            }
            if kind == ReduceKind::Mean {
                sums.iter_mut().for_each(|sum| *sum /= count.max(1) as i128);
            }
            return Ok(Tensor::computed_ints(tensor.element, shape, sums, &[tensor]).into());
        }
        let start = match kind {
            ReduceKind::Prod => 1.0,
            ReduceKind::Max | ReduceKind::LogSumExp => f64::NEG_INFINITY,
            ReduceKind::Min => f64::INFINITY,
            _ => 0.0,
        };
        let mut sums = vec![start; kept.elements()];
        for (place, number) in at.zip(tensor.numbers()) {
            let sum = &mut sums[place];
            *sum = match kind {
                ReduceKind::Sum | ReduceKind::Mean => *sum + number,
                ReduceKind::Max => greater(*sum, number),
                ReduceKind::Min => -greater(-*sum, -number),
                ReduceKind::Prod => *sum * number,
                ReduceKind::L1 => *sum + number.abs(),
                ReduceKind::L2 => *sum + number * number,
                ReduceKind::LogSumExp => log_add_exp(*sum, number),
            };
        }
        let finished = |sum: f64| match kind {
            ReduceKind::Mean => sum / count as f64,
            ReduceKind::L2 => sum.sqrt(),
            _ => sum,
        };
        Ok(Tensor::computed(tensor.element, shape, sums.into_iter().map(finished).collect(), &[tensor]).into())
    }
}

/// Returns the greater of two numbers, or NaN if one of them is NaN.
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

/// Computes `log(exp(a) + exp(b))`.
fn log_add_exp(a: f64, b: f64) -> f64 {
    let most = greater(a, b);
    // The difference of two infinities is NaN.
    if most.is_infinite() { most } else { most + ((a - most).exp() + (b - most).exp()).ln() }
}

/// Returns the format of a float of 8 bits or fewer.
fn small_float(element: ElementType) -> Option<FloatFormat> {
    match element {
        ElementType::F8E4M3Fn => Some(FloatFormat::Float8E4M3Fn),
        ElementType::F8E4M3FnUz => Some(FloatFormat::Float8E4M3Fnuz),
        ElementType::F8E5M2 => Some(FloatFormat::Float8E5M2),
        ElementType::F8E5M2FnUz => Some(FloatFormat::Float8E5M2Fnuz),
        ElementType::F8E8M0 => Some(FloatFormat::Float8E8M0),
        ElementType::F4E2M1 => Some(FloatFormat::Float4E2M1),
        _ => None,
    }
}

/// Returns the element type that both operands must have.
pub(super) fn same_element(a: &Operand, b: &Operand) -> Result<ElementType, ErrorKind> {
    match (a.element(), b.element()) {
        (a, b) if a == b => Ok(a),
        (a, b) => Err(ErrorKind::argument("elements", format_args!("{a}, as those of the first"), b)),
    }
}
