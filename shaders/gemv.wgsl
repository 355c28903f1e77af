// A linear layer for few rows: y[r, o] = f(sum_k x[r, k] w[k, o] + bias[o] + residual[r, o]).
//
// One workgroup computes 4 COLUMNS outputs of all rows (at most ROWS): COLUMNS invocations, a texel of outputs each,
// times slices of k, which workgroup memory adds up. Weights are read once for all rows. Neighbouring invocations read
// neighbouring weights. Few columns make many workgroups of a small layer: `src/ops/gemm/model.rs` chooses.
// x: [r][k/4] texels. w: as for gemm.wgsl, prepacked in blocks of 64 outputs, [block][k][16]. y, residual: [r][o/4].
//
// Not measured on a GPU yet (docs/benchmarks.md).

const ROWS: u32 = 1u;
const COLUMNS: u32 = 16u;

override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params { k4: u32, out_c: u32, first4: u32, wide4: u32, rows: u32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> w: array<Texel>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Texel>;
@group(0) @binding(5) var<storage, read_write> y: array<Texel>;

fn out4() -> u32 { return (params.out_c + 3u) / 4u; }
fn load_x(i: u32) -> vec4<f32> { return from_texel(x[i]); }
fn load_w(i: u32) -> vec4<f32> { return from_texel(w[i]); }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(i: u32) -> vec4<f32> { return from_texel(residual[i]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

var<workgroup> sums: array<vec4<f32>, 256>; // [slice][column]

@compute @workgroup_size(256)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let column = linear(group.id, group.count) * COLUMNS + lane % COLUMNS;
    let o = params.first4 + column;
    var of_row: array<vec4<f32>, ROWS>;
    if column < params.wide4 {
        for (var k = lane / COLUMNS; k < params.k4; k += 256u / COLUMNS) {
            let at = block_at(column, k, params.k4);
            let next = BLOCK / 4u;
            let four = mat4x4<f32>(load_w(at), load_w(at + next), load_w(at + 2u * next), load_w(at + 3u * next));
            // Loads among the products would wait for one another. Beyond the last row the last one is read again.
            var values = array<vec4<f32>, ROWS>();
            for (var r = 0u; r < ROWS; r++) { values[r] = load_x(min(r, params.rows - 1u) * params.k4 + k); }
            for (var r = 0u; r < ROWS; r++) { of_row[r] += four * values[r]; }
        }
    }
    // These load together.
    var bias = vec4<f32>();
    var added = array<vec4<f32>, ROWS>();
    if lane < COLUMNS {
        let last = min(o, out4() - 1u);
        bias = load_bias(last);
        for (var r = 0u; RESIDUAL > 0u && r < ROWS; r++) {
            added[r] = load_residual(min(r, params.rows - 1u) * out4() + last);
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        workgroupBarrier();
        sums[lane] = of_row[r];
        workgroupBarrier();
        for (var half = 128u; half >= COLUMNS; half /= 2u) {
            if lane < half { sums[lane] += sums[lane + half]; }
            workgroupBarrier();
        }
        if lane < COLUMNS && r < params.rows && column < params.wide4 && o < out4() {
            let sum = sums[lane] + bias;
            let total = finished(RESIDUAL, sum, added[r], ACTIVATION, params.lo, params.hi, params.alpha);
            store_y(r * out4() + o, clip_channels(total, o, params.out_c));
        }
    }
}
