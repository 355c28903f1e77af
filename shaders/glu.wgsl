// Gated linear units: y = f(a) b, or a f(b) (SECOND).
//
// One invocation computes one texel of y, [rows][width]. HALVES selects the layout of a and b:
// 0 in two tensors, laid out like y;
// 1 in one tensor: `half` texels of a, `half` texels of b, and so on;
// 2 in one tensor with y's rows: `half` elements of a, then `half` elements of b, in texels;
// 3 in one row-major tensor: `half` elements of a, `half` elements of b, and so on.
// For 2 a pixel of an image is such a row.

override ACTIVATION: u32 = 0u;
override SECOND: bool = false;
override HALVES: u32 = 0u;

struct Params { rows: u32, width: u32, half: u32, count: u32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Texel>;
@group(0) @binding(2) var<storage, read> b: array<Texel>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

// Returns the texels of a row of the input.
fn width() -> u32 {
    switch HALVES {
        case 0u: { return params.width; }
        case 2u: { return params.width / ((params.half + 3u) / 4u) * ((2u * params.half + 3u) / 4u); }
        default: { return 2u * params.width; }
    }
}

fn load_a(row: u32, column: u32) -> vec4<f32> { return from_texel(a[row * width() + column]); }
fn load_b(row: u32, column: u32) -> vec4<f32> { return from_texel(b[row * width() + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = to_texel(value); }

fn element(i: u32) -> f32 { return load_a(0u, i / 4u)[i % 4u]; }

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = i / params.width;
    let column = i % params.width;
    let half = params.half;
    var first: vec4<f32>;
    var second: vec4<f32>;
    switch HALVES {
        case 0u: {
            first = load_a(row, column);
            second = load_b(row, column);
        }
        case 1u: {
            let source = column / half * 2u * half + column % half;
            first = load_a(row, source);
            second = load_b(row, source + half);
        }
        case 2u: {
            let texels = (half + 3u) / 4u;
            let line = column / texels * ((2u * half + 3u) / 4u);
            let at = column % texels;
            first = load_a(row, line + at);
            for (var j = 0u; j < min(4u, half - 4u * at); j++) {
                let k = half + 4u * at + j;
                second[j] = load_b(row, line + k / 4u)[k % 4u];
            }
        }
        default: {
            for (var j = 0u; j < min(4u, params.count - 4u * column); j++) {
                let e = 4u * column + j;
                let source = e / half * 2u * half + e % half;
                first[j] = element(source);
                second[j] = element(source + half);
            }
        }
    }
    if SECOND {
        store_y(row, column, first * activate(ACTIVATION, second, params.lo, params.hi, params.alpha));
    } else {
        store_y(row, column, activate(ACTIVATION, first, params.lo, params.hi, params.alpha) * second);
    }
}
