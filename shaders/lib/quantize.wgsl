// Quantised numbers.

// The integers that values stand for: the nearest, of two the even one, then the zero point, within lo..hi; the zero point for NaN.
// What is bounded first is far beyond 16 bits and their zero point: WGSL says nothing of an f32 that no i32 is near.
fn quantized(value: vec4<f32>, zero: vec4<i32>, lo: i32, hi: i32) -> vec4<i32> {
    let bounded = clamp(round(value), vec4<f32>(-1048576.0), vec4<f32>(1048576.0));
    let whole = vec4<i32>(select(bounded, vec4<f32>(), is_nan(value)));
    return clamp(whole + zero, vec4<i32>(lo), vec4<i32>(hi));
}

// Where packed weights have what belongs to a row and a column: 16 columns of all rows together, so that what a subgroup reads one row
// after the other lies together too. The last columns may be fewer.
fn grouped(row: u32, column: u32, rows: u32, columns: u32) -> u32 {
    let first = column / 16u * 16u;
    return first * rows + row * min(16u, columns - first) + column - first;
}
