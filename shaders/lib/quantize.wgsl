// Quantised numbers.

// The integers that values stand for: the nearest, of two the even one, then the zero point, within lo..hi. What is bounded first
// is far beyond 16 bits and their zero point: WGSL says nothing of an f32 that no i32 is near.
fn quantized(value: vec4<f32>, zero: vec4<i32>, lo: i32, hi: i32) -> vec4<i32> {
    let whole = vec4<i32>(clamp(round(value), vec4<f32>(-1048576.0), vec4<f32>(1048576.0)));
    return clamp(whole + zero, vec4<i32>(lo), vec4<i32>(hi));
}
