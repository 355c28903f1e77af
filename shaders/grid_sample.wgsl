// Sampling at given places: y[n, c, oy, ox] = x[n, c] at grid[n, oy, ox], an (x, y) between -1 and 1, interpolated.
//
// One invocation computes one texel: four channels of an output pixel.
// x, y: channels last, row n*H + y, column x*C/4 + c/4. grid: row-major.
// TAPS: 1 nearest, 2 bilinear, 4 bicubic. padding: what is outside, 0 zeros, 1 the border, 2 the image mirrored. align_corners: -1
// and 1 are the centres of the outermost pixels, not their outer edges. Where a place is no number, 0.

override TAPS: u32 = 2u;

struct Params {
    in_h: u32, in_w: u32, out_h: u32, out_w: u32, c4: u32, count: u32, padding: u32, align_corners: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> grid: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return x[row * params.in_w * params.c4 + column]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * params.c4 + column] = value; }

// The pixels that stand at these places, (x, y), of an infinite plane.
fn inside(at: vec2<f32>, size: vec2<f32>) -> vec2<f32> {
    if params.padding == 0u { return at; }
    let last = size - 1.0;
    if params.padding == 1u { return clamp(at, vec2<f32>(), last); }
    // Mirrors stand at `low` and every `span` from there.
    let low = select(-0.5, 0.0, params.align_corners == 1u);
    let span = max(select(size, last, params.align_corners == 1u), vec2<f32>(1e-6));
    let distance = abs(at - low);
    let mirrors = floor(distance / span);
    let beyond = distance - mirrors * span;
    let odd = mirrors - 2.0 * floor(0.5 * mirrors) == vec2<f32>(1.0);
    return clamp(low + select(beyond, span - beyond, odd), vec2<f32>(), last);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups) * 64u + lane;
    if i >= params.count { return; }
    let c = i % params.c4;
    let place = i / params.c4;
    let ox = place % params.out_w;
    let row = place / params.out_w;
    let n = row / params.out_h;

    let size = vec2<f32>(f32(params.in_w), f32(params.in_h));
    let given = grid[place] + 1.0;
    var at = select((given * size - 1.0) / 2.0, given / 2.0 * (size - 1.0), params.align_corners == 1u);
    // The taps of a bicubic sample are outside or inside each for itself.
    if TAPS < 4u { at = inside(at, size); }
    let pixel = select(floor(at), round(at), TAPS == 1u);
    let fraction = at - pixel;

    var result = vec4<f32>();
    for (var j = 0u; j < TAPS; j++) {
        for (var k = 0u; k < TAPS; k++) {
            var tap = pixel + vec2<f32>(f32(k), f32(j)) - f32((TAPS - 1u) / 2u);
            if TAPS == 4u { tap = round(inside(tap, size)); }
            if all(tap >= vec2<f32>()) && all(tap < size) {
                let weight = tap_weight(TAPS, j, fraction.y) * tap_weight(TAPS, k, fraction.x);
                result += weight * load_x(n * params.in_h + u32(tap.y), u32(tap.x) * params.c4 + c);
            }
        }
    }
    store_y(row, ox * params.c4 + c, result);
}
