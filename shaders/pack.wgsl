// From row-major to texels of four channels: NCHW to channels last, or the last dimension padded (h = w = 1).
//
// One invocation gathers one texel; the channels that pad the last one are 0.
// x: row-major. y: row n*H + y, column x*C/4 + c/4.

struct Params { rows: u32, width: u32, c: u32, h: u32, w: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
    let c4 = (params.c + 3u) / 4u;
    let ox = divide(column, c4);
    let c = 4u * (column - ox * c4);
    let image = divide(row, params.h);
    let at = (row - image * params.h) * params.w + ox;
    let plane = params.h * params.w;
    let first = (image * params.c + c) * plane + at;
    var value = vec4<f32>();
    for (var j = 0u; j < min(4u, params.c - c); j++) { value[j] = load_x(first + j * plane); }
    store_y(row, column, value);
}
