// Scaled dot-product attention, y = softmax(scale q kᵀ + mask) v, without a matrix of scores in memory: a workgroup
// reads the keys tile by tile and rescales its sums when a greater score appears (Dao et al., FlashAttention, 2022).
// Long because it is one kernel: the loop over keys and its two products share the tiles and the sums.
//
// A tile's rows are pairs of a query and a query head. Heads that share a k/v head are neighbours, so that keys and
// values are read once for all of them. A workgroup computes PAIRS pairs, 32 keys at a time; each invocation has the
// scores of PAIRS / 8 pairs x 4 keys, then the sums of 4 pairs x PAIRS / 16 texels of each 64 elements of dv. Both
// products go through workgroup memory: q stays there if d is at most 64, and k and v alternate in `tile`. Each waits
// in registers while the other is multiplied: four barriers for 32 keys if d and dv are at most 64. Keys that no pair
// sees are not read. If there are few tiles, `splits` workgroups share a tile's keys, and attention_join.wgsl joins them.
//
// q, k, v, y: rows of d (dv) consecutive elements, anywhere. ALIGNED: every row begins and ends with a vec4.
// Not measured on a GPU yet. By compilers (docs/gpu-lab.md), against 64 pairs and 14 barriers for 32 keys: no scratch
// memory on NVK, fewer waves. Rejected: sums of more than 128 elements of dv (spills on m1, scratch memory on NVK).

override ALIGNED: bool = false;
const PAIRS: u32 = 16u;
const CHUNKS: u32 = 1u; // blocks of 64 elements of dv: all, or two, and further workgroups have the others
// Keys and values load during the products before them; not so where they would spill.
override AHEAD: bool = true;
const LANES: u32 = 64u;
// An invocation's rows of scores, its texels of a row of sums, and the groups of invocations with the same pairs.
const ROWS: u32 = PAIRS / 8u;
const SPAN: u32 = PAIRS / 16u;
const GROUPS: u32 = PAIRS / 4u;
const COLUMNS: u32 = LANES / GROUPS;
// The texels of k or v that an invocation brings.
const TEXELS: u32 = 8u;
alias Brought = array<vec4<f32>, TEXELS>;
const KEYS: bool = false;
const VALUES: bool = true;
const FOUR = vec4<u32>(0u, 1u, 2u, 3u);

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Texel>;
@group(0) @binding(2) var<storage, read> k: array<Texel>;
@group(0) @binding(3) var<storage, read> v: array<Texel>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read> position: array<i32>;
@group(0) @binding(6) var<storage, read_write> y: array<Texel>;
@group(0) @binding(7) var<storage, read_write> split_sums: array<vec4<f32>>;

fn load_q(i: u32) -> vec4<f32> { return from_texel(q[i]); }
fn load_q_element(i: u32) -> f32 { return from_scalar(q[i / 4u][i % 4u]); }
fn load_k(i: u32) -> vec4<f32> { return from_texel(k[i]); }
fn load_k_element(i: u32) -> f32 { return from_scalar(k[i / 4u][i % 4u]); }
fn load_v(i: u32) -> vec4<f32> { return from_texel(v[i]); }
fn load_v_element(i: u32) -> f32 { return from_scalar(v[i / 4u][i % 4u]); }
fn load_mask(i: u32) -> f32 { return mask[i]; }
fn load_position(i: u32) -> i32 { return position[i]; }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }
fn store_y_element(i: u32, value: f32) { y[i / 4u][i % 4u] = value; }
fn store_split_sums(i: u32, value: vec4<f32>) { split_sums[i] = value; }

// [PAIRS][16], [32 keys][16] and [PAIRS][8] texels. Invocations that read a column read different banks of memory:
// texel c of a row is at c ^ (row % 8), or c ^ (row % 4) in `weights`; not so in rows of v. Texel c of `weights` holds
// keys c, c + 8, c + 16 and c + 24.
var<workgroup> queries: array<vec4<f32>, PAIRS * 16u>;
var<workgroup> tile: array<vec4<f32>, 512>;
var<workgroup> weights: array<vec4<f32>, PAIRS * 8u>;
var<workgroup> partial: array<f32, PAIRS * 8u>;
var<workgroup> factor: array<f32, PAIRS>;

