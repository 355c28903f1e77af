// What isn't a number, or none that ends, by its bits: a compiler may assume of comparisons that there is none, and `min`, `max` and
// `clamp` drop NaN.

fn is_nan(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn is_finite(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
}

// The greater and the lesser of two, NaN where one of them is NaN.
fn maximum(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(max(a, b), a + b, is_nan(a) | is_nan(b));
}

fn minimum(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(min(a, b), a + b, is_nan(a) | is_nan(b));
}
