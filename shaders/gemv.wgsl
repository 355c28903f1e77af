// A linear layer for few rows: y[r, o] = f(sum_k x[r, k] w[k, o] + bias[o] + residual[r, o]).
//
// One workgroup computes 64 outputs of one row: 16 columns of invocations, a texel of outputs each, times 16 slices of k,
// which workgroup memory adds up. Neighbouring invocations read neighbouring weights.
// x: [r][k/4] texels. w: packed in blocks of 64 outputs as for gemm.wgsl, [block][k][16] texels. y, residual: [r][o/4].
// Weights are read once a row: gemm.wgsl takes over where there are many rows.

override RESIDUAL: bool = false;
override ACTIVATION: u32 = 0u;

struct Params { k4: u32, out4: u32, first_block: u32, blocks: u32, rows: u32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

var<workgroup> partial: array<vec4<f32>, 256>; // [16 slices][16 columns]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let id = linear(group, groups);
    let block = id % params.blocks;
    let row = id / params.blocks;
    let column = lane % 16u;
    var sum = vec4<f32>();
    if row < params.rows {
        for (var k = lane / 16u; k < params.k4; k += 16u) {
            let v = x[row * params.k4 + k];
            let at = (block * params.k4 + k) * 64u + column;
            sum += w[at] * v.x + w[at + 16u] * v.y + w[at + 32u] * v.z + w[at + 48u] * v.w;
        }
    }
    partial[lane] = sum;
    workgroupBarrier();
    for (var half = 128u; half >= 16u; half /= 2u) {
        if lane < half { partial[lane] += partial[lane + half]; }
        workgroupBarrier();
    }

    let o = (params.first_block + block) * 16u + column;
    if lane < 16u && row < params.rows && o < params.out4 {
        var total = partial[lane] + bias[o];
        if RESIDUAL { total += residual[row * params.out4 + o]; }
        y[row * params.out4 + o] = activate(ACTIVATION, total, params.lo, params.hi, params.alpha);
    }
}