// Returns elements 4c..4c+3 of the row that begins at `at`; beyond its end, the last element again.
fn q_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_q(at / 4u + c); }
    let i = at + min((4u * c) + FOUR, vec4<u32>(params.d - 1u));
    return vec4<f32>(load_q_element(i.x), load_q_element(i.y), load_q_element(i.z), load_q_element(i.w));
}

fn k_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_k(at / 4u + c); }
    let i = at + min((4u * c) + FOUR, vec4<u32>(params.d - 1u));
    return vec4<f32>(load_k_element(i.x), load_k_element(i.y), load_k_element(i.z), load_k_element(i.w));
}

fn v_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_v(at / 4u + c); }
    let i = at + min((4u * c) + FOUR, vec4<u32>(params.dv - 1u));
    return vec4<f32>(load_v_element(i.x), load_v_element(i.y), load_v_element(i.z), load_v_element(i.w));
}

// Tells which elements of texel c lie in a row of `size`.
fn elements_inside(c: u32, size: u32) -> vec4<bool> {
    if ALIGNED { return vec4<bool>(4u * c < size); }
    return (4u * c) + FOUR < vec4<u32>(size);
}

// Loads this invocation's texels of 16 columns of the keys (values) at `key`..key + 31. Beyond the last key or column it
// loads some other texel. `put_k` and `put_v`, which run after products that don't need the loads, zero the elements beyond.
fn bring(values: bool, base: u32, key: u32, end: u32, c: u32, lane: u32) -> Brought {
    let texel = min(c + lane % 16u, (select(params.d, params.dv, values) - 1u) / 4u);
    var brought = Brought();
    for (var i = 0u; i < TEXELS; i++) {
        let row = min(key + lane / 16u + 4u * i, end - 1u);
        if values { brought[i] = v_texel(base + row * params.v.z, texel); }
        else { brought[i] = k_texel(base + row * params.k.z, texel); }
    }
    return brought;
}

// The score of a key at `end` or beyond isn't used.
fn put_k(brought: Brought, c: u32, lane: u32) {
    for (var i = 0u; i < TEXELS; i++) {
        let r = lane / 16u + 4u * i;
        let value = select(vec4<f32>(), brought[i], elements_inside(c + lane % 16u, params.d));
        tile[r * 16u + ((lane % 16u) ^ (r % 8u))] = value;
    }
}

// The weight of a key at `end` or beyond is 0, but its product with an infinity would be NaN.
fn put_v(brought: Brought, key: u32, end: u32, c: u32, lane: u32) {
    let inside = elements_inside(c + lane % 16u, params.dv);
    for (var i = 0u; i < TEXELS; i++) {
        let seen = inside & vec4<bool>(key + lane / 16u + 4u * i < end);
        tile[lane + LANES * i] = select(vec4<f32>(), brought[i], seen);
    }
}

// Stores texel c of the row that begins at element `at`. Unless ALIGNED, two rows may share a texel of y.
fn store_in_row(at: u32, c: u32, value: vec4<f32>) {
    if ALIGNED { store_y(at / 4u + c, value); }
    for (var j = 0u; j < 4u; j++) {
        if !ALIGNED && 4u * c + j < params.dv { store_y_element(at + 4u * c + j, value[j]); }
    }
}

// Returns sum + dot(a, b), one fused multiply-add after another.
fn add_dot(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
    return (a.w * b.w) + ((a.z * b.z) + ((a.y * b.y) + ((a.x * b.x) + sum)));
}

