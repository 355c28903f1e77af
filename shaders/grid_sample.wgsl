// Sampling at given positions: y[n, c, oy, ox] = x[n, c] at grid[n, oy, ox], an (x, y) between -1 and 1, interpolated.
//
// One invocation computes one texel: four channels of an output pixel.
// x, y: channels last, row n*H + y, column x*C/4 + c/4. grid: row-major.
// TAPS: 1 nearest, 2 bilinear, 4 bicubic. padding, align_corners: see lib/grid.wgsl. A NaN position gives a NaN sample.

override TAPS: u32 = 2u;

struct Params {
    in_h: u32, in_w: u32, out_h: u32, out_w: u32, c: u32, count: u32, padding: u32, align_corners: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> grid: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.in_w * ((params.c + 3u) / 4u) + column]); }
fn load_grid(i: u32) -> vec2<f32> { return grid[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * ((params.c + 3u) / 4u) + column] = to_texel(value); }

// Returns the coordinates (x, y) on the image that replace `at`.
fn inside_both(at: vec2<f32>, size: vec2<f32>) -> vec2<f32> {
    let align_corners = params.align_corners == 1u;
    return vec2<f32>(
        inside(at.x, size.x, params.padding, align_corners), inside(at.y, size.y, params.padding, align_corners));
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    let c4 = (params.c + 3u) / 4u;
    let c = i % c4;
    let place = i / c4;
    let row = divide(place, params.out_w);
    let ox = place - row * params.out_w;
    let n = row / params.out_h;

    let size = vec2<f32>(f32(params.in_w), f32(params.in_h));
    let given = load_grid(place);
    let align_corners = params.align_corners == 1u;
    var at = vec2<f32>(along(given.x, size.x, align_corners), along(given.y, size.y, align_corners));
    // Padding applies to each tap of a bicubic sample by itself.
    if TAPS < 4u { at = inside_both(at, size); }
    let pixel = select(floor(at), round(at), TAPS == 1u);
    let fraction = at - pixel;

    var result = vec4<f32>();
    for (var j = 0u; j < TAPS; j++) {
        for (var k = 0u; k < TAPS; k++) {
            var tap = pixel + vec2<f32>(f32(k), f32(j)) - f32((TAPS - 1u) / 2u);
            if TAPS == 4u { tap = round(inside_both(tap, size)); }
            if all(tap >= vec2<f32>()) && all(tap < size) {
                let weight = tap_weight(TAPS, j, fraction.y) * tap_weight(TAPS, k, fraction.x);
                result += weight * load_x(n * params.in_h + u32(tap.y), u32(tap.x) * c4 + c);
            }
        }
    }
    if any(is_nan(given.xyxy)) { result = vec4<f32>(given.x + given.y); }
    store_y(row, ox * c4 + c, clip_channels(result, c, params.c));
}
