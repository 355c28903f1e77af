// Elementwise functions: y = f(x). NaN stays NaN.
//
// One invocation computes one texel (four elements). y has the layout of x, whichever that is. x, y: [rows][width]
// texels. Each `texels` of a row hold `elements` elements; the padding of the last of them stays 0, whatever f(0) is.
// KIND: the kind of `unary`.

override KIND: u32 = 0u;

struct Params { rows: u32, width: u32, texels: u32, elements: u32 }

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
    let element = column % params.texels * 4u + vec4<u32>(0u, 1u, 2u, 3u);
    let given = load_x(row, column);
    let value = unary(KIND, given);
    store_y(row, column, select(vec4<f32>(), value, element < vec4<u32>(params.elements)));
}
