// The places of a share of updates, `first` to `end`, and their chains (lib/chains.wgsl), for scatter_chained.wgsl.
//
// One invocation has one update u, an element for ScatterElements, a tuple of k indices for ScatterND. place[u - first]:
// the sum of strides[d] times its coordinates among the updates, which have `shape`, and of own[j] times its indices, for
// dimensions of x of these `sizes`; NONE if an index is out of range. All have eight numbers, outermost first, at the end.
// scatter_clear.wgsl has made the chains empty. The order within a chain is arbitrary.

struct Params {
    shape: array<vec4<u32>, 2>, strides: array<vec4<u32>, 2>, sizes: array<vec4<u32>, 2>, own: array<vec4<u32>, 2>,
    dimensions: u32, k: u32, first: u32, end: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> place: array<u32>;
@group(0) @binding(3) var<storage, read_write> head: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> next: array<u32>;

fn load_index(i: u32) -> i32 { return index[i]; }
fn store_place(i: u32, value: u32) { place[i] = value; }
fn exchange_head(i: u32, value: u32) -> u32 { return atomicExchange(&head[i], value); }
fn store_next(i: u32, value: u32) { next[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    let u = params.first + i;
    if u >= params.end { return; }
    var rest = u;
    var to = 0u;
    for (var j = 0u; j < params.dimensions; j++) {
        let d = 7u - j;
        let size = params.shape[d / 4u][d % 4u];
        to += rest % size * params.strides[d / 4u][d % 4u];
        rest /= size;
    }
    var outside = false;
    for (var j = 0u; j < params.k; j++) {
        let d = 8u - params.k + j;
        let size = params.sizes[d / 4u][d % 4u];
        let at = from_either_end(vec4<i32>(load_index(u * params.k + j)), size).x;
        outside = outside || at >= size;
        to += at * params.own[d / 4u][d % 4u];
    }
    store_place(i, select(to, NONE, outside));
    if outside { return; }
    store_next(i, exchange_head(chain(to), u));
}
