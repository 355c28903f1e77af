// Tests for NaN and infinity by the bits: a compiler may assume that comparisons never see NaN.
//
// One invocation tests four elements. KINDS: the sum of 1 for NaN, 2 for infinity, 4 for minus infinity.

override KINDS: u32 = 1u;

struct Params { width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>;

fn load_x(i: u32) -> vec4<u32> { return x[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.width { return; }
    let bits = load_x(i);
    let infinity = vec4<u32>(0x7f800000u);
    let nan = select(vec4<u32>(), vec4<u32>(1u), (bits & vec4<u32>(0x7fffffffu)) > infinity);
    let above = select(vec4<u32>(), vec4<u32>(2u), bits == infinity);
    let below = select(vec4<u32>(), vec4<u32>(4u), bits == vec4<u32>(0xff800000u));
    store_y(i, min((nan | above | below) & vec4<u32>(KINDS), vec4<u32>(1u)));
}
