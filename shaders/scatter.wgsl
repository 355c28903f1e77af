// Updates of elements by index along an axis, in place: y[.., index[.., j, ..], ..] takes each updates[.., j, ..].
//
// y holds x before the first dispatch. A dispatch applies a share of each line's updates, `first` to `end`; the next one
// goes on from y. One invocation has one update, any four bytes, and looks through its line's share: if an earlier update
// there has the same place, that one's invocation applies both; otherwise it applies all of this place in their order. So
// no two write one element. index, updates: row-major, at most 8 dimensions, outermost first; along the axis `sizes` has 1
// and the strides 0. stride, own: the axis' strides in index and y. size: the axis' size in y.

struct Params {
    sizes: array<vec4<u32>, 2>, index_strides: array<vec4<u32>, 2>, strides: array<vec4<u32>, 2>,
    lines: u32, size: u32, first: u32, end: u32, stride: u32, own: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read> updates: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

fn load_index(i: u32) -> i32 { return index[i]; }
fn load_updates(i: u32) -> u32 { return updates[i]; }
fn load_y(i: u32) -> u32 { return y[i]; }
fn store_y(i: u32, value: u32) { y[i] = value; }

// Returns the places of four updates of a line from j on; beyond the last, those of the last.
fn places(line: u32, j: u32) -> vec4<u32> {
    let at = vec4<u32>(line) + min(vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.end - 1u)) * params.stride;
    let chosen = vec4<i32>(load_index(at.x), load_index(at.y), load_index(at.z), load_index(at.w));
    return from_either_end(chosen, params.size);
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= (params.end - params.first) * params.lines { return; }
    let own = params.first + i / params.lines;
    var rest = i % params.lines;
    var line = 0u;
    var to = 0u;
    for (var d = 7u; rest > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        line += rest % size * params.index_strides[d / 4u][d % 4u];
        to += rest % size * params.strides[d / 4u][d % 4u];
        rest /= size;
    }
    let place = places(line, own).x;
    if place >= params.size { return; }
    to += place * params.own;
    var value = load_y(to);
    for (var j = params.first; j < params.end; j += 8u) {
        let first = select(vec4<u32>(), vec4<u32>(1u, 2u, 4u, 8u), places(line, j) == vec4<u32>(place));
        let second = select(vec4<u32>(), vec4<u32>(16u, 32u, 64u, 128u), places(line, j + 4u) == vec4<u32>(place));
        let both = first | second;
        // A bit for each update of this place. An array of places would lie in private memory on NVK.
        var hits = both.x | both.y | both.z | both.w;
        while hits != 0u {
            let update = j + firstTrailingBit(hits);
            if update >= params.end { break; }
            if update < own { return; }
            hits &= hits - 1u;
            value = updated(value, load_updates(line + update * params.stride));
        }
    }
    store_y(to, value);
}
