// Scaled dot-product attention for few queries, y = softmax(scale q kᵀ + mask) v: its time goes into reading k and v
// once.
// Long because it is one kernel: scores, weights and the sums of v share workgroup memory.
//
// One workgroup computes up to 4 QUADS pairs of a query and a query head that share a k/v head, for one split of the
// keys, at most 128, one key per invocation. Their weights fit into workgroup memory, so that one pass over k and one over v
// suffice; neighbours read neighbouring texels of v. attention_join.wgsl joins the partial results of the splits
// (flash-decoding, Dao et al., 2023). Pairs, q, k, v, y, mask, ALIGNED: as in attention.wgsl.
// Not measured on a GPU yet. Before, 8 invocations shared a key's row: one load in flight, 22 more barriers (43 in all).

override ALIGNED: bool = false;
const QUADS: u32 = 1u; // groups of 4 pairs: 1, or 2 if d is at most 128

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

const KEYS: u32 = 128u;
const WEIGHTS: u32 = 256u;
// First q, [pair][d/4], and from WEIGHTS on the weights, [4 pairs][key], one pair a component. Then the sums of four pairs
// by all invocations, [pair][invocation].
var<workgroup> tile: array<vec4<f32>, 512>;
var<workgroup> joint: array<vec4<f32>, 128>;

fn q_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_q(at / 4u + c); }
    var value = vec4<f32>();
    for (var e = 0u; e < 4u; e++) { if 4u * c + e < params.d { value[e] = load_q_element(at + 4u * c + e); } }
    return value;
}

fn k_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_k(at / 4u + c); }
    var value = vec4<f32>();
    for (var e = 0u; e < 4u; e++) { if 4u * c + e < params.d { value[e] = load_k_element(at + 4u * c + e); } }
    return value;
}

fn v_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_v(at / 4u + c); }
    var value = vec4<f32>();
    for (var e = 0u; e < 4u; e++) { if 4u * c + e < params.dv { value[e] = load_v_element(at + 4u * c + e); } }
    return value;
}

// Stores texel c of the row that begins at element `at`. Unless ALIGNED, two rows may share a texel of y.
fn store_in_row(at: u32, c: u32, value: vec4<f32>) {
    if ALIGNED { store_y(at / 4u + c, value); }
    for (var j = 0u; j < 4u; j++) {
        if !ALIGNED && 4u * c + j < params.dv { store_y_element(at + 4u * c + j, value[j]); }
    }
}

// Returns the maximum over the workgroup, or the sum.
fn over_all(lane: u32, value: vec4<f32>, sum: bool) -> vec4<f32> {
    joint[lane] = value;
    workgroupBarrier();
    for (var half = 64u; half > 0u; half /= 2u) {
        if lane < half {
            let other = joint[lane + half];
            joint[lane] = select(max(joint[lane], other), joint[lane] + other, sum);
        }
        workgroupBarrier();
    }
    let all = joint[0];
    // The next call overwrites what this one reads.
    workgroupBarrier();
    return all;
}

