// 3-D transposed convolution: y[n, o, p] = f(sum_qtc x[n, c, q] w[t, c, o] + bias[o] + residual[n, o, p]), over all
// pixels q and taps t with q * stride + t * dilation - before = p.
//
// Outputs gather, as in conv_transpose.wgsl. One invocation computes a pixel x 4 channels of one group; neighbours have
// neighbouring pixels. x, y, residual: row-major, [n][c][z][y][x]. w: [block of 4 channels][tap][c] texels, the bias
// after each block. A dispatch adds the products of its part (`src/ops/part.rs`).
//
// Not measured on a GPU yet.

override RESIDUAL: bool = false;
override ACTIVATION: u32 = 0u;

struct Params {
    input: vec3<u32>, in_c: u32,
    output: vec3<u32>, out_c: u32,
    kernel: vec3<u32>, pixels: u32,
    stride: vec3<u32>, group_in: u32,
    dilation: vec3<u32>, group_out: u32,
    before: vec3<u32>, group_blocks: u32,
    step: vec3<u32>, first_block: u32,
    count: u32, lo: f32, hi: f32, alpha: f32,
    from_plane: u32, from_row: u32, from_channel: u32, to_plane: u32, to_row: u32, to_channel: u32, begins: u32, ends: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
fn load_residual(i: u32) -> f32 { return residual[i]; }
fn load_y(i: u32) -> f32 { return y[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let id = linear(group, groups) * 64u + lane;
    if id >= params.count { return; }
    let volume = params.output.x * params.output.y * params.output.z;
    let pixel = id % params.pixels;
    let block = params.first_block + id / params.pixels;
    let member = block / params.group_blocks;
    let within = block % params.group_blocks * 4u;
    let image = pixel / volume;
    let at = pixel % volume;
    let row = at / params.output.z;
    let cut = vec3<u32>(row / params.output.y, row % params.output.y, at % params.output.z) + params.before;

    let size = params.input.x * params.input.y * params.input.z;
    let first_c = image * params.in_c + member * params.group_in;
    let k = params.kernel.x * params.kernel.y * params.kernel.z * params.group_in;
    let weights = id / params.pixels * (k + 1u);
    var sum = select(vec4<f32>(), load_w(weights + k), params.begins == 1u);
    var first: vec3<u32>;
    for (var d = 0u; d < 3u; d++) {
        first[d] = first_tap(cut[d], params.kernel[d], params.stride[d], params.dilation[d], params.step[d]);
    }
    for (var tz = next_tap(first.x, params.from_plane, params.step.x); tz < params.to_plane; tz += params.step.x) {
        for (var ty = next_tap(first.y, params.from_row, params.step.y); ty < params.to_row; ty += params.step.y) {
            for (var tx = first.z; tx < params.kernel.z; tx += params.step.z) {
                let back = vec3<u32>(tz, ty, tx) * params.dilation;
                let q = (cut - back) / params.stride;
                if any(back > cut) || any(q >= params.input) { continue; }
                let source = first_c * size + (q.x * params.input.y + q.y) * params.input.z + q.z;
                let tap = weights + ((tz * params.kernel.y + ty) * params.kernel.z + tx) * params.group_in;
                for (var c = params.from_channel; c < params.to_channel; c++) {
                    sum += load_x(source + c * size) * load_w(tap + c);
                }
            }
        }
    }

    let channels = min(4u, params.group_out - within);
    let to = (image * params.out_c + member * params.group_out + within) * volume + at;
    if params.begins == 0u {
        for (var l = 0u; l < channels; l++) { sum[l] += load_y(to + l * volume); }
    } else if RESIDUAL {
        for (var l = 0u; l < channels; l++) { sum[l] += load_residual(to + l * volume); }
    }
    if params.ends == 1u { sum = activate(ACTIVATION, sum, params.lo, params.hi, params.alpha); }
    for (var l = 0u; l < channels; l++) { store_y(to + l * volume, sum[l]); }
}
