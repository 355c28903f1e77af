// Elementwise arithmetic on two tensors of one shape: y = f(a ∘ b).
//
// One invocation computes one texel (four elements); a, b and y share a layout of [rows][width] texels.
// KIND: 0 add, 1 subtract, 2 multiply, 3 divide.

override KIND: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params { rows: u32, width: u32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

fn load_a(row: u32, column: u32) -> vec4<f32> { return a[row * params.width + column]; }
fn load_b(row: u32, column: u32) -> vec4<f32> { return b[row * params.width + column]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = value; }

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = i / params.width;
    let column = i % params.width;
    let left = load_a(row, column);
    let right = load_b(row, column);
    var value = left + right;
    switch KIND {
        case 1u: { value = left - right; }
        case 2u: { value = left * right; }
        case 3u: { value = left / right; }
        default: {}
    }
    store_y(row, column, activate(ACTIVATION, value, params.lo, params.hi, params.alpha));
}
