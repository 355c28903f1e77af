// Rounding to the nearest number of a smaller format (ties to even), in integers, which no device flushes or rounds.
//
// One invocation rounds four elements. The format has `mantissa` bits after the point; below the exponent `least`
// (biased as in an f32) it is as dense as at `least`. Numbers above `largest` become `beyond`. signs: 1 if 0 has a
// sign. POWERS: the format has powers of two alone, and magnitudes are rounded up.

override POWERS: bool = false;

struct Params { width: u32, mantissa: u32, least: u32, largest: u32, beyond: u32, nan: u32, signs: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>;

fn load_x(i: u32) -> vec4<u32> { return x[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = value; }

fn nearest(size: u32) -> u32 {
    let exponent = max(size >> 23u, 1u);
    let whole = (size & 0x7fffffu) | select(0u, 0x800000u, size > 0x7fffffu);
    // Rounding off 25 bits or more leaves 0.
    let lost = min(23u - params.mantissa + max(params.least, exponent) - exponent, 25u);
    let even = (whole >> lost) & 1u;
    let rounded = ((whole + (1u << (lost - 1u)) - 1u + even) >> lost) << lost;
    // A mantissa's leading bit adds 1 to the exponent.
    return select(((exponent - 1u) << 23u) + rounded, 0u, rounded == 0u);
}

// Rounds up to a power of two. Powers below 2^-126 are subnormal; 2^-127 is the least.
fn power(size: u32) -> u32 {
    return select(max((size + 0x7fffffu) & 0x7f800000u, 0x800000u), 0x400000u, size <= 0x400000u);
}

fn reduce_precision(bits: u32) -> u32 {
    let size = bits & 0x7fffffffu;
    let sign = select(bits & 0x80000000u, 0u, POWERS);
    if size > 0x7f800000u { return params.nan; }
    var value = params.beyond;
    if size < 0x7f800000u {
        let rounded = select(nearest(size), power(size), POWERS);
        if rounded <= params.largest { value = rounded; }
    }
    return select(value | sign, 0u, value == 0u && params.signs == 0u);
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.width { return; }
    let bits = load_x(i);
    store_y(i, vec4<u32>(reduce_precision(bits.x), reduce_precision(bits.y), reduce_precision(bits.z), reduce_precision(bits.w)));
}
