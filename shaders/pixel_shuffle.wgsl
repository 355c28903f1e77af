// Pixel shuffle and its inverse. Shuffle: y[n, c, h r + i, w r + j] = x[n, k, h, w]; channel k is c r² + i r + j, or
// (i r + j) C + c if DEPTH_FIRST. UNSHUFFLE: x and y exchanged.
//
// One invocation gathers one texel of y: four channels of a pixel, or four pixels of a row (Y_ROWS: y is NCHW).
// x: channels last, row n*H + y, column x*C/4 + c/4.

override Y_ROWS: bool = false;
override UNSHUFFLE: bool = false;
override DEPTH_FIRST: bool = false;

struct Params { in_w: u32, in_c: u32, out_h: u32, out_w: u32, out_c: u32, factor: u32, count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.in_w * ((params.in_c + 3u) / 4u) + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * ((params.out_c + 3u) / 4u) + column] = to_texel(value); }

// Returns the element of y at row n*H' + oy, pixel ox and channel c.
fn source(row: u32, ox: u32, c: u32) -> f32 {
    let r = params.factor;
    var at = vec3<u32>(row / r, ox / r, 0u);
    if UNSHUFFLE {
        let k = select(vec2<u32>(c / (r * r), c % (r * r)), vec2<u32>(c % params.in_c, c / params.in_c), DEPTH_FIRST);
        at = vec3<u32>(row * r + k.y / r, ox * r + k.y % r, k.x);
    } else {
        let place = row % r * r + ox % r;
        at.z = select(c * r * r + place, place * params.out_c + c, DEPTH_FIRST);
    }
    return load_x(at.x, at.y * ((params.in_c + 3u) / 4u) + at.z / 4u)[at.z % 4u];
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var value = vec4<f32>();
    if Y_ROWS {
        let ox = 4u * i % params.out_w;
        let oy = 4u * i / params.out_w % params.out_h;
        let c = 4u * i / params.out_w / params.out_h % params.out_c;
        let n = 4u * i / params.out_w / params.out_h / params.out_c;
        for (var j = 0u; j < 4u; j++) { value[j] = source(n * params.out_h + oy, ox + j, c); }
        // The row-major tensor is one row of texels.
        store_y(0u, i, value);
        return;
    }
    let c4 = (params.out_c + 3u) / 4u;
    let c = i % c4;
    let ox = i / c4 % params.out_w;
    let row = i / c4 / params.out_w;
    for (var j = 0u; j < min(4u, params.out_c - 4u * c); j++) { value[j] = source(row, ox, 4u * c + j); }
    store_y(row, ox * c4 + c, value);
}
