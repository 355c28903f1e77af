// Updates of slices by tuples of indices: y = x, then y[index[t, ..], ..] takes each updates[t, ..] in turn.
//
// One invocation computes one element, any four bytes. It scans all tuples, so that updates keep their order and no
// other invocation writes there. x, y: [slice][inner]; index: [tuple][k]; updates: [tuple][inner]. sizes: the k
// dimensions that number the slices, outermost first, at the end of eight. A tuple with an index out of range updates
// nothing. A dispatch scans the tuples `first` to `end`; dispatches after the first continue from y.

struct Params { sizes: array<vec4<u32>, 2>, count: u32, inner: u32, first: u32, end: u32, k: u32 }

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

fn is_place(tuple: u32, slice: u32) -> bool {
    var rest = slice;
    for (var j = params.k; j > 0u; j--) {
        let d = 8u - params.k + j - 1u;
        let size = params.sizes[d / 4u][d % 4u];
        let at = i32(rest % size);
        rest /= size;
        let chosen = load_index(tuple * params.k + j - 1u);
        if chosen != at && chosen != at - i32(size) { return false; }
    }
    return true;
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var value: u32;
    if params.first == 0u { value = load_x(i); } else { value = load_y(i); }
    for (var t = params.first; t < params.end; t++) {
        if is_place(t, i / params.inner) { value = updated(value, load_updates(t * params.inner + i % params.inner)); }
    }
    store_y(i, value);
}
