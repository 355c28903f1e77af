// Max pooling of volumes with indices: the largest pixel in each window, and its index, (z * H + y) * W + x. Of equal
// pixels the first counts; NaN is larger than any number, and of several NaNs the last counts, as in PyTorch.
//
// A workgroup computes COLUMNS pixels, neighbours with neighbouring windows. LANES invocations share a window, ACROSS
// of them a row; workgroup memory joins them. x, values, places: row-major, [n * c][z][y][x]. Not measured on a GPU.

override ADAPTIVE: bool = false;
override LANES: u32 = 1u;
override ACROSS: u32 = 1u;
override COLUMNS: u32 = 64u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> places: array<i32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_values(i: u32, value: f32) { values[i] = value; }
fn store_places(i: u32, value: i32) { places[i] = value; }

var<workgroup> partial: array<vec2<u32>, LANES * COLUMNS>;

// Returns the `window` of an output pixel along an axis; axis 0 is the depth.
fn along(axis: u32, o: u32) -> vec3<u32> {
    return window(
        ADAPTIVE, o, params.size[axis], params.stride[axis], params.dilation[axis], params.before[axis],
        params.after[axis], params.input[axis], params.output[axis]);
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
    let first = slice / params.output.x * params.input.x * params.input.y * params.input.z;
    var best = NO_PIXEL;
    for (var r = lane / ACROSS; r < deep.y * down.y; r += LANES / ACROSS) {
        let plane = (deep.x + r / down.y * params.dilation.x) * params.input.y;
        let line = (plane + down.x + r % down.y * params.dilation.y) * params.input.z + across.x;
        for (var c = lane % ACROSS; c < across.y; c += ACROSS) {
            let at = line + c * params.dilation.z;
            let pixel = vec2<u32>(order(bitcast<u32>(load_x(first + at)), true), at);
            if larger(pixel, best) { best = pixel; }
        }
    }
    if LANES > 1u {
        partial[invocation] = best;
        workgroupBarrier();
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            if lane < half {
                let other = partial[invocation + half];
                if larger(other, best) { best = other; }
                partial[invocation] = best;
            }
            workgroupBarrier();
        }
    }
    if lane > 0u || output >= params.count { return; }

    store_places(output, i32(best.y));
    if best.x == NO_PIXEL.x {
        store_values(output, params.start);
    } else {
        store_values(output, load_x(first + best.y));
    }
}
