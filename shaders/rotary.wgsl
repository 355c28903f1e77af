// Rotary position embedding: the first `dimension` of the `d` elements in a token's head rotate in pairs: (a, b)
// becomes (a cos - b sin, b cos + a sin), by an angle for the token's position and the pair. The others are copied.
//
// One invocation computes one element; its neighbours read the other element of its pair.
// x, y: row-major; tokens lie `row` elements apart, sequences `sequence`. table: [position][pair] of (cosine, sine).
// position: one, or one a sequence. APPENDED: y is a cache of `capacity` tokens; token i of x goes to token place + i of
// it. Tokens beyond the capacity are dropped, as in append.wgsl. place: one, or one a sequence.

override INTERLEAVED: bool = false; // pairs 2i, 2i + 1 instead of i, i + dimension/2
override CACHED: bool = false;
override APPENDED: bool = false;

struct Params {
    count: u32, d: u32, dimension: u32, row: u32, sequence: u32, length: u32, max_length: u32, positions: u32,
    capacity: u32, places: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> position: array<i32>;
@group(0) @binding(4) var<storage, read> place: array<i32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn load_table(i: u32) -> vec2<f32> { return table[i]; }
fn load_position(i: u32) -> i32 { return position[i]; }
fn load_place(i: u32) -> i32 { return place[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

const NOWHERE: u32 = 0xffffffffu;

// Returns the index in y of element i of x, or NOWHERE.
fn target_of(i: u32) -> u32 {
    if !APPENDED { return i; }
    let n = i / params.sequence;
    // A negative place becomes a large u32: its tokens are dropped too.
    let first = u32(load_place(min(n, params.places - 1u)));
    let token = first + i / params.row % params.length;
    if first >= params.capacity || token >= params.capacity { return NOWHERE; }
    return (n * params.capacity + token) * params.row + i % params.row;
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    let to = target_of(i);
    if to == NOWHERE { return; }
    let e = i % params.d;
    if e >= params.dimension {
        store_y(to, load_x(i));
        return;
    }
    var at = i / params.row % params.length;
    if CACHED {
        // Positions beyond the table, which nobody may have checked, read its last row.
        let start = clamp(load_position(min(i / params.sequence, params.positions - 1u)), 0, i32(params.max_length));
        at = min(at + u32(start), params.max_length - 1u);
    }
    let half = params.dimension / 2u;
    var pair = e % half;
    var second = e >= half;
    var other = select(i + half, i - half, second);
    if INTERLEAVED {
        pair = e / 2u;
        second = e % 2u == 1u;
        other = select(i + 1u, i - 1u, second);
    }
    let turn = load_table(at * half + pair);
    store_y(to, load_x(i) * turn.x + select(-load_x(other), load_x(other), second) * turn.y);
}
