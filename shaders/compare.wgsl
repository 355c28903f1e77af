// Comparison with broadcasting: y[i] = 1 if a[i] and b[i] are in the requested order, otherwise 0.
//
// One invocation compares one pair. a, b, y: row-major, at most 8 dimensions, sizes and strides outermost first, stride
// 0 if repeated. WHEN: bits 0 to 3 are y for a < b, a = b, a > b, and NaN. FLOAT: f32s, compared as integers in the
// same order: a device may take f32s that are almost 0 for 0, and NaN for anything.

override FLOAT: bool = true;
override WHEN: u32 = 2u;

struct Params { sizes: array<vec4<u32>, 2>, a: array<vec4<u32>, 2>, b: array<vec4<u32>, 2>, count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<i32>;
@group(0) @binding(2) var<storage, read> b: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

fn load_a(i: u32) -> i32 { return a[i]; }
fn load_b(i: u32) -> i32 { return b[i]; }
fn store_y(i: u32, value: u32) { y[i] = value; }

// Returns the bits of an f32 without its sign.
fn magnitude(bits: i32) -> i32 {
    return bits & 0x7fffffff;
}

fn rank(bits: i32) -> i32 {
    return select(bits, -magnitude(bits), FLOAT && bits < 0);
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var rest = i;
    var from_a = 0u;
    var from_b = 0u;
    for (var d = 7u; rest > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        let at = rest % size;
        rest /= size;
        from_a += at * params.a[d / 4u][d % 4u];
        from_b += at * params.b[d / 4u][d % 4u];
    }
    let left = load_a(from_a);
    let right = load_b(from_b);
    var order = select(select(2u, 1u, rank(left) == rank(right)), 0u, rank(left) < rank(right));
    if FLOAT && max(magnitude(left), magnitude(right)) > 0x7f800000 { order = 3u; }
    store_y(i, (WHEN >> order) & 1u);
}
