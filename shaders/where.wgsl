// Choice with broadcasting: y[i] = a[i] if condition[i], otherwise b[i].
//
// One invocation copies one element, any four bytes. All tensors are row-major, at most 8 dimensions, sizes and strides
// outermost first, stride 0 along a repeated dimension.

struct Params {
    sizes: array<vec4<u32>, 2>, condition: array<vec4<u32>, 2>, a: array<vec4<u32>, 2>, b: array<vec4<u32>, 2>, count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> condition: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<u32>;
@group(0) @binding(3) var<storage, read> b: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

fn load_condition(i: u32) -> u32 { return condition[i]; }
fn load_a(i: u32) -> u32 { return a[i]; }
fn load_b(i: u32) -> u32 { return b[i]; }
fn store_y(i: u32, value: u32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var rest = i;
    var which = 0u;
    var from_a = 0u;
    var from_b = 0u;
    for (var d = 7u; rest > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        let at = rest % size;
        rest /= size;
        which += at * params.condition[d / 4u][d % 4u];
        from_a += at * params.a[d / 4u][d % 4u];
        from_b += at * params.b[d / 4u][d % 4u];
    }
    if load_condition(which) != 0u { store_y(i, load_a(from_a)); } else { store_y(i, load_b(from_b)); }
}
