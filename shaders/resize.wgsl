// Resampling of images: y[n, c, oy, ox] = the sum over i and j of x[n, c, iy + i, ix + j] wy[i] wx[j]. Edges repeat.
//
// One invocation computes one texel: four channels of an output pixel. The host computes the position of each output
// row and column in x once: a pixel, and the distance beyond it. x, y: channels last, row n*H + y, column x*C/4 + c/4.
// positions: (pixel as an i32, fraction as an f32), of rows, then of columns. TAPS: 1 nearest, 2 linear, 4 cubic. rows,
// columns: TAPS, but 1 along a copied axis: 0 times an infinity is NaN.

override TAPS: u32 = 2u;

struct Params { in_h: u32, in_w: u32, out_h: u32, out_w: u32, c4: u32, count: u32, rows: u32, columns: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> positions: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.in_w * params.c4 + column]); }
fn load_positions(i: u32) -> vec2<u32> { return positions[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * params.c4 + column] = to_texel(value); }

// Returns the pixel that a tap reads.
fn pixel(position: vec2<u32>, tap: u32, size: u32) -> u32 {
    return u32(clamp(bitcast<i32>(position.x) + i32(tap) - i32((TAPS - 1u) / 2u), 0, i32(size) - 1));
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    let place = divide(i, params.c4);
    let c = i - place * params.c4;
    let ox = place % params.out_w;
    let oy = place / params.out_w % params.out_h;
    let n = place / params.out_w / params.out_h;

    let down = load_positions(oy);
    let across = load_positions(params.out_h + ox);
    var result = vec4<f32>();
    for (var j = 0u; j < params.rows; j++) {
        let row = n * params.in_h + pixel(down, j, params.in_h);
        var sum = vec4<f32>();
        for (var k = 0u; k < params.columns; k++) {
            let column = pixel(across, k, params.in_w) * params.c4 + c;
            sum += tap_weight(TAPS, k, bitcast<f32>(across.y)) * load_x(row, column);
        }
        result += tap_weight(TAPS, j, bitcast<f32>(down.y)) * sum;
    }
    store_y(n * params.out_h + oy, ox * params.c4 + c, result);
}
