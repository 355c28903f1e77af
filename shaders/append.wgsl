// Appending to a cache, in place: cache[n, position[n] + i] = rows[n, i]. Rows beyond the capacity are dropped.
//
// One invocation copies one element. rows: [n][length][width], cache: [n][capacity][width], position: [1] or [n].

struct Params { count: u32, length: u32, capacity: u32, width: u32, positions: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<i32>;
@group(0) @binding(3) var<storage, read_write> cache: array<f32>;

fn load_rows(i: u32) -> f32 { return rows[i]; }
fn load_position(i: u32) -> i32 { return position[i]; }
fn store_cache(i: u32, value: f32) { cache[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
    let n = divide(row, params.length);
    // A negative position becomes a large u32: its rows are dropped too.
    let at = u32(load_position(min(n, params.positions - 1u)));
    let to = at + row - n * params.length;
    if at >= params.capacity || to >= params.capacity { return; }
    store_cache((n * params.capacity + to) * params.width + column, load_rows(i));
}
