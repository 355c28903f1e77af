// Quantised numbers.

// Returns the nearest integers (ties to even) plus the zero point, within lo..hi; the zero point for NaN. The first
// bounds are far beyond 16 bits and their zero point: WGSL leaves open how an f32 beyond all i32s is converted.
fn quantized(value: vec4<f32>, zero: vec4<i32>, lo: i32, hi: i32) -> vec4<i32> {
    let bounded = clamp(round(value), vec4<f32>(-1048576.0), vec4<f32>(1048576.0));
    let whole = vec4<i32>(select(bounded, vec4<f32>(), is_nan(value)));
    return clamp(whole + zero, vec4<i32>(lo), vec4<i32>(hi));
}

// Returns the index of (row, column) in packed weights: groups of 16 columns (the last may have fewer) with all rows,
// so that a subgroup that reads row after row reads consecutive memory.
fn grouped(row: u32, column: u32, rows: u32, columns: u32) -> u32 {
    let first = column / 16u * 16u;
    return first * rows + row * min(16u, columns - first) + column - first;
}
