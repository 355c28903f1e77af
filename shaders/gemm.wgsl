// Convolution and matrix product as one implicit GEMM: y[p, o] = f(sum_k x[p, k] w[k, o] + bias[o] + residual[p, o]).
//
// p counts the output pixels of the whole batch, k the taps of the kernel and the input channels under each (four to a
// texel), o the output channels. One workgroup computes 64 pixels x 64 channels; each invocation 4 pixels x 4 channels,
// from tiles of 16 k that the workgroup loads together. No im2col matrix exists: the tile is gathered from the image.
//
// x: channels last, [n][y][x][c/4] texels, or NCHW (X_ROWS: a network's input). w: packed by `src/ops/gemm.rs` in blocks
// of 64 channels, [block][k][16] texels, or [k][o/4] rows of a second tensor (W_ROWS). y, residual: [p][o/4] texels.
// Each block of channels reads only the channels that its groups span: grouped convolution costs no other kernel.
// For a batched product, blocks of `pixels` rows follow each other, and strides say which matrix of each operand is meant.
//
// Not measured on a GPU yet (docs/benchmarks.md).

override X_ROWS: bool = false;
override W_ROWS: bool = false;
// Operands of a matrix product that are stored transposed: x as [k][p/4] texels, w as [o][k/4].
override X_COLUMNS: bool = false;
override W_COLUMNS: bool = false;
override RESIDUAL: bool = false;
override ACTIVATION: u32 = 0u;

