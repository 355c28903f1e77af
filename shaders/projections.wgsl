// Long because it is one kernel: the norm and the layers share the rows and the sums.
//
// Up to three linear layers of one input of few rows, y_i = f(n(x) w_i + bias_i), in one dispatch; or a gated unit of two,
// y = f(a) b or a f(b) (SECOND), with a = n(x) w + bias and b = n(x) w1 + bias1. n is a norm of each row, or nothing:
// ((x - mean) / sqrt(var + eps)) weight + bias; the mean is 0 if not CENTRED.
//
// One workgroup computes 4 * COLUMNS outputs of a layer, or of the gated unit, as in gemv.wgsl. Each workgroup computes the
// norm of the few rows again: a dispatch of its own is assumed to cost more.
// x: [r][k/4] texels, k a multiple of 4. terms: (weight, bias) of the norm for each k, if there is a norm, then the biases
// of the layers, from texels `bias` on. w: as for gemm.wgsl, prepacked in blocks of 64 outputs. y: [r][o/4]. `first`: the
// first workgroup of each layer. eps, shrink: as for norm.wgsl.
//
// Not measured on a GPU yet (docs/benchmarks.md).

const ROWS: u32 = 1u; // at most 4: sums of the norm have one row in each component
const COLUMNS: u32 = 16u;
const PRODUCTS: u32 = 1u; // 2 in a gated unit

override NORMALISED: bool = false;
override CENTRED: bool = false;
override SECOND: bool = false;
override ACTIVATION: u32 = 0u;

