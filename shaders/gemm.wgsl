// Convolution and matrix product as one implicit GEMM: y[p, o] = f(sum_k x[p, k] w[k, o] + bias[o] + residual[p, o]).
// Long because it is one kernel: its ways to address x and w share the loop over k and the epilogue.
//
// p counts the output pixels of the whole batch, k the kernel's taps and their input channels (four to a texel), o the
// output channels. A workgroup computes TILE_M pixels x TILE_N channels, an invocation QUADS_M x QUADS_N quads of 4
// pixels x 4 channels, which lie apart so that neighbours read neighbours. TILE_K of k at a time go through workgroup
// memory, as [k][p] and [k][o]: a quad takes a vec4 of each. An invocation loads one patch of a tile, 4 k x 4 pixels or
// 4 channels, before the arithmetic of the previous tile. SLICES of the invocations share a tile's k. The sums are
// named variables: an array stays in memory if the driver doesn't unroll the loop that indexes it. No im2col matrix.
// x: channels last, [n][y][x][c/4] texels, in one tensor or several (PARTS); or NCHW (X_ROWS; k is [channel][tap]). w:
// prepacked by `src/ops/gemm` in blocks of 64 channels, [block][k][16] texels, or [k][o/4] rows of a second tensor
// (W_ROWS). y, residual: [p][o/4]. A block reads only the input channels that its groups span. In a batched product
// strides select each operand's matrix. PARTIAL: `splits` workgroups sum a share of k each, [split][p][o/4], which
// gemm_join.wgsl adds. Not measured on a GPU yet.

const TILE_M: u32 = 64u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 16u;
const QUADS_M: u32 = 2u;
const QUADS_N: u32 = 1u;
const SLICES: u32 = 1u;
override POINT: bool = false; // A kernel of one tap with stride 1 and no padding; and matrices.
override X_ROWS: bool = false;
override PARTS: u32 = 0u; // The number of tensors that share the channels of x, if it isn't one (src/ops/gemm/parts.rs).
override LINES: bool = false; // x is lines of in_c samples, a pixel of y several outputs (src/ops/gemm/lines.rs).
override DEEP: bool = false; // Volumes, whose planes are images.
override W_ROWS: bool = false;
override X_COLUMNS: bool = false; // A transposed operand of a matrix product: x is [k][p/4] texels.
override W_COLUMNS: bool = false; // A transposed operand: w is [o][k/4] texels.
override PARTIAL: bool = false;
override GROUPED: bool = false; // A block of w spans several groups: sums that aren't finite are computed again, by group.
override RESIDUAL: bool = false;
override ACTIVATION: u32 = 0u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Texel>;
@group(0) @binding(5) var<storage, read_write> y: array<Texel>;
@group(0) @binding(6) var<storage, read> x1: array<Texel>;
@group(0) @binding(7) var<storage, read> x2: array<Texel>;
@group(0) @binding(8) var<storage, read> x3: array<Texel>;

