// A copy of some channels of each pixel, in texels, to other channels: y[p, y_first + c] = x[p, x_first + c]. Where x has half
// the rows and pixels (halve = 1), each of its pixels is copied to four.
//
// One invocation copies one texel. x, y: [rows][pixel][c/4] texels, channels last.
// The same elements as numbers in rows (strided.wgsl) would need conversions of all inputs and of the output.

struct Params {
    // Rows; texels of a row, and of a pixel, that are copied.
    rows: u32, width: u32, count4: u32,
    // Texels of a row and of a pixel in memory, and the first one of a pixel that is copied.
    x_row4: u32, x_pixel4: u32, x_first4: u32,
    y_row4: u32, y_pixel4: u32, y_first4: u32,
    halve: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.x_row4 + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.y_row4 + column] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
    let pixel = divide(column, params.count4);
    let c = column - pixel * params.count4;
    let value = load_x(row >> params.halve, (pixel >> params.halve) * params.x_pixel4 + params.x_first4 + c);
    store_y(row, pixel * params.y_pixel4 + params.y_first4 + c, value);
}
