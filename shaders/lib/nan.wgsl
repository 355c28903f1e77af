// NaN and infinities, recognised by their bits: compilers may assume that comparisons never see them; `min`, `max` and
// `clamp` drop NaN. On some drivers (SwiftShader) exp and log of NaN, and log of -inf, are numbers; here they are NaN.

fn is_nan(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn is_finite(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
}

fn exponential(x: vec4<f32>) -> vec4<f32> {
    return select(exp(x), x, is_nan(x));
}

// Returns log(x); NaN for negative numbers too.
fn logarithm(x: vec4<f32>) -> vec4<f32> {
    let nan = bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) | vec4<u32>(0x7fc00000u));
    return select(log(x), nan, (x < vec4<f32>()) | is_nan(x));
}

// The greater and the lesser of two numbers; NaN if either is NaN.
fn maximum(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(max(a, b), a + b, is_nan(a) | is_nan(b));
}

fn minimum(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(min(a, b), a + b, is_nan(a) | is_nan(b));
}
