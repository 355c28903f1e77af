// Padding of images: y[n, c, p] = x[n, c, source(p - before)].
//
// One invocation copies one texel (four channels of a pixel).
// x, y: channels last, row n*H + y, column x*C/4 + c/4. MODE: 0 zeros, 1 reflect, 2 replicate, 3 circular.

override MODE: u32 = 0u;

struct Params { in_h: u32, in_w: u32, out_h: u32, out_w: u32, c4: u32, count: u32, top: u32, left: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return x[row * params.in_w * params.c4 + column]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * params.c4 + column] = value; }

// The pixel of the image that stands at i along an axis, or -1 for none.
fn source(i: i32, size: i32) -> i32 {
    switch MODE {
        case 1u: {
            let mirrored = abs(i);
            return select(mirrored, 2 * (size - 1) - mirrored, mirrored >= size);
        }
        case 2u: { return clamp(i, 0, size - 1); }
        case 3u: { return (i + size) % size; }
        default: { return select(-1, i, i >= 0 && i < size); }
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups) * 64u + lane;
    if i >= params.count { return; }
    let c = i % params.c4;
    let pixel = i / params.c4;
    let ox = pixel % params.out_w;
    let oy = pixel / params.out_w % params.out_h;
    let n = pixel / params.out_w / params.out_h;
    let iy = source(i32(oy) - i32(params.top), i32(params.in_h));
    let ix = source(i32(ox) - i32(params.left), i32(params.in_w));
    var value = vec4<f32>();
    if iy >= 0 && ix >= 0 { value = load_x(n * params.in_h + u32(iy), u32(ix) * params.c4 + c); }
    store_y(n * params.out_h + oy, ox * params.c4 + c, value);
}
