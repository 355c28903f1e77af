// Comparison with broadcasting: y[i] = 1 if a[i] and b[i] are in the requested order, otherwise 0.
//
// One invocation compares four neighbouring pairs. a, b, y: row-major (lib/operands.wgsl). WHEN: bits 0 to 3 are y for
// a < b, a = b, a > b, and NaN. FLOAT: f32s, compared as integers in the same order: a device may take f32s that are
// almost 0 for 0, and NaN for anything.

override FLOAT: bool = true;
override WHEN: u32 = 2u;

struct Params { sizes: array<vec4<u32>, 2>, a: array<vec4<u32>, 2>, b: array<vec4<u32>, 2>, count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<u32>>;

fn load_a(i: u32) -> u32 { return a[i]; }
fn load_b(i: u32) -> u32 { return b[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = value; }

// Returns the bits of an f32 without its sign.
fn magnitude(bits: vec4<i32>) -> vec4<i32> { return bits & vec4<i32>(0x7fffffff); }

fn rank(bits: vec4<i32>) -> vec4<i32> {
    return select(bits, -magnitude(bits), vec4<bool>(FLOAT) & (bits < vec4<i32>()));
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if 4u * i >= params.count { return; }
    let at = operands(i);
    let a4 = vec4<u32>(load_a(at.a.x), load_a(at.a.y), load_a(at.a.z), load_a(at.a.w));
    let b4 = vec4<u32>(load_b(at.b.x), load_b(at.b.y), load_b(at.b.z), load_b(at.b.w));
    let left = bitcast<vec4<i32>>(a4);
    let right = bitcast<vec4<i32>>(b4);
    let equal = select(vec4<u32>(2u), vec4<u32>(1u), rank(left) == rank(right));
    let ordered = select(equal, vec4<u32>(0u), rank(left) < rank(right));
    let none = max(magnitude(left), magnitude(right)) > vec4<i32>(0x7f800000);
    let order = select(ordered, vec4<u32>(3u), vec4<bool>(FLOAT) & none);
    store_y(i, (vec4<u32>(WHEN) >> order) & vec4<u32>(1u));
}
