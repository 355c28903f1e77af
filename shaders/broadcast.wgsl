// Elementwise arithmetic with broadcasting: y[i] = f(a[i] ∘ b[i]). An operand's stride is 0 along a repeated dimension.
//
// One invocation computes four neighbouring elements of y. a, b, y: row-major, at most 8 dimensions, sizes and strides outermost first.
// KIND: the kind of `combine`.

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
    var rest = four(i, params.count);
    var from_a = vec4<u32>();
    var from_b = vec4<u32>();
    // Once `rest` is 0, the indices of all further dimensions are 0. Its last component is the greatest.
    for (var d = 7u; rest.w > 0u; d--) {
        let size = vec4<u32>(params.sizes[d / 4u][d % 4u]);
        let at = rest % size;
        rest /= size;
        from_a += at * params.a[d / 4u][d % 4u];
        from_b += at * params.b[d / 4u][d % 4u];
    }
    let a4 = vec4<f32>(load_a(from_a.x), load_a(from_a.y), load_a(from_a.z), load_a(from_a.w));
    let b4 = vec4<f32>(load_b(from_b.x), load_b(from_b.y), load_b(from_b.z), load_b(from_b.w));
    store_y(i, activate(ACTIVATION, combine(KIND, a4, b4), params.lo, params.hi, params.alpha));
}
