// Convolution of integers: y[n, o, p] = sum_k (x[n, p, k] - x_zero) (w[o, k] - w_zero[o]) + bias[o], exact in i32; taps
// beyond the image add nothing. REQUANTIZE: the sum as a quantised number, saturate(round(sum scale[o]) + zero).
//
// One invocation computes PIXELS pixels of OUT channels of one group in registers. Neighbours have neighbouring pixels,
// in x and in y; a workgroup reads the same weights. The zero points of w are subtracted last, times the sum of the
// pixel's inputs: one multiplication a channel instead of one subtraction a product. k counts taps, then the channels
// under each tap: a word holds four k of one output channel.
// x, y: row-major, [n][c][y][x]. w: [block of OUT channels][k/4][OUT] words of four bytes; a byte is the weight +
// `offset`. bias, scale: one a channel; w_zero: one for all, or one a channel. A dispatch adds the products of its part
// (`src/ops/part.rs`). Not measured on a GPU yet. Loaded one by one, zero points, biases and sums were 33 waits (4 x 8) by
// AMD's compiler; together they take 48 registers instead of 40 by NVK for 1 x 8 and 2 x 2.

const PIXELS: u32 = 4u;
const OUT: u32 = 8u;
const SUMS: u32 = PIXELS * OUT;
override REQUANTIZE: bool = false;

@group(0) @binding(2) var<storage, read> w: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<i32>;

fn load_w(i: u32) -> u32 { return w[i]; }
fn load_y(i: u32) -> i32 { return y[i]; }
fn store_y(i: u32, value: i32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count);
    let tile = divide(id, params.blocks);
    let first = tile * (64u * PIXELS) + lane;
    if first >= params.pixels { return; }
    let block = id - tile * params.blocks;
    let member = divide(block, params.group_blocks);
    let o = member * params.group_out + (block - member * params.group_blocks) * OUT;
    let channels = min(OUT, (member + 1u) * params.group_out - o);

    // Each pixel's image (its first element), first tap and place in y. Beyond the last pixel the last is computed again.
    let area = params.in_h * params.in_w;
    let size = vec2<i32>(i32(params.in_w), i32(params.in_h));
    var image: array<u32, PIXELS>;
    var corner: array<vec2<i32>, PIXELS>;
    var place: array<u32, PIXELS>;
    for (var i = 0u; i < PIXELS; i++) {
        let its = pixel(min(first + 64u * i, params.pixels - 1u), member * params.group_in);
        image[i] = its.image;
        corner[i] = its.corner;
        place[i] = its.place;
    }

    let zero = load_x_zero(0u);
    let k4 = (params.kernel_h * params.kernel_w * params.group_in + 3u) / 4u;
    var words: array<u32, OUT>;
    var sums: array<i32, SUMS>;
    var totals: array<i32, PIXELS>;
    for (var ty = params.from_row; ty < params.to_row; ty++) {
        for (var tx = 0u; tx < params.kernel_w; tx++) {
            let reach = vec2<i32>(i32(tx * params.dilation_x), i32(ty * params.dilation_y));
            var inside = array<bool, PIXELS>();
            var source = array<u32, PIXELS>();
            for (var i = 0u; i < PIXELS; i++) {
                let at = corner[i] + reach;
                inside[i] = all(at >= vec2<i32>()) && all(at < size);
                source[i] = image[i] + select(0u, u32(at.y * size.x + at.x), inside[i]);
            }
            let tap = (ty * params.kernel_w + tx) * params.group_in;
            for (var c = params.from_channel; c < params.to_channel; c++) {
                let k = tap + c;
                var v = array<i32, PIXELS>();
                for (var i = 0u; i < PIXELS; i++) { v[i] = load_x(source[i] + c * area); }
                if k % 4u == 0u || c == params.from_channel {
                    for (var j = 0u; j < OUT; j++) { words[j] = load_w((block * k4 + k / 4u) * OUT + j); }
                }
                for (var i = 0u; i < PIXELS; i++) {
                    v[i] = select(0, v[i] - zero, inside[i]);
                    totals[i] += v[i];
                }
                for (var j = 0u; j < OUT; j++) {
                    let weight = i32((words[j] >> (k % 4u * 8u)) & 255u);
                    for (var i = 0u; i < PIXELS; i++) { sums[i * OUT + j] += v[i] * weight; }
                }
            }
        }
    }

    // Of the zero points, biases and scales only one kind at a time is in registers. Beyond its last channel
    // an invocation loads that one again.
    var last = array<u32, OUT>();
    for (var j = 0u; j < OUT; j++) { last[j] = o + min(j, channels - 1u); }
    var zeros = array<i32, OUT>();
    for (var j = 0u; j < OUT; j++) { zeros[j] = load_w_zero(last[j] * params.w_zeros); }
    for (var i = 0u; i < SUMS; i++) { sums[i] -= totals[i / OUT] * (zeros[i % OUT] + params.offset); }
    if params.begins == 1u {
        var biases = array<i32, OUT>();
        for (var j = 0u; j < OUT; j++) { biases[j] = load_bias(last[j]); }
        for (var i = 0u; i < SUMS; i++) { sums[i] += biases[i % OUT]; }
    } else {
        for (var i = 0u; i < PIXELS; i++) {
            var before = array<i32, OUT>();
            for (var j = 0u; j < OUT; j++) { before[j] = load_y(place[i] + last[j] * params.out_hw); }
            for (var j = 0u; j < OUT; j++) { sums[i * OUT + j] += before[j]; }
        }
    }
    if REQUANTIZE && params.ends == 1u {
        var scales = array<f32, OUT>();
        for (var j = 0u; j < OUT; j++) { scales[j] = load_scale(last[j]); }
        for (var i = 0u; i < SUMS; i++) {
            let value = vec4<f32>(f32(sums[i]) * scales[i % OUT]);
            sums[i] = quantized(value, vec4<i32>(params.zero), params.lo, params.hi).x;
        }
    }
    for (var i = 0u; i < SUMS; i++) {
        let j = i % OUT;
        if first + 64u * (i / OUT) < params.pixels && j < channels { store_y(place[i / OUT] + (o + j) * params.out_hw, sums[i]); }
    }
}
