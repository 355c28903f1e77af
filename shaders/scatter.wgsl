// Updates of elements by index along an axis: y = x, then y[.., index[.., j, ..], ..] takes each updates[.., j, ..].
//
// One invocation computes one element, any four bytes. It scans the indices of its line, so that updates keep the
// line's order and no other invocation writes there. x, y, index, updates: row-major, at most 8 dimensions, sizes
// outermost first. Along the axis index_sizes has x's size and index_strides 0: the scan covers indices `first` to
// `end`, `stride` apart. Dispatches after the first continue from y. own, size: the axis' stride and size in x.

struct Params {
    sizes: array<vec4<u32>, 2>, index_sizes: array<vec4<u32>, 2>, index_strides: array<vec4<u32>, 2>,
    count: u32, size: u32, first: u32, end: u32, stride: u32, own: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read> updates: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

fn load_x(i: u32) -> u32 { return x[i]; }
fn load_index(i: u32) -> i32 { return index[i]; }
fn load_updates(i: u32) -> u32 { return updates[i]; }
fn load_y(i: u32) -> u32 { return y[i]; }
fn store_y(i: u32, value: u32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var rest = i;
    var line = 0u;
    var inside = true;
    for (var d = 7u; rest > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        let at = rest % size;
        rest /= size;
        inside = inside && at < params.index_sizes[d / 4u][d % 4u];
        line += at * params.index_strides[d / 4u][d % 4u];
    }
    var value: u32;
    if params.first == 0u { value = load_x(i); } else { value = load_y(i); }
    if inside {
        let place = i32(i / params.own % params.size);
        for (var j = params.first; j < params.end; j++) {
            let at = line + j * params.stride;
            let chosen = load_index(at);
            if chosen == place || chosen == place - i32(params.size) { value = updated(value, load_updates(at)); }
        }
    }
    store_y(i, value);
}
