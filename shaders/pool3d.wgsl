// Pooling of volumes: the maximum, the mean or the p-norm of the pixels in a window.
//
// A workgroup computes COLUMNS pixels; neighbours have neighbouring windows. LANES invocations share a pixel's window,
// ACROSS of them a row of it; workgroup memory joins them. x, y: row-major, [n * c][z][y][x].
// KIND: 0 max, 1 average, 2 Lp (PyTorch's), 3 the p-norm (ONNX's). Not measured on a GPU yet.

override KIND: u32 = 0u;
override COUNT_INCLUDE_PAD: bool = true;
override ADAPTIVE: bool = false;
override LANES: u32 = 1u;
override ACROSS: u32 = 1u;
override COLUMNS: u32 = 64u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

var<workgroup> partial: array<f32, LANES * COLUMNS>;

// Returns the `window` of an output pixel along an axis; axis 0 is the depth.
fn along(axis: u32, o: u32) -> vec3<u32> {
    return window(
        ADAPTIVE, o, params.size[axis], params.stride[axis], params.dilation[axis], params.before[axis],
        params.after[axis], params.input[axis], params.output[axis]);
}

fn join(a: f32, b: f32) -> f32 {
    if KIND == 0u { return maximum(vec4<f32>(a), vec4<f32>(b)).x; }
    return a + b;
}

@compute @workgroup_size(LANES * COLUMNS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let lane = invocation % LANES;
    let output = linear(group, groups) * COLUMNS + invocation / LANES;
    // Beyond the last output the last one is computed again, so that all invocations reach the barriers.
    let i = min(output, params.count - 1u);
    let row = i / params.output.z;
    let slice = row / params.output.y;
    let deep = along(0u, slice % params.output.x);
    let down = along(1u, row % params.output.y);
    let across = along(2u, i % params.output.z);
    let first = slice / params.output.x * params.input.x;
    var result = params.start;
    for (var r = lane / ACROSS; r < deep.y * down.y; r += LANES / ACROSS) {
        let plane = (first + deep.x + r / down.y * params.dilation.x) * params.input.y;
        let line = (plane + down.x + r % down.y * params.dilation.y) * params.input.z + across.x;
        for (var c = lane % ACROSS; c < across.y; c += ACROSS) {
            var value = load_x(line + c * params.dilation.z);
            if KIND == 3u { value = abs(value); }
            if KIND >= 2u { value = power(vec4<f32>(value), params.p, params.parity, params.nan).x; }
            result = join(result, value);
        }
    }
    if LANES > 1u {
        partial[invocation] = result;
        workgroupBarrier();
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            if lane < half {
                result = join(result, partial[invocation + half]);
                partial[invocation] = result;
            }
            workgroupBarrier();
        }
    }
    if lane > 0u || output >= params.count { return; }

    let inside = f32(max(deep.y * down.y * across.y, 1u));
    let counted = f32(deep.z * down.z * across.z);
    switch KIND {
        case 1u: { result /= select(inside, counted, COUNT_INCLUDE_PAD); }
        case 2u: {
            // PyTorch's Lp pooling is a mean times the window's size.
            if !ADAPTIVE { result *= f32(params.size.x * params.size.y * params.size.z) / counted; }
            result = root(vec4<f32>(result), params.p, params.nan).x;
        }
        case 3u: { result = root(vec4<f32>(result), params.p, params.nan).x; }
        default: {}
    }
    store_y(output, result);
}
