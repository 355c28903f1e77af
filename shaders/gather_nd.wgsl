// Slices by tuples of indices: y[b, t, ..] = x[b, index[b, t, ..], ..].
//
// One invocation copies one element, any four bytes. x: [batch of `batch` elements][slice][inner]; index:
// [batch][tuple][k]; y: [batch][tuple][inner]. sizes: the k dimensions that number the slices, outermost first, at the
// end of eight. An index out of range is clamped.

struct Params { sizes: array<vec4<u32>, 2>, count: u32, inner: u32, tuples: u32, k: u32, batch: u32 }

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
    let tuple = i / params.inner;
    var slice = 0u;
    for (var j = 0u; j < params.k; j++) {
        let d = 8u - params.k + j;
        let size = i32(params.sizes[d / 4u][d % 4u]);
        let chosen = clamp(load_index(tuple * params.k + j), -size, size - 1);
        slice = slice * u32(size) + u32(select(chosen, chosen + size, chosen < 0));
    }
    store_y(i, load_x(tuple / params.tuples * params.batch + slice * params.inner + i % params.inner));
}
