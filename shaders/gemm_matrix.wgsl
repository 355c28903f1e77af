// The products of gemm.wgsl in a device's matrix units: x and w are rounded to f16, products are exact, sums are f32.
// Long because it is one kernel, from the texels that it brings to those that it stores.
//
// A workgroup computes TILE_M pixels x TILE_N channels, in BLOCKS blocks of SPAN_M x SPAN_N matrices of SIDE x SIDE. Two
// tiles of TILE_K of k lie beside each other in workgroup memory as f16, [p][k] and [o][k], so that the numbers which an
// invocation gives a matrix unit lie side by side. While one is multiplied, the other is filled with what loaded during
// earlier products. The channels under a tap are padded to both tiles, so that all invocations are at the same tap.
// x: as in gemm.wgsl. w: prepacked by `src/ops/gemm/matrix.rs`, [o][k/4] texels, 0 where there is padding; or the rows of a
// second tensor (W_ROWS). residual, y: as in gemm.wgsl. Numbers beyond f16's range become infinite, NaN stays NaN.
// A block is a subgroup's. Where the driver chooses the width of subgroups (VARYING) there are as many as blocks if it
// chooses the widest; of narrower ones some only bring.
// The sums go through workgroup memory as f32, a matrix of each block at a time, and are finished as in gemm.wgsl.
//
// Correctness: naga 30 doesn't tell drivers that barriers make workgroup memory visible (wgpu's issue 8805), so a device
// gets this kernel only after `src/gpu/matrix.rs` has seen it compute. What loads stays as it is stored until the loop's
// next turn: AMD's compiler sinks other loads to their use, beyond each condition, so that nothing hides their latency.
// Rejected, by what the GPU lab tells: [k][o] weights, of which AMD loads each number on its own; a tile of vec4<f16>, no
// better on AMD and 10 % longer on NVK; 64 of k without a barrier, for which AMD's compiler exchanged registers.

enable f16;
enable wgpu_cooperative_matrix;

