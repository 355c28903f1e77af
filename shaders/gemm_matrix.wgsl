// The products of gemm.wgsl in a device's matrix units: x and w are rounded to f16, products are exact, sums are f32.
// Long because it is one kernel, from the texels that it brings to those that it stores.
//
// A workgroup computes TILE_M pixels x TILE_N channels, in BLOCKS blocks of SPAN_M x SPAN_N matrices of SIDE x SIDE. TILE_K
// of k at a time go through workgroup memory as f16, [p][k] and [o][k], so that the numbers which an invocation gives a
// matrix unit lie side by side. There are two such tiles: one is multiplied while the other is filled.
// x: as in gemm.wgsl. UNIT is 2 if k fills the tiles of every tap: then invocations bring pairs of texels, the tap is the
// same for all, and only pixels outside of the image are replaced by 0. w: prepacked by `src/ops/gemm/matrix.rs`, [o][k/4]
// texels, 0 where a row of k ends. residual, y: as in gemm.wgsl.
// A block is a subgroup's. Where the driver chooses the width of subgroups (VARYING) there are as many as blocks if it
// chooses the widest; of narrower ones some only bring.
// The sums go through workgroup memory as f32, a matrix of each block at a time, and are finished as in gemm.wgsl.
// Numbers beyond f16's range become infinite, NaN stays NaN.
//
// Correctness: naga 30 doesn't tell drivers that barriers make workgroup memory visible (wgpu's issue 8805), so a device
// gets this kernel only after `src/gpu/matrix.rs` has seen it compute. Rejected, by what the GPU lab tells: [k][o] weights,
// of which AMD loads each number on its own; a tile of vec4<f16>, no better on AMD and 10 % longer on NVK; windows looked
// up for each texel of k, which took a third of the loop; a condition only around the products, past which RADV moved the
// loads of the next tile, so that nothing hid their latency: hence what brings them stands in both branches of VARYING.

enable f16;
enable wgpu_cooperative_matrix;

const SIDE: u32 = 16u;
const BLOCKS_M: u32 = 2u;
const BLOCKS_N: u32 = 4u;
const SPAN_M: u32 = 4u;
const SPAN_N: u32 = 2u;
const TILE_K: u32 = 32u;
const LANES: u32 = 256u;
const UNIT: u32 = 1u;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;
override POINT: bool = false; // A kernel of one tap with stride 1 and no padding; and matrices.
override X_ROWS: bool = false;
override PARTS: u32 = 0u; // The number of tensors that share the channels of x, if it isn't one (src/ops/gemm/parts.rs).
const LINES: bool = false;
override DEEP: bool = false; // Volumes, whose planes are images.
override VARYING: bool = false; // Drivers choose the width of subgroups: LANES is BLOCKS of the widest.
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
const X_STEP: u32 = STEP / UNIT;
const W_STEP: u32 = STEP / 2u;
// The units of x, and the pairs of texels of w, that an invocation brings.
const X_EACH: u32 = TILE_M * X_STEP / LANES;
const W_EACH: u32 = TILE_N * W_STEP / LANES;
const ROW: u32 = TILE_K + 8u; // Padded, so that neighbouring rows start in different banks.
const W_TILE: u32 = TILE_M * ROW;
const TILE: u32 = W_TILE + TILE_N * ROW;
var<workgroup> tiles: array<f16, 2u * TILE>;

const AREA: u32 = SIDE * SIDE;
const SPAN: u32 = SPAN_M * SPAN_N;
// The texels of a matrix of each block, and those that an invocation finishes.
const TEXELS: u32 = BLOCKS * AREA / 4u;
const EACH: u32 = (TEXELS + LANES - 1u) / LANES;
var<workgroup> results: array<f32, BLOCKS * AREA>;

// What an invocation brings of a tile.
struct Brought { x: array<vec4<f32>, X_EACH * UNIT>, there: array<vec4<bool>, X_EACH>, w: array<vec4<f32>, 2u * W_EACH> }

// Where it finds that: the windows of its units of x, and the pixel that each sees under this tap, if it is there, or the
// pair of texels; the first pairs of its rows of w.
struct Source {
    starts: array<Pixel, X_EACH>, pixels: array<u32, X_EACH>, there: array<bool, X_EACH>, rows: array<u32, W_EACH>,
    first_c: u32, end: u32, last: u32,
}

// Looks up what the windows see under another tap.
fn look(source: ptr<function, Source>, tap: vec2<u32>, pair: u32) {
    for (var j = 0u; j < X_EACH; j++) {
        let sight = seen(params, (*source).starts[j], tap, DEEP);
        let at = select(0u, sight.pixel, sight.there);
        (*source).pixels[j] = select(at, at * (params.in4 / 2u) + (*source).first_c / 2u + pair, UNIT == 2u);
        (*source).there[j] = sight.there;
    }
}

