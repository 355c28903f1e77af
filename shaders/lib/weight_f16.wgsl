// A stored texel of weights: four f16s in two words.
alias Weight = vec2<u32>;
fn from_weight(stored: Weight) -> vec4<f32> { return vec4<f32>(unpack2x16float(stored.x), unpack2x16float(stored.y)); }
