// The convolution of integer_conv2d.wgsl, of one group and one dispatch, for Mesa's llvmpipe: exact in i32.
//
// As in gemm_lanes.wgsl, a workgroup is one subgroup of 8 lanes and computes PIXELS pixels x 32 channels: lane l owns
// channels 4l..4l+3 of the block and a sum for each pixel. Each lane loads four channels of another pixel; shuffles with
// constant lanes distribute them. x, y and the other buffers are those of integer_conv2d.wgsl. w: a storage texture of
// bits, row (block, tap), column 8*(c/4) + lane: a word for each of the lane's channels, of four bytes, one for each c. A
// byte is the weight + `offset`.

const PIXELS: u32 = 16u;
const GROUPS: u32 = (PIXELS + 7u) / 8u;
override REQUANTIZE: bool = false;

@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(7) var<storage, read_write> y: array<i32>;

fn store_y(i: u32, value: i32) { y[i] = value; }

// Returns the k-th bytes of four words, less zero points.
fn bytes(words: vec4<u32>, k: u32, zeros: vec4<i32>) -> vec4<i32> {
    return vec4<i32>((words >> vec4<u32>(8u * k)) & vec4<u32>(255u)) - zeros;
}

@compute @workgroup_size(8)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count);
    let tile = divide(id, params.blocks);
    if tile * PIXELS >= params.pixels { return; }
    let block = id - tile * params.blocks;

    let area = params.in_h * params.in_w;
    let size = vec2<i32>(i32(params.in_w), i32(params.in_h));
    var image: array<u32, GROUPS>;
    var corner: array<vec2<i32>, GROUPS>;
    var place: array<u32, GROUPS>;
    for (var g = 0u; g < GROUPS; g++) {
        let its = pixel(min(tile * PIXELS + 8u * g + lane, params.pixels - 1u), 0u);
        image[g] = its.image;
        corner[g] = its.corner;
        place[g] = its.place;
    }

    // Beyond the last channel of y the last is computed again.
    let o = vec4<u32>(32u * block + 4u * lane) + vec4<u32>(0u, 1u, 2u, 3u);
    let last = min(o, vec4<u32>(params.out_c - 1u));
    let at_zero = last * params.w_zeros;
    let zeros = vec4<i32>(load_w_zero(at_zero.x), load_w_zero(at_zero.y), load_w_zero(at_zero.z), load_w_zero(at_zero.w))
        + vec4<i32>(params.offset);
    let zero = vec4<i32>(load_x_zero(0u));
    var sums: array<vec4<i32>, PIXELS>;
    for (var ty = 0u; ty < params.kernel_h; ty++) {
        for (var tx = 0u; tx < params.kernel_w; tx++) {
            let reach = vec2<i32>(i32(tx * params.dilation_x), i32(ty * params.dilation_y));
            var inside = array<bool, GROUPS>();
            var source = array<u32, GROUPS>();
            for (var g = 0u; g < GROUPS; g++) {
                let at = corner[g] + reach;
                inside[g] = all(at >= vec2<i32>()) && all(at < size);
                source[g] = image[g] + select(0u, u32(at.y * size.x + at.x), inside[g]);
            }
            let row = (block * params.kernel_h + ty) * params.kernel_w + tx;
            for (var c = 0u; c < params.in_c; c += 4u) {
                let words = bitcast<vec4<u32>>(textureLoad(w, vec2<u32>(2u * c + lane, row)));
                // Beyond the last channel of x the last counts as padding.
                let channel = vec4<u32>(c) + vec4<u32>(0u, 1u, 2u, 3u);
                let from_channel = min(channel, vec4<u32>(params.in_c - 1u)) * area;
                var v = array<vec4<i32>, GROUPS>();
                for (var g = 0u; g < GROUPS; g++) {
                    let at = from_channel + source[g];
                    v[g] = vec4<i32>(load_x(at.x), load_x(at.y), load_x(at.z), load_x(at.w));
                }
                for (var g = 0u; g < GROUPS; g++) {
                    let there = (channel < vec4<u32>(params.in_c)) & vec4<bool>(inside[g]);
                    v[g] = select(vec4<i32>(), v[g] - zero, there);
                }
                let w0 = bytes(words, 0u, zeros);
                let w1 = bytes(words, 1u, zeros);
                let w2 = bytes(words, 2u, zeros);
                let w3 = bytes(words, 3u, zeros);
                for (var p = 0u; p < PIXELS; p++) {
                    let s = subgroupShuffle(v[p / 8u], p % 8u);
                    sums[p] = sums[p] + w0 * s.x + w1 * s.y + w2 * s.z + w3 * s.w;
                }
            }
        }
    }

    let biases = vec4<i32>(load_bias(last.x), load_bias(last.y), load_bias(last.z), load_bias(last.w));
    var scales: vec4<f32>;
    if REQUANTIZE { scales = vec4<f32>(load_scale(last.x), load_scale(last.y), load_scale(last.z), load_scale(last.w)); }
    for (var p = 0u; p < PIXELS; p++) {
        let to = vec4<u32>(subgroupShuffle(place[p / 8u], p % 8u)) + o * params.out_hw;
        var sum = sums[p] + biases;
        if REQUANTIZE { sum = quantized(vec4<f32>(sum) * scales, vec4<i32>(params.zero), params.lo, params.hi); }
        if tile * PIXELS + p < params.pixels {
            for (var j = 0u; j < 4u; j++) {
                if o[j] < params.out_c { store_y(to[j], sum[j]); }
            }
        }
    }
}
