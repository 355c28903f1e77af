// A depthwise convolution and the 1x1 convolution after it, for Mesa's llvmpipe:
// y[p, o] = f(sum_k g(sum_t x[p + t, k] d[t, k] + d_bias[k]) w[k, o] + bias[o] + residual[p, o]).
//
// The depthwise output is never stored: stores dominate the time of large images there. A workgroup is one subgroup of
// 8 lanes and computes 8 pairs of neighbouring pixels x 32 channels, which is all there are. Lane l filters pair l,
// four channels a turn, from a window of registers; shuffles with constant lanes distribute them. Lane l owns channels
// 4l..4l+3.
//
// x, residual, y: channels last, as for gemm_lanes.wgsl. d: a row of C/4 texels a tap, then the bias. w: one row,
// column k*32 + 8*(k within the texel) + lane.
// Measured on llvmpipe 22.3: MobileNetV2's first six such pairs take 3/5 of the time. Repeating the filter for each
// further block of 32 channels gains nothing; several blocks a workgroup are not unrolled, and five times slower.

const KERNEL_Y: u32 = 3u;
const KERNEL_X: u32 = 3u;
const STRIDE: u32 = 1u;
const TAPS: u32 = KERNEL_Y * KERNEL_X;
const COLUMNS: u32 = STRIDE + KERNEL_X;
override FILTERED: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params {
    pairs: u32, pairs_x: u32, out_w: u32, out_h: u32,
    out_c: u32, in_h: i32, in4: i32, residual: u32,
    pad_top: i32, pad_left: i32, groups: u32,
    // The activation g, then f.
    filtered_lo: f32, filtered_hi: f32, filtered_alpha: f32, lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var d: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var residual: texture_storage_2d<rgba32float, read>;
@group(0) @binding(6) var<storage, read_write> y: array<Texel>;

fn out4() -> u32 { return (params.out_c + 3u) / 4u; }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * out4() + column] = to_texel(value); }

fn filtered(sum: vec4<f32>) -> vec4<f32> {
    return activate(FILTERED, sum, params.filtered_lo, params.filtered_hi, params.filtered_alpha);
}

@compute @workgroup_size(8)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count);
    if id >= params.groups { return; }
    let pair = id * 8u + lane;
    let out_row = divide(pair, params.pairs_x);
    let out_x = 2u * (pair - out_row * params.pairs_x);
    let n = divide(out_row, params.out_h);
    let top = i32((out_row - n * params.out_h) * STRIDE) - params.pad_top;
    let left = (i32(out_x * STRIDE) - params.pad_left) * params.in4;

    var sums: array<vec4<f32>, 16>;
    for (var k = 0; k < params.in4; k++) {
        var v0 = textureLoad(d, vec2<i32>(k, i32(TAPS)));
        var v1 = v0;
        for (var r = 0u; r < KERNEL_Y; r++) {
            let iy = top + i32(r);
            // Row -1 is outside of every texture.
            let row = select(-1, i32(n) * params.in_h + iy, pair < params.pairs && iy >= 0 && iy < params.in_h);
            var line = array<vec4<f32>, COLUMNS>();
            for (var j = 0u; j < COLUMNS; j++) {
                line[j] = textureLoad(x, vec2<i32>(left + i32(j) * params.in4 + k, row));
            }
            for (var j = 0u; j < KERNEL_X; j++) {
                let tap = textureLoad(d, vec2<i32>(k, i32(r * KERNEL_X + j)));
                v0 += line[j] * tap;
                v1 += line[j + STRIDE] * tap;
            }
        }
        v0 = filtered(v0);
        v1 = filtered(v1);
        let at = vec2<i32>(32 * k + i32(lane), 0);
        let w0 = textureLoad(w, at);
        let w1 = textureLoad(w, at + vec2<i32>(8, 0));
        let w2 = textureLoad(w, at + vec2<i32>(16, 0));
        let w3 = textureLoad(w, at + vec2<i32>(24, 0));
        for (var p = 0u; p < 8u; p++) {
            let s = subgroupShuffle(v0, p);
            let t = subgroupShuffle(v1, p);
            sums[2u * p] = sums[2u * p] + w0 * s.x + w1 * s.y + w2 * s.z + w3 * s.w;
            sums[2u * p + 1u] = sums[2u * p + 1u] + w0 * t.x + w1 * t.y + w2 * t.z + w3 * t.w;
        }
    }

    let first = load_bias(lane);
    for (var i = 0u; i < 16u; i++) {
        let row = subgroupShuffle(out_row, i / 2u);
        let px = subgroupShuffle(out_x, i / 2u) + i % 2u;
        if lane < out4() && id * 8u + i / 2u < params.pairs && px < params.out_w {
            let column = px * out4() + lane;
            var added = vec4<f32>();
            if params.residual > 0u { added = textureLoad(residual, vec2<u32>(column, row)); }
            let sum = sums[i] + first;
            let value = finished(params.residual, sum, added, ACTIVATION, params.lo, params.hi, params.alpha);
            store_y(row, column, clip_channels(value, lane, params.out_c));
        }
    }
}
