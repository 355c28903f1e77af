// The factor that brings an image's geometric mean luminance to `key`, of the mean luminances of its bins: the second
// dispatch of an exposure, after exposure_bins.wgsl. Bins up to `least`, and infinite ones, don't count; without any
// the factor is 1.
//
// One workgroup, whose invocations share the bins and load BATCH of them together. x: `count` bins; y: one number.

const BATCH: u32 = 4u;

struct Params { count: u32, key: f32, least: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

// The sums of logarithms, and how many they are.
var<workgroup> sums: array<vec2<f32>, 256>;

@compute @workgroup_size(256)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    if linear(group.id, group.count) > 0u { return; }
    var sum = vec2<f32>();
    for (var first = lane; first < params.count; first += 256u * BATCH) {
        var bins = array<f32, BATCH>();
        for (var j = 0u; j < BATCH; j++) { bins[j] = load_x(min(first + 256u * j, params.count - 1u)); }
        for (var j = 0u; j < BATCH; j++) {
            let counts = bins[j] > params.least && is_finite(vec4<f32>(bins[j])).x && first + 256u * j < params.count;
            sum += select(vec2<f32>(), vec2<f32>(log2(bins[j]), 1.0), counts);
        }
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half { sums[lane] += sums[lane + half]; }
        workgroupBarrier();
    }
    let whole = sums[0];
    if lane == 0u { store_y(0u, select(params.key / exp2(whole.x / max(whole.y, 1.0)), 1.0, whole.y == 0.0)); }
}
