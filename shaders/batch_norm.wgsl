// Batch norm that follows no convolution: y = f(x * scale[c] + shift[c]).
//
// One invocation computes one texel: four channels of a pixel.
// x, y: channels last, [rows][width] texels. scale_shift: C/4 texels of scales, then C/4 of shifts.

override ACTIVATION: u32 = 0u;

struct Params { rows: u32, width: u32, c4: u32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> scale_shift: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.width + column]); }
fn load_scale_shift(i: u32) -> vec4<f32> { return scale_shift[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
    let c = column % params.c4;
    let value = load_x(row, column) * load_scale_shift(c) + load_scale_shift(params.c4 + c);
    store_y(row, column, activate(ACTIVATION, value, params.lo, params.hi, params.alpha));
}
