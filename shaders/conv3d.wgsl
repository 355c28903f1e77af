// 3-D convolution: y[n, o, p] = f(sum_tc x[n, c, p * stride + t * dilation - before] w[t, c, o] + bias[o] +
// residual[n, o, p]).
//
// One invocation computes PIXELS pixels x 4 OUT4 channels of one group in registers. Neighbours have neighbouring
// pixels, in x and in y; a workgroup reads the same weights. A tap is tested against the image's edges once for all
// channels.
// x, y, residual: row-major, [n][c][z][y][x]. w: [block of 4 OUT4 channels][tap][c][OUT4] texels, the bias after each
// block. A dispatch adds the products of its part (`src/ops/part.rs`). Not measured on a GPU yet.

const PIXELS: u32 = 4u;
const OUT4: u32 = 4u;
const SUMS: u32 = PIXELS * OUT4;
override RESIDUAL: bool = false;
override ACTIVATION: u32 = 0u;

struct Params {
    in_d: u32, in_h: u32, in_w: u32, in_c: u32,
    out_h: u32, out_w: u32, out_volume: u32, out_c: u32,
    kernel_z: u32, kernel_y: u32, kernel_x: u32, pixels: u32,
    stride_z: u32, stride_y: u32, stride_x: u32, before_z: u32,
    before_y: u32, before_x: u32, dilation_z: u32, dilation_y: u32,
    dilation_x: u32, group_in: u32, group_out: u32, group_blocks: u32,
    first_block: u32, blocks: u32, lo: f32, hi: f32, alpha: f32,
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
    let id = linear(group, groups);
    let first = id / params.blocks * (64u * PIXELS) + lane;
    if first >= params.pixels { return; }
    let block = params.first_block + id % params.blocks;
    let member = block / params.group_blocks;
    let o = member * params.group_out + block % params.group_blocks * (4u * OUT4);
    let end = (member + 1u) * params.group_out;

    // Each pixel's image (its first element) and first tap. Beyond the last pixel the last is computed again.
    let volume = params.in_d * params.in_h * params.in_w;
    let size = vec3<i32>(i32(params.in_w), i32(params.in_h), i32(params.in_d));
    var image: array<u32, PIXELS>;
    var corner: array<vec3<i32>, PIXELS>;
    for (var i = 0u; i < PIXELS; i++) {
        let p = min(first + 64u * i, params.pixels - 1u);
        let at = p % params.out_volume;
        let row = at / params.out_w;
        image[i] = (p / params.out_volume * params.in_c + member * params.group_in) * volume;
        corner[i] = vec3<i32>(
            i32(at % params.out_w * params.stride_x) - i32(params.before_x),
            i32(row % params.out_h * params.stride_y) - i32(params.before_y),
            i32(row / params.out_h * params.stride_z) - i32(params.before_z),
        );
    }

    let k = params.kernel_z * params.kernel_y * params.kernel_x * params.group_in;
    let own_weights = id % params.blocks * (k + 1u) * OUT4;
    var sums: array<vec4<f32>, SUMS>;
    for (var j = 0u; j < OUT4; j++) {
        let bias = select(vec4<f32>(), load_w(own_weights + k * OUT4 + j), params.begins == 1u);
        for (var i = 0u; i < PIXELS; i++) { sums[i * OUT4 + j] = bias; }
    }
    for (var tz = params.from_plane; tz < params.to_plane; tz++) {
        for (var ty = params.from_row; ty < params.to_row; ty++) {
            for (var tx = 0u; tx < params.kernel_x; tx++) {
                let reach = vec3<u32>(tx * params.dilation_x, ty * params.dilation_y, tz * params.dilation_z);
                var inside = array<bool, PIXELS>();
                var source = array<u32, PIXELS>();
                for (var i = 0u; i < PIXELS; i++) {
                    let at = corner[i] + vec3<i32>(reach);
                    inside[i] = all(at >= vec3<i32>()) && all(at < size);
                    let within = u32((at.z * size.y + at.y) * size.x + at.x);
                    source[i] = image[i] + select(0u, within, inside[i]);
                }
                let tap = (tz * params.kernel_y + ty) * params.kernel_x + tx;
                var weights = own_weights + (tap * params.group_in + params.from_channel) * OUT4;
                for (var c = params.from_channel; c < params.to_channel; c++) {
                    var v = array<f32, PIXELS>();
                    for (var i = 0u; i < PIXELS; i++) { v[i] = select(0.0, load_x(source[i] + c * volume), inside[i]); }
                    for (var j = 0u; j < OUT4; j++) {
                        let weight = load_w(weights + j);
                        for (var i = 0u; i < PIXELS; i++) { sums[i * OUT4 + j] += v[i] * weight; }
                    }
                    weights += OUT4;
                }
            }
        }
    }

    for (var i = 0u; i < PIXELS; i++) {
        let p = first + 64u * i;
        if p >= params.pixels { break; }
        let to = p / params.out_volume * params.out_c * params.out_volume + p % params.out_volume;
        for (var j = 0u; j < OUT4; j++) {
            let channel = o + 4u * j;
            let channels = min(4u, end - min(channel, end));
            var sum = sums[i * OUT4 + j];
            if params.begins == 0u {
                for (var l = 0u; l < channels; l++) { sum[l] += load_y(to + (channel + l) * params.out_volume); }
            } else if RESIDUAL {
                for (var l = 0u; l < channels; l++) { sum[l] += load_residual(to + (channel + l) * params.out_volume); }
            }
            if params.ends == 1u { sum = activate(ACTIVATION, sum, params.lo, params.hi, params.alpha); }
            for (var l = 0u; l < channels; l++) { store_y(to + (channel + l) * params.out_volume, sum[l]); }
        }
    }
}
