// The convolution of integer_conv2d.wgsl with as many groups as channels of x and of y, in one dispatch.
//
// One invocation computes TILE_Y x TILE_X pixels of one channel, as in depthwise.wgsl: it reads each row of the tile's
// input once, and every output adds the taps on it. Neighbouring invocations have neighbouring tiles of a row. x, y and
// the other buffers are those of integer_conv2d.wgsl with OUT = 1.

const TILE_Y: u32 = 2u;
const TILE_X: u32 = 4u;
const KERNEL_Y: u32 = 3u;
const KERNEL_X: u32 = 3u;
const STRIDE_Y: u32 = 1u;
const STRIDE_X: u32 = 1u;
const DILATION_Y: u32 = 1u;
const DILATION_X: u32 = 1u;
const TAPS: u32 = KERNEL_Y * KERNEL_X;
const WORDS: u32 = (TAPS + 3u) / 4u;
const ROWS: u32 = (TILE_Y - 1u) * STRIDE_Y + (KERNEL_Y - 1u) * DILATION_Y + 1u;
const COLUMNS: u32 = (TILE_X - 1u) * STRIDE_X + (KERNEL_X - 1u) * DILATION_X + 1u;
override REQUANTIZE: bool = false;

@group(0) @binding(2) var<storage, read> w: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<i32>;

fn load_w(i: u32) -> u32 { return w[i]; }
fn store_y(i: u32, value: i32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    let tiles_x = (params.out_w + TILE_X - 1u) / TILE_X;
    let tiles = (params.out_hw / params.out_w + TILE_Y - 1u) / TILE_Y * tiles_x;
    let plane = i / tiles;
    if plane * params.out_hw >= params.pixels * params.out_c { return; }
    let tile = i - plane * tiles;
    let oy = tile / tiles_x * TILE_Y;
    let ox = tile % tiles_x * TILE_X;
    let c = plane % params.out_c;
    let top = i32(oy * STRIDE_Y) - i32(params.before_y);
    let left = i32(ox * STRIDE_X) - i32(params.before_x);

    var words = array<u32, WORDS>();
    for (var k = 0u; k < WORDS; k++) { words[k] = load_w(c * WORDS + k); }
    let zero = load_x_zero(0u);
    let w_zero = load_w_zero(c * params.w_zeros) + params.offset;
    var taps: array<i32, TAPS>;
    for (var k = 0u; k < TAPS; k++) { taps[k] = i32((words[k / 4u] >> (k % 4u * 8u)) & 255u) - w_zero; }

    var sums: array<array<i32, TILE_X>, TILE_Y>;
    for (var r = 0u; r < ROWS; r++) {
        let iy = top + i32(r);
        let row_ok = iy >= 0 && iy < i32(params.in_h);
        let row = (plane * params.in_h + u32(iy)) * params.in_w;
        var line = array<i32, COLUMNS>();
        for (var j = 0u; j < COLUMNS; j++) {
            let ix = left + i32(j);
            line[j] = load_x(select(0u, row + u32(ix), row_ok && ix >= 0 && ix < i32(params.in_w)));
        }
        for (var j = 0u; j < COLUMNS; j++) {
            let ix = left + i32(j);
            line[j] = select(0, line[j] - zero, row_ok && ix >= 0 && ix < i32(params.in_w));
        }
        // The row of taps that each row of outputs has on this row of the input.
        for (var ty = 0u; ty < TILE_Y; ty++) {
            let ky = (r - ty * STRIDE_Y) / DILATION_Y;
            if r >= ty * STRIDE_Y && ky < KERNEL_Y && (ty * STRIDE_Y) + (ky * DILATION_Y) == r {
                for (var kx = 0u; kx < KERNEL_X; kx++) {
                    for (var tx = 0u; tx < TILE_X; tx++) {
                        sums[ty][tx] += line[tx * STRIDE_X + kx * DILATION_X] * taps[ky * KERNEL_X + kx];
                    }
                }
            }
        }
    }

    let added = load_bias(c);
    var factor = 1.0;
    if REQUANTIZE { factor = load_scale(c); }
    for (var ty = 0u; ty < TILE_Y; ty++) {
        for (var tx = 0u; tx < TILE_X; tx++) {
            var sum = sums[ty][tx] + added;
            if REQUANTIZE {
                sum = quantized(vec4<f32>(f32(sum) * factor), vec4<i32>(params.zero), params.lo, params.hi).x;
            }
            let at = (oy + ty) * params.out_w + ox + tx;
            if ox + tx < params.out_w && at < params.out_hw { store_y(plane * params.out_hw + at, sum); }
        }
    }
}
