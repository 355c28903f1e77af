// From texels of four channels to row-major: channels last to NCHW, or the last dimension without padding (h = w = 1).
//
// One invocation scatters one texel. x: row n*H + y, column x*C/4 + c/4. y: row-major.

struct Params { rows: u32, width: u32, c: u32, h: u32, w: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.width + column]); }
fn store_y(i: u32, value: f32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = i / params.width;
    let column = i % params.width;
    let c4 = (params.c + 3u) / 4u;
    let c = 4u * (column % c4);
    let at = row % params.h * params.w + column / c4;
    let plane = params.h * params.w;
    let first = (row / params.h * params.c + c) * plane + at;
    let value = load_x(row, column);
    for (var j = 0u; j < min(4u, params.c - c); j++) { store_y(first + j * plane, value[j]); }
}
