// The parameters of pooling, by axis (depth, height, width), and the pixels in a window.

struct Params {
    input: vec3<u32>, count: u32,
    output: vec3<u32>, c: u32,
    size: vec3<u32>, p: f32,
    stride: vec3<u32>, parity: u32,
    dilation: vec3<u32>, start: f32,
    before: vec3<u32>, nan: f32,
    after: vec3<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;

// Returns the number of pixels within a distance.
fn pixels(distance: i32, dilation: i32) -> i32 {
    if dilation == 1 { return distance; }
    return (distance + dilation - 1) / dilation;
}

// Returns, for output pixel `o` along an axis, the first pixel on the image, the pixels on it, and the pixels that an
// average counts.
fn along(axis: u32, o: u32, adaptive: bool) -> vec3<u32> {
    let length = params.input[axis];
    if adaptive {
        let outputs = params.output[axis];
        let first = o * length / outputs;
        let end = ((o + 1u) * length + outputs - 1u) / outputs;
        return vec3<u32>(first, end - first, end - first);
    }
    let start = i32(o * params.stride[axis]) - i32(params.before[axis]);
    let d = i32(params.dilation[axis]);
    let size = i32(params.size[axis]);
    let skipped = pixels(max(-start, 0), d);
    let inside = min(pixels(i32(length) - start, d), size) - skipped;
    // An average counts the requested padding, but not the pixels beyond it that ceil_mode adds.
    let counted = min(pixels(i32(length + params.after[axis]) - start, d), size);
    return vec3<u32>(u32(start + skipped * d), u32(max(inside, 0)), u32(counted));
}

// Returns the row of x under row `tap` of a window, which has `down.y` rows on each plane. `first`: its first plane.
fn tap_row(first: u32, tap: u32, down: vec3<u32>, deep: bool) -> u32 {
    var row = tap;
    var plane = first;
    if deep {
        let planes = tap / down.y;
        plane += planes * params.dilation.x;
        row -= planes * down.y;
    }
    return plane * params.input.y + down.x + row * params.dilation.y;
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
