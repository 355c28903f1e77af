// attention.wgsl with both products in a device's matrix units: q, k, v and the weights are rounded to f16, all else is f32.
// Long because it is one kernel: the loop over keys and its two products share the tiles and the sums.
//
// A workgroup computes ROWS pairs of a query and a query head, and VALUES elements of dv, KEYS keys at a time. Both products are
// divided into BLOCKS blocks of matrices of SIDE x SIDE, a subgroup's each, as in gemm_matrix.wgsl. The scores go through
// workgroup memory, where invocations weigh them and leave the weights as f16. Three barriers for KEYS keys: keys and
// values load during the products, and are put into workgroup memory while scores are weighed.
//
// No matrix can be multiplied by another number in each row, so that the sums aren't rescaled at every greater score. Weights are
// relative to a reference of their row, at first HEADROOM below its greatest score. Until a score is LIMIT above the
// reference its weight fits into an f16. Then the sums go through workgroup memory and are rescaled, which is rare.
//
// q, k, v, y: as in attention.wgsl; every row is whole vec4s. Correctness: as in gemm_matrix.wgsl.

enable f16;
enable wgpu_cooperative_matrix;

const SIDE: u32 = 16u;
const BLOCKS_M: u32 = 2u;
const BLOCKS_N: u32 = 2u;
// The matrices of a block: of rows, of keys, of elements of dv.
const SPAN_M: u32 = 2u;
const SPAN_K: u32 = 1u;
const SPAN_V: u32 = 2u;
const DEPTH: u32 = 64u; // d, padded
const LANES: u32 = 128u;
override VARYING: bool = false; // Drivers choose the width of subgroups: LANES is BLOCKS of the widest.
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Texel>;
@group(0) @binding(2) var<storage, read> k: array<Texel>;
@group(0) @binding(3) var<storage, read> v: array<Texel>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read> position: array<i32>;
@group(0) @binding(6) var<storage, read_write> y: array<Texel>;
@group(0) @binding(7) var<storage, read_write> split_sums: array<vec4<f32>>;

fn load_q(i: u32) -> vec4<f32> { return from_texel(q[i]); }
fn raw_k(i: u32) -> vec4<u32> { return raw_texel(k[i]); }
fn value_k(raw: vec4<u32>) -> vec4<f32> { return of_raw_texel(raw); }
fn raw_v(i: u32) -> vec4<u32> { return raw_texel(v[i]); }
fn value_v(raw: vec4<u32>) -> vec4<f32> { return of_raw_texel(raw); }
fn load_mask(i: u32) -> f32 { return mask[i]; }
fn load_position(i: u32) -> i32 { return position[i]; }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }
fn store_split_sums(i: u32, value: vec4<f32>) { split_sums[i] = value; }

const BLOCKS: u32 = BLOCKS_M * BLOCKS_N;
const BLOCK_M: u32 = SPAN_M * SIDE;
const BLOCK_K: u32 = SPAN_K * SIDE;
const BLOCK_V: u32 = SPAN_V * SIDE;
const ROWS: u32 = BLOCKS_M * BLOCK_M;
const KEYS: u32 = BLOCKS_N * BLOCK_K;
const VALUES: u32 = BLOCKS_N * BLOCK_V;
// Padded, so that neighbouring rows start in different banks.
const ROW: u32 = DEPTH + 8u;
const KEYS_ROW: u32 = KEYS + 8u;
var<workgroup> queries: array<f16, ROWS * ROW>;
var<workgroup> keys: array<f16, KEYS * ROW>;
var<workgroup> values: array<f16, VALUES * KEYS_ROW>; // [dv][key]: a matrix unit takes neighbouring keys together.
var<workgroup> weights: array<f16, ROWS * KEYS_ROW>;
var<workgroup> scores: array<f32, ROWS * KEYS>;
var<workgroup> raised: atomic<u32>;

