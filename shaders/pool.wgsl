// Pooling: the largest or the mean of the pixels in a window, for each channel.
//
// One invocation computes one texel: four channels of an output pixel. Neighbours have neighbouring channels.
// x, y: channels last, row n*H + y, column x*C/4 + c/4.

override AVERAGE: bool = false;
override ADAPTIVE: bool = false;
override COUNT_INCLUDE_PAD: bool = true;

struct Params {
    in_h: u32, in_w: u32, out_h: u32, out_w: u32, c4: u32, count: u32,
    size_y: u32, size_x: u32, stride_y: u32, stride_x: u32, dilation_y: u32, dilation_x: u32, top: u32, left: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return x[row * params.in_w * params.c4 + column]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * params.c4 + column] = value; }

// First pixel, past the last, and the pixels that an average counts, along one axis.
fn window(o: u32, size: u32, stride: u32, dilation: u32, before: u32, length: u32, outputs: u32) -> vec3<i32> {
    if ADAPTIVE {
        let first = o * length / outputs;
        let end = ((o + 1u) * length + outputs - 1u) / outputs;
        return vec3<i32>(i32(first), i32(end), i32(end - first));
    }
    let first = i32(o * stride) - i32(before);
    let end = first + i32((size - 1u) * dilation) + 1;
    // Padding counts as far as it was asked for; what only ceil_mode reaches does not.
    let counted = min(end, i32(length + before)) - first;
    return vec3<i32>(first, end, (counted + i32(dilation) - 1) / i32(dilation));
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

    let down = window(oy, params.size_y, params.stride_y, params.dilation_y, params.top, params.in_h, params.out_h);
    let across = window(ox, params.size_x, params.stride_x, params.dilation_x, params.left, params.in_w, params.out_w);
    var result = select(vec4<f32>(-3.4028235e38), vec4<f32>(), AVERAGE);
    var seen = 0;
    for (var iy = down.x; iy < down.y; iy += i32(params.dilation_y)) {
        for (var ix = across.x; ix < across.y; ix += i32(params.dilation_x)) {
            if iy >= 0 && ix >= 0 && iy < i32(params.in_h) && ix < i32(params.in_w) {
                let value = load_x(n * params.in_h + u32(iy), u32(ix) * params.c4 + c);
                if AVERAGE { result += value; } else { result = max(result, value); }
                seen += 1;
            }
        }
    }
    if AVERAGE {
        if COUNT_INCLUDE_PAD { seen = down.z * across.z; }
        result /= f32(seen);
    }
    store_y(n * params.out_h + oy, ox * params.c4 + c, result);
}
