// Convolution with kernels three pixels wide and stride 1, for Mesa's llvmpipe: gemm_lanes.wgsl with half the
// multiplications.
// Long because it is one kernel: the transforms are written out, and sums that NaN spoils have a loop of their own.
//
// Winograd's F(4, 3) along the row (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016):
// four neighbouring outputs take six products for each kernel row and channel, not twelve. The kernel's rows are simply
// added. A workgroup is one subgroup of 8 lanes and computes 8 tiles of 4x1 pixels x 32 channels: lane l loads and
// transforms tile l, and owns channels 4l..4l+3 of the block; shuffles with constant lanes distribute the tiles.
//
// x, residual, y: as for gemm_lanes.wgsl. w: transformed by `src/ops/gemm/winograd.rs`, row (block, kernel row,
// product), column k*32 + 8*(k within the texel) + lane.
//
// A product mixes in pixels that an output doesn't see: NaN and infinities would spread. Tiles with a sum that isn't
// finite are computed again, tap by tap. Measured on llvmpipe 22.3: 1.3 to 1.6 times as fast as gemm_lanes.wgsl but for
// small images. Rejected there: 16 tiles (a third slower: registers spill), one loop over products and tiles (not
// unrolled, three times slower).

override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params {
    tiles: u32, tiles_x: u32, out_w: u32, out_h: u32,
    out_c: u32, in_h: i32, in4: i32, kernel_h: i32,
    pad_top: i32, pad_left: i32, blocks: u32, groups: u32,
    blocks_first: u32, lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var residual: texture_storage_2d<rgba32float, read>;
@group(0) @binding(5) var<storage, read_write> y: array<Texel>;

fn out4() -> u32 { return (params.out_c + 3u) / 4u; }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * out4() + column] = to_texel(value); }

// Adds one product, whose weights begin at `at`, to the sums of all tiles.
fn add(sums: ptr<function, array<vec4<f32>, 8>>, v: vec4<f32>, at: vec2<i32>) {
    let w0 = textureLoad(w, at);
    let w1 = textureLoad(w, at + vec2<i32>(8, 0));
    let w2 = textureLoad(w, at + vec2<i32>(16, 0));
    let w3 = textureLoad(w, at + vec2<i32>(24, 0));
    for (var t = 0u; t < 8u; t++) {
        let s = subgroupShuffle(v, t);
        (*sums)[t] = (*sums)[t] + w0 * s.x + w1 * s.y + w2 * s.z + w3 * s.w;
    }
}

// Stores the finished values of pixel px's channels 4o..4o+3.
fn store_finished(sum: vec4<f32>, row: u32, px: u32, o: u32) {
    let column = px * out4() + o;
    var added = vec4<f32>();
    if RESIDUAL > 0u { added = textureLoad(residual, vec2<u32>(column, row)); }
    let value = finished(RESIDUAL, sum, added, ACTIVATION, params.lo, params.hi, params.alpha);
    store_y(row, column, clip_channels(value, o, params.out_c));
}

// Returns the sums of a tile without Winograd: four neighbouring outputs of the lane's channels. The kernel's columns
// a, b and c follow from the products' weights a/4, -(a+b+c)/6, -(a-b+c)/6 and c.
fn tap_by_tap(base: i32, base_y: i32, image: i32, block: i32, lane: i32) -> array<vec4<f32>, 4> {
    var sums = array<vec4<f32>, 4>();
    for (var tap = 0; tap < params.kernel_h; tap++) {
        let iy = base_y + tap;
        let row = select(-1, image + iy, iy >= 0 && iy < params.in_h);
        for (var k = 0; k < params.in4; k++) {
            for (var c = 0; c < 4; c++) {
                let at = vec2<i32>(32 * k + 8 * c + lane, (block * params.kernel_h + tap) * 6);
                let w0 = 4.0 * textureLoad(w, at);
                let w1 = 3.0 * (textureLoad(w, at + vec2<i32>(0, 2)) - textureLoad(w, at + vec2<i32>(0, 1)));
                let w2 = textureLoad(w, at + vec2<i32>(0, 5));
                for (var i = 0; i < 4; i++) {
                    let first = base + k + i * params.in4;
                    sums[i] += w0 * textureLoad(x, vec2<i32>(first, row))[c]
                        + w1 * textureLoad(x, vec2<i32>(first + params.in4, row))[c]
                        + w2 * textureLoad(x, vec2<i32>(first + 2 * params.in4, row))[c];
                }
            }
        }
    }
    return sums;
}