const SIDE: u32 = 16u;
const BLOCKS_M: u32 = 2u;
const BLOCKS_N: u32 = 4u;
const SPAN_M: u32 = 4u;
const SPAN_N: u32 = 2u;
const TILE_K: u32 = 32u;
const LANES: u32 = 256u;
override WHOLE: bool = false; // k fills the tiles of every tap.
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;
override POINT: bool = false; // A kernel of one tap with stride 1 and no padding; and matrices.
override X_ROWS: bool = false;
override W_ROWS: bool = false; // w is a second tensor, [k][o/4] texels; or [o][k/4] texels.
override W_COLUMNS: bool = false;
override PARTS: u32 = 0u; // The number of tensors that share the channels of x, if it isn't one (src/ops/gemm/parts.rs).
override DOUBLED: u32 = 0u; // A bit for each part that is half as high and wide as x: a pixel of it is four of x.
const POOL: u32 = 1u; // 4: y is pooled, the largest of each 2x2 pixels. p then counts the pixels window by window.
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
fn raw_x(i: u32) -> vec4<u32> { return raw_texel(x[i]); }
fn value_x(raw: vec4<u32>) -> vec4<f32> { return of_raw_texel(raw); }
fn load_x1(i: u32) -> vec4<f32> { return from_texel(x1[i]); }
fn load_x2(i: u32) -> vec4<f32> { return from_texel(x2[i]); }
fn load_x3(i: u32) -> vec4<f32> { return from_texel(x3[i]); }
fn load_x_element(i: u32) -> f32 { return from_scalar(x[i / 4u][i % 4u]); }
fn raw_w(i: u32) -> vec4<u32> { return raw_texel(w[i]); }
fn value_w(raw: vec4<u32>) -> vec4<f32> { return of_raw_texel(raw); }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(i: u32) -> vec4<f32> { return from_texel(residual[i]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

const BLOCKS: u32 = BLOCKS_M * BLOCKS_N;
const BLOCK_M: u32 = SPAN_M * SIDE;
const BLOCK_N: u32 = SPAN_N * SIDE;
const TILE_M: u32 = BLOCKS_M * BLOCK_M;
const TILE_N: u32 = BLOCKS_N * BLOCK_N;
const PAIRS: u32 = TILE_K / 8u; // The pairs of texels of k of a tile.
const STEP: u32 = 2u * PAIRS;
// The pairs of texels of x and of w that an invocation brings of a tile.
const X_EACH: u32 = TILE_M * PAIRS / LANES;
const W_EACH: u32 = TILE_N * PAIRS / LANES;
const ROW: u32 = 2u * TILE_K + 8u; // Padded, so that neighbouring rows start in different banks.
const W_TILE: u32 = TILE_M * ROW;
var<workgroup> tiles: array<f16, W_TILE + TILE_N * ROW>;

const AREA: u32 = SIDE * SIDE;
const SPAN: u32 = SPAN_M * SPAN_N;
// The texels of a matrix of each block, and those that an invocation finishes.
const TEXELS: u32 = BLOCKS * AREA / 4u / POOL;
const EACH: u32 = (TEXELS + LANES - 1u) / LANES;
var<workgroup> results: array<f32, BLOCKS * AREA>;

// What an invocation brings of a tile, as it is stored, and what of it is there.
struct Brought {
    x: array<vec4<u32>, 2u * X_EACH>, x_there: array<vec4<bool>, 2u * X_EACH>,
    w: array<vec4<u32>, 2u * W_EACH>, w_there: array<bool, 2u * W_EACH>,
}

// Where it finds that: the windows of its rows of x; what each sees under this tap, if it is there; the starts of its rows of
// w; its own pair of a row, or its row of k. The first row of this x; the first texel of channels, and their number.
struct Source {
    windows: array<Pixel, X_EACH>, x: array<u32, X_EACH>, halved: array<u32, X_EACH>, there: array<bool, X_EACH>, w: array<u32, W_EACH>,
    pair: u32, k: u32, first_row: u32, first_c: u32, count: u32,
}

// Looks up what the windows see under a tap.
fn look(source: ptr<function, Source>, tap: vec2<u32>) {
    for (var j = 0u; j < X_EACH; j++) {
        let sight = seen(params, (*source).windows[j], tap, DEEP);
        let at = (*source).first_row + select(0u, sight.pixel, sight.there);
        (*source).halved[j] = select(0u, halved((*source).windows[j], sight, tap), sight.there);
        (*source).x[j] = select(at, start_of(at, params.in4, (*source).first_c, (*source).pair, WHOLE), PARTS == 0u);
        (*source).there[j] = sight.there;
    }
}

// Loads a tile, from pair c of a tap on.
fn bring(source: ptr<function, Source>, c: u32) -> Brought {
    var to: Brought;
    let own = 2u * (c + (*source).pair);
    let count = (*source).count;
    for (var i = 0u; i < 2u * X_EACH; i++) {
        let start = (*source).x[i / 2u];
        let t = own + i % 2u;
        // What lies beyond the last pixel gives sums that nobody takes.
        to.x_there[i] = vec4<bool>((WHOLE || t < count) && (POINT || (*source).there[i / 2u]));
        if X_ROWS {
            let four = elements((*source).windows[i / 2u], 4u * t, true);
            to.x[i] = bitcast<vec4<u32>>(four.value);
            to.x_there[i] = four.there;
        } else if PARTS != 0u {
            to.x[i] = bitcast<vec4<u32>>(channels_at(vec2<u32>(start, (*source).halved[i / 2u]), (*source).first_c + min(t, count - 1u), true));
        } else {
            to.x[i] = raw_x(in_row(start, c, own, i % 2u, count, WHOLE));
        }
    }
    for (var i = 0u; i < 2u * W_EACH; i++) {
        let start = (*source).w[i / 2u];
        if W_ROWS && !W_COLUMNS {
            let k = 8u * c + (*source).k + i % 2u;
            to.w[i] = raw_w(start + min(k, params.w_rows - 1u) * params.pixel4);
            to.w_there[i] = k < params.w_rows;
        } else {
            to.w[i] = raw_w(in_row(start, c, own, i % 2u, count, WHOLE || !W_ROWS));
            to.w_there[i] = WHOLE || !W_ROWS || own + i % 2u < count;
        }
    }
    return to;
}

// Keeps four numbers, rounded, `step` apart.
fn keep(at: u32, step: u32, value: vec4<f32>) {
    for (var i = 0u; i < 4u; i++) { tiles[at + i * step] = f16(value[i]); }
}

// Keeps a tile, from k on in each row.
fn keep_all(brought: Brought, lane: u32, k: u32) {
    let spot = lane / PAIRS * ROW + lane % PAIRS * 8u;
    for (var i = 0u; i < 2u * X_EACH; i++) {
        let value = select(value_x(brought.x[i]), bitcast<vec4<f32>>(brought.x[i]), X_ROWS || PARTS != 0u);
        let at = spot + (i / 2u * (LANES / PAIRS * ROW) + i % 2u * 4u + k);
        keep(at, 1u, select(vec4<f32>(), value, brought.x_there[i]));
    }
    for (var i = 0u; i < 2u * W_EACH; i++) {
        let value = select(vec4<f32>(), value_w(brought.w[i]), brought.w_there[i]);
        if W_ROWS && !W_COLUMNS {
            let spot = lane / (TILE_K / 2u) * (4u * ROW) + lane % (TILE_K / 2u) * 2u;
            let at = spot + (W_TILE + i / 2u * (LANES / (TILE_K / 2u) * 4u * ROW) + i % 2u + k);
            keep(at, ROW, value);
        } else {
            keep(spot + (W_TILE + i / 2u * (LANES / PAIRS * ROW) + i % 2u * 4u + k), 1u, value);
        }
    }
}

// Adds the products of a tile's k to the sums of a block.
fn multiply(sums: ptr<function, array<Sums, SPAN>>, left: u32, right: u32) {
    for (var k = 0u; k < TILE_K; k += SIDE) {
        var lefts = array<Left, SPAN_M>();
        for (var i = 0u; i < SPAN_M; i++) { lefts[i] = coopLoadT<Left>(&tiles[left + (i * SIDE * ROW + k)], ROW); }
        for (var j = 0u; j < SPAN_N; j++) {
            let right_one = coopLoad<Right>(&tiles[right + (j * SIDE * ROW + k)], ROW);
            for (var i = 0u; i < SPAN_M; i++) {
                (*sums)[j * SPAN_M + i] = coopMultiplyAdd(lefts[i], right_one, (*sums)[j * SPAN_M + i]);
            }
        }
    }
}

// Returns the place of texel t of the results, for one matrix of each block.
fn finish_of(own: Share, t: u32, matrix: u32) -> Place {
    let block = t / (AREA / 4u / POOL);
    let row = t % (AREA / 4u / POOL) / (SIDE / 4u) * POOL;
    let p = block / BLOCKS_N * BLOCK_M + matrix % SPAN_M * SIDE + row;
    let within = own.tile4 + (block % BLOCKS_N * BLOCK_N + matrix / SPAN_M * SIDE) / 4u + t % (SIDE / 4u);
    let o = params.first4 + within;
    let to = place_of(own, own.tile_p + p, o);
    return Place(to.at, to.c, to.there && t < TEXELS && within < params.wide4 && o < params.pixel4);
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32) {
    let own = share(params, linear(group.id, group.count), TILE_M, TILE_N);
    if own.split >= params.splits { return; }
    let rows = first_rows(params, own.matrix);
    var source: Source;
    source.pair = lane % PAIRS;
    source.k = lane % (TILE_K / 2u) * 2u;
    source.first_row = rows.x;
    source.first_c = group_start(4u * (params.first4 + own.tile4) / BLOCK * BLOCK, params.groups).x / 4u;
    source.count = min(params.span4, params.in4 - source.first_c);
    for (var j = 0u; j < X_EACH; j++) {
        source.windows[j] = window_of(own.tile_p + lane / PAIRS + j * (LANES / PAIRS));
    }
    for (var j = 0u; j < W_EACH; j++) {
        let o = 4u * own.tile4 + lane / PAIRS + j * (LANES / PAIRS);
        source.w[j] = start_of(min(o, 4u * params.wide4 - 1u), params.w_rows, 0u, source.pair, true);
        if W_COLUMNS { source.w[j] = start_of(rows.y + min(o, params.out_c - 1u), params.k4, 0u, source.pair, WHOLE); }
        if W_ROWS && !W_COLUMNS {
            let o4 = own.tile4 + (lane + j * LANES) / (TILE_K / 2u);
            source.w[j] = rows.y * params.pixel4 + min(o4, params.pixel4 - 1u);
        }
    }
    let block = min(subgroup, BLOCKS - 1u);
    let left = block / BLOCKS_N * BLOCK_M * ROW;
    let right = W_TILE + block % BLOCKS_N * BLOCK_N * ROW;
    // The pairs of texels under a tap, padded; the end of the loop over them; the first of the next tiles.
    let span = (params.span4 + 2u * STEP - 1u) / (2u * STEP) * STEP;
    var end = span;
    var c = STEP;
    var taps = select(params.taps, 1u, X_ROWS);
    var tap = vec2<u32>(); // (x, row)
    look(&source, tap);
    keep_all(bring(&source, 0u), lane, 0u);
    keep_all(bring(&source, PAIRS), lane, TILE_K);
    var sums = array<Sums, SPAN>();
    workgroupBarrier();
    loop {
        if c == span {
            c = 0u;
            taps -= 1u;
            if taps == 0u {
                end = STEP; // The last tiles are in workgroup memory. What comes after them isn't used.
            } else {
                tap = select(vec2<u32>(tap.x + 1u, tap.y), vec2<u32>(0u, tap.y + 1u), tap.x + 1u == params.kernel_w);
                look(&source, tap);
                for (var j = 0u; j < W_EACH; j++) { source.w[j] += span; }
            }
        }
        var first = bring(&source, c);
        var second = bring(&source, c + PAIRS);
        loop {
            if !VARYING || subgroup < BLOCKS { multiply(&sums, left, right); }
            workgroupBarrier();
            keep_all(first, lane, 0u);
            if !VARYING || subgroup < BLOCKS { multiply(&sums, left + TILE_K, right + TILE_K); }
            workgroupBarrier();
            keep_all(second, lane, TILE_K);
            c += STEP;
            if c == end { break; }
            first = bring(&source, c);
            second = bring(&source, c + PAIRS);
        }
        if taps == 0u { break; }
    }

    var residuals = array<vec4<f32>, SPAN * EACH>();
    for (var e = 0u; e < SPAN * EACH; e++) {
        residuals[e] = here(residual_at(finish_of(own, lane + e % EACH * LANES, e / EACH)));
    }
    var biases = array<vec4<f32>, SPAN_N * EACH>();
    for (var e = 0u; e < SPAN_N * EACH; e++) {
        let to = finish_of(own, lane + e % EACH * LANES, e / EACH * SPAN_M);
        biases[e] = here(load_bias(select(0u, to.c, to.there)));
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
            for (var i = 0u; i < POOL; i++) {
                let t = result_of(min(lane + e * LANES, TEXELS - 1u), i);
                let sum = vec4<f32>(results[t], results[t + 1u], results[t + 2u], results[t + 3u]);
                let biased = sum + biases[at / SPAN_M * EACH + e];
                let value = finished_channels(biased, residuals[at * EACH + e], finish_of(own, lane + e * LANES, at).c);
                if i == 0u { values[e] = value; } else { values[e] = maximum(values[e], value); }
            }
        }
        for (var e = 0u; e < EACH; e++) {
            let to = finish_of(own, lane + e * LANES, at);
            if to.there { store_y(to.at, values[e]); }
        }
    }
}