// An invocation has texel lane % COLUMNS of row lane / COLUMNS of the scores, and of the rows STEP below: EACH texels.
const COLUMNS: u32 = KEYS / 4u;
const STEP: u32 = LANES / COLUMNS;
const EACH: u32 = ROWS / STEP;
alias Own = array<vec4<f32>, EACH>;
alias OfRows = array<f32, EACH>;
const HEADROOM: f32 = 4.0;
const LIMIT: f32 = 10.0;

// Multiplies a block of queries by keys, and leaves the scores in workgroup memory.
fn multiply_keys(left: u32, right: u32, to: u32) {
    var sums = array<Sums, SPAN_M * SPAN_K>();
    for (var c = 0u; c < DEPTH; c += SIDE) {
        var lefts = array<Left, SPAN_M>();
        for (var i = 0u; i < SPAN_M; i++) { lefts[i] = coopLoadT<Left>(&queries[left + (i * SIDE * ROW + c)], ROW); }
        for (var j = 0u; j < SPAN_K; j++) {
            let right_one = coopLoad<Right>(&keys[right + (j * SIDE * ROW + c)], ROW);
            for (var i = 0u; i < SPAN_M; i++) {
                sums[j * SPAN_M + i] = coopMultiplyAdd(lefts[i], right_one, sums[j * SPAN_M + i]);
            }
        }
    }
    for (var i = 0u; i < SPAN_M * SPAN_K; i++) {
        let sum = sums[i];
        coopStoreT(sum, &scores[to + (i % SPAN_M * SIDE * KEYS + i / SPAN_M * SIDE)], KEYS);
    }
}

// Adds a block of weights times values to its sums.
fn multiply_values(sums: ptr<function, array<Sums, SPAN_M * SPAN_V>>, left: u32, right: u32) {
    for (var key = 0u; key < KEYS; key += SIDE) {
        var lefts = array<Left, SPAN_M>();
        for (var i = 0u; i < SPAN_M; i++) {
            lefts[i] = coopLoadT<Left>(&weights[left + (i * SIDE * KEYS_ROW + key)], KEYS_ROW);
        }
        for (var j = 0u; j < SPAN_V; j++) {
            let right_one = coopLoad<Right>(&values[right + (j * SIDE * KEYS_ROW + key)], KEYS_ROW);
            for (var i = 0u; i < SPAN_M; i++) {
                (*sums)[j * SPAN_M + i] = coopMultiplyAdd(lefts[i], right_one, (*sums)[j * SPAN_M + i]);
            }
        }
    }
}

// The sums lie in workgroup memory in place of scores, SPAN_K matrices of each row of a block at a time: piece after piece.
const PIECES: u32 = SPAN_V / SPAN_K;
const PIECE: u32 = SPAN_M * SPAN_K;

// Returns the first matrix of a piece. Mesa's NVK doesn't unroll a loop of one turn: see attention.wgsl.
fn first_of(piece: u32) -> u32 { return select(piece * PIECE, 0u, PIECES == 1u); }

fn store_piece(sums: ptr<function, array<Sums, SPAN_M * SPAN_V>>, piece: u32, to: u32) {
    for (var i = 0u; i < PIECE; i++) {
        let sum = (*sums)[first_of(piece) + i];
        coopStoreT(sum, &scores[to + (i % SPAN_M * SIDE * KEYS + i / SPAN_M * SIDE)], KEYS);
    }
}

fn load_piece(sums: ptr<function, array<Sums, SPAN_M * SPAN_V>>, piece: u32, at: u32) {
    for (var i = 0u; i < PIECE; i++) {
        let one = coopLoadT<Sums>(&scores[at + (i % SPAN_M * SIDE * KEYS + i / SPAN_M * SIDE)], KEYS);
        (*sums)[first_of(piece) + i] = one;
    }
}

// Returns own texel i of the scores, or of the sums in their place.
fn own_texel(i: u32, lane: u32) -> vec4<f32> {
    let t = 4u * (lane + i * LANES);
    return vec4<f32>(scores[t], scores[t + 1u], scores[t + 2u], scores[t + 3u]);
}

fn greatest(four: vec4<f32>) -> f32 { return max(max(four.x, four.y), max(four.z, four.w)); }

