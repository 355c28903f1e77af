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

// Returns the size (x, y, z) of a window. The outermost one is 0 if the window is empty, the others are 1 or more.
fn window_size(across: u32, down: u32, planes: u32, deep: bool) -> vec3<u32> {
    let wide = max(across, 1u);
    if !deep { return vec3<u32>(wide, select(down, 0u, across == 0u), 1u); }
    return vec3<u32>(wide, max(down, 1u), select(planes, 0u, across == 0u || down == 0u));
}

// Returns the pixel (x, y, z) that lies `i` pixels behind the first of a window of `size`.
fn pixel_at(i: u32, size: vec3<u32>, deep: bool) -> vec3<u32> {
    let row = i / size.x;
    if !deep { return vec3<u32>(i % size.x, row, 0u); }
    return vec3<u32>(i % size.x, row % size.y, row / size.y);
}

// Returns the pixel as far behind `at` as `advance` is behind the first: beyond the window's end after its last pixel.
fn walk(at: vec3<u32>, advance: vec3<u32>, size: vec3<u32>, deep: bool) -> vec3<u32> {
    var next = at + advance;
    let below = next.x >= size.x;
    next.x -= select(0u, size.x, below);
    next.y += u32(below);
    if !deep { return next; }
    let behind = next.y >= size.y;
    next.y -= select(0u, size.y, behind);
    next.z += u32(behind);
    return next;
}

// Returns true if a pixel that was reached by steps lies within the window.
fn within(at: vec3<u32>, size: vec3<u32>, deep: bool) -> bool {
    if deep { return at.z < size.z; }
    return at.y < size.y;
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