struct Params {
    pixels: u32, out_w: u32, out_hw: u32, out4: u32,
    in_h: u32, in_w: u32, in_c: u32, in4: u32,
    stride_y: u32, stride_x: u32, pad_top: i32, pad_left: i32,
    dilation_y: u32, dilation_x: u32, kernel_w: u32, taps: u32,
    span4: u32, group_out: u32, group_in: u32, first_block: u32,
    blocks: u32, w_rows: u32, lo: f32, hi: f32,
    alpha: f32, pad_a: u32, pad_b: u32, pad_c: u32,
    // Batched product: sizes of the batch dimensions, and how many rows each operand moves along them.
    batch: vec4<u32>, x_batch: vec4<u32>, w_batch: vec4<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

// A row of the x tile has one texel more than it needs, so that neighbours start in different banks.
var<workgroup> x_tile: array<vec4<f32>, 320>; // [64 pixels][4 texels of k, 1 unused]
var<workgroup> w_tile: array<vec4<f32>, 256>; // [16 k][16 texels of o]

fn element(i: u32) -> f32 { return x[i >> 2u][i & 3u]; }

// The texel of channels 4c.. at a pixel of image n, zero outside.
fn load(n: u32, iy: i32, ix: i32, c: u32) -> vec4<f32> {
    if iy < 0 || ix < 0 || iy >= i32(params.in_h) || ix >= i32(params.in_w) || c >= params.in4 {
        return vec4<f32>();
    }
    let at = u32(iy) * params.in_w + u32(ix);
    let plane = params.in_h * params.in_w;
    if X_ROWS {
        var value = vec4<f32>();
        for (var i = 0u; i < min(4u, params.in_c - 4u * c); i++) {
            value[i] = element((n * params.in_c + 4u * c + i) * plane + at);
        }
        return value;
    }
    return x[(n * plane + at) * params.in4 + c];
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles = (params.pixels + 63u) / 64u;
    let id = linear(group, groups);
    let block = params.first_block + id % params.blocks;
    let tile = (id / params.blocks) % tiles;
    let matrix = id / params.blocks / tiles;
    if matrix >= params.batch.x * params.batch.y * params.batch.z * params.batch.w { return; }

    // Which matrix of x, of w and of y.
    var rest = matrix;
    var x_matrix = 0u;
    var w_matrix = 0u;
    for (var d = 4u; d > 0u; d--) {
        x_matrix += rest % params.batch[d - 1u] * params.x_batch[d - 1u];
        w_matrix += rest % params.batch[d - 1u] * params.w_batch[d - 1u];
        rest /= params.batch[d - 1u];
    }

    // The pixel and the texel of k that this invocation brings into the tile.
    let bring = tile * 64u + lane / 4u;
    let bring_ok = bring < params.pixels;
    let n = bring / params.out_hw + x_matrix;
    let at = bring % params.out_hw;
    let base_y = i32(at / params.out_w * params.stride_y) - params.pad_top;
    let base_x = i32(at % params.out_w * params.stride_x) - params.pad_left;
    let first_c = block * 64u / params.group_out * params.group_in / 4u;
    var c = lane % 4u;
    var tap_x = 0u;
    var tap_y = 0u;
    while c >= params.span4 { c -= params.span4; tap_x += 1u; }
    while tap_x >= params.kernel_w { tap_x -= params.kernel_w; tap_y += 1u; }

    let k_texels = params.taps * params.span4;
    let row = lane / 16u * 4u;
    let column = lane % 16u;
    var sums: array<vec4<f32>, 4>;
    for (var k = 0u; k < k_texels; k += 4u) {
        if X_COLUMNS {
            // A quarter of the invocations bring four rows of k of four pixels each.
            if lane < 64u {
                let first = x_matrix + 4u * k + lane / 16u * 4u;
                let p4 = tile * 16u + lane % 16u;
                let wide = (params.pixels + 3u) / 4u;
                var four: mat4x4<f32>;
                for (var i = 0u; i < 4u; i++) {
                    if p4 < wide && first + i < x_matrix + params.w_rows { four[i] = x[(first + i) * wide + p4]; }
                }
                four = transpose(four);
                for (var i = 0u; i < 4u; i++) { x_tile[(lane % 16u * 4u + i) * 5u + lane / 16u] = four[i]; }
            }
        } else {
            var texel = vec4<f32>();
            if bring_ok && k + lane % 4u < k_texels {
                let iy = base_y + i32(tap_y * params.dilation_y);
                let ix = base_x + i32(tap_x * params.dilation_x);
                texel = load(n, iy, ix, first_c + c);
            }
            x_tile[lane / 4u * 5u + lane % 4u] = texel;
        }
        c += 4u;
        while c >= params.span4 { c -= params.span4; tap_x += 1u; }
        while tap_x >= params.kernel_w { tap_x -= params.kernel_w; tap_y += 1u; }

        let k_row = 4u * k + lane / 16u;
        var weight = vec4<f32>();
        if W_COLUMNS {
            if lane < 64u {
                let o = block * 64u + lane / 4u * 4u;
                let at = k + lane % 4u;
                var four: mat4x4<f32>;
                for (var i = 0u; i < 4u; i++) {
                    if o + i < params.group_out && at < k_texels { four[i] = w[(w_matrix + o + i) * k_texels + at]; }
                }
                four = transpose(four);
                for (var i = 0u; i < 4u; i++) {
                    // What pads a row is no zero.
                    w_tile[(lane % 4u * 4u + i) * 16u + lane / 4u] = select(vec4<f32>(), four[i], 4u * at + i < params.w_rows);
                }
            }
        } else if W_ROWS {
            if k_row < params.w_rows && block * 16u + column < params.out4 {
                weight = w[(w_matrix + k_row) * params.out4 + block * 16u + column];
            }
        } else if k_row < 4u * k_texels {
            weight = w[((block - params.first_block) * 4u * k_texels + k_row) * 16u + column];
        }
        if !W_COLUMNS { w_tile[lane] = weight; }
        workgroupBarrier();
        for (var j = 0u; j < 4u; j++) {
            let w0 = w_tile[j * 64u + column];
            let w1 = w_tile[j * 64u + 16u + column];
            let w2 = w_tile[j * 64u + 32u + column];
            let w3 = w_tile[j * 64u + 48u + column];
            for (var i = 0u; i < 4u; i++) {
                let v = x_tile[(row + i) * 5u + j];
                sums[i] += w0 * v.x + w1 * v.y + w2 * v.z + w3 * v.w;
            }
        }
        workgroupBarrier();
    }

    let o = block * 16u + column;
    if o >= params.out4 { return; }
    for (var i = 0u; i < 4u; i++) {
        let p = tile * 64u + row + i;
        if p < params.pixels {
            let to = (matrix * params.pixels + p) * params.out4 + o;
            var sum = sums[i] + bias[o];
            if RESIDUAL { sum += residual[to]; }
            y[to] = activate(ACTIVATION, sum, params.lo, params.hi, params.alpha);
        }
    }
}
