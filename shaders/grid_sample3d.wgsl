// Sampling of volumes at given positions: y[n, c, oz, oy, ox] = x[n, c] at grid[n, oz, oy, ox], an (x, y, z) between -1
// and 1, interpolated. A NaN position gives a NaN sample. Not measured on a GPU yet.
//
// One invocation computes one element; neighbours have neighbouring positions. x, grid, y: row-major. input, output:
// (depth, height, width). TAPS: 1 nearest, 2 trilinear. padding, align_corners: see lib/grid.wgsl.

override TAPS: u32 = 2u;

struct Params { input: vec3<u32>, count: u32, output: vec3<u32>, c: u32, padding: u32, align_corners: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> grid: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn load_grid(i: u32) -> f32 { return grid[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    let volume = params.output.x * params.output.y * params.output.z;
    let channel = i / volume;
    let first = 3u * (channel / params.c * volume + i % volume);

    let size = vec3<f32>(params.input.zyx);
    let given = vec3<f32>(load_grid(first), load_grid(first + 1u), load_grid(first + 2u));
    var at = vec3<f32>();
    for (var axis = 0u; axis < 3u; axis++) {
        let beside = along(given[axis], size[axis], params.align_corners == 1u);
        at[axis] = inside(beside, size[axis], params.padding, params.align_corners == 1u);
    }
    let pixel = select(floor(at), round(at), TAPS == 1u);
    let fraction = at - pixel;

    var result = 0.0;
    for (var k = 0u; k < TAPS * TAPS * TAPS; k++) {
        let step = vec3<u32>(k % TAPS, k / TAPS % TAPS, k / (TAPS * TAPS));
        let tap = pixel + vec3<f32>(step);
        if all(tap >= vec3<f32>()) && all(tap < size) {
            var weight = 1.0;
            for (var axis = 0u; axis < 3u; axis++) { weight *= tap_weight(TAPS, step[axis], fraction[axis]); }
            let place = vec3<u32>(tap);
            let row = (channel * params.input.x + place.z) * params.input.y + place.y;
            result += weight * load_x(row * params.input.z + place.x);
        }
    }
    if any(is_nan(given.xyzx)) { result = given.x + given.y + given.z; }
    store_y(i, result);
}
