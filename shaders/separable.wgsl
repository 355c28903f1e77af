// A depthwise convolution and the 1x1 convolution after it as one implicit GEMM:
// y[p, o] = f(sum_k g(sum_t x[p + t, k] d[t, k] + d_bias[k]) w[k, o] + bias[o] + residual[p, o]).
// Long because it is one kernel: what filters shares the loop over k with the product.
//
// As gemm.wgsl: a workgroup computes TILE pixels x TILE channels, an invocation 4 x 4, and TILE_K of k at a time go
// through workgroup memory. But what an invocation brings for x is the window of two neighbouring pixels, four channels
// of it, which it filters: the depthwise output is never stored. The next windows load during the arithmetic of this
// tile. Each column of tiles filters again.
// x, residual, y: channels last. d: a row of C/4 texels a tap, then the bias. w: prepacked as for gemm.wgsl.
//
// Not measured on a GPU yet. Rejected, by what `make gpu-lab` tells: filters loaded by each invocation instead of once
// for all pixels, and windows of single pixels, which take a third more instructions on ga102.

const TILE: u32 = 32u;
const SLICES: u32 = 4u;
const KERNEL_Y: u32 = 3u;
const KERNEL_X: u32 = 3u;
const STRIDE: u32 = 1u;
override FILTERED: u32 = 0u; // The activation of the depthwise convolution.
override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params {
    pairs: u32, pairs_x: u32, out_w: u32, out_h: u32, out_c: u32, out4: u32, columns: u32,
    in_w: u32, in_h: u32, in4: u32, pad_top: i32, pad_left: i32,
    filtered_lo: f32, filtered_hi: f32, filtered_alpha: f32, lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> d: array<Texel>;
@group(0) @binding(3) var<storage, read> w: array<Texel>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<Texel>;
@group(0) @binding(6) var<storage, read_write> y: array<Texel>;

fn load_x(i: u32) -> vec4<f32> { return from_texel(x[i]); }
fn load_d(i: u32) -> vec4<f32> { return from_texel(d[i]); }
fn load_w(i: u32) -> vec4<f32> { return from_texel(w[i]); }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(i: u32) -> vec4<f32> { return from_texel(residual[i]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

const SIDE: u32 = TILE / 4u; // The invocations along a side of the tile.
const LANES: u32 = SIDE * SIDE * SLICES;
const STEP: u32 = 4u * SLICES; // The texels of k that go through workgroup memory at a time.
const FILTERS: u32 = STEP * (KERNEL_Y * KERNEL_X + 1u);
const D_EACH: u32 = (FILTERS + LANES - 1u) / LANES;
const W_EACH: u32 = STEP * TILE / LANES;
const WINDOW_X: u32 = KERNEL_X + STRIDE; // The window of two pixels.
const X_ROW: u32 = STEP + 1u; // Padded by a texel, so that neighbouring pixels start in different banks.
const W_TILE: u32 = TILE * X_ROW;
const D_TILE: u32 = W_TILE + STEP * TILE;
var<workgroup> tile: array<vec4<f32>, D_TILE + FILTERS>;

// Adds the products of a tile's k.
fn multiply(sums: ptr<function, array<vec4<f32>, 4>>, row: u32, column: u32, slice: u32) {
    for (var i = 0u; i < 4u; i++) {
        let k = 4u * slice + i;
        var pixels = array<vec4<f32>, 4>();
        for (var p = 0u; p < 4u; p++) { pixels[p] = tile[(row + p * SIDE) * X_ROW + k]; }
        for (var e = 0u; e < 4u; e++) {
            let weights = tile[W_TILE + (4u * k + e) * SIDE + column];
            for (var p = 0u; p < 4u; p++) { (*sums)[p] += pixels[p][e] * weights; }
        }
    }
}

// A pair of pixels: its image, and the place of the first pixel. A row's last pair may have only one.
struct Pair { image: u32, y: u32, x: u32, there: bool }

fn place(pair: u32) -> Pair {
    let row = pair / params.pairs_x;
    let image = row / params.out_h;
    return Pair(image, row - image * params.out_h, 2u * (pair - row * params.pairs_x), pair < params.pairs);
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count);
    let first_pair = id / params.columns * (TILE / 2u);
    if first_pair >= params.pairs { return; }
    let first_o = id % params.columns * SIDE;
    // The window of this invocation's pair of pixels.
    let pair = place(first_pair + lane / STEP);
    let top = i32(pair.y * STRIDE) - params.pad_top;
    let left = i32(pair.x * STRIDE) - params.pad_left;
    let first = u32((i32(pair.image * params.in_h) + top) * i32(params.in_w) + left) * params.in4;
    let slice = lane / (SIDE * SIDE);
    let row = lane / SIDE % SIDE;
    let column = lane % SIDE;
    var sums: array<vec4<f32>, 4>;
    for (var at = 0u; ; at += STEP) {
        let c = at + lane % STEP;
        let held = c < params.in4;
        var seen = array<array<bool, WINDOW_X>, KERNEL_Y>();
        var xs = array<array<vec4<f32>, WINDOW_X>, KERNEL_Y>();
        for (var ty = 0u; ty < KERNEL_Y; ty++) {
            for (var tx = 0u; tx < WINDOW_X; tx++) {
                let inside = (u32(top + i32(ty)) < params.in_h) & (u32(left + i32(tx)) < params.in_w);
                seen[ty][tx] = inside & held & pair.there;
                let to = first + c + (ty * params.in_w + tx) * params.in4;
                xs[ty][tx] = load_x(select(0u, to, seen[ty][tx]));
            }
        }
        var ds = array<vec4<f32>, D_EACH>();
        for (var j = 0u; j < D_EACH; j++) {
            let t = lane + j * LANES;
            let k = at + t % STEP;
            let there = k < params.in4 && t < FILTERS;
            ds[j] = load_d(select(0u, t / STEP * params.in4 + k, there));
        }
        var ws = array<vec4<f32>, W_EACH>();
        for (var j = 0u; j < W_EACH; j++) {
            let t = lane + j * LANES;
            let k = at + t / TILE;
            let o = first_o + t % SIDE;
            let there = k < params.in4 && o < params.out4;
            ws[j] = load_w(select(0u, block_at(o, k, params.in4) + t / SIDE % 4u * (BLOCK / 4u), there));
        }
        // Multiplies the tile in workgroup memory while the next one is loading.
        if at > 0u { multiply(&sums, row, column, slice); }
        if at >= params.in4 { break; }
        workgroupBarrier();
        for (var j = 0u; j < D_EACH; j++) {
            let t = lane + j * LANES;
            if t < FILTERS { tile[D_TILE + t] = ds[j]; }
        }
        for (var j = 0u; j < W_EACH; j++) {
            let t = lane + j * LANES;
            let there = at + t / TILE < params.in4 && first_o + t % SIDE < params.out4;
            tile[W_TILE + t] = select(vec4<f32>(), ws[j], there);
        }
        workgroupBarrier();
        var filtered = array<vec4<f32>, 2>();
        for (var i = 0u; i < 2u; i++) { filtered[i] = tile[D_TILE + FILTERS - STEP + lane % STEP]; }
        for (var ty = 0u; ty < KERNEL_Y; ty++) {
            for (var tx = 0u; tx < WINDOW_X; tx++) { xs[ty][tx] = select(vec4<f32>(), xs[ty][tx], seen[ty][tx]); }
            for (var tx = 0u; tx < KERNEL_X; tx++) {
                let tap = tile[D_TILE + (ty * KERNEL_X + tx) * STEP + lane % STEP];
                for (var i = 0u; i < 2u; i++) { filtered[i] += xs[ty][tx + i * STRIDE] * tap; }
            }
        }
        for (var i = 0u; i < 2u; i++) {
            let value = activate(FILTERED, filtered[i], params.filtered_lo, params.filtered_hi, params.filtered_alpha);
            tile[(lane / STEP * 2u + i) * X_ROW + lane % STEP] = select(vec4<f32>(), value, held);
        }
        workgroupBarrier();
    }

    // Adds the sums of the slices, always in the same order. The first slice writes.
    for (var other = 1u; other < SLICES; other++) {
        let spot = lane % (SIDE * SIDE);
        workgroupBarrier();
        if slice == other {
            for (var i = 0u; i < 4u; i++) { tile[i * SIDE * SIDE + spot] = sums[i]; }
        }
        workgroupBarrier();
        if slice == 0u {
            for (var i = 0u; i < 4u; i++) { sums[i] += tile[i * SIDE * SIDE + spot]; }
        }
    }
    let o = first_o + column;
    if slice > 0u || o >= params.out4 { return; }
    let added = load_bias(o);
    var places = array<u32, 4>();
    var there = array<bool, 4>();
    var residuals = array<vec4<f32>, 4>();
    for (var i = 0u; i < 4u; i++) {
        let p = row + i * SIDE;
        let own = place(first_pair + p / 2u);
        let to = (own.image * params.out_h + own.y) * params.out_w + own.x + p % 2u;
        there[i] = own.there && own.x + p % 2u < params.out_w;
        places[i] = select(0u, to * params.out4 + o, there[i]);
        if RESIDUAL > 0u { residuals[i] = load_residual(places[i]); }
    }
    for (var i = 0u; i < 4u; i++) {
        let value = finished(RESIDUAL, sums[i] + added, residuals[i], ACTIVATION, params.lo, params.hi, params.alpha);
        if there[i] { store_y(places[i], clip_channels(value, o, params.out_c)); }
    }
}
