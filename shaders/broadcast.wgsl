// Elementwise arithmetic with broadcasting: y[i] = f(a[i] ∘ b[i]).
//
// One invocation computes four neighbouring elements of y. a, b, y: row-major (lib/operands.wgsl). KIND: the kind of `combine`.

override KIND: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params {
    sizes: array<vec4<u32>, 2>, a: array<vec4<u32>, 2>, b: array<vec4<u32>, 2>,
    count: u32, lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

fn load_a(i: u32) -> f32 { return a[i]; }
fn load_b(i: u32) -> f32 { return b[i]; }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if 4u * i >= params.count { return; }
    let at = operands(i);
    let a4 = vec4<f32>(load_a(at.a.x), load_a(at.a.y), load_a(at.a.z), load_a(at.a.w));
    let b4 = vec4<f32>(load_b(at.b.x), load_b(at.b.y), load_b(at.b.z), load_b(at.b.w));
    store_y(i, activate(ACTIVATION, combine(KIND, a4, b4), params.lo, params.hi, params.alpha));
}
