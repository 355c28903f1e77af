// What the pooling kernels share: parameters, and which pixels are in a window.

struct Params {
    in_h: u32, in_w: u32, out_h: u32, out_w: u32, c: u32, count: u32,
    size_y: u32, size_x: u32, stride_y: u32, stride_x: u32, dilation_y: u32, dilation_x: u32, top: u32, left: u32,
    p: f32, parity: u32, start: f32, nan: f32,
}

// So many pixels lie within a distance.
fn pixels(distance: i32, dilation: i32) -> i32 {
    if dilation == 1 { return distance; }
    return (distance + dilation - 1) / dilation;
}

// Along one axis: the first pixel on the image, the pixels on it, and those that an average counts.
fn window(
    adaptive: bool, o: u32, size: u32, stride: u32, dilation: u32, before: u32, length: u32, outputs: u32,
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
    // Padding counts as far as it was asked for; what only ceil_mode reaches does not.
    let counted = min(pixels(i32(length + before) - start, d), i32(size));
    return vec3<u32>(u32(start + skipped * d), u32(max(inside, 0)), u32(counted));
}
