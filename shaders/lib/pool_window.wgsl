// The pixels in a window, for all pooling kernels.

// Returns the number of pixels within a distance.
fn pixels(distance: i32, dilation: i32) -> i32 {
    if dilation == 1 { return distance; }
    return (distance + dilation - 1) / dilation;
}

// Returns, for an axis, the first pixel on the image, the pixels on it, and the pixels that an average counts.
fn window(
    adaptive: bool, o: u32, size: u32, stride: u32, dilation: u32, before: u32, after: u32, length: u32, outputs: u32,
) -> vec3<u32> {
    if adaptive {
        let first = o * length / outputs;
        let end = ((o + 1u) * length + outputs - 1u) / outputs;
        return vec3<u32>(first, end - first, end - first);
    }
    let start = i32(o * stride) - i32(before);
    let d = i32(dilation);
    let skipped = pixels(max(-start, 0), d);
    let inside = min(pixels(i32(length) - start, d), i32(size)) - skipped;
    // An average counts the requested padding, but not the pixels beyond it that ceil_mode adds.
    let counted = min(pixels(i32(length + after) - start, d), i32(size));
    return vec3<u32>(u32(start + skipped * d), u32(max(inside, 0)), u32(counted));
}

// Returns x^p for x >= 0, and NaN for NaN, which llvmpipe's pow drops.
fn positive_power(x: vec4<f32>, p: f32) -> vec4<f32> {
    let power = select(pow(x, vec4<f32>(p)), vec4<f32>(), x == vec4<f32>());
    return select(power, x, is_nan(x));
}

// Returns x^p; `pow` is for positive x alone. parity of p: 0 even, 1 odd, 2 not an integer.
fn power(x: vec4<f32>, p: f32, parity: u32, nan: f32) -> vec4<f32> {
    if p == 1.0 { return x; }
    if p == 2.0 { return x * x; }
    let magnitude = positive_power(abs(x), p);
    switch parity {
        case 0u: { return magnitude; }
        case 1u: { return sign(x) * magnitude; }
        default: { return select(magnitude, vec4<f32>(nan), x < vec4<f32>()); }
    }
}

// Returns x^(1/p).
fn root(x: vec4<f32>, p: f32, nan: f32) -> vec4<f32> {
    if p == 1.0 { return x; }
    if p == 2.0 { return sqrt(x); }
    let magnitude = positive_power(abs(x), 1.0 / p);
    // A NaN fails the comparison too.
    return select(vec4<f32>(nan), magnitude, x >= vec4<f32>());
}
