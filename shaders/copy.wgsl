// A copy between buffers and textures, or between texels of f32s and f16s, in the same order.
//
// One invocation copies one texel. x, y: [rows][width] texels.

struct Params { rows: u32, width: u32, c: u32, h: u32, w: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.width + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
    store_y(row, column, load_x(row, column));
}
