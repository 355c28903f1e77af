// Depthwise convolution: y[n, c, p] = f(sum_t x[n, c, p * stride + t * dilation - before] w[t, c] + bias[c] +
// residual).
//
// One invocation computes TILE_Y x TILE_X pixels of four channels: it reads each row of the tile's input once, and
// every output adds the taps on it. Neighbouring invocations have neighbouring channels. For a tile of one pixel
// DILATION is 1 and the input's rows and columns lie `spread` pixels apart, so that only pixels under a tap are read.
// x, y, residual: channels last, row (n*D + z)*H + y, column x*C/4 + c/4. w: a row of C/4 texels a tap, then the bias.
// Tried on llvmpipe 22.3, against tiles of 4x2: 8x1 (a tenth slower), 4x4 (a half slower: registers spill). Tests at
// the edges of a texture and integer divisions cost a quarter of the time there.

const TILE_Y: u32 = 2u;
const TILE_X: u32 = 4u;
const KERNEL_Z: u32 = 1u;
const KERNEL_Y: u32 = 3u;
const KERNEL_X: u32 = 3u;
const STRIDE_Y: u32 = 1u;
const STRIDE_X: u32 = 1u;
const DILATION_Y: u32 = 1u;
const DILATION_X: u32 = 1u;
// A tile of one pixel may have a wide kernel. It holds PIECE taps at a time, and each piece counts as a row.
const PIECE: u32 = 3u;
const PIECES: u32 = (KERNEL_X + PIECE - 1u) / PIECE;
const ROWS: u32 = ((TILE_Y - 1u) * STRIDE_Y + (KERNEL_Y - 1u) * DILATION_Y + 1u) * PIECES;
const COLUMNS: u32 = (TILE_X - 1u) * STRIDE_X + (PIECE - 1u) * DILATION_X + 1u;
// Mesa unrolls a loop that counts through an array of its length, and loads many rows at once. Where registers are few
// LINES is 1: rows aren't unrolled, and only tiles of 2x7 pixels spill (m1).
const LINES: u32 = select(1u, ROWS, TILE_Y > 1u);
// A row outside of every texture.
const OUTSIDE: u32 = 0xffffffffu;
override TEXTURE: bool = false;
override DEEP: bool = false; // Volumes, whose planes are images.
override LANES: u32 = 64u;
override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params {
    in_h: u32, in_w: u32, out_h: u32, out_w: u32,
    c4: u32, tiles_x: u32, tiles_y: u32, count: u32,
    top: u32, left: u32, spread_y: u32, spread_x: u32, lo: f32, hi: f32, alpha: f32,
    in_d: u32, out_d: u32, stride_z: u32, pad_front: i32, dilation_z: u32, kernel_h: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> w: array<Texel>;
@group(0) @binding(3) var<storage, read> residual: array<Texel>;
@group(0) @binding(4) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.in_w * params.c4 + column]); }
fn load_w(row: u32, column: u32) -> vec4<f32> { return from_texel(w[row * params.c4 + column]); }
fn load_residual(row: u32, column: u32) -> vec4<f32> { return from_texel(residual[row * params.out_w * params.c4 + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * params.c4 + column] = to_texel(value); }

fn quotient(a: u32, b: u32) -> u32 {
    if TEXTURE { return divide(a, b); }
    return a / b;
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * LANES + lane;
    if i >= params.count { return; }
    let tile = quotient(i, params.c4);
    let c = i - tile * params.c4;
    let strip = quotient(tile, params.tiles_x);
    let ox = (tile - strip * params.tiles_x) * TILE_X;
    let n = quotient(strip, params.tiles_y);
    let oy = (strip - n * params.tiles_y) * TILE_Y;
    let top = i32(oy * STRIDE_Y) - i32(params.top);
    let left = i32(ox * STRIDE_X) - i32(params.left);

    var plane = n;
    var z = 0;
    if DEEP {
        let volume = quotient(n, params.out_d);
        plane = volume * params.in_d;
        z = i32((n - volume * params.out_d) * params.stride_z) - params.pad_front;
    }
    let bias = load_w(KERNEL_Z * KERNEL_Y * KERNEL_X, c);
    var sums: array<array<vec4<f32>, TILE_X>, TILE_Y>;
    for (var ty = 0u; ty < TILE_Y; ty++) {
        for (var tx = 0u; tx < TILE_X; tx++) { sums[ty][tx] = bias; }
    }
    for (var kz = 0u; kz < KERNEL_Z; kz++) {
        let iz = z + i32(kz * params.dilation_z);
        let plane_ok = !DEEP || (iz >= 0 && iz < i32(params.in_d));
        var lines = array<array<vec4<f32>, COLUMNS>, LINES>();
        for (var r = 0u; r < ROWS; r++) {
            let l = select(0u, r, LINES > 1u);
            let iy = top + i32(r / PIECES * params.spread_y);
            let first = r % PIECES * PIECE;
            let row_ok = iy >= 0 && iy < i32(params.in_h) && plane_ok;
            let row = select(OUTSIDE, (plane + u32(iz)) * params.in_h + u32(iy), row_ok);
            lines[l] = array<vec4<f32>, COLUMNS>();
            for (var j = 0u; j < COLUMNS; j++) {
                let ix = left + i32((first + j) * params.spread_x);
                let tap_ok = PIECES == 1u || first + j < KERNEL_X;
                let column = u32(ix * i32(params.c4) + i32(c));
                // A texture reads as 0 outside; a buffer needs the test.
                if TEXTURE { lines[l][j] = load_x(select(OUTSIDE, row, tap_ok), column); }
                else if row_ok && tap_ok && ix >= 0 && ix < i32(params.in_w) { lines[l][j] = load_x(row, column); }
            }
            // The row of taps that each row of outputs has on this row of the input.
            for (var ty = 0u; ty < TILE_Y; ty++) {
                let ky = (r / PIECES - ty * STRIDE_Y) / DILATION_Y;
                if TILE_Y == 1u || (r >= ty * STRIDE_Y && ky < KERNEL_Y && (ty * STRIDE_Y) + (ky * DILATION_Y) == r) {
                    var taps = array<vec4<f32>, PIECE>();
                    for (var kx = 0u; kx < PIECE; kx++) {
                        let tap = first + kx;
                        if PIECES == 1u || tap < KERNEL_X { taps[kx] = load_w((kz * KERNEL_Y + ky) * KERNEL_X + tap, c); }
                    }
                    for (var kx = 0u; kx < PIECE; kx++) {
                        for (var tx = 0u; tx < TILE_X; tx++) {
                            sums[ty][tx] += lines[l][tx * STRIDE_X + kx * DILATION_X] * taps[kx];
                        }
                    }
                }
            }
        }
    }

    // Loads together.
    var added = array<array<vec4<f32>, TILE_X>, TILE_Y>();
    for (var ty = 0u; RESIDUAL > 0u && ty < TILE_Y; ty++) {
        let row = n * params.out_h + min(oy + ty, params.out_h - 1u);
        for (var tx = 0u; tx < TILE_X; tx++) {
            added[ty][tx] = load_residual(row, min(ox + tx, params.out_w - 1u) * params.c4 + c);
        }
    }
    for (var ty = 0u; ty < TILE_Y; ty++) {
        for (var tx = 0u; tx < TILE_X; tx++) {
            if oy + ty < params.out_h && ox + tx < params.out_w {
                let row = n * params.out_h + oy + ty;
                let column = (ox + tx) * params.c4 + c;
                let value = finished(
                    RESIDUAL, sums[ty][tx], added[ty][tx], ACTIVATION, params.lo, params.hi, params.alpha,
                );
                store_y(row, column, value);
            }
        }
    }
}
