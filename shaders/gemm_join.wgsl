// The end of a product whose k was split among workgroups of gemm.wgsl: y = f(sum of partial[split] + bias + residual).
//
// partial: [split][p][o/4] texels, added in this order, whichever workgroup ends first. y, residual: [p][o/4]. An
// invocation computes one texel, and loads the sums of BATCH splits together.

const BATCH: u32 = 4u;
override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params { splits: u32, count: u32, out_c: u32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<Texel>;
@group(0) @binding(4) var<storage, read_write> y: array<Texel>;

fn out4() -> u32 { return (params.out_c + 3u) / 4u; }
fn load_partial(i: u32) -> vec4<f32> { return partial[i]; }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(i: u32) -> vec4<f32> { return from_texel(residual[i]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var added = vec4<f32>();
    if RESIDUAL > 0u { added = load_residual(i); }
    var sum = load_bias(i % out4());
    for (var first = 0u; first < params.splits; first += BATCH) {
        var partials = array<vec4<f32>, BATCH>();
        for (var j = 0u; j < BATCH; j++) { partials[j] = load_partial(min(first + j, params.splits - 1u) * params.count + i); }
        for (var j = 0u; j < BATCH; j++) {
            if first + j < params.splits { sum += partials[j]; }
        }
    }
    let value = finished(RESIDUAL, sum, added, ACTIVATION, params.lo, params.hi, params.alpha);
    store_y(i, clip_channels(value, i % out4(), params.out_c));
}