fn load_x(i: u32) -> vec4<f32> { return from_texel(x[i]); }
fn load_x1(i: u32) -> vec4<f32> { return from_texel(x1[i]); }
fn load_x2(i: u32) -> vec4<f32> { return from_texel(x2[i]); }
fn load_x3(i: u32) -> vec4<f32> { return from_texel(x3[i]); }
fn load_x_element(i: u32) -> f32 { return from_scalar(x[i / 4u][i % 4u]); }
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(i: u32) -> vec4<f32> { return from_texel(residual[i]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

const ROWS: u32 = TILE_M / (4u * QUADS_M);
const COLUMNS: u32 = TILE_N / (4u * QUADS_N);
const STEP: u32 = TILE_K / 4u;
const X_PATCHES: u32 = TILE_M / 4u * STEP;
const PATCHES: u32 = X_PATCHES + TILE_N / 4u * STEP;
const X_ROW: u32 = TILE_M / 4u + 1u; // Padded, so that the four texels of a transposed patch start in different banks.
const W_ROW: u32 = TILE_N / 4u + 1u;
const W_TILE: u32 = TILE_K * X_ROW;
var<workgroup> tile: array<vec4<f32>, TILE_K * (X_ROW + W_ROW)>;

fn x_at(at: u32, there: bool) -> vec4<f32> { var texel = vec4<f32>(); if there { texel = load_x(at); } return texel; }
fn w_at(at: u32, there: bool) -> vec4<f32> { var texel = vec4<f32>(); if there { texel = load_w(at); } return texel; }
fn element(at: i32) -> f32 { return select(0.0, load_x_element(u32(max(at, 0))), at >= 0); }
// Returns the first n of four texels, `apart` from each other, and zeros.
fn x_four(at: u32, apart: u32, n: i32) -> mat4x4<f32> {
    return mat4x4<f32>(x_at(at, n > 0), x_at(at + apart, n > 1), x_at(at + 2u * apart, n > 2), x_at(at + 3u * apart, n > 3));
}
fn w_four(at: u32, apart: u32, n: i32) -> mat4x4<f32> {
    return mat4x4<f32>(w_at(at, n > 0), w_at(at + apart, n > 1), w_at(at + 2u * apart, n > 2), w_at(at + 3u * apart, n > 3));
}
// Returns texel c of a pixel's channels, from the part that holds it.
fn channels_at(pixel: u32, c: u32, there: bool) -> vec4<f32> {
    if PARTS == 0u { return x_at(pixel * params.in4 + c, there); }
    if !there { return vec4<f32>(); }
    let at = pixel * params.pitch + c + params.shift;
    if PARTS == 1u || c < params.ends.x { return load_x(at.x); }
    if PARTS == 2u || c < params.ends.y { return load_x1(at.y); }
    if PARTS == 3u || c < params.ends.z { return load_x2(at.z); }
    return load_x3(at.w);
}
// Returns texel c of the first n of four neighbouring pixels, and zeros.
fn channels_of_four(pixel: u32, c: u32, n: i32) -> mat4x4<f32> {
    if PARTS == 0u { return x_four(pixel * params.in4 + c, params.in4, n); }
    return mat4x4<f32>(channels_at(pixel, c, n > 0), channels_at(pixel + 1u, c, n > 1),
                       channels_at(pixel + 2u, c, n > 2), channels_at(pixel + 3u, c, n > 3));
}
fn tapped(start: Pixel, tap: vec2<u32>, c: u32) -> vec4<f32> {
    let at = seen(params, start, select(tap, vec2<u32>(c, tap.y), LINES), DEEP);
    if LINES { return clip_channels(x_at(u32(at), at >= 0), u32(start.x) + c, params.in_c); }
    return channels_at(u32(at), c, at >= 0 && c < params.in4);
}
fn elements(start: Pixel, k: u32) -> vec4<f32> {
    let at = elements_at(params, start, k, DEEP);
    return vec4<f32>(element(at.x), element(at.y), element(at.z), element(at.w));
}

// Returns the sums of a pixel and four channels (of this dispatch) over a share of k, within their own groups.
fn of_own_groups(p: u32, o: u32, begin: u32, end: u32) -> vec4<f32> {
    let start = group_start(4u * (params.first4 + o), params.groups);
    let first_c = group_start(4u * (params.first4 + o) / BLOCK * BLOCK, params.groups).x / 4u;
    var sum = vec4<f32>();
    for (var k = begin; k < end; k++) {
        let c = first_c + k % params.span4;
        let texel = tapped(pixel(params, p, DEEP), tap_of(params, k), c);
        sum += of_own(texel, w_four(block_at(o, k, params.k4), BLOCK / 4u, 4), 4u * c, start, params.groups.w);
    }
    return sum;
}

// Ends a quad: adds the sums of the slices, always in the same order; then the epilogue. The first slice writes.
fn finish(sum: mat4x4<f32>, lane: u32, first: u32, p: u32, o: u32, begin: u32, end: u32) {
    let slice = lane / (ROWS * COLUMNS);
    let spot = lane % (ROWS * COLUMNS);
    var total = sum;
    for (var other = 1u; other < SLICES; other++) {
        workgroupBarrier();
        for (var i = 0u; i < 4u && slice == other; i++) { tile[i * ROWS * COLUMNS + spot] = total[i]; }
        workgroupBarrier();
        for (var i = 0u; i < 4u && slice == 0u; i++) { total[i] += tile[i * ROWS * COLUMNS + spot]; }
    }
    if slice > 0u || o >= min(params.first4 + params.wide4, params.pixel4) { return; }
    for (var i = 0u; i < 4u && p + i < params.pixels; i++) {
        let to = place(params, LINES, first + p + i, o);
        if !to.there { continue; }
        var value = total[i];
        if GROUPED && !all(is_finite(value)) { value = of_own_groups(p + i, o - params.first4, begin, end); }
        if !PARTIAL { value += load_bias(o); }
        if RESIDUAL { value += load_residual(to.at); }
        store_y(to.at, clip_channels(activate(ACTIVATION, value, params.lo, params.hi, params.alpha), to.c, params.out_c));
    }
}

@compute @workgroup_size(ROWS * COLUMNS * SLICES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let own = share(params, linear(group, groups), TILE_M, TILE_N);
    if own.split >= params.splits { return; }
    let rows = first_rows(params, own.matrix);

    // This invocation's patch of x or w: four texels along k, of four pixels or channels, or across k.
    let brings_x = lane < X_PATCHES;
    let patch_id = select(lane - X_PATCHES, lane, brings_x);
    let quads = select(TILE_N, TILE_M, brings_x) / 4u;
    let along = select(W_COLUMNS, !X_COLUMNS, brings_x);
    let quad = select(patch_id % quads, patch_id / STEP, along);
    var k = own.begin + select(patch_id / quads, patch_id % STEP, along);
    let wide = select(W_ROW, X_ROW, brings_x);
    let to = select(W_TILE, 0u, brings_x) + 4u * (k - own.begin) * wide + quad;
    let p = own.tile_p + 4u * quad;
    let p0 = pixel(params, p, DEEP);
    let p1 = pixel(params, p + 1u, DEEP);
    let p2 = pixel(params, p + 2u, DEEP);
    let p3 = pixel(params, p + 3u, DEEP);
    let first_c = group_start(4u * (params.first4 + own.tile4) / BLOCK * BLOCK, params.groups).x / 4u;
    let o = own.tile4 + quad;
    var c = k % params.span4;
    var tap = tap_of(params, k);

    let slice = lane / (ROWS * COLUMNS);
    let row = lane / COLUMNS % ROWS;
    let column = lane % COLUMNS;
    var s00 = mat4x4<f32>();
    var s01 = s00;
    var s10 = s00;
    var s11 = s00;
    for (var at = own.begin; ; at += STEP) {
        var next = mat4x4<f32>();
        let rest = i32(params.w_rows) - i32(4u * k);
        if k < own.end && lane < PATCHES {
            if brings_x && X_COLUMNS {
                let p4 = (params.pixels + 3u) / 4u;
                next = x_four((rows.x + 4u * k) * p4 + p / 4u, p4, select(0, rest, p / 4u < p4));
            } else if brings_x && X_ROWS {
                next = mat4x4<f32>(elements(p0, 4u * k), elements(p1, 4u * k), elements(p2, 4u * k), elements(p3, 4u * k));
            } else if brings_x && POINT {
                let count = select(0, i32(params.pixels) - i32(p), first_c + k < params.in4);
                next = channels_of_four(rows.x + p, first_c + k, count);
            } else if brings_x {
                let at = first_c + c;
                next = mat4x4<f32>(tapped(p0, tap, at), tapped(p1, tap, at), tapped(p2, tap, at), tapped(p3, tap, at));
                c += STEP;
                while c >= params.span4 { c -= params.span4; tap.x += 1u; }
                while tap.x >= params.kernel_w { tap += vec2<u32>(0u - params.kernel_w, 1u); }
            } else if W_COLUMNS {
                next = w_four((rows.y + 4u * o) * params.k4 + k, params.k4, i32(params.groups.x) - i32(4u * o));
                next = clip_rows(next, k, params.w_rows); // The padding of a row isn't zero.
            } else if W_ROWS {
                next = w_four((rows.y + 4u * k) * out4(params) + o, out4(params), select(0, rest, o < out4(params)));
            } else {
                next = w_four(block_at(o, k, params.k4), BLOCK / 4u, select(0, 4, o < params.wide4));
            }
        }
        if along { next = transpose(next); }
        k += STEP;
        // Multiplies the tile in workgroup memory while the next one is loading.
        if at > own.begin {
            for (var i = slice * (TILE_K / SLICES); i < (slice + 1u) * (TILE_K / SLICES); i++) {
                let from_x = i * X_ROW + row;
                let from_w = W_TILE + i * W_ROW + column;
                s00 = add(s00, tile[from_x], tile[from_w]);
                if QUADS_N > 1u { s01 = add(s01, tile[from_x], tile[from_w + COLUMNS]); }
                if QUADS_M > 1u { s10 = add(s10, tile[from_x + ROWS], tile[from_w]); }
                if QUADS_M * QUADS_N > 3u { s11 = add(s11, tile[from_x + ROWS], tile[from_w + COLUMNS]); }
            }
        }
        if at >= own.end { break; }
        workgroupBarrier();
        if lane < PATCHES {
            tile[to] = next[0];
            tile[to + wide] = next[1];
            tile[to + 2u * wide] = next[2];
            tile[to + 3u * wide] = next[3];
        }
        workgroupBarrier();
    }
    let first = (own.split * matrices(params) + own.matrix) * params.pixels;
    let to_p = own.tile_p + 4u * row;
    let to_o = params.first4 + own.tile4 + column;
    finish(s00, lane, first, to_p, to_o, own.begin, own.end);
    if QUADS_N > 1u { finish(s01, lane, first, to_p, to_o + COLUMNS, own.begin, own.end); }
    if QUADS_M > 1u { finish(s10, lane, first, to_p + 4u * ROWS, to_o, own.begin, own.end); }
    if QUADS_M * QUADS_N > 3u { finish(s11, lane, first, to_p + 4u * ROWS, to_o + COLUMNS, own.begin, own.end); }
}
