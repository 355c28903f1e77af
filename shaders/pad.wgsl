// Padding and cropping of images: y[n, c, p] = x[n, c, source(p - before)], or a constant if the source is outside.
//
// One invocation copies one texel (four channels of a pixel).
// x, y: channels last, row n*H + y, column x*C/4 + c/4. MODE: 0 constant, 1 reflect, 2 replicate, 3 circular.

override MODE: u32 = 0u;

struct Params {
    in_h: u32, in_w: u32, out_h: u32, out_w: u32, c: u32, count: u32, value: f32,
    top: i32, left: i32, from_y: i32, from_x: i32, to_y: i32, to_x: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.in_w * ((params.c + 3u) / 4u) + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * ((params.c + 3u) / 4u) + column] = to_texel(value); }

// Returns the pixel of the image for position i along an axis, or -1 for none. Pixels `first` to `end` repeat.
fn source(i: i32, first: i32, end: i32) -> i32 {
    switch MODE {
        case 1u: {
            let mirrored = abs(i);
            return select(mirrored, 2 * (end - 1) - mirrored, mirrored >= end);
        }
        case 2u: { return clamp(i, 0, end - 1); }
        case 3u: { return select(select(i, i - (end - first), i >= end), i + (end - first), i < first); }
        default: { return select(-1, i, i >= 0 && i < end); }
    }
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    let c4 = (params.c + 3u) / 4u;
    let pixel = divide(i, c4);
    let c = i - pixel * c4;
    let row = divide(pixel, params.out_w);
    let ox = pixel - row * params.out_w;
    let n = divide(row, params.out_h);
    let oy = row - n * params.out_h;
    let iy = source(i32(oy) - params.top, params.from_y, params.to_y);
    let ix = source(i32(ox) - params.left, params.from_x, params.to_x);
    var value = clip_channels(vec4<f32>(params.value), c, params.c);
    if iy >= 0 && ix >= 0 { value = load_x(n * params.in_h + u32(iy), u32(ix) * c4 + c); }
    store_y(n * params.out_h + oy, ox * c4 + c, value);
}