// Leaves the weights in workgroup memory, and their sums in `fresh`. Returns true if some score is too great for an f16.
fn weigh(own: Own, references: OfRows, fresh: ptr<function, OfRows>, lane: u32) -> bool {
    var great = false;
    for (var i = 0u; i < EACH; i++) {
        // Without a reference, the weight of an excluded key is 0 all the same.
        let apart = own[i] - vec4<f32>(select(references[i], 0.0, references[i] == EXCLUDED));
        let weighed = vec4<f16>(exponential(apart));
        for (var e = 0u; e < 4u; e++) {
            weights[(lane / COLUMNS + i * STEP) * KEYS_ROW + (lane % COLUMNS * 4u + e)] = weighed[e];
        }
        (*fresh)[i] = dot(vec4<f32>(weighed), vec4<f32>(1.0));
        great = great || greatest(own[i]) > references[i] + LIMIT;
    }
    return great;
}

@compute @workgroup_size(LANES)
fn main(workgroup: Group, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32) {
    let dv4 = params.dv / 4u;
    let parts = (dv4 + (VALUES / 4u) - 1u) / (VALUES / 4u);
    let number = linear(workgroup.id, workgroup.count);
    let first4 = number % parts * (VALUES / 4u);
    let share = share_of(params, number / parts, ROWS);
    let n = share.n;
    if n >= params.batch { return; }
    let pairs = params.group * params.queries;

    // Always read: see attention.wgsl.
    let given = clamp(load_position(min(n, max(params.positions, 1u) - 1u)), 0, i32(params.keys));
    let start = select(0u, u32(given), params.positions > 0u);
    let last = min(share.first + ROWS - 1u, pairs - 1u);
    let range = visible(params, start + share.first / params.group, start + last / params.group, share.split);
    let end = max(range.y, 1u);
    let k_base = params.k.w + n * params.k.x + share.head * params.k.y;
    let v_base = params.v.w + n * params.v.x + share.head * params.v.y;
    // The own rows: the position of each query, and its row of the mask.
    var at = array<u32, EACH>();
    var mask_at = array<u32, EACH>();
    for (var i = 0u; i < EACH; i++) {
        let pair = min(share.first + lane / COLUMNS + i * STEP, pairs - 1u);
        at[i] = start + pair / params.group;
        mask_at[i] = row_of(params.mask, n, share.head, params.group, pair);
    }

    let brought = bring_queries(n, share.head, share.first, lane);
    put_keys(bring_keys(k_base, range.x, end, lane), lane);
    var next_keys = bring_keys(k_base, range.x + KEYS, end, lane);
    var next_values = bring_values(v_base, range.x, end, first4, lane);
    put_queries(brought, lane);
    if lane == 0u { atomicStore(&raised, 0u); }

    let works = !VARYING || subgroup < BLOCKS;
    let block = min(subgroup, BLOCKS - 1u);
    let block_m = block / BLOCKS_N * BLOCK_M;
    let block_n = block % BLOCKS_N;
    let block_scores = block_m * KEYS + block_n * BLOCK_K;
    var sums = array<Sums, SPAN_M * SPAN_V>();
    var references: OfRows;
    var totals: OfRows;
    for (var i = 0u; i < EACH; i++) { references[i] = EXCLUDED; }
    workgroupBarrier();
    for (var key = range.x; key < range.y; key += KEYS) {
        if works { multiply_keys(block_m * ROW, block_n * BLOCK_K * ROW, block_scores); }
        workgroupBarrier();
        var own = Own();
        let others = vec4<u32>(key + 4u * (lane % COLUMNS)) + FOUR;
        for (var i = 0u; i < EACH; i++) { own[i] = own_texel(i, lane) * params.scale; }
        if params.masked != 0u {
            var adds = array<f32, 4u * EACH>();
            for (var i = 0u; i < 4u * EACH; i++) {
                adds[i] = load_mask(mask_at[i / 4u] + min(others[i % 4u], end - 1u) * params.mask.w);
            }
            for (var i = 0u; i < 4u * EACH; i++) { own[i / 4u][i % 4u] = masked(own[i / 4u][i % 4u], adds[i]); }
        }
        for (var i = 0u; i < EACH; i++) {
            var seen = others < vec4<u32>(range.y);
            if params.causal != 0u {
                seen &= (others <= vec4<u32>(at[i])) & (vec4<u32>(at[i]) - others < vec4<u32>(params.window));
            }
            own[i] = select(vec4<f32>(EXCLUDED), own[i], seen);
        }
        var fresh = OfRows();
        if weigh(own, references, &fresh, lane) { atomicStore(&raised, 1u); }
        put_keys(next_keys, lane);
        put_values(next_values, key, range.y, first4, lane);
        if workgroupUniformLoad(&raised) != 0u {
            if lane == 0u { atomicStore(&raised, 0u); }
            for (var i = 0u; i < EACH; i++) { scores[4u * (lane + i * LANES)] = greatest(own[i]); }
            workgroupBarrier();
            var shrink = OfRows();
            for (var i = 0u; i < EACH; i++) {
                var most = EXCLUDED;
                let row = 4u * (lane / COLUMNS * COLUMNS + i * LANES);
                for (var c = 0u; c < COLUMNS; c++) { most = max(most, scores[row + 4u * c]); }
                let reference = references[i];
                let great = most > reference + LIMIT;
                references[i] = select(reference, most - HEADROOM, great);
                shrink[i] = select(1.0, weight(vec4<f32>(reference), vec4<f32>(references[i])).x, great);
                totals[i] *= shrink[i];
            }
            if key != range.x {
                for (var piece = 0u; piece < PIECES; piece++) {
                    workgroupBarrier();
                    if works { store_piece(&sums, piece, block_scores); }
                    workgroupBarrier();
                    for (var i = 0u; i < 4u * EACH; i++) {
                        scores[4u * (lane + i / 4u * LANES) + i % 4u] *= shrink[i / 4u];
                    }
                    workgroupBarrier();
                    if works { load_piece(&sums, piece, block_scores); }
                }
            }
            weigh(own, references, &fresh, lane);
            workgroupBarrier();
        }
        for (var i = 0u; i < EACH; i++) { totals[i] += fresh[i]; }
        next_keys = bring_keys(k_base, key + 2u * KEYS, end, lane);
        next_values = bring_values(v_base, key + KEYS, end, first4, lane);
        if works { multiply_values(&sums, block_m * KEYS_ROW, block_n * BLOCK_V * KEYS_ROW); }
    }

    for (var i = 0u; i < EACH; i++) { scores[4u * (lane + i * LANES)] = totals[i]; }
    workgroupBarrier();
    var scale = OfRows();
    for (var i = 0u; i < EACH; i++) {
        var total = 0.0;
        let row = 4u * (lane / COLUMNS * COLUMNS + i * LANES);
        for (var c = 0u; c < COLUMNS; c++) { total += scores[row + 4u * c]; }
        let pair = share.first + lane / COLUMNS + i * STEP;
        scale[i] = 1.0;
        if params.splits == 1u { scale[i] = inverse(params, total); }
        else if pair < pairs && lane % COLUMNS == 0u && first4 == 0u {
            let to = partial_at(params, n, share.head, pair, share.split) + dv4;
            store_split_sums(to, vec4<f32>(references[i], total, 0.0, 0.0));
        }
    }
    for (var piece = 0u; piece < PIECES; piece++) {
        workgroupBarrier();
        if works { store_piece(&sums, piece, block_scores); }
        workgroupBarrier();
        let column = 4u * (lane % COLUMNS);
        let c = first4 + (column / BLOCK_K * BLOCK_V + piece * BLOCK_K + column % BLOCK_K) / 4u;
        for (var i = 0u; i < EACH; i++) {
            let pair = share.first + lane / COLUMNS + i * STEP;
            let value = own_texel(i, lane) * scale[i];
            if pair >= pairs || c >= dv4 { continue; }
            if params.splits == 1u { store_y((params.y.w + row_of(params.y, n, share.head, params.group, pair)) / 4u + c, value); }
            else { store_split_sums(partial_at(params, n, share.head, pair, share.split) + c, value); }
        }
    }
}