@compute @workgroup_size(LANES)
fn main(workgroup: Group, @builtin(local_invocation_index) lane: u32) {
    let dv4 = (params.dv + 3u) / 4u;
    let parts = (dv4 + (16u * CHUNKS) - 1u) / (16u * CHUNKS);
    let number = linear(workgroup.id, workgroup.count);
    let first_v = number % parts * 16u * CHUNKS;
    let share = share_of(params, number / parts, PAIRS);
    let split = share.split;
    let first = share.first;
    let head = share.head;
    let n = share.n;
    let pairs = params.group * params.queries;
    if n >= params.batch { return; }

    // Always read: Mesa 22.3 recompiles a shader that reads `position` in an `if` for each dispatch.
    let given = clamp(load_position(min(n, max(params.positions, 1u) - 1u)), 0, i32(params.keys));
    let start = select(0u, u32(given), params.positions > 0u);
    let last = min(first + PAIRS - 1u, pairs - 1u);
    let range = visible(params, start + first / params.group, start + last / params.group, split);
    let k_base = params.k.w + n * params.k.x + head * params.k.y;
    let v_base = params.v.w + n * params.v.x + head * params.v.y;
    // The column and the first row of the scores; then of the sums. Rows are 8, then GROUPS apart.
    let column = lane % 8u;
    let row = lane / 8u;
    let texel = lane % COLUMNS;
    let group = lane / COLUMNS;

    let d4 = (params.d + 3u) / 4u;
    var largest: array<f32, ROWS>;
    var total: array<f32, ROWS>;
    for (var i = 0u; i < ROWS; i++) { largest[i] = EXCLUDED; }
    var sums: array<array<array<vec4<f32>, SPAN>, 4>, CHUNKS>;
    var next: Brought;
    if AHEAD && range.x < range.y { next = bring(KEYS, k_base, range.x, range.y, 0u, lane); }
    for (var key = range.x; key < range.y; key += 32u) {
        var scores = array<vec4<f32>, ROWS>();
        for (var c = 0u; c < d4; c += 16u) {
            if d4 > 16u || key == range.x {
                for (var i = 0u; i < PAIRS / 4u; i++) {
                    let r = lane / 16u + 4u * i;
                    let at = params.q.w + row_of(params.q, n, head, params.group, min(first + r, pairs - 1u));
                    let value = q_texel(at, min(c + lane % 16u, d4 - 1u));
                    let place = r * 16u + ((lane % 16u) ^ (r % 8u));
                    queries[place] = select(vec4<f32>(), value, elements_inside(c + lane % 16u, params.d));
                }
            }
            if !AHEAD { next = bring(KEYS, k_base, key, range.y, c, lane); }
            put_k(next, c, lane);
            workgroupBarrier();
            let more = c + 16u < d4;
            if AHEAD && more { next = bring(KEYS, k_base, key, range.y, c + 16u, lane); }
            else if AHEAD { next = bring(VALUES, v_base, key, range.y, first_v, lane); }
            for (var j = 0u; j < min(d4 - c, 16u); j++) {
                // 17 column is texel 0 of the row of 16, at its place `column`.
                let k0 = tile[(17u * column) ^ j];
                let k1 = tile[((17u * column) ^ j) + 128u];
                let k2 = tile[((17u * column) ^ j) + 256u];
                let k3 = tile[((17u * column) ^ j) + 384u];
                for (var i = 0u; i < ROWS; i++) {
                    let value = queries[((17u * row) ^ j) + (128u * i)];
                    scores[i].x = add_dot(scores[i].x, value, k0);
                    scores[i].y = add_dot(scores[i].y, value, k1);
                    scores[i].z = add_dot(scores[i].z, value, k2);
                    scores[i].w = add_dot(scores[i].w, value, k3);
                }
            }
            if more { workgroupBarrier(); }
        }

        for (var i = 0u; i < ROWS; i++) {
            let pair = min(first + row + 8u * i, pairs - 1u);
            let at = start + pair / params.group;
            let mask_at = row_of(params.mask, n, head, params.group, pair);
            for (var j = 0u; j < 4u; j++) {
                let other = key + column + 8u * j;
                var score = EXCLUDED;
                if other < range.y && (params.causal == 0u || (other <= at && at - other < params.window)) {
                    var add = 0.0;
                    if params.masked != 0u { add = load_mask(mask_at + other * params.mask.w); }
                    score = masked(scores[i][j] * params.scale, add);
                }
                scores[i][j] = score;
            }
            partial[(row + 8u * i) * 8u + column] = max(max(scores[i].x, scores[i].y), max(scores[i].z, scores[i].w));
        }
        workgroupBarrier();
        for (var i = 0u; i < ROWS; i++) {
            let r = row + 8u * i;
            var most = largest[i];
            for (var j = 0u; j < 8u; j++) { most = max(most, partial[r * 8u + j]); }
            let weighted = weight(scores[i], vec4<f32>(most));
            let shrink = weight(vec4<f32>(largest[i]), vec4<f32>(most)).x;
            total[i] = total[i] * shrink + dot(weighted, vec4<f32>(1.0));
            largest[i] = most;
            weights[r * 8u + (column ^ (r % 4u))] = weighted;
            if column == 0u { factor[r] = shrink; }
        }
        if !AHEAD { next = bring(VALUES, v_base, key, range.y, first_v, lane); }
        put_v(next, key, range.y, first_v, lane);
        workgroupBarrier();

        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            // Mesa's NVK doesn't unroll a loop of one turn: an index that varies puts the sums into scratch memory.
            let own = select(chunk, 0u, CHUNKS == 1u);
            if AHEAD && chunk + 1u < CHUNKS { next = bring(VALUES, v_base, key, range.y, first_v + (16u * (chunk + 1u)), lane); }
            else if AHEAD && key + 32u < range.y { next = bring(KEYS, k_base, key + 32u, range.y, 0u, lane); }
            for (var i = 0u; i < 4u; i++) {
                for (var s = 0u; s < SPAN; s++) { sums[own][i][s] *= factor[group + GROUPS * i]; }
            }
            for (var c = 0u; c < min(8u, range.y - key); c++) {
                var values = array<array<vec4<f32>, SPAN>, 4>();
                for (var j = 0u; j < 4u; j++) {
                    for (var s = 0u; s < SPAN; s++) { values[j][s] = tile[(c + 8u * j) * 16u + texel + COLUMNS * s]; }
                }
                for (var i = 0u; i < 4u; i++) {
                    let r = group + GROUPS * i;
                    let w = weights[r * 8u + (c ^ (r % 4u))];
                    for (var s = 0u; s < SPAN; s++) {
                        var sum = sums[own][i][s];
                        sum += w.x * values[0][s];
                        sum += w.y * values[1][s];
                        sum += w.z * values[2][s];
                        sum += w.w * values[3][s];
                        sums[own][i][s] = sum;
                    }
                }
            }
            workgroupBarrier();
            if chunk + 1u < CHUNKS {
                if !AHEAD { next = bring(VALUES, v_base, key, range.y, first_v + (16u * (chunk + 1u)), lane); }
                put_v(next, key, range.y, first_v + (16u * (chunk + 1u)), lane);
                workgroupBarrier();
            }
        }
    }

    for (var i = 0u; i < ROWS; i++) {
        let r = row + 8u * i;
        partial[r * 8u + column] = total[i];
        if column == 0u { factor[r] = largest[i]; }
    }
    workgroupBarrier();
    var scale: array<f32, 4>;
    for (var i = 0u; i < 4u; i++) {
        let r = group + GROUPS * i;
        var sum = 0.0;
        for (var j = 0u; j < 8u; j++) { sum += partial[r * 8u + j]; }
        scale[i] = 1.0;
        if params.splits == 1u { scale[i] = inverse(params, sum); }
        else if first + r < pairs && texel == 0u && first_v == 0u {
            store_split_sums(partial_at(params, n, head, first + r, split) + dv4, vec4<f32>(factor[r], sum, 0.0, 0.0));
        }
    }
    for (var i = 0u; i < 4u; i++) {
        let pair = first + group + GROUPS * i;
        let at = params.y.w + row_of(params.y, n, head, params.group, pair);
        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            for (var s = 0u; s < SPAN; s++) {
                let value = sums[chunk][i][s] * scale[i];
                let c = first_v + (16u * chunk) + texel + (COLUMNS * s);
                if pair >= pairs || c >= dv4 { continue; }
                if params.splits == 1u { store_in_row(at, c, value); }
                else { store_split_sums(partial_at(params, n, head, pair, split) + c, value); }
            }
        }
    }
}
