// Local response normalisation: y[c] = x[c] / (k + alpha * sum_{c'} x[c']²)^beta, over `size` channels around c.
//
// One invocation computes one texel (four channels of a pixel). x, y: channels last, [rows][width] texels.

struct Params { rows: u32, width: u32, channels: u32, size: u32, alpha: f32, beta: f32, k: f32 }

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
    let c4 = (params.channels + 3u) / 4u;
    let pixel = column / c4 * c4;
    let first = i32(4u * (column % c4)) - i32(params.size / 2u);
    var sums = vec4<f32>();
    // Channel first + j counts for component l if l <= j < l + size.
    for (var j = 0u; j < params.size + 3u; j++) {
        let c = first + i32(j);
        if c >= 0 && c < i32(params.channels) {
            let value = load_x(row, pixel + u32(c) / 4u)[u32(c) % 4u];
            let lanes = vec4<u32>(0u, 1u, 2u, 3u);
            let counts = (lanes <= vec4<u32>(j)) & (vec4<u32>(j) < lanes + params.size);
            sums += select(vec4<f32>(), vec4<f32>(value * value), counts);
        }
    }
    let base = params.k + params.alpha * sums;
    // llvmpipe's pow drops NaN.
    let factor = select(pow(base, vec4<f32>(-params.beta)), base, is_nan(base));
    let value = load_x(row, column) * factor;
    store_y(row, column, clip_channels(value, column % c4, params.channels));
}