@compute @workgroup_size(128)
fn main(workgroup: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(workgroup.id, workgroup.count);
    let split = id % params.splits;
    let head = id / params.splits % params.heads;
    let n = id / params.splits / params.heads;
    if n >= params.batch { return; }
    let pairs = params.group * params.queries;
    // Always read: Mesa 22.3 recompiles a shader that reads `position` in an `if` for each dispatch.
    let given = clamp(load_position(min(n, max(params.positions, 1u) - 1u)), 0, i32(params.keys));
    let start = select(0u, u32(given), params.positions > 0u);
    let range = visible(params, start, start + params.queries - 1u, split);
    let count = range.y - range.x;

    let d4 = (params.d + 3u) / 4u;
    for (var i = lane; i < 4u * QUADS * d4; i += 128u) {
        var value = vec4<f32>();
        if i / d4 < pairs {
            value = q_texel(params.q.w + row_of(params.q, n, head, params.group, i / d4), i % d4);
        }
        tile[i] = value;
    }
    workgroupBarrier();

    // Loads four texels together.
    let own = min(lane, max(count, 1u) - 1u);
    let k_base = params.k.w + n * params.k.x + head * params.k.y + (range.x + own) * params.k.z;
    var products = array<vec4<f32>, QUADS>();
    for (var c = 0u; c < select(0u, d4, lane < count); c += 4u) {
        var values = array<vec4<f32>, 4>();
        for (var j = 0u; j < 4u; j++) { values[j] = k_texel(k_base, min(c + j, d4 - 1u)); }
        for (var j = 0u; j < 4u; j++) {
            if c + j < d4 {
                for (var i = 0u; i < QUADS; i++) {
                    let at = 4u * i * d4 + c + j;
                    products[i] += vec4<f32>(dot(tile[at], values[j]), dot(tile[at + d4], values[j]),
                                             dot(tile[at + 2u * d4], values[j]), dot(tile[at + 3u * d4], values[j]));
                }
            }
        }
    }

    var largest: array<vec4<f32>, QUADS>;
    var total: array<vec4<f32>, QUADS>;
    for (var i = 0u; i < QUADS; i++) {
        var scores = vec4<f32>(EXCLUDED);
        for (var j = 0u; j < 4u; j++) {
            let pair = min(4u * i + j, pairs - 1u);
            let at = start + pair / params.group;
            let key = range.x + lane;
            if lane < count && (params.causal == 0u || (key <= at && at - key < params.window)) {
                var add = 0.0;
                if params.masked != 0u { add = load_mask(row_of(params.mask, n, head, params.group, pair) + key * params.mask.w); }
                scores[j] = masked(products[i][j] * params.scale, add);
            }
        }
        largest[i] = over_all(lane, scores, false);
        let mine = weight(scores, largest[i]);
        tile[WEIGHTS + KEYS * i + lane] = mine;
        total[i] = over_all(lane, mine, true);
    }

    // An invocation holds one texel of a row of v; the workgroup reads as many rows at once as it has invocations for.
    let dv4 = (params.dv + 3u) / 4u;
    let slices = 128u / dv4;
    var sums: array<array<vec4<f32>, 4>, QUADS>;
    if lane < slices * dv4 {
        let v_base = params.v.w + n * params.v.x + head * params.v.y + range.x * params.v.z;
        for (var key = lane / dv4; key < count; key += 4u * slices) {
            var values = array<vec4<f32>, 4>();
            for (var j = 0u; j < 4u; j++) {
                values[j] = v_texel(v_base + min(key + j * slices, count - 1u) * params.v.z, lane % dv4);
            }
            for (var j = 0u; j < 4u; j++) {
                if key + j * slices < count {
                    for (var i = 0u; i < QUADS; i++) {
                        let w = tile[WEIGHTS + KEYS * i + key + j * slices];
                        sums[i][0] += w.x * values[j];
                        sums[i][1] += w.y * values[j];
                        sums[i][2] += w.z * values[j];
                        sums[i][3] += w.w * values[j];
                    }
                }
            }
        }
    }
    for (var i = 0u; i < QUADS; i++) {
        workgroupBarrier();
        for (var j = 0u; j < 4u; j++) { tile[128u * j + lane] = sums[i][j]; }
        workgroupBarrier();
        for (var e = lane; e < 4u * dv4; e += 128u) {
            let j = e / dv4;
            let pair = 4u * i + j;
            let c = e % dv4;
            if pair >= pairs { break; }
            var value = vec4<f32>();
            for (var s = 0u; s < slices; s++) { value += tile[128u * j + s * dv4 + c]; }
            if params.splits > 1u {
                let at = partial_at(params, n, head, pair, split);
                store_split_sums(at + c, value);
                if c == 0u { store_split_sums(at + dv4, vec4<f32>(largest[i][j], total[i][j], 0.0, 0.0)); }
            } else {
                let at = params.y.w + row_of(params.y, n, head, params.group, pair);
                store_in_row(at, c, value * inverse(params, total[i][j]));
            }
        }
    }
}
