// A linear layer with packed weights: y[r, o] = f(sum_k x[r, k] (q[o, k] - zero) scale + bias[o] + residual[r, o]).
// Each block of k of each output has a scale and a zero point. Weights are converted in registers, once for ROWS rows.
//
// One workgroup computes ROWS rows x 4 COLUMNS outputs: COLUMNS invocations, all rows of four outputs each, times
// slices of k, which workgroup memory adds up. A slice takes every SLICES-th chunk, some words of one block. Neighbours
// read neighbouring weights; all invocations of a slice read the same x.
// x: [r][k/4] texels. y, residual: [r][o/4]. In the order of `grouped`: w, [word of k][o/4] texels, a word of numbers
// of BITS bits (8 or 4) for each of four outputs; scale, [block][o/4] texels; zeros (ZEROS), [block][o/4] words of four
// bytes, otherwise one zero point for all. Not measured on a GPU yet.
// Lost by compilers' registers: loads of x for all rows before their products (RX 7900 XTX: 18 subgroups instead of 20).

const ROWS: u32 = 1u;
const COLUMNS: u32 = 16u;
const SLICES: u32 = 64u / COLUMNS;

override BITS: u32 = 4u;
override ZEROS: bool = false;
override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params {
    rows: u32, k: u32, words: u32, chunk: u32,
    chunks_per_block: u32, blocks: u32, out_c: u32, first4: u32, wide4: u32,
    zero: f32, lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> zeros: array<u32>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> residual: array<Texel>;
@group(0) @binding(7) var<storage, read_write> y: array<Texel>;

fn out4() -> u32 { return (params.out_c + 3u) / 4u; }
fn k4() -> u32 { return (params.k + 3u) / 4u; }
fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * k4() + column]); }
fn load_w(i: u32) -> vec4<u32> { return w[i]; }
fn load_scale(i: u32) -> vec4<f32> { return scale[i]; }
fn load_zeros(i: u32) -> u32 { return zeros[i]; }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(row: u32, column: u32) -> vec4<f32> { return from_texel(residual[row * out4() + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * out4() + column] = to_texel(value); }

// Returns the weights of four outputs at one k.
fn weights(word: vec4<u32>, shift: u32, zero: vec4<f32>, scale: vec4<f32>) -> vec4<f32> {
    return (vec4<f32>((word >> vec4<u32>(shift)) & vec4<u32>((1u << BITS) - 1u)) - zero) * scale;
}

var<workgroup> slice_sums: array<vec4<f32>, 64>; // [slice][column]

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    // Adjacent workgroups read the same weights.
    let id = linear(group.id, group.count);
    let high = (params.rows + ROWS - 1u) / ROWS;
    let first = id % high * ROWS;
    let column = id / high * COLUMNS + lane % COLUMNS;
    let there = column < params.wide4;
    let chunks = (params.words + params.chunk - 1u) / params.chunk;
    var sums: array<vec4<f32>, ROWS>;
    for (var chunk = lane / COLUMNS; chunk < chunks && there; chunk += SLICES) {
        let at = grouped(chunk / params.chunks_per_block, column, params.blocks, params.wide4);
        let s = load_scale(at);
        var zero = vec4<f32>(params.zero);
        if ZEROS { zero = vec4<f32>((vec4<u32>(load_zeros(at)) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u)); }
        let end = min((chunk + 1u) * params.chunk, params.words);
        for (var i = chunk * params.chunk; i < end; i++) {
            let word = load_w(grouped(i, column, params.words, params.wide4));
            for (var part = 0u; part < 8u / BITS; part++) {
                let shift = part * 16u;
                let four = mat4x4<f32>(
                    weights(word, shift, zero, s),
                    weights(word, shift + BITS, zero, s),
                    weights(word, shift + 2u * BITS, zero, s),
                    weights(word, shift + 3u * BITS, zero, s),
                );
                // The padding of x may be any number.
                let texel = i * (8u / BITS) + part;
                let within = vec4<u32>(4u * texel) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.k);
                for (var r = 0u; r < ROWS; r++) {
                    // Beyond the last row the last one is read again.
                    let value = load_x(min(first + r, params.rows - 1u), min(texel, k4() - 1u));
                    sums[r] += four * select(vec4<f32>(), value, within);
                }
            }
        }
    }

    let o = params.first4 + column;
    // These load together.
    var bias = vec4<f32>();
    var added = array<vec4<f32>, ROWS>();
    if lane < COLUMNS {
        let last = min(o, out4() - 1u);
        bias = load_bias(last);
        for (var r = 0u; RESIDUAL > 0u && r < ROWS; r++) {
            added[r] = load_residual(min(first + r, params.rows - 1u), last);
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        var total = sums[r];
        if SLICES > 1u {
            workgroupBarrier();
            slice_sums[lane] = total;
            workgroupBarrier();
            for (var half = 32u; half >= COLUMNS; half /= 2u) {
                if lane < half { slice_sums[lane] += slice_sums[lane + half]; }
                workgroupBarrier();
            }
            total = slice_sums[lane];
        }
        if lane < COLUMNS && first + r < params.rows && there && o < out4() {
            total = finished(RESIDUAL, total + bias, added[r], ACTIVATION, params.lo, params.hi, params.alpha);
            store_y(first + r, o, clip_channels(total, o, params.out_c));
        }
    }
}
