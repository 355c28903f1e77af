// Elementwise functions: y = f(x).
//
// One invocation computes one texel (four elements) in whatever layout x has: y has the same. x, y: [rows][width] texels, of
// which `texels` in a row hold `elements`, again and again; what pads the last of them stays 0, whatever f(0) is.
// KIND: 0 abs, 1 neg, 2 sign, 3 floor, 4 ceil, 5 round, 6 sqrt, 7 rsqrt, 8 reciprocal, 9 exp, 10 log, 11 sin, 12 cos, 13 erf.

override KIND: u32 = 0u;

struct Params { rows: u32, width: u32, texels: u32, elements: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return x[row * params.width + column]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = value; }

fn f(x: vec4<f32>) -> vec4<f32> {
    switch KIND {
        case 1u: { return -x; }
        case 2u: { return sign(x); }
        case 3u: { return floor(x); }
        case 4u: { return ceil(x); }
        case 5u: { return round(x); }
        case 6u: { return sqrt(x); }
        case 7u: { return inverseSqrt(x); }
        case 8u: { return 1.0 / x; }
        case 9u: { return exp(x); }
        case 10u: { return log(x); }
        case 11u: { return sine(x, 0); }
        case 12u: { return sine(x, 1); }
        case 13u: { return erf_near_zero_too(x); }
        default: { return abs(x); }
    }
}

// sin(x + quarters π/2). WGSL's own may be off by 2^-11. Less the nearest multiple of π/2, in three parts, of which two times a
// number below 2^13 is exact; the rest is by Taylor's polynomials, whose errors up to π/4 are 2e-9 and 3e-8.
fn sine(x: vec4<f32>, quarters: i32) -> vec4<f32> {
    let n = round(x * 0.63661977);
    let r = ((x - n * 1.5703125) - n * 0.00048375129699707) - n * 7.5497899e-8;
    let q = r * r;
    let sin_r = r * (1.0 - q * (1.0 / 6.0 - q * (1.0 / 120.0 - q * (1.0 / 5040.0 - q / 362880.0))));
    let cos_r = 1.0 - q * (0.5 - q * (1.0 / 24.0 - q * (1.0 / 720.0 - q / 40320.0)));
    let quarter = vec4<i32>(n) + quarters;
    let value = select(sin_r, cos_r, (quarter & vec4<i32>(1)) != vec4<i32>());
    return select(value, -value, (quarter & vec4<i32>(2)) != vec4<i32>());
}

// Where erf is small its error must be too: Taylor's polynomial, whose relative error is at most 3e-8 up to 0.5.
fn erf_near_zero_too(x: vec4<f32>) -> vec4<f32> {
    let q = x * x;
    let p = 1.0 / 10.0 - q * (1.0 / 42.0 - q * (1.0 / 216.0 - q / 1320.0));
    return select(erf(x), 1.12837917 * x * (1.0 - q * (1.0 / 3.0 - q * p)), abs(x) <= vec4<f32>(0.5));
}

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
    let element = column % params.texels * 4u + vec4<u32>(0u, 1u, 2u, 3u);
    let value = select(vec4<f32>(), f(load_x(row, column)), element < vec4<u32>(params.elements));
    store_y(row, column, value);
}
