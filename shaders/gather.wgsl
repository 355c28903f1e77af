// Elements by their index along an axis: y[.., i, ..] = x[.., index[.., i, ..], ..].
//
// One invocation copies one element, any four bytes. index, y: row-major, of the given sizes (at most 8 dimensions,
// outermost first); x: the strides of its dimensions, 0 for the axis. An index out of range is clamped.

struct Params { sizes: array<vec4<u32>, 2>, x: array<vec4<u32>, 2>, count: u32, size: u32, stride: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

fn load_x(i: u32) -> u32 { return x[i]; }
fn load_index(i: u32) -> i32 { return index[i]; }
fn store_y(i: u32, value: u32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var rest = i;
    var place = u32(clamp(load_index(i), 0, i32(params.size) - 1)) * params.stride;
    for (var d = 7u; rest > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        place += rest % size * params.x[d / 4u][d % 4u];
        rest /= size;
    }
    store_y(i, load_x(place));
}
