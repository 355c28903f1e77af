// Updates of slices by tuples of indices, in place: y[index[t, ..], ..] takes each updates[t, ..] in turn.
//
// y holds x before the first dispatch. As in scatter.wgsl, a dispatch applies the tuples `first` to `end`; one invocation
// has one element of one tuple, any four bytes, and the first tuple of a slice applies all of that slice. y:
// [slice][inner]; index: [tuple][k]; updates: [tuple][inner]. sizes: the k dimensions that number the slices, outermost
// first, at the end of eight. A tuple with an index out of range updates nothing.

struct Params { sizes: array<vec4<u32>, 2>, inner: u32, first: u32, end: u32, k: u32 }

const NONE: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read> updates: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

fn load_index(i: u32) -> i32 { return index[i]; }
fn load_updates(i: u32) -> u32 { return updates[i]; }
fn load_y(i: u32) -> u32 { return y[i]; }
fn store_y(i: u32, value: u32) { y[i] = value; }

// Returns the slices of four tuples from t on.
fn slices(t: u32) -> vec4<u32> {
    let tuple = min(vec4<u32>(t) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.end - 1u)) * params.k;
    var all = vec4<u32>();
    for (var j = 0u; j < params.k; j++) {
        let chosen = vec4<i32>(
            load_index(tuple.x + j), load_index(tuple.y + j), load_index(tuple.z + j), load_index(tuple.w + j));
        let d = 8u - params.k + j;
        let size = params.sizes[d / 4u][d % 4u];
        let at = from_either_end(chosen, size);
        let outside = (at >= vec4<u32>(size)) | (all == vec4<u32>(NONE));
        all = select(all * size + at, vec4<u32>(NONE), outside);
    }
    return all;
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= (params.end - params.first) * params.inner { return; }
    let own = params.first + i / params.inner;
    let element = i % params.inner;
    let slice = slices(own).x;
    if slice == NONE { return; }
    let to = slice * params.inner + element;
    var value = load_y(to);
    for (var t = params.first; t < params.end; t += 4u) {
        let some = slices(t);
        for (var l = 0u; l < 4u; l++) {
            if some[l] == slice && t + l < params.end {
                if t + l < own { return; }
                value = updated(value, load_updates((t + l) * params.inner + element));
            }
        }
    }
    store_y(to, value);
}
