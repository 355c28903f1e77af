// Pooling of volumes: the largest, the mean or the p-norm of the pixels in a window.
//
// One invocation computes one pixel; neighbours have neighbouring windows. x, y: row-major, [n * c][z][y][x]. KIND: 0 max, 1 average,
// 2 Lp (PyTorch's), 3 the p-norm (ONNX's). Not measured on a GPU yet.

override KIND: u32 = 0u;
override COUNT_INCLUDE_PAD: bool = true;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// `window` of an output pixel along an axis, 0 the depth.
fn along(axis: u32, o: u32) -> vec3<u32> {
    return window(
        ADAPTIVE, o, params.size[axis], params.stride[axis], params.dilation[axis], params.before[axis],
        params.after[axis], params.input[axis], params.output[axis]);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups) * 64u + lane;
    if i >= params.count { return; }
    let row = i / params.output.z;
    let slice = row / params.output.y;
    let deep = along(0u, slice % params.output.x);
    let down = along(1u, row % params.output.y);
    let across = along(2u, i % params.output.z);
    let first = slice / params.output.x * params.input.x;
    var result = params.start;
    for (var a = 0u; a < deep.y; a++) {
        let plane = (first + deep.x + a * params.dilation.x) * params.input.y;
        for (var b = 0u; b < down.y; b++) {
            let line = (plane + down.x + b * params.dilation.y) * params.input.z + across.x;
            for (var c = 0u; c < across.y; c++) {
                var value = x[line + c * params.dilation.z];
                if KIND == 3u { value = abs(value); }
                if KIND >= 2u { value = power(vec4<f32>(value), params.p, params.parity, params.nan).x; }
                if KIND == 0u { result = max(result, value); } else { result += value; }
            }
        }
    }
    let inside = f32(max(deep.y * down.y * across.y, 1u));
    let counted = f32(deep.z * down.z * across.z);
    switch KIND {
        case 1u: { result /= select(inside, counted, COUNT_INCLUDE_PAD); }
        case 2u: {
            // PyTorch takes it for a mean times the window's size.
            if !ADAPTIVE { result *= f32(params.size.x * params.size.y * params.size.z) / counted; }
            result = root(vec4<f32>(result), params.p, params.nan).x;
        }
        case 3u: { result = root(vec4<f32>(result), params.p, params.nan).x; }
        default: {}
    }
    y[i] = result;
}
