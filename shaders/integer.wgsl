// Integer arithmetic with broadcasting: y[i] = a[i] ∘ b[i]. Booleans are integers too, 0 and 1.
//
// One invocation computes four neighbouring elements of y. a, b, y: row-major (lib/operands.wgsl). KIND: 0 add, 1
// subtract, 2 multiply, 3 divide, 4 maximum, 5 minimum; 6 and, 7 or, 8 xor; 9 the remainder with b's sign, 10 with a's;
// 11 shift left, 12 right; 13 power; of a alone 14 not (of a boolean), 15 not (of all bits), 16 abs, 17 negate, 18 sign.

override KIND: u32 = 0u;

struct Params { sizes: array<vec4<u32>, 2>, a: array<vec4<u32>, 2>, b: array<vec4<u32>, 2>, count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<i32>;
@group(0) @binding(2) var<storage, read> b: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<i32>>;

fn load_a(i: u32) -> i32 { return a[i]; }
fn load_b(i: u32) -> i32 { return b[i]; }
fn store_y(i: u32, value: vec4<i32>) { y[i] = value; }

fn combine(a: i32, b: i32) -> i32 {
    switch KIND {
        case 1u: { return a - b; }
        case 2u: { return a * b; }
        case 3u: { return quotient(a, b); }
        case 4u: { return max(a, b); }
        case 5u: { return min(a, b); }
        case 6u: { return a & b; }
        case 7u: { return a | b; }
        case 8u: { return a ^ b; }
        case 9u: { return modulo(a, b); }
        case 10u: { return a - quotient(a, b) * b; }
        case 11u: { return select(a << (u32(b) & 31u), 0, u32(b) > 31u); }
        case 12u: { return select(i32(u32(a) >> (u32(b) & 31u)), 0, u32(b) > 31u); }
        case 13u: { return power(a, b); }
        case 14u: { return a ^ 1; }
        case 15u: { return ~a; }
        case 16u: { return abs(a); }
        case 17u: { return -a; }
        case 18u: { return sign(a); }
        default: { return a + b; }
    }
}

// Returns a / b; a if the division has no result: without wgpu's checks a device may do what it likes there.
fn quotient(a: i32, b: i32) -> i32 {
    let overflows = a < -0x7fffffff && b == -1;
    return a / select(b, 1, b == 0 || overflows);
}

fn modulo(a: i32, b: i32) -> i32 {
    let rest = a - quotient(a, b) * b;
    return select(rest, rest + b, b != 0 && rest != 0 && (rest < 0) != (b < 0));
}

// Returns a^b by squaring, so that it wraps around as a product does. Only 1 and -1 have whole reciprocals.
fn power(a: i32, b: i32) -> i32 {
    if b < 0 && abs(a) != 1 { return 0; }
    var result = 1;
    var square = a;
    for (var left = select(u32(b), u32(b) & 1u, b < 0); left > 0u; left >>= 1u) {
        if (left & 1u) == 1u { result *= square; }
        square *= square;
    }
    return result;
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if 4u * i >= params.count { return; }
    let at = operands(i);
    let a4 = vec4<i32>(load_a(at.a.x), load_a(at.a.y), load_a(at.a.z), load_a(at.a.w));
    let b4 = vec4<i32>(load_b(at.b.x), load_b(at.b.y), load_b(at.b.z), load_b(at.b.w));
    store_y(i, vec4<i32>(combine(a4.x, b4.x), combine(a4.y, b4.y), combine(a4.z, b4.z), combine(a4.w, b4.w)));
}
