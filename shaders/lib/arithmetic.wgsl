// Arithmetic on two operands, four elements at once.
//
// kind: 0 add, 1 subtract, 2 multiply, 3 divide, 4 maximum, 5 minimum, 6 power, 7 the remainder with b's sign, 8 the
// remainder with a's sign. `src/ops/binary.rs` chooses.

fn combine(kind: u32, a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    switch kind {
        case 1u: { return a - b; }
        case 2u: { return a * b; }
        case 3u: { return a / b; }
        case 4u: { return maximum(a, b); }
        case 5u: { return minimum(a, b); }
        case 6u: { return power(a, b); }
        case 7u: { return modulo(a, b); }
        case 8u: { return remainders(a, b); }
        default: { return a + b; }
    }
}

// Returns a^b as IEEE 754 defines it, also for zeros, infinities and NaN: WGSL's pow is for positive numbers only.
// Squares, the most common powers, are exact.
fn power(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let one = vec4<f32>(1.0);
    let infinity = vec4<u32>(0x7f800000u);
    let bits = bitcast<vec4<u32>>(a);
    let size = abs(a);
    // The powers of 0 and infinity, and those with an infinite exponent, are 0, infinity or 1.
    let from_end = (size == vec4<f32>()) | (bitcast<vec4<u32>>(size) == infinity);
    let at_end = from_end | (bitcast<vec4<u32>>(abs(b)) == infinity);
    let up = (size > one) == (b > vec4<f32>());
    let end = select(bitcast<vec4<f32>>(select(vec4<u32>(), infinity, up)), one, size == one);
    let positive = select(pow(size, b), end, at_end);
    // NaN, from bits that no compiler can fold.
    let nothing = bitcast<vec4<f32>>(bits | vec4<u32>(0x7fc00000u));
    let whole = floor(b) == b;
    let odd = whole & (floor(0.5 * b) * 2.0 != b);
    let negative = select(nothing, select(positive, -positive, odd), whole | from_end);
    let general = select(positive, negative, bits >= vec4<u32>(0x80000000u));
    let number = select(general, nothing, is_nan(a) | is_nan(b));
    return select(select(number, one, (b == vec4<f32>()) | (a == one)), a * a, b == vec4<f32>(2.0));
}

fn modulo(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let rest = remainders(a, b);
    let other_side = (rest != vec4<f32>()) & ((rest < vec4<f32>()) != (b < vec4<f32>()));
    return select(rest, rest + b, other_side);
}

fn remainders(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    var all = vec4<f32>();
    for (var k = 0u; k < 4u; k++) { all[k] = remainder(bitcast<u32>(a[k]), bitcast<u32>(b[k])); }
    return all;
}

// Returns the remainder by long division of the mantissas, seven bits a step: exact for any quotient, unlike a - b
// trunc(a / b). A number is its mantissa times 2 to its exponent; a subnormal's exponent counts as 1.
fn remainder(a: u32, b: u32) -> f32 {
    let size_a = a & 0x7fffffffu;
    let size_b = b & 0x7fffffffu;
    if size_a >= 0x7f800000u || size_b > 0x7f800000u || size_b == 0u { return bitcast<f32>(a | 0x7fffffffu); }
    if size_a < size_b { return bitcast<f32>(a); }
    let exponent = max(size_b >> 23u, 1u);
    let divisor = mantissa(size_b);
    var rest = mantissa(size_a) % divisor;
    var left = max(size_a >> 23u, 1u) - exponent;
    while left > 0u && rest > 0u {
        let step = min(left, 7u);
        rest = (rest << step) % divisor;
        left -= step;
    }
    let up = min(countLeadingZeros(rest) - 8u, exponent - 1u);
    // The leading bit of a normal mantissa adds 1 to the exponent.
    let bits = select(((exponent - 1u - up) << 23u) + (rest << up), 0u, rest == 0u);
    return bitcast<f32>(bits | (a & 0x80000000u));
}

fn mantissa(size: u32) -> u32 {
    return (size & 0x7fffffu) | select(0u, 0x800000u, size > 0x7fffffu);
}