struct Params {
    out_c: vec4<u32>, first: vec4<u32>, bias: vec4<u32>,
    k4: u32, rows: u32, eps: f32, shrink: f32, lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> terms: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<Texel>;
@group(0) @binding(4) var<storage, read> w1: array<Texel>;
@group(0) @binding(5) var<storage, read> w2: array<Texel>;
@group(0) @binding(6) var<storage, read_write> y: array<Texel>;
@group(0) @binding(7) var<storage, read_write> y1: array<Texel>;
@group(0) @binding(8) var<storage, read_write> y2: array<Texel>;

fn load_x(i: u32) -> vec4<f32> { return from_texel(x[i]); }
fn load_terms(i: u32) -> vec4<f32> { return terms[i]; }
fn load_w(i: u32) -> vec4<f32> { return from_texel(w[i]); }
fn load_w1(i: u32) -> vec4<f32> { return from_texel(w1[i]); }
fn load_w2(i: u32) -> vec4<f32> { return from_texel(w2[i]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }
fn store_y1(i: u32, value: vec4<f32>) { y1[i] = to_texel(value); }
fn store_y2(i: u32, value: vec4<f32>) { y2[i] = to_texel(value); }

var<workgroup> sums: array<vec4<f32>, 256>;

// Returns the sum of `value` over the invocations that are equal to `lane` modulo `count`, a power of two.
fn total(lane: u32, value: vec4<f32>, count: u32) -> vec4<f32> {
    sums[lane] = value;
    workgroupBarrier();
    for (var half = 128u; half >= count; half /= 2u) {
        if lane < half { sums[lane] += sums[lane + half]; }
        workgroupBarrier();
    }
    let sum = sums[lane % count];
    // The next call overwrites what this one reads.
    workgroupBarrier();
    return sum;
}

// Returns a texel of each row of x. Beyond the last row the last one is read again.
fn texels(k: u32) -> array<vec4<f32>, ROWS> {
    var of_row: array<vec4<f32>, ROWS>;
    for (var r = 0u; r < ROWS; r++) { of_row[r] = load_x(min(r, params.rows - 1u) * params.k4 + k); }
    return of_row;
}

// Returns the weights of four outputs of a layer for four k.
fn weights(layer: u32, at: u32) -> mat4x4<f32> {
    let next = BLOCK / 4u;
    switch layer {
        case 1u: { return mat4x4<f32>(load_w1(at), load_w1(at + next), load_w1(at + 2u * next), load_w1(at + 3u * next)); }
        case 2u: { return mat4x4<f32>(load_w2(at), load_w2(at + next), load_w2(at + 2u * next), load_w2(at + 3u * next)); }
        default: { return mat4x4<f32>(load_w(at), load_w(at + next), load_w(at + 2u * next), load_w(at + 3u * next)); }
    }
}

@compute @workgroup_size(256)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    // A folded dispatch has surplus workgroups: they are beyond the last column of the last layer.
    let id = linear(group.id, group.count);
    let layer = select(0u, 1u, id >= params.first.y) + select(0u, 1u, id >= params.first.z);
    let column = (id - params.first[layer]) * COLUMNS + lane % COLUMNS;
    let out_c = params.out_c[layer];
    let wide4 = (out_c + 3u) / 4u;

    // A component for each row.
    var origin: vec4<f32>;
    var mean: vec4<f32>;
    var scale: vec4<f32>;
    if NORMALISED {
        let length = 4.0 * f32(params.k4);
        if CENTRED {
            // Differences from an element of the row round less where the row is far from 0.
            let value = texels(0u);
            for (var r = 0u; r < ROWS; r++) { origin[r] = value[r].x; }
            var sum: vec4<f32>;
            for (var k = lane; k < params.k4; k += 256u) {
                let value = texels(k);
                for (var r = 0u; r < ROWS; r++) { sum[r] += dot(value[r] - origin[r], vec4<f32>(1.0)); }
            }
            mean = total(lane, sum, 1u) / length;
        }
        var squares: vec4<f32>;
        for (var k = lane; k < params.k4; k += 256u) {
            let value = texels(k);
            for (var r = 0u; r < ROWS; r++) {
                let small = (value[r] - origin[r] - mean[r]) * params.shrink;
                squares[r] += dot(small, small);
            }
        }
        scale = inverseSqrt(total(lane, squares, 1u) / length + params.eps) * params.shrink;
    }

    var of_row: array<vec4<f32>, ROWS * PRODUCTS>;
    if column < wide4 {
        for (var k = lane / COLUMNS; k < params.k4; k += 256u / COLUMNS) {
            var value = texels(k);
            if NORMALISED {
                let two = load_terms(2u * k);
                let more = load_terms(2u * k + 1u);
                for (var r = 0u; r < ROWS; r++) {
                    let normal = (value[r] - origin[r] - mean[r]) * scale[r];
                    value[r] = normal * vec4<f32>(two.xz, more.xz) + vec4<f32>(two.yw, more.yw);
                }
            }
            for (var p = 0u; p < PRODUCTS; p++) {
                let four = weights(layer + p, block_at(column, k, params.k4));
                for (var r = 0u; r < ROWS; r++) { of_row[p * ROWS + r] += four * value[r]; }
            }
        }
    }
    // These load together.
    var bias = array<vec4<f32>, PRODUCTS>();
    if lane < COLUMNS && column < wide4 {
        for (var p = 0u; p < PRODUCTS; p++) { bias[p] = load_terms(params.bias[layer + p] + column); }
    }
    for (var r = 0u; r < ROWS; r++) {
        var value = array<vec4<f32>, PRODUCTS>();
        for (var p = 0u; p < PRODUCTS; p++) { value[p] = total(lane, of_row[p * ROWS + r], COLUMNS); }
        if lane < COLUMNS && r < params.rows && column < wide4 {
            for (var p = 0u; p < PRODUCTS; p++) { value[p] += bias[p]; }
            let second = SECOND && PRODUCTS == 2u;
            var result = value[select(0u, PRODUCTS - 1u, second)];
            result = activate(ACTIVATION, result, params.lo, params.hi, params.alpha);
            if PRODUCTS == 2u { result *= value[select(PRODUCTS - 1u, 0u, second)]; }
            result = clip_channels(result, column, out_c);
            let at = r * wide4 + column;
            switch layer {
                case 1u: { store_y1(at, result); }
                case 2u: { store_y2(at, result); }
                default: { store_y(at, result); }
            }
        }
    }
}
