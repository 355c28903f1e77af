// Draws the traced image left of a border and the denoised one right of it, as a screen shows them.
// traced: planes [3][height][width] of linear light; denoised: linear light.

struct Params {
    width: u32,
    height: u32,
    // The first pixel column of the target that is denoised; and the target's columns.
    border: f32,
    columns: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var denoised: texture_2d<f32>;
@group(0) @binding(2) var<storage, read> traced: array<f32>;
@group(0) @binding(3) var<storage, read> exposure: f32;
@group(0) @binding(4) var<storage, read_write> measured: f32;

const THREADS: u32 = 256u;
// Points that the exposure is measured at, of an invocation.
const POINTS: u32 = 16u;
var<workgroup> sums: array<f32, THREADS>;

// Writes the exposure that brings the geometric mean of the luminance to a middle grey.
@compute @workgroup_size(THREADS)
fn measure(@builtin(local_invocation_index) thread: u32) {
    let plane = params.width * params.height;
    var sum = 0.0;
    for (var i = 0u; i < POINTS; i++) {
        let place = (f32((i * THREADS) + thread) + 0.5) / f32(POINTS * THREADS);
        let pixel = min(u32(place * f32(plane)), plane - 1u);
        let light = textureLoad(denoised, vec2<u32>(pixel % params.width, pixel / params.width), 0).rgb;
        let luminance = dot(light, vec3<f32>(0.2127, 0.7152, 0.0722));
        sum += log2(max(luminance, 1e-4));
    }
    sums[thread] = sum;
    workgroupBarrier();
    if thread == 0u {
        var total = 0.0;
        for (var i = 0u; i < THREADS; i++) { total += sums[i]; }
        measured = 0.18 * exp2(-total / f32(POINTS * THREADS));
    }
}

struct Corner {
    @builtin(position) at: vec4<f32>,
    @location(0) uv: vec2<f32>,
}

// A triangle that covers the viewport.
@vertex
fn corner(@builtin(vertex_index) i: u32) -> Corner {
    let uv = vec2<f32>(f32((i << 1u) & 2u), f32(i & 2u));
    return Corner(vec4<f32>((uv * vec2<f32>(2.0, -2.0)) + vec2<f32>(-1.0, 1.0), 0.0, 1.0), uv);
}

// Light of any brightness becomes 0..1, then sRGB.
fn shown(light: vec3<f32>) -> vec3<f32> {
    let c = 1.0 - exp(-1.1 * max(light, vec3<f32>()));
    return select((1.055 * pow(max(c, vec3<f32>(1e-6)), vec3<f32>(1.0 / 2.4))) - 0.055, 12.92 * c, c < vec3<f32>(0.0031308));
}

@fragment
fn draw(corner: Corner) -> @location(0) vec4<f32> {
    // The image has the target's size, except while a window is being resized.
    let size = vec2<u32>(params.width, params.height);
    let at = min(vec2<u32>(corner.uv * vec2<f32>(size)), size - 1u);
    let plane = size.x * size.y;
    let pixel = (at.y * size.x) + at.x;
    var light = vec3<f32>();
    if corner.at.x < params.border {
        light = vec3<f32>(traced[pixel], traced[pixel + plane], traced[pixel + (2u * plane)]);
    } else {
        light = textureLoad(denoised, at, 0).rgb;
    }
    let is_line = (abs(corner.at.x - params.border) < 1.0) & (params.border > 0.0) & (params.border < params.columns);
    return vec4<f32>(select(shown(light * exposure), vec3<f32>(1.0), is_line), 1.0);
}
