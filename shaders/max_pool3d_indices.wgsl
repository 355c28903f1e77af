// Max pooling of volumes with indices: the largest pixel in each window, and its place in the volume, (z * H + y) * W + x. Of equal
// ones the first; NaN is larger than any number, and of several it is the last, as in PyTorch.
//
// One invocation computes one pixel; neighbours have neighbouring windows. x, values, places: row-major, [n * c][z][y][x]. Not
// measured on a GPU yet.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> places: array<i32>;

const NAN: u32 = 0xffffffffu;

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
    let first = slice / params.output.x * params.input.x * params.input.y * params.input.z;
    var best = 0u;
    var place = -1;
    for (var a = 0u; a < deep.y; a++) {
        let plane = (deep.x + a * params.dilation.x) * params.input.y;
        for (var b = 0u; b < down.y; b++) {
            let line = (plane + down.x + b * params.dilation.y) * params.input.z + across.x;
            for (var c = 0u; c < across.y; c++) {
                let at = line + c * params.dilation.z;
                let pixel = order(bitcast<u32>(x[first + at]), true);
                if place < 0 || pixel > best || pixel == NAN {
                    best = pixel;
                    place = i32(at);
                }
            }
        }
    }
    places[i] = place;
    if place < 0 {
        values[i] = params.start;
    } else {
        values[i] = x[first + u32(place)];
    }
}
