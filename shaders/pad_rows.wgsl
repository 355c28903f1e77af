// Padding and cropping with a constant: y[i] = x[i - before], or the constant if that is outside.
//
// One invocation computes four neighbouring elements of y. x, y: row-major, dimensions from `first` to 7, the outermost first.

struct Params {
    y: array<vec4<u32>, 2>, x: array<vec4<u32>, 2>, before: array<vec4<i32>, 2>,
    first: u32, count: u32, value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if 4u * i >= params.count { return; }
    var rest = four(i, params.count);
    var source = vec4<u32>();
    var stride = 1u;
    var inside = vec4<bool>(true);
    for (var d = 8u; d > params.first; d--) {
        let size = vec4<u32>(params.y[(d - 1u) / 4u][(d - 1u) % 4u]);
        let own = params.x[(d - 1u) / 4u][(d - 1u) % 4u];
        // A negative index wraps around to one beyond every size.
        let before = bitcast<u32>(params.before[(d - 1u) / 4u][(d - 1u) % 4u]);
        let at = (rest % size) - vec4<u32>(before);
        rest /= size;
        inside = inside & (at < vec4<u32>(own));
        source += at * stride;
        stride *= own;
    }
    // Elements outside read the first one.
    source = select(vec4<u32>(), source, inside);
    let value = vec4<f32>(load_x(source.x), load_x(source.y), load_x(source.z), load_x(source.w));
    store_y(i, select(vec4<f32>(params.value), value, inside));
}
