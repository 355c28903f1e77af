// A stored texel of four f16s in two words. It needs `Caps::packs_f16`, not arithmetic in f16.
alias Half = vec2<u32>;
fn from_half(stored: Half) -> vec4<f32> { return vec4<f32>(unpack2x16float(stored.x), unpack2x16float(stored.y)); }
fn to_half(value: vec4<f32>) -> Half {
    let half = as_half(value);
    return vec2<u32>(two_halves(half.xy), two_halves(half.zw));
}

fn from_half_bits(stored: Half) -> vec4<u32> { return bitcast<vec4<u32>>(from_half(stored)); }
fn to_half_bits(value: vec4<u32>) -> Half { return to_half(bitcast<vec4<f32>>(value)); }

// Returns number i, from the word that holds it and its neighbour.
fn from_pair(stored: u32, i: u32) -> f32 { return unpack2x16float(stored)[i % 2u]; }

// Returns the nearest numbers that f16 has: even ones in the middle between two, infinite ones from 65520 on. NaN stays
// NaN. Devices convert by truncation or to the nearest, and need not keep infinity: after this, either is exact.
fn as_half(value: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(value);
    let size = bits & vec4<u32>(0x7fffffffu);
    let odd = (bits >> vec4<u32>(13u)) & vec4<u32>(1u);
    let nearest = (bits + vec4<u32>(0xfffu) + odd) & vec4<u32>(0xffffe000u);
    let infinite = (bits & vec4<u32>(0x80000000u)) | vec4<u32>(0x7f800000u);
    let special = select(infinite, bits, size > vec4<u32>(0x7f800000u));
    return bitcast<vec4<f32>>(select(special, nearest, size < vec4<u32>(0x477ff000u)));
}

// Returns the bits of two f16s. `pack2x16float` leaves infinity and NaN undefined, and SwiftShader's changes the other
// number too.
fn two_halves(half: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(half);
    let size = bits & vec2<u32>(0x7fffffffu);
    let finite = size < vec2<u32>(0x7f800000u);
    let packed = pack2x16float(select(vec2<f32>(), half, finite));
    let special = select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), size > vec2<u32>(0x7f800000u));
    let signed = special | ((bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u));
    let rest = select(signed, vec2<u32>(), finite);
    return packed | rest.x | (rest.y << 16u);
}

// A texel as it is stored, and its numbers.
fn raw_half(stored: Half) -> vec4<u32> { return vec4<u32>(stored, 0u, 0u); }
fn of_raw_half(raw: vec4<u32>) -> vec4<f32> { return from_half(raw.xy); }
