// The products of gemm.wgsl in a device's matrix units: x and w are rounded to f16, products are exact, sums are f32.
// Long because it is one kernel, from the texels that it brings to those that it stores.
//
// A workgroup computes TILE_M pixels x TILE_N channels, in BLOCKS blocks of SPAN_M x SPAN_N matrices of SIDE x SIDE. TILE_K
// of k at a time go through workgroup memory as f16, [p][k] and [o][k], so that the numbers which an invocation gives a
// matrix unit lie side by side. Each invocation brings some texels of the next tile, which load during these products.
// A block is a subgroup's. The driver chooses the width of subgroups within the device's range: there are LANES / width of
// them, and each takes up to SLOTS blocks. Wide subgroups have more blocks but fewer sums of each in an invocation.
// The sums go through workgroup memory as f32, a matrix of each block at a time, and are finished as in gemm.wgsl.
// x, residual, y: as in gemm.wgsl. w: prepacked by `src/ops/gemm/matrix.rs`, [o][k/4] texels, 0 where a row of k ends.
// Numbers beyond f16's range become infinite, NaN stays NaN.
//
// Correctness: naga 30 doesn't tell drivers that barriers make workgroup memory visible (wgpu's issue 8805), so a device
// gets this kernel only after `src/gpu/matrix.rs` has seen it compute. Rejected, by what the GPU lab tells: [k][o] weights,
// of which AMD loads each number on its own; a tile of vec4<f16>, no better on AMD and 10 % longer on NVK; windows looked
// up for each texel of k, which took a third of the loop.

enable f16;
enable wgpu_cooperative_matrix;

