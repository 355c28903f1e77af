// Activation: y = f(x), element by element.
//
// One invocation computes one texel (four elements). y has the layout of x, whichever that is.
// x, y: [rows][width] texels.

override ACTIVATION: u32 = 0u;

struct Params { rows: u32, width: u32, lo: f32, hi: f32, alpha: f32 }

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
    store_y(row, column, activate(ACTIVATION, load_x(row, column), params.lo, params.hi, params.alpha));
}
