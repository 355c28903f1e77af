// Scaled dot-product attention, y = softmax(scale q kᵀ + mask) v, without a matrix of scores in memory: a workgroup
// reads the keys tile by tile and rescales its sums when a greater score appears (Dao et al., FlashAttention, 2022).
// Long because it is one kernel: the loop over keys and its two products share the tiles and the sums.
//
// A tile's rows are pairs of a query and a query head. Heads that share a k/v head are neighbours, so that keys and
// values are read once for all of them. One workgroup computes 64 pairs, 32 keys at a time; each invocation has the
// scores of 2 pairs x 4 keys, then the sums of 4 pairs x 4 elements of each 64 of dv. Both products go through
// workgroup memory. Keys that no pair of the tile sees are never read. If there are few tiles, `splits` workgroups
// share the keys of each tile, and attention_join.wgsl joins their partial results in y.
//
// q, k, v, y: rows of d (dv) consecutive elements, anywhere. ALIGNED: every row begins and ends with a vec4.
// Not measured on a GPU yet.

override ALIGNED: bool = false;
const CHUNKS: u32 = 1u; // blocks of 64 elements of dv

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Texel>;
@group(0) @binding(2) var<storage, read> k: array<Texel>;
@group(0) @binding(3) var<storage, read> v: array<Texel>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read> position: array<i32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn load_q(i: u32) -> vec4<f32> { return from_texel(q[i]); }
fn load_q_element(i: u32) -> f32 { return from_scalar(q[i / 4u][i % 4u]); }
fn load_k(i: u32) -> vec4<f32> { return from_texel(k[i]); }
fn load_k_element(i: u32) -> f32 { return from_scalar(k[i / 4u][i % 4u]); }
fn load_v(i: u32) -> vec4<f32> { return from_texel(v[i]); }
fn load_v_element(i: u32) -> f32 { return from_scalar(v[i / 4u][i % 4u]); }
fn load_mask(i: u32) -> f32 { return mask[i]; }
fn load_position(i: u32) -> i32 { return position[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

// First the texels of q, [64 pairs][4, 1 unused], and of k, [32 keys][4, 1 unused]. Then the weights, [64 pairs][8]:
// texel c holds keys c, c + 8, c + 16 and c + 24; after them the texels of v, [16 keys][16].
const K_TILE: u32 = 320u;
const V_TILE: u32 = 512u;
var<workgroup> tile: array<vec4<f32>, 768>;
var<workgroup> partial: array<f32, 512>; // [64 pairs][8]
var<workgroup> factor: array<f32, 64>;

// Returns elements 4c..4c+3 of the row that begins at `at`; 0 beyond its end.
fn q_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_q(at / 4u + c); }
    var value = vec4<f32>();
    for (var e = 4u * c; e < min(4u * c + 4u, params.d); e++) { value[e % 4u] = load_q_element(at + e); }
    return value;
}

fn k_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_k(at / 4u + c); }
    var value = vec4<f32>();
    for (var e = 4u * c; e < min(4u * c + 4u, params.d); e++) { value[e % 4u] = load_k_element(at + e); }
    return value;
}

