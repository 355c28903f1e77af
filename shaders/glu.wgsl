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
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
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
            // b begins within a texel.
            let k = half / 4u + at;
            let low = load_b(row, line + k);
            let high = load_b(row, line + min(k + 1u, (half - 1u) / 2u));
            switch half % 4u {
                case 1u: { second = vec4<f32>(low.yzw, high.x); }
                case 2u: { second = vec4<f32>(low.zw, high.xy); }
                case 3u: { second = vec4<f32>(low.w, high.xyz); }
                default: { second = low; }
            }
            first = clip_channels(first, at, half);
            second = clip_channels(second, at, half);
        }
        default: {
            // Behind the last element the last one is read again.
            var source = array<u32, 4>();
            for (var j = 0u; j < 4u; j++) {
                let e = min(4u * column + j, params.count - 1u);
                source[j] = e / half * 2u * half + e % half;
            }
            for (var j = 0u; j < 4u; j++) { first[j] = element(source[j]); }
            for (var j = 0u; j < 4u; j++) { second[j] = element(source[j] + half); }
            second = clip_channels(second, column, params.count);
            first = clip_channels(first, column, params.count);
        }
    }
    if SECOND {
        store_y(row, column, first * activate(ACTIVATION, second, params.lo, params.hi, params.alpha));
    } else {
        store_y(row, column, activate(ACTIVATION, first, params.lo, params.hi, params.alpha) * second);
    }
}