const SIDE: u32 = 16u;
const BLOCKS_M: u32 = 2u;
const BLOCKS_N: u32 = 4u;
const SPAN_M: u32 = 4u;
const SPAN_N: u32 = 2u;
const TILE_K: u32 = 32u;
const LANES: u32 = 256u;
const SLOTS: u32 = 2u;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;
override POINT: bool = false; // A kernel of one tap with stride 1 and no padding; and matrices.
override X_ROWS: bool = false;
override PARTS: u32 = 0u; // The number of tensors that share the channels of x, if it isn't one (src/ops/gemm/parts.rs).
const LINES: bool = false;
override DEEP: bool = false; // Volumes, whose planes are images.
override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> w: array<Texel>;
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
fn load_w(i: u32) -> vec4<f32> { return from_texel(w[i]); }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(i: u32) -> vec4<f32> { return from_texel(residual[i]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

const BLOCKS: u32 = BLOCKS_M * BLOCKS_N;
const BLOCK_M: u32 = SPAN_M * SIDE;
const BLOCK_N: u32 = SPAN_N * SIDE;
const TILE_M: u32 = BLOCKS_M * BLOCK_M;
const TILE_N: u32 = BLOCKS_N * BLOCK_N;
const STEP: u32 = TILE_K / 4u;
// The texels of x and of w that an invocation brings.
const X_EACH: u32 = TILE_M * STEP / LANES;
const W_EACH: u32 = TILE_N * STEP / LANES;
const ROW: u32 = TILE_K + 8u; // Padded, so that neighbouring rows start in different banks.
const APART: u32 = LANES / STEP * ROW; // Between two texels of an invocation.
const W_TILE: u32 = TILE_M * ROW;
var<workgroup> tile: array<f16, W_TILE + TILE_N * ROW>;

const AREA: u32 = SIDE * SIDE;
const SPAN: u32 = SPAN_M * SPAN_N;
// The texels of a matrix of each block that an invocation finishes.
const EACH: u32 = BLOCKS * AREA / 4u / LANES;
var<workgroup> results: array<f32, BLOCKS * AREA>;

// Keeps four numbers of a row, rounded.
fn keep(at: u32, value: vec4<f32>) {
    let rounded = vec4<f16>(value);
    for (var i = 0u; i < 4u; i++) { tile[at + i] = rounded[i]; }
}

// Adds the products of a tile's k to the sums of a block.
fn multiply(sums: ptr<function, array<Sums, SLOTS * SPAN>>, slot: u32, block: u32) {
    let left = block / BLOCKS_N * BLOCK_M * ROW;
    let right = W_TILE + block % BLOCKS_N * BLOCK_N * ROW;
    for (var k = 0u; k < TILE_K; k += SIDE) {
        var lefts = array<Left, SPAN_M>();
        for (var i = 0u; i < SPAN_M; i++) { lefts[i] = coopLoadT<Left>(&tile[left + i * SIDE * ROW + k], ROW); }
        for (var j = 0u; j < SPAN_N; j++) {
            let right_one = coopLoad<Right>(&tile[right + j * SIDE * ROW + k], ROW);
            for (var i = 0u; i < SPAN_M; i++) {
                let at = slot * SPAN + j * SPAN_M + i;
                (*sums)[at] = coopMultiplyAdd(lefts[i], right_one, (*sums)[at]);
            }
        }
    }
}

// Returns the place of texel t of the results, for one matrix of each block.
fn finish_of(own: Share, t: u32, matrix: u32) -> Place {
    let block = t / (AREA / 4u);
    let row = t % (AREA / 4u) / (SIDE / 4u);
    let p = block / BLOCKS_N * BLOCK_M + matrix % SPAN_M * SIDE + row;
    let within = own.tile4 + (block % BLOCKS_N * BLOCK_N + matrix / SPAN_M * SIDE) / 4u + t % (SIDE / 4u);
    let o = params.first4 + within;
    let to = place_of(own, own.tile_p + p, o);
    return Place(to.at, to.c, to.there && within < params.wide4 && o < params.pixel4);
}

@compute @workgroup_size(LANES)
fn main(
    group: Group, @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32,
) {
    let own = share(params, linear(group.id, group.count), TILE_M, TILE_N);
    if own.split >= params.splits { return; }
    let first_c = group_start(4u * (params.first4 + own.tile4) / BLOCK * BLOCK, params.groups).x / 4u;

    var starts: array<Pixel, X_EACH>;
    for (var j = 0u; j < X_EACH; j++) { starts[j] = pixel(params, own.tile_p + (lane + j * LANES) / STEP, DEEP); }
    var rows: array<u32, W_EACH>;
    for (var j = 0u; j < W_EACH; j++) {
        rows[j] = min(4u * own.tile4 + (lane + j * LANES) / STEP, 4u * params.wide4 - 1u) * params.w_rows + lane % STEP;
    }
    let spot = lane / STEP * ROW + lane % STEP * 4u;
    let k = own.begin + lane % STEP;
    var walk = Walk(k, k % params.span4, tap_of(params, k));
    let next = Walk(STEP, STEP % params.span4, tap_of(params, STEP));
    var sums = array<Sums, SLOTS * SPAN>();
    // The pixels that the windows see, until the tap changes.
    var sights: array<i32, X_EACH>;
    for (var j = 0u; j < X_EACH; j++) { sights[j] = seen(params, starts[j], walk.tap, DEEP); }
    var xs: array<Four, X_EACH>;
    var ws: array<vec4<f32>, W_EACH>;
    for (var at = own.begin; ; at += STEP) {
        if !POINT && !X_ROWS && walk.c < STEP && at > own.begin {
            for (var j = 0u; j < X_EACH; j++) { sights[j] = seen(params, starts[j], walk.tap, DEEP); }
        }
        let held = walk.k < own.end && first_c + walk.c < params.in4;
        let c = first_c + select(0u, walk.c, held);
        for (var j = 0u; j < X_EACH; j++) {
            if X_ROWS {
                xs[j] = elements(starts[j], 4u * walk.k, walk.k < own.end);
            } else {
                xs[j] = Four(channels_at(u32(max(sights[j], 0)), c), vec4<bool>(held && sights[j] >= 0));
            }
        }
        for (var j = 0u; j < W_EACH; j++) { ws[j] = load_w(rows[j] + min(at, own.end - 1u) / STEP * STEP); }
        walk = advanced(params, walk, next);
        // Multiplies the tile in workgroup memory while the next one is loading.
        if at > own.begin {
            for (var slot = 0u; slot < SLOTS; slot++) {
                let block = subgroup + slot * subgroups;
                if block < BLOCKS { multiply(&sums, slot, block); }
            }
        }
        if at >= own.end { break; }
        workgroupBarrier();
        for (var j = 0u; j < X_EACH; j++) {
            keep(spot + j * APART, select(vec4<f32>(), xs[j].value, xs[j].there));
        }
        for (var j = 0u; j < W_EACH; j++) {
            keep(W_TILE + spot + j * APART, ws[j]);
        }
        workgroupBarrier();
    }

    var residuals = array<vec4<f32>, SPAN * EACH>();
    for (var e = 0u; e < SPAN * EACH; e++) { residuals[e] = residual_at(finish_of(own, lane + e % EACH * LANES, e / EACH)); }
    var biases = array<vec4<f32>, SPAN_N * EACH>();
    for (var e = 0u; e < SPAN_N * EACH; e++) {
        let to = finish_of(own, lane + e % EACH * LANES, e / EACH * SPAN_M);
        biases[e] = load_bias(select(0u, to.c, to.there));
    }
    for (var at = 0u; at < SPAN; at++) {
        workgroupBarrier();
        for (var slot = 0u; slot < SLOTS; slot++) {
            let block = subgroup + slot * subgroups;
            if block < BLOCKS {
                let sum = sums[slot * SPAN + at];
                coopStoreT(sum, &results[block * AREA], SIDE);
            }
        }
        workgroupBarrier();
        var values = array<vec4<f32>, EACH>();
        for (var e = 0u; e < EACH; e++) {
            let t = 4u * (lane + e * LANES);
            let sum = vec4<f32>(results[t], results[t + 1u], results[t + 2u], results[t + 3u]);
            let biased = sum + biases[at / SPAN_M * EACH + e];
            values[e] = finished_channels(biased, residuals[at * EACH + e], finish_of(own, lane + e * LANES, at).c);
        }
        for (var e = 0u; e < EACH; e++) {
            let to = finish_of(own, lane + e * LANES, at);
            if to.there { store_y(to.at, values[e]); }
        }
    }
}
