// Conversion of elements to another type.
//
// One invocation converts four elements. KIND: 0 f32 to i32, 1 i32 (or a boolean, 0 or 1) to f32, 2 f32 to boolean, 3
// i32 to boolean.

override KIND: u32 = 0u;

struct Params { width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>;

fn load_x(i: u32) -> vec4<u32> { return x[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = value; }

// Rounds toward zero. A number beyond the range of i32 becomes the nearest i32, NaN becomes 0.
fn truncated(bits: vec4<u32>) -> vec4<i32> {
    let value = bitcast<vec4<f32>>(bits);
    // The upper bound is the greatest f32 that equals an i32.
    let within = vec4<i32>(clamp(value, vec4<f32>(-2147483648.0), vec4<f32>(2147483520.0)));
    let all = select(within, vec4<i32>(0x7fffffff), value >= vec4<f32>(2147483648.0));
    return select(all, vec4<i32>(), (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}

fn converted(bits: vec4<u32>) -> vec4<u32> {
    switch KIND {
        case 1u: { return bitcast<vec4<u32>>(vec4<f32>(bitcast<vec4<i32>>(bits))); }
        // Tests the bits: -0 is false; numbers that are almost 0 are true.
        case 2u: { return select(vec4<u32>(), vec4<u32>(1u), (bits & vec4<u32>(0x7fffffffu)) != vec4<u32>()); }
        case 3u: { return select(vec4<u32>(), vec4<u32>(1u), bits != vec4<u32>()); }
        default: { return bitcast<vec4<u32>>(truncated(bits)); }
    }
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.width { return; }
    store_y(i, converted(load_x(i)));
}
