// The end of every kernel that can end a fused step: the activation, applied to four values.
//
// code: 0 clamp to [lo, hi] (none, ReLU, ReLU6) · 1 leaky ReLU, slope alpha · 2 sigmoid · 3 tanh · 4 SiLU
//       5 Hardswish · 6 GELU (erf) · 7 GELU (tanh). Definitions: PyTorch's. `src/ops/activation.rs` chooses.

fn activate(code: u32, x: vec4<f32>, lo: f32, hi: f32, alpha: f32) -> vec4<f32> {
    switch code {
        case 0u: { return clamp(x, vec4<f32>(lo), vec4<f32>(hi)); }
        case 1u: { return select(alpha * x, x, x >= vec4<f32>()); }
        case 2u: { return sigmoid(x); }
        case 3u: { return tanh_bounded(x); }
        case 4u: { return x * sigmoid(x); }
        case 5u: { return x * clamp(x + 3.0, vec4<f32>(), vec4<f32>(6.0)) / 6.0; }
        case 6u: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        default: { return 0.5 * x * (1.0 + tanh_bounded(0.79788456 * (x + 0.044715 * x * x * x))); }
    }
}

// exp(87) is near the largest f32: beyond it some devices give NaN rather than 0.
fn sigmoid(x: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp(-clamp(x, vec4<f32>(-87.0), vec4<f32>(87.0))));
}

// tanh(10) is 1 in f32; some devices overflow for large arguments.
fn tanh_bounded(x: vec4<f32>) -> vec4<f32> {
    return tanh(clamp(x, vec4<f32>(-10.0), vec4<f32>(10.0)));
}

// Abramowitz and Stegun, formula 7.1.26: absolute error at most 1.5e-7.
fn erf(x: vec4<f32>) -> vec4<f32> {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - p * exp(-x * x));
}
