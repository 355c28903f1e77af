// Choice with broadcasting: y[i] = a[i] if condition[i], otherwise b[i].
//
// One invocation copies four neighbouring elements of y, any four bytes each. All tensors are row-major, at most 8 dimensions, sizes and strides
// outermost first, stride 0 along a repeated dimension.

struct Params {
    sizes: array<vec4<u32>, 2>, condition: array<vec4<u32>, 2>, a: array<vec4<u32>, 2>, b: array<vec4<u32>, 2>, count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> condition: array<i32>;
@group(0) @binding(2) var<storage, read> a: array<u32>;
@group(0) @binding(3) var<storage, read> b: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<Bits>;

fn load_condition(i: u32) -> i32 { return condition[i]; }
fn load_a(i: u32) -> u32 { return a[i]; }
fn load_b(i: u32) -> u32 { return b[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = to_bits(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if 4u * i >= params.count { return; }
    var rest = four(i, params.count);
    var which = vec4<u32>();
    var from_a = vec4<u32>();
    var from_b = vec4<u32>();
    for (var d = 7u; rest.w > 0u; d--) {
        let size = vec4<u32>(params.sizes[d / 4u][d % 4u]);
        let at = rest % size;
        rest /= size;
        which += at * params.condition[d / 4u][d % 4u];
        from_a += at * params.a[d / 4u][d % 4u];
        from_b += at * params.b[d / 4u][d % 4u];
    }
    let chosen = vec4<i32>(load_condition(which.x), load_condition(which.y), load_condition(which.z), load_condition(which.w));
    let a4 = vec4<u32>(load_a(from_a.x), load_a(from_a.y), load_a(from_a.z), load_a(from_a.w));
    let b4 = vec4<u32>(load_b(from_b.x), load_b(from_b.y), load_b(from_b.z), load_b(from_b.w));
    store_y(i, select(b4, a4, chosen != vec4<i32>()));
}
