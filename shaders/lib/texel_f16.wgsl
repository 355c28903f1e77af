// A stored texel: four f16s in two words. It needs `Caps::packs_f16`, not arithmetic in f16.
alias Texel = vec2<u32>;
fn from_texel(stored: Texel) -> vec4<f32> { return vec4<f32>(unpack2x16float(stored.x), unpack2x16float(stored.y)); }
fn to_texel(value: vec4<f32>) -> Texel { return vec2<u32>(two_halves(value.xy), two_halves(value.zw)); }

// Returns the bits of two f16s. From 65520 on a number becomes infinite; NaN stays NaN. `pack2x16float` leaves both
// undefined, and SwiftShader's changes the other number too.
fn two_halves(value: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(value);
    let size = bits & vec2<u32>(0x7fffffffu);
    let finite = size < vec2<u32>(0x477ff000u);
    let packed = pack2x16float(select(vec2<f32>(), clamp(value, vec2<f32>(-65504.0), vec2<f32>(65504.0)), finite));
    let special = select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), size > vec2<u32>(0x7f800000u));
    let signed = special | ((bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u));
    let rest = select(signed, vec2<u32>(), finite);
    return packed | rest.x | (rest.y << 16u);
}
