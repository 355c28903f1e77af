// Quantisation: y = saturate(round(x / scale) + zero_point); BACK, its inverse: y = (x - zero_point) * scale.
//
// One invocation computes four elements. x, y: row-major. BITS: the bits of an element of x: 32; with BACK also 8 or 4,
// for packed weights, stored as the weight + `offset`. Element i has the scale and the zero point at `scale_of(i)`; its
// strides are 0 where elements share them. SCALES, ZEROS: there are several.

override BACK: bool = false;
override BITS: u32 = 32u;
override SCALES: bool = false;
override ZEROS: bool = false;

struct Params {
    count: u32, inner: u32, size: u32, block: u32, outer: u32, along: u32, within: u32, offset: i32, lo: i32, hi: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> zero_point: array<i32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<u32>>;

fn load_x(i: u32) -> u32 { return x[i]; }
fn load_scale(i: u32) -> f32 { return scale[i]; }
fn load_zero_point(i: u32) -> i32 { return zero_point[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = value; }

fn scale_of(i: u32) -> u32 {
    let row = i / params.inner;
    return row / params.size * params.outer + row % params.size / params.block * params.along + i % params.inner * params.within;
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i * 4u >= params.count { return; }
    var at: vec4<u32>;
    if SCALES || ZEROS {
        for (var l = 0u; l < 4u; l++) { at[l] = scale_of(min(i * 4u + l, params.count - 1u)); }
    }
    var s = vec4<f32>(load_scale(0u));
    if SCALES { s = vec4<f32>(load_scale(at.x), load_scale(at.y), load_scale(at.z), load_scale(at.w)); }
    var zero = vec4<i32>(load_zero_point(0u));
    if ZEROS { zero = vec4<i32>(load_zero_point(at.x), load_zero_point(at.y), load_zero_point(at.z), load_zero_point(at.w)); }

    var four: vec4<u32>;
    switch BITS {
        case 4u: { four = (vec4<u32>(load_x(i / 2u) >> (i % 2u * 16u)) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u); }
        case 8u: { four = (vec4<u32>(load_x(i)) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u); }
        default: { four = vec4<u32>(load_x(4u * i), load_x(4u * i + 1u), load_x(4u * i + 2u), load_x(4u * i + 3u)); }
    }
    if BACK {
        store_y(i, bitcast<vec4<u32>>(vec4<f32>(bitcast<vec4<i32>>(four) - params.offset - zero) * s));
    } else {
        store_y(i, bitcast<vec4<u32>>(quantized(bitcast<vec4<f32>>(four) / s, zero, params.lo, params.hi)));
    }
}