@compute @workgroup_size(8)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count);
    if id >= params.blocks * params.groups { return; }
    // The faster index decides what stays in the cache: the weights of a block, or the pixels of a tile.
    let by_block = params.blocks_first != 0u;
    let runs = select(params.groups, params.blocks, by_block);
    let slow = divide(id, runs);
    let fast = id - slow * runs;
    let block = select(slow, fast, by_block);
    let tile = select(fast, slow, by_block) * 8u + lane;

    let out_row = divide(tile, params.tiles_x);
    let out_x = 4u * (tile - out_row * params.tiles_x);
    let n = divide(out_row, params.out_h);
    let base = (i32(out_x) - params.pad_left) * params.in4;
    let base_y = i32(out_row - n * params.out_h) - params.pad_top;
    let image = i32(n) * params.in_h;

    var s0: array<vec4<f32>, 8>;
    var s1: array<vec4<f32>, 8>;
    var s2: array<vec4<f32>, 8>;
    var s3: array<vec4<f32>, 8>;
    var s4: array<vec4<f32>, 8>;
    var s5: array<vec4<f32>, 8>;
    for (var tap = 0; tap < params.kernel_h; tap++) {
        let iy = base_y + tap;
        // Row -1 is outside of every texture.
        let row = select(-1, image + iy, tile < params.tiles && iy >= 0 && iy < params.in_h);
        let w_row = (i32(block) * params.kernel_h + tap) * 6;
        for (var k = 0; k < params.in4; k++) {
            let d0 = textureLoad(x, vec2<i32>(base + k, row));
            let d1 = textureLoad(x, vec2<i32>(base + k + params.in4, row));
            let d2 = textureLoad(x, vec2<i32>(base + k + 2 * params.in4, row));
            let d3 = textureLoad(x, vec2<i32>(base + k + 3 * params.in4, row));
            let d4 = textureLoad(x, vec2<i32>(base + k + 4 * params.in4, row));
            let d5 = textureLoad(x, vec2<i32>(base + k + 5 * params.in4, row));
            let at = vec2<i32>(32 * k + i32(lane), w_row);
            add(&s0, 4.0 * d0 - 5.0 * d2 + d4, at);
            add(&s1, (d4 - 4.0 * d2) + (d3 - 4.0 * d1), at + vec2<i32>(0, 1));
            add(&s2, (d4 - 4.0 * d2) - (d3 - 4.0 * d1), at + vec2<i32>(0, 2));
            add(&s3, (d4 - d2) + 2.0 * (d3 - d1), at + vec2<i32>(0, 3));
            add(&s4, (d4 - d2) - 2.0 * (d3 - d1), at + vec2<i32>(0, 4));
            add(&s5, 4.0 * d1 - 5.0 * d3 + d5, at + vec2<i32>(0, 5));
        }
    }

    let o = block * 8u + lane;
    let b = load_bias(o);
    var again = 0u;
    for (var t = 0u; t < 8u; t++) {
        let to_row = subgroupShuffle(out_row, t);
        let first = subgroupShuffle(out_x, t);
        let computed = subgroupShuffle(tile, t);
        let inside = o < out4() && computed < params.tiles;
        let even = s1[t] + s2[t];
        let odd = s1[t] - s2[t];
        let even2 = s3[t] + s4[t];
        let odd2 = s3[t] - s4[t];
        var four = array<vec4<f32>, 4>();
        four[0] = s0[t] + even + even2;
        four[1] = odd + 2.0 * odd2;
        four[2] = even + 4.0 * even2;
        four[3] = odd + 8.0 * odd2 + s5[t];
        var largest = vec4<u32>();
        for (var i = 0u; i < 4u; i++) {
            largest = max(largest, bitcast<vec4<u32>>(four[i]) & vec4<u32>(0x7fffffffu));
            if inside && first + i < params.out_w { store_finished(four[i] + b, to_row, first + i, o); }
        }
        if inside && any(largest >= vec4<u32>(0x7f800000u)) { again |= 1u << t; }
    }
    for (; again != 0u; again &= again - 1u) {
        let odd_tile = tile - lane + countTrailingZeros(again);
        let to_row = divide(odd_tile, params.tiles_x);
        let first = 4u * (odd_tile - to_row * params.tiles_x);
        let n = divide(to_row, params.out_h);
        let base = (i32(first) - params.pad_left) * params.in4;
        let base_y = i32(to_row - n * params.out_h) - params.pad_top;
        var four = tap_by_tap(base, base_y, i32(n) * params.in_h, i32(block), i32(lane));
        for (var i = 0u; i < 4u && first + i < params.out_w; i++) {
            store_finished(four[i] + b, to_row, first + i, o);
        }
    }
}
