// Elementwise arithmetic with broadcasting: y[i] = f(a[i] ∘ b[i]), where an operand's stride is 0 along a repeated dimension.
//
// One invocation computes one element. a, b, y: row-major, at most 8 dimensions, sizes and strides outermost first.
// KIND: 0 add, 1 subtract, 2 multiply, 3 divide.

override KIND: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params {
    sizes: array<vec4<u32>, 2>, a: array<vec4<u32>, 2>, b: array<vec4<u32>, 2>,
    count: u32, lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups) * 64u + lane;
    if i >= params.count { return; }
    var rest = i;
    var from_a = 0u;
    var from_b = 0u;
    for (var d = 8u; d > 0u; d--) {
        let size = params.sizes[(d - 1u) / 4u][(d - 1u) % 4u];
        let at = rest % size;
        rest /= size;
        from_a += at * params.a[(d - 1u) / 4u][(d - 1u) % 4u];
        from_b += at * params.b[(d - 1u) / 4u][(d - 1u) % 4u];
    }
    let left = a[from_a];
    let right = b[from_b];
    var value = left + right;
    switch KIND {
        case 1u: { value = left - right; }
        case 2u: { value = left * right; }
        case 3u: { value = left / right; }
        default: {}
    }
    y[i] = activate(ACTIVATION, vec4<f32>(value), params.lo, params.hi, params.alpha).x;
}
