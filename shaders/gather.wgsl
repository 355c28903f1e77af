// Elements by their index along an axis: y[.., i, ..] = x[.., index[.., i, ..], ..].
//
// One invocation copies four neighbouring elements of y, any four bytes each. index, y: row-major, of the given sizes (at most 8 dimensions,
// outermost first); x: the strides of its dimensions, 0 for the axis. An index out of range is clamped.

struct Params { sizes: array<vec4<u32>, 2>, x: array<vec4<u32>, 2>, count: u32, size: u32, stride: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<Bits>;

fn load_x(i: u32) -> u32 { return x[i]; }
fn load_index(i: u32) -> i32 { return index[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = to_bits(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if 4u * i >= params.count { return; }
    var rest = four(i, params.count);
    let index4 = vec4<i32>(load_index(rest.x), load_index(rest.y), load_index(rest.z), load_index(rest.w));
    var place = vec4<u32>(clamp(index4, vec4<i32>(), vec4<i32>(i32(params.size) - 1))) * params.stride;
    for (var d = 7u; rest.w > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        let next = divide4(rest, size);
        place += (rest - next * size) * params.x[d / 4u][d % 4u];
        rest = next;
    }
    store_y(i, vec4<u32>(load_x(place.x), load_x(place.y), load_x(place.z), load_x(place.w)));
}
