// Scaled dot-product attention, y = softmax(scale q kᵀ + mask) v, for Mesa's llvmpipe, where workgroup memory and
// barriers are slow: this kernel uses neither.
//
// A workgroup is one vector of 8 lanes. Each lane computes a pair of a query and a query head and passes over the keys
// as attention.wgsl does, 8 at a time: lane l loads a texel of key l, and shuffles with constant lanes distribute it.
// Pairs, mask: as in attention.wgsl. q, k, v (together) and y lie in storage textures or in buffers. The length of a
// row is the distance between two queries, keys or values; each head begins and ends with a texel, whose last
// elements are padding unless ALIGNED. A workgroup computes one of PARTS parts of long values, all from the same scores.
//
// Measured by benches/kernels.rs (llvmpipe 22.3, 2 cores, 8 heads of 64). Slower there: two pairs a lane (a seventh as
// fast, and 3 s of compilation instead of 0.3 s); every lane loading every key from buffers (a tenth, and 4 s); for one
// more token on a cache of 8192, converting it to textures (a third as fast) and attention_decode.wgsl (a third).

override MASKED: bool = false;
override ALIGNED: bool = true;
const D4: u32 = 1u; // texels of d
const DV4: u32 = 1u; // texels of dv of a part
const PARTS: u32 = 1u; // parts of dv
// A head of more texels than stay in registers, D4 = 1: queries are read again for each 8 keys.
override LONG: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Texel>;
@group(0) @binding(2) var<storage, read> k: array<Texel>;
@group(0) @binding(3) var<storage, read> v: array<Texel>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read> position: array<i32>;
@group(0) @binding(6) var<storage, read_write> y: array<Texel>;

fn load_q(row: u32, column: u32) -> vec4<f32> { return from_texel(q[row * (params.q.z / 4u) + column]); }
fn load_k(row: u32, column: u32) -> vec4<f32> { return from_texel(k[row * (params.k.z / 4u) + column]); }
fn load_v(row: u32, column: u32) -> vec4<f32> { return from_texel(v[row * (params.v.z / 4u) + column]); }
fn load_mask(i: u32) -> f32 { return mask[i]; }
fn load_position(i: u32) -> i32 { return position[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * (params.y.z / 4u) + column] = to_texel(value); }

// Returns texel c of a row of `size` elements, 0 beyond them.
fn inside(texel: vec4<f32>, c: u32, size: u32) -> vec4<f32> {
    if ALIGNED { return texel; }
    return select(vec4<f32>(), texel, (vec4<u32>(4u * c) + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(size));
}

@compute @workgroup_size(8)
fn main(workgroup: Group, @builtin(local_invocation_index) lane: u32) {
    let number = linear(workgroup.id, workgroup.count);
    let id = number / PARTS;
    let pairs = params.group * params.queries;
    let tiles = (pairs + 7u) / 8u;
    let first = id % tiles * 8u;
    let head = id / tiles % params.heads;
    let n = id / tiles / params.heads;
    if n >= params.batch { return; }
    // Always read: Mesa 22.3 recompiles a shader that reads `position` in an `if` for each dispatch.
    let given = clamp(load_position(min(n, max(params.positions, 1u) - 1u)), 0, i32(params.keys));
    let start = select(0u, u32(given), params.positions > 0u);
    let last = min(first + 7u, pairs - 1u);
    let range = visible(params, start + first / params.group, start + last / params.group, 0u);

    let pair = min(first + lane, last);
    let at = start + pair / params.group;
    let mask_at = row_of(params.mask, n, head, params.group, pair);
    let q_at = params.q.w + row_of(params.q, n, head, params.group, pair);
    let k_at = params.k.w + n * params.k.x + head * params.k.y;
    let v_at = params.v.w + n * params.v.x + head * params.v.y;
    let k_column = k_at % params.k.z / 4u;
    let first_v = number % PARTS * DV4;
    let last_v = (params.dv + 3u) / 4u - 1u;
    let v_column = v_at % params.v.z / 4u;
    let q_row = q_at / params.q.z;
    let q_column = q_at % params.q.z / 4u;
    var query: array<vec4<f32>, D4>;
    for (var c = 0u; c < D4; c++) { query[c] = inside(load_q(q_row, q_column + c), c, params.d) * params.scale; }

    var largest = EXCLUDED;
    var total = 0.0;
    var sums: array<vec4<f32>, DV4>;
    for (var key = range.x; key < range.y; key += 8u) {
        let own = min(key + lane, range.y - 1u);
        var weights = array<f32, 8>();
        for (var c = 0u; c < D4; c++) {
            let texel = inside(load_k(k_at / params.k.z + own, k_column + c), c, params.d);
            for (var j = 0u; j < 8u; j++) { weights[j] += dot(query[c], subgroupShuffle(texel, j)); }
        }
        for (var c = 1u; LONG && c < (params.d + 3u) / 4u; c++) {
            let four = inside(load_q(q_row, q_column + c), c, params.d) * params.scale;
            let texel = inside(load_k(k_at / params.k.z + own, k_column + c), c, params.d);
            for (var j = 0u; j < 8u; j++) { weights[j] += dot(four, subgroupShuffle(texel, j)); }
        }
        var most = largest;
        for (var j = 0u; j < 8u; j++) {
            let other = key + j;
            var add = 0.0;
            if MASKED { add = load_mask(mask_at + min(other, range.y - 1u) * params.mask.w); }
            let score = masked(weights[j], add);
            let seen = other < range.y && (params.causal == 0u || (other <= at && at - other < params.window));
            weights[j] = select(EXCLUDED, score, seen);
            most = max(most, weights[j]);
        }
        let shrink = weight(vec4<f32>(largest), vec4<f32>(most)).x;
        largest = most;
        total *= shrink;
        for (var j = 0u; j < 8u; j++) {
            weights[j] = weight(vec4<f32>(weights[j]), vec4<f32>(most)).x;
            total += weights[j];
        }
        for (var c = 0u; c < DV4; c++) {
            // Values beyond the last key are 0: a weight of 0 times an infinity would be NaN.
            let column = min(first_v + c, last_v);
            let value = inside(load_v(v_at / params.v.z + own, v_column + column), column, params.dv);
            let texel = select(vec4<f32>(), value, key + lane < range.y);
            var sum = sums[c] * shrink;
            for (var j = 0u; j < 8u; j++) { sum += weights[j] * subgroupShuffle(texel, j); }
            sums[c] = sum;
        }
    }
    if first + lane >= pairs { return; }
    let to = params.y.w + row_of(params.y, n, head, params.group, pair);
    for (var c = 0u; c < DV4 && first_v + c <= last_v; c++) {
        store_y(to / params.y.z, to % params.y.z / 4u + first_v + c, sums[c] * inverse(params, total));
    }
}
