// The activation of four values, and what finishes a sum: a residual and an activation (`src/ops/epilogue.rs`). NaN stays NaN.
//
// code: 0 clamp to [lo, hi] (none, ReLU, ReLU6, clamp) · 1 leaky ReLU, slope alpha · 2 sigmoid · 3 tanh · 4 SiLU
//       5 Hardswish · 6 GELU (erf) · 7 GELU (tanh) · 8 ELU, alpha · 9 SELU · 10 CELU, alpha · 11 hard sigmoid · 12 Mish
//       13 softplus, beta is alpha · 14 softsign. Definitions: PyTorch's. `src/ops/activation.rs` chooses.

// Returns f(sum + added) if `residual` is 1, f(sum) + added if it is 2, otherwise f(sum).
fn finished(
    residual: u32, sum: vec4<f32>, added: vec4<f32>, code: u32, lo: f32, hi: f32, alpha: f32,
) -> vec4<f32> {
    let value = activate(code, select(sum, sum + added, residual == 1u), lo, hi, alpha);
    return select(value, value + added, residual == 2u);
}

fn activate(code: u32, x: vec4<f32>, lo: f32, hi: f32, alpha: f32) -> vec4<f32> {
    return select(activated(code, x, lo, hi, alpha), x, is_nan(x));
}

fn activated(code: u32, x: vec4<f32>, lo: f32, hi: f32, alpha: f32) -> vec4<f32> {
    switch code {
        case 1u: { return select(alpha * x, x, x >= vec4<f32>()); }
        case 2u: { return sigmoid(x); }
        case 3u: { return tanh_bounded(x); }
        case 4u: { return x * sigmoid(x); }
        case 5u: { return x * clamp(x + 3.0, vec4<f32>(), vec4<f32>(6.0)) / 6.0; }
        case 6u: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        case 7u: { return 0.5 * x * (1.0 + tanh_bounded(0.79788456 * (x + 0.044715 * x * x * x))); }
        case 8u: { return elu(x, alpha, 1.0); }
        case 9u: { return 1.05070099 * elu(x, 1.67326324, 1.0); }
        case 10u: { return elu(x, alpha, 1.0 / alpha); }
        case 11u: { return clamp(x + 3.0, vec4<f32>(), vec4<f32>(6.0)) / 6.0; }
        case 12u: { return mish(x); }
        case 13u: { return softplus(alpha * x) / alpha; }
        case 14u: { return x / (1.0 + abs(x)); }
        default: { return clamp(x, vec4<f32>(lo), vec4<f32>(hi)); }
    }
}

fn sigmoid(x: vec4<f32>) -> vec4<f32> {
    let e = exp_minus_abs(x);
    return select(e, vec4<f32>(1.0), x >= vec4<f32>()) / (1.0 + e);
}

// Returns tanh(x). Beyond 10, where it is 1 in f32, some devices overflow. Some subtract 1 from exp(2x), which cancels
// near 0: below 0.3 Taylor's polynomial has a relative error of at most 1e-7.
fn tanh_bounded(x: vec4<f32>) -> vec4<f32> {
    let q = x * x;
    let near = x * (1.0 + q * (-1.0 / 3.0 + q * (2.0 / 15.0 + q * (-17.0 / 315.0 + q * 62.0 / 2835.0))));
    let far = select(tanh(clamp(x, vec4<f32>(-10.0), vec4<f32>(10.0))), sign(x), abs(x) > vec4<f32>(10.0));
    return select(far, near, abs(x) < vec4<f32>(0.3));
}

// Returns erf(x) by Abramowitz and Stegun's formula 7.1.26: the absolute error is at most 1.5e-7.
fn erf(x: vec4<f32>) -> vec4<f32> {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - p * exp(-x * x));
}

fn elu(x: vec4<f32>, alpha: f32, rate: f32) -> vec4<f32> {
    return select(alpha * expm1(rate * min(x, vec4<f32>())), x, x >= vec4<f32>());
}

// Returns exp(x) - 1. It cancels near 0: down to -0.5 Taylor's polynomial has a relative error of at most 3e-7.
fn expm1(x: vec4<f32>) -> vec4<f32> {
    let p = 1.0 / 24.0 + x * (1.0 / 120.0 + x * (1.0 / 720.0 + x / 5040.0));
    let near = x * (1.0 + x * (1.0 / 2.0 + x * (1.0 / 6.0 + x * p)));
    return select(exp(clamp(x, vec4<f32>(-87.0), vec4<f32>(87.0))) - 1.0, near, abs(x) <= vec4<f32>(0.5));
}

fn softplus(x: vec4<f32>) -> vec4<f32> {
    return max(x, vec4<f32>()) + log1p(exp_minus_abs(x));
}

// Returns x tanh(log(1 + e)), e = exp(x): tanh is (e² + 2e) / (e² + 2e + 2), for x >= 0 with both divided by e².
fn mish(x: vec4<f32>) -> vec4<f32> {
    let e = exp_minus_abs(x);
    let positive = x >= vec4<f32>();
    let p = select(e * (e + 2.0), 1.0 + 2.0 * e, positive);
    return x * p / (p + select(vec4<f32>(2.0), 2.0 * e * e, positive));
}

// Returns exp(-|x|), which never overflows. Beyond 87 it is less than the smallest normal f32, and some devices give
// NaN: it is 0, so that its product with an infinity is NaN, as in PyTorch.
fn exp_minus_abs(x: vec4<f32>) -> vec4<f32> {
    return select(exp(-min(abs(x), vec4<f32>(87.0))), vec4<f32>(), abs(x) > vec4<f32>(87.0));
}

// Returns log(1 + x) for x in [0, 1] as 2 artanh(x / (x + 2)), with a relative error of at most 2e-8 and roundings. In
// log(1 + x) itself the 1 absorbs a small x.
fn log1p(x: vec4<f32>) -> vec4<f32> {
    let s = x / (x + 2.0);
    let q = s * s;
    let p = 1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0));
    return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * p)));
}
