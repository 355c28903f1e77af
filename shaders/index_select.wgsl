// Rows by their index: y[o, n, i] = x[o, index[n], i]. An embedding, and index_select.
//
// One invocation writes four neighbouring elements of y, any four bytes each; WIDE: a row is whole vec4s, and `inner`
// counts vec4s. An index out of range is clamped. x may hold only `rows` of the `size` rows, from `first` on: then o is
// 0, and other dispatches write the outputs from the other rows.

override WIDE: bool = false;

struct Params { elements: u32, inner: u32, indices: u32, size: u32, first: u32, rows: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Bits>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<Bits>;

fn load_x(i: u32) -> vec4<u32> { return from_bits(x[i]); }
fn load_x_element(i: u32) -> u32 { return from_word(x[i / 4u][i % 4u]); }
fn load_index(i: u32) -> i32 { return index[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = to_bits(value); }

const ELSEWHERE: u32 = 0xffffffffu;

// Returns the index in x of element (or vec4) i of y, or ELSEWHERE.
fn source(i: u32) -> u32 {
    let row = divide(i, params.inner);
    let outer = divide(row, params.indices);
    let chosen = clamp(load_index(row - outer * params.indices), 0, i32(params.size) - 1);
    // Wraps around for a row before `first`.
    let at = u32(chosen) - params.first;
    if at >= params.rows { return ELSEWHERE; }
    return (outer * params.rows + at) * params.inner + i - row * params.inner;
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i * 4u >= params.elements { return; }
    if WIDE {
        let place = source(i);
        if place != ELSEWHERE { store_y(i, load_x(place)); }
        return;
    }
    var value = vec4<u32>();
    for (var k = 0u; k < 4u; k++) {
        let place = source(min(i * 4u + k, params.elements - 1u));
        value[k] = load_x_element(place);
    }
    store_y(i, value);
}