fn v_texel(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return load_v(at / 4u + c); }
    var value = vec4<f32>();
    for (var e = 4u * c; e < min(4u * c + 4u, params.dv); e++) { value[e % 4u] = load_v_element(at + e); }
    return value;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let id = linear(workgroup, workgroups);
    let pairs = params.group * params.queries;
    let tiles = (pairs + 63u) / 64u;
    let split = id % params.splits;
    let first = id / params.splits % tiles * 64u;
    let head = id / params.splits / tiles % params.heads;
    let n = id / params.splits / tiles / params.heads;
    if n >= params.batch { return; }

    // Always read: Mesa 22.3 recompiles a shader that reads `position` in an `if` for each dispatch.
    let given = clamp(load_position(min(n, max(params.positions, 1u) - 1u)), 0, i32(params.keys));
    let start = select(0u, u32(given), params.positions > 0u);
    let last = min(first + 63u, pairs - 1u);
    let range = visible(params, start + first / params.group, start + last / params.group, split);

    // The pair whose q this invocation loads, its column in the product with k, its first row in that with v.
    let bring = first + lane / 4u;
    let bring_q = params.q.w + row_of(params.q, n, head, params.group, bring);
    let k_base = params.k.w + n * params.k.x + head * params.k.y;
    let v_base = params.v.w + n * params.v.x + head * params.v.y;
    let column = lane % 8u;
    let row = lane / 16u * 4u;

    let d4 = (params.d + 3u) / 4u;
    let dv4 = (params.dv + 3u) / 4u;
    var largest = array<f32, 2>(EXCLUDED, EXCLUDED);
    var total: array<f32, 2>;
    var sums: array<vec4<f32>, 4u * CHUNKS>;
    for (var key = range.x; key < range.y; key += 32u) {
        var scores = array<vec4<f32>, 2>();
        for (var c = 0u; c < d4; c += 4u) {
            let texel = c + lane % 4u;
            var value = vec4<f32>();
            if bring < pairs && texel < d4 { value = q_texel(bring_q, texel); }
            tile[lane / 4u * 5u + lane % 4u] = value;
            if lane < 128u {
                let other = key + lane / 4u;
                value = vec4<f32>();
                if other < range.y && texel < d4 { value = k_texel(k_base + other * params.k.z, texel); }
                tile[K_TILE + lane / 4u * 5u + lane % 4u] = value;
            }
            workgroupBarrier();
            for (var j = 0u; j < 4u; j++) {
                let k_at = K_TILE + column * 5u + j;
                let k0 = tile[k_at];
                let k1 = tile[k_at + 40u];
                let k2 = tile[k_at + 80u];
                let k3 = tile[k_at + 120u];
                for (var i = 0u; i < 2u; i++) {
                    let value = tile[(lane / 8u + 32u * i) * 5u + j];
                    scores[i] += vec4<f32>(dot(value, k0), dot(value, k1), dot(value, k2), dot(value, k3));
                }
            }
            workgroupBarrier();
        }

        for (var i = 0u; i < 2u; i++) {
            let pair = min(first + lane / 8u + 32u * i, pairs - 1u);
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
            partial[(lane / 8u + 32u * i) * 8u + column] = max(max(scores[i].x, scores[i].y), max(scores[i].z, scores[i].w));
        }
        workgroupBarrier();
        for (var i = 0u; i < 2u; i++) {
            let r = lane / 8u + 32u * i;
            var most = largest[i];
            for (var j = 0u; j < 8u; j++) { most = max(most, partial[r * 8u + j]); }
            let weights = weight(scores[i], vec4<f32>(most));
            let shrink = weight(vec4<f32>(largest[i]), vec4<f32>(most)).x;
            total[i] = total[i] * shrink + dot(weights, vec4<f32>(1.0));
            largest[i] = most;
            tile[r * 8u + column] = weights;
            if column == 0u { factor[r] = shrink; }
        }
        workgroupBarrier();
        for (var i = 0u; i < 4u * CHUNKS; i++) { sums[i] *= factor[row + i % 4u]; }

        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            let texel = chunk * 16u + lane % 16u;
            for (var half = 0u; half < 2u; half++) {
                let other = key + 4u * half + lane / 64u + lane / 16u % 4u * 8u;
                var value = vec4<f32>();
                if other < range.y && texel < dv4 { value = v_texel(v_base + other * params.v.z, texel); }
                tile[V_TILE + lane] = value;
                workgroupBarrier();
                for (var j = 0u; j < 4u; j++) {
                    let v_at = V_TILE + 64u * j + lane % 16u;
                    let v0 = tile[v_at];
                    let v1 = tile[v_at + 16u];
                    let v2 = tile[v_at + 32u];
                    let v3 = tile[v_at + 48u];
                    for (var i = 0u; i < 4u; i++) {
                        let w = tile[(row + i) * 8u + 4u * half + j];
                        sums[4u * chunk + i] += w.x * v0 + w.y * v1 + w.z * v2 + w.w * v3;
                    }
                }
                workgroupBarrier();
            }
        }
    }

    for (var i = 0u; i < 2u; i++) {
        let r = lane / 8u + 32u * i;
        partial[r * 8u + column] = total[i];
        if column == 0u { factor[r] = largest[i]; }
    }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
        let pair = first + row + i;
        if pair >= pairs { break; }
        var sum = 0.0;
        for (var j = 0u; j < 8u; j++) { sum += partial[(row + i) * 8u + j]; }
        var at = params.y.w + row_of(params.y, n, head, params.group, pair);
        if params.splits > 1u {
            at = (((n * params.heads + head) * pairs + pair) * params.splits + split) * 4u * (dv4 + 1u);
            if lane % 16u == 0u {
                store_y(at + 4u * dv4, factor[row + i]);
                store_y(at + 4u * dv4 + 1u, sum);
            }
            sum = 1.0;
        }
        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            let e = 64u * chunk + 4u * (lane % 16u);
            let value = sums[4u * chunk + i] * inverse(params, sum);
            for (var j = 0u; j < 4u && e + j < params.dv; j++) { store_y(at + e + j, value[j]); }
        }
    }
}
