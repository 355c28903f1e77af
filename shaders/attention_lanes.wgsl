// Scaled dot-product attention, y = softmax(scale q kᵀ + mask) v, for Mesa's llvmpipe, where workgroup memory and barriers are
// slow: here are none.
//
// A workgroup is one vector of 8 lanes. Each invocation computes one pair of a query and a query head and passes over the keys
// as attention.wgsl does, four at a time; all are at the same key, so that its elements are loaded once for all lanes.
// Pairs, q, k, v, y, mask, ALIGNED: as in attention.wgsl.

override ALIGNED: bool = false;
const D4: u32 = 1u; // texels of d
const DV4: u32 = 1u; // and of dv

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read> position: array<i32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

// Elements 4c.. of the row that begins at `at`, 0 behind its end.
fn load_q(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return q[at / 4u + c]; }
    var value = vec4<f32>();
    for (var e = 4u * c; e < min(4u * c + 4u, params.d); e++) { value[e % 4u] = q[(at + e) / 4u][(at + e) % 4u]; }
    return value;
}

fn load_k(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return k[at / 4u + c]; }
    var value = vec4<f32>();
    for (var e = 4u * c; e < min(4u * c + 4u, params.d); e++) { value[e % 4u] = k[(at + e) / 4u][(at + e) % 4u]; }
    return value;
}

fn load_v(at: u32, c: u32) -> vec4<f32> {
    if ALIGNED { return v[at / 4u + c]; }
    var value = vec4<f32>();
    for (var e = 4u * c; e < min(4u * c + 4u, params.dv); e++) { value[e % 4u] = v[(at + e) / 4u][(at + e) % 4u]; }
    return value;
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let id = linear(workgroup, workgroups);
    let pairs = params.group * params.queries;
    let tiles = (pairs + 7u) / 8u;
    let first = id % tiles * 8u;
    let head = id / tiles % params.heads;
    let n = id / tiles / params.heads;
    if n >= params.batch { return; }
    var start = 0u;
    if params.positions > 0u { start = u32(clamp(position[min(n, params.positions - 1u)], 0, i32(params.keys))); }
    let last = min(first + 7u, pairs - 1u);
    let range = visible(params, start + first / params.group, start + last / params.group, 0u);

    let pair = min(first + lane, last);
    let at = start + pair / params.group;
    let mask_at = row_of(params.mask, n, head, params.group, pair);
    let k_base = params.k.w + n * params.k.x + head * params.k.y;
    let v_base = params.v.w + n * params.v.x + head * params.v.y;
    var query: array<vec4<f32>, D4>;
    for (var c = 0u; c < D4; c++) { query[c] = load_q(params.q.w + row_of(params.q, n, head, params.group, pair), c); }

    var largest = EXCLUDED;
    var total = 0.0;
    var sums: array<vec4<f32>, DV4>;
    for (var key = range.x; key < range.y; key += 4u) {
        var scores = vec4<f32>(EXCLUDED);
        for (var j = 0u; j < 4u; j++) {
            let other = min(key + j, range.y - 1u);
            var sum = vec4<f32>();
            for (var c = 0u; c < D4; c++) { sum += query[c] * load_k(k_base + other * params.k.z, c); }
            if key + j < range.y && (params.causal == 0u || (other <= at && at - other < params.window)) {
                var add = 0.0;
                if params.masked != 0u { add = mask[mask_at + other * params.mask.w]; }
                scores[j] = masked(dot(sum, vec4<f32>(1.0)) * params.scale, add);
            }
        }
        let most = max(largest, max(max(scores.x, scores.y), max(scores.z, scores.w)));
        let shrink = weight(vec4<f32>(largest), vec4<f32>(most)).x;
        let weights = weight(scores, vec4<f32>(most));
        total = total * shrink + dot(weights, vec4<f32>(1.0));
        largest = most;
        for (var c = 0u; c < DV4; c++) {
            var sum = sums[c] * shrink;
            for (var j = 0u; j < 4u; j++) {
                sum += weights[j] * load_v(v_base + min(key + j, range.y - 1u) * params.v.z, c);
            }
            sums[c] = sum;
        }
    }
    if first + lane >= pairs { return; }
    let to = params.y.w + row_of(params.y, n, head, params.group, pair);
    for (var c = 0u; c < DV4; c++) {
        let value = sums[c] * select(0.0, 1.0 / total, total > 0.0);
        for (var j = 0u; j < 4u && 4u * c + j < params.dv; j++) { y[to + 4u * c + j] = value[j]; }
    }
}