// Loads the texels of x that the walk is at, and those of w from k on.
fn bring(source: ptr<function, Source>, walk: Walk, k: u32) -> Brought {
    var to: Brought;
    let held = UNIT == 2u || (walk.k < (*source).end && (*source).first_c + walk.c < params.in4);
    for (var j = 0u; j < X_EACH; j++) {
        if X_ROWS {
            let four = elements((*source).starts[j], 4u * walk.k, walk.k < (*source).end);
            to.x[j] = four.value;
            to.there[j] = four.there;
        } else if UNIT == 2u {
            let at = 2u * ((*source).pixels[j] + walk.c / 2u);
            to.x[2u * j] = load_x(at);
            to.x[2u * j + 1u] = load_x(at + 1u);
            // What lies beyond the last pixel gives sums that nobody takes.
            to.there[j] = vec4<bool>(POINT || (*source).there[j]);
        } else {
            to.x[j] = channels_at((*source).pixels[j], (*source).first_c + walk.c, held);
            to.there[j] = vec4<bool>(held && (*source).there[j]);
        }
    }
    for (var j = 0u; j < W_EACH; j++) {
        let at = 2u * ((*source).rows[j] + min(k, (*source).last) / 2u);
        to.w[2u * j] = load_w(at);
        to.w[2u * j + 1u] = load_w(at + 1u);
    }
    return to;
}

// Keeps four numbers of a row, rounded.
fn keep(at: u32, value: vec4<f32>) {
    let rounded = vec4<f16>(value);
    for (var i = 0u; i < 4u; i++) { tiles[at + i] = rounded[i]; }
}

fn keep_all(brought: Brought, lane: u32, half: u32) {
    let x_spot = half * TILE + (lane / X_STEP * ROW + lane % X_STEP * 4u * UNIT);
    for (var j = 0u; j < X_EACH; j++) {
        for (var t = 0u; t < UNIT; t++) {
            let value = brought.x[j * UNIT + t];
            keep(x_spot + (j * (LANES / X_STEP * ROW) + 4u * t), select(vec4<f32>(), value, brought.there[j]));
        }
    }
    let w_spot = half * TILE + (lane / W_STEP * ROW + lane % W_STEP * 8u);
    for (var j = 0u; j < 2u * W_EACH; j++) {
        keep(w_spot + (W_TILE + j / 2u * (LANES / W_STEP * ROW) + j % 2u * 4u), brought.w[j]);
    }
}

// Adds the products of a tile's k to the sums of a block.
fn multiply(sums: ptr<function, array<Sums, SPAN>>, left: u32, right: u32) {
    for (var k = 0u; k < TILE_K; k += SIDE) {
        var lefts = array<Left, SPAN_M>();
        for (var i = 0u; i < SPAN_M; i++) { lefts[i] = coopLoadT<Left>(&tiles[left + i * SIDE * ROW + k], ROW); }
        for (var j = 0u; j < SPAN_N; j++) {
            let right_one = coopLoad<Right>(&tiles[right + j * SIDE * ROW + k], ROW);
            for (var i = 0u; i < SPAN_M; i++) {
                (*sums)[j * SPAN_M + i] = coopMultiplyAdd(lefts[i], right_one, (*sums)[j * SPAN_M + i]);
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
    return Place(to.at, to.c, to.there && t < TEXELS && within < params.wide4 && o < params.pixel4);
}

@compute @workgroup_size(LANES)
fn main(
    group: Group, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32,
) {
    let own = share(params, linear(group.id, group.count), TILE_M, TILE_N);
    if own.split >= params.splits { return; }
    let first_c = group_start(4u * (params.first4 + own.tile4) / BLOCK * BLOCK, params.groups).x / 4u;

    var source: Source;
    source.first_c = first_c;
    source.end = own.end;
    source.last = (own.end - 1u) / STEP * STEP;
    for (var j = 0u; j < X_EACH; j++) {
        source.starts[j] = pixel(params, own.tile_p + (lane + j * LANES) / X_STEP, DEEP);
    }
    for (var j = 0u; j < W_EACH; j++) {
        let row = min(4u * own.tile4 + (lane + j * LANES) / W_STEP, 4u * params.wide4 - 1u);
        source.rows[j] = row * (params.w_rows / 2u) + lane % W_STEP;
    }
    let k = own.begin + select(lane % X_STEP, 0u, UNIT == 2u);
    var walk = Walk(k, k % params.span4, tap_of(params, k));
    let next = Walk(STEP, STEP % params.span4, tap_of(params, STEP));
    look(&source, walk.tap, lane % X_STEP);
    keep_all(bring(&source, walk, own.begin), lane, 0u);
    workgroupBarrier();

    let block = min(subgroup, BLOCKS - 1u);
    let left = block / BLOCKS_N * BLOCK_M * ROW;
    let right = W_TILE + block % BLOCKS_N * BLOCK_N * ROW;
    var half = 0u;
    var sums = array<Sums, SPAN>();
    for (var at = own.begin; at < own.end; at += STEP) {
        walk = advanced(params, walk, next);
        if !POINT && !X_ROWS && walk.c < STEP { look(&source, walk.tap, lane % X_STEP); }
        // The next tile loads while this one is multiplied. After the last there is none: what loads isn't used.
        let brought = bring(&source, walk, at + STEP);
        if !VARYING || subgroup < BLOCKS {
            multiply(&sums, half * TILE + left, half * TILE + right);
            keep_all(brought, lane, half ^ 1u);
        } else {
            keep_all(brought, lane, half ^ 1u);
        }
        half ^= 1u;
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
        if subgroup < BLOCKS {
            let sum = sums[at];
            coopStoreT(sum, &results[block * AREA], SIDE);
        }
        workgroupBarrier();
        var values = array<vec4<f32>, EACH>();
        for (var e = 0u; e < EACH; e++) {
            let t = 4u * min(lane + e * LANES, TEXELS - 1u);
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
