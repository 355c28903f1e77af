// PReLU: y = x where x is positive, otherwise weight[c] x.
//
// One invocation computes one texel (four elements). y has the layout of x, whichever that is.
// x, y: [rows][width] texels; with CHANNELS, c4 texels of channels a pixel; otherwise rows of `length` elements (with
// length 0 a single row), whose `inner` neighbours in row-major order share a weight. weight: row-major.

override CHANNELS: bool = false;

struct Params { rows: u32, width: u32, c4: u32, length: u32, inner: u32, weights: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.width + column]); }
fn load_weight(i: u32) -> vec4<f32> { return weight[i]; }
fn load_weight_element(i: u32) -> f32 { return weight[i / 4u][i % 4u]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
    var slope: vec4<f32>;
    if CHANNELS {
        slope = load_weight(column % params.c4);
    } else if params.weights == 1u {
        slope = vec4<f32>(load_weight(0u).x);
    } else {
        // In a row's padding k runs on into the next row: any weight serves there.
        for (var j = 0u; j < 4u; j++) {
            let k = (row * params.length + 4u * column + j) / params.inner % params.weights;
            slope[j] = load_weight_element(k);
        }
    }
    let value = load_x(row, column);
    store_y(row, column, select(slope * value, value, value >= vec4<f32>()));
}
