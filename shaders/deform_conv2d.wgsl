// Deformable convolution: y[n, o, p] = bias[o] + sum_tc w[t, c, o] mask[n, t, p] x[n, c] at (p * stride + t * dilation
// - before + offset[n, t, p]), bilinear, with zeros outside. Each group of input channels has offsets and masks.
//
// One invocation computes a pixel of 4 OUT4 channels of one group in registers, so that a sample serves all; no im2col
// matrix exists. A tap's position is computed once for the channels that share it. Neighbours have neighbouring pixels.
// x, offset, mask, y: row-major; offset [n][group][tap][y, x][pixel], mask [n][group][tap][pixel]. w: [block of 4 OUT4
// channels][tap][c][OUT4] texels, then its bias. offset_channels: input channels per offset. A dispatch adds the
// products of its part (`src/ops/part.rs`). Not measured on a GPU yet.

const OUT4: u32 = 4u;
override MASK: bool = false;

struct Params {
    in_c: u32, in_h: u32, in_w: u32, out_c: u32,
    out_h: u32, out_w: u32, kernel_h: u32, kernel_w: u32,
    stride_y: u32, stride_x: u32, dilation_y: u32, dilation_x: u32,
    top: u32, left: u32, group_in: u32, group_out: u32,
    group_blocks: u32, first_block: u32, offset_channels: u32, pixels: u32,
    count: u32,
    from_plane: u32, from_row: u32, from_channel: u32, to_plane: u32, to_row: u32, to_channel: u32, begins: u32, ends: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> offset: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read> w: array<Texel>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn load_offset(i: u32) -> f32 { return offset[i]; }
fn load_mask(i: u32) -> f32 { return mask[i]; }
fn load_w(i: u32) -> vec4<f32> { return from_texel(w[i]); }
fn load_w_element(i: u32) -> f32 { return from_scalar(w[i / 4u][i % 4u]); }
fn load_y(i: u32) -> f32 { return y[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

// The four pixels around a position, and their weights, 0 outside. A NaN position makes all weights NaN.
struct Sample { pixels: vec4<u32>, inside: vec4<bool>, weights: vec4<f32> }

fn sample(at: vec2<f32>) -> Sample {
    let near = floor(at);
    let far_weight = at - near;
    var result = Sample();
    if any(is_nan(at.xyxy)) { result.weights = vec4<f32>(at.x + at.y); }
    for (var k = 0u; k < 4u; k++) {
        let far = vec2<u32>(k & 1u, k >> 1u);
        let place = near + vec2<f32>(far);
        if all(place >= vec2<f32>()) && all(place < vec2<f32>(f32(params.in_w), f32(params.in_h))) {
            let weights = select(1.0 - far_weight, far_weight, far == vec2<u32>(1u));
            result.pixels[k] = u32(place.y) * params.in_w + u32(place.x);
            result.inside[k] = true;
            result.weights[k] = weights.x * weights.y;
        }
    }
    return result;
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    let pixel = i % params.pixels;
    let block = params.first_block + i / params.pixels;
    let member = block / params.group_blocks;
    let o = member * params.group_out + block % params.group_blocks * (4u * OUT4);
    let plane = params.out_h * params.out_w;
    let p = pixel % plane;
    let n = pixel / plane;
    let corner = vec2<f32>(
        f32(i32(p % params.out_w * params.stride_x) - i32(params.left)),
        f32(i32(p / params.out_w * params.stride_y) - i32(params.top)));

    let taps = params.kernel_h * params.kernel_w;
    let k = taps * params.group_in;
    let first = member * params.group_in;
    let offset_groups = params.in_c / params.offset_channels;
    let weights = i / params.pixels * (k + 1u) * OUT4;
    var sums: array<vec4<f32>, OUT4>;
    for (var tap = params.from_row; tap < params.to_row; tap++) {
        let step = vec2<u32>(tap % params.kernel_w * params.dilation_x, tap / params.kernel_w * params.dilation_y);
        var pixels = Sample();
        var scale = 1.0;
        var weight = weights + (tap * params.group_in + params.from_channel) * OUT4;
        for (var c = first + params.from_channel; c < first + params.to_channel; c++) {
            if c == first + params.from_channel || c % params.offset_channels == 0u {
                let at = ((n * offset_groups + c / params.offset_channels) * taps + tap) * plane;
                let moved = vec2<f32>(load_offset(2u * at + plane + p), load_offset(2u * at + p));
                if MASK { scale = load_mask(at + p); }
                pixels = sample(corner + vec2<f32>(step) + moved);
            }
            let image = (n * params.in_c + c) * params.in_h * params.in_w;
            var values = vec4<f32>();
            for (var k = 0u; k < 4u; k++) { values[k] = load_x(image + pixels.pixels[k]); }
            // A pixel outside counts as 0, whatever was read.
            let value = scale * dot(select(vec4<f32>(), values, pixels.inside), pixels.weights);
            for (var j = 0u; j < OUT4; j++) { sums[j] += value * load_w(weight + j); }
            weight += OUT4;
        }
    }
    let end = min(o + 4u * OUT4, (member + 1u) * params.group_out);
    for (var j = 0u; j < OUT4; j++) {
        for (var e = 0u; e < 4u; e++) {
            let channel = o + 4u * j + e;
            let to = (n * params.out_c + channel) * plane + p;
            if channel < end {
                var before = 0.0;
                if params.begins == 1u { before = load_w_element(4u * (weights + k * OUT4 + j) + e); }
                else { before = load_y(to); }
                store_y(to, sums[j][e] + before);
            }
        }
    }
}
