// Padding and cropping with a constant: y[i] = x[i - before], or the constant if that is outside.
//
// One invocation computes one element. x, y: row-major, dimensions from `first` to 7, the outermost first.

struct Params {
    y: array<vec4<u32>, 2>, x: array<vec4<u32>, 2>, before: array<vec4<i32>, 2>,
    first: u32, count: u32, value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var rest = i;
    var source = 0u;
    var stride = 1u;
    var inside = true;
    for (var d = 8u; d > params.first; d--) {
        let size = params.y[(d - 1u) / 4u][(d - 1u) % 4u];
        let own = params.x[(d - 1u) / 4u][(d - 1u) % 4u];
        // A negative index wraps around to one beyond every size.
        let at = u32(i32(rest % size) - params.before[(d - 1u) / 4u][(d - 1u) % 4u]);
        rest /= size;
        inside = inside && at < own;
        source += at * stride;
        stride *= own;
    }
    var value = params.value;
    if inside { value = load_x(source); }
    store_y(i, value);
}
