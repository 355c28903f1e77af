// A stored texel: four f32s. `lib/half.wgsl` has that of f16s.
alias Texel = vec4<f32>;
fn from_texel(stored: Texel) -> vec4<f32> { return stored; }
fn to_texel(value: vec4<f32>) -> Texel { return value; }

// Returns one number of a texel, which alone is loaded.
fn from_scalar(stored: f32) -> f32 { return stored; }

// A stored texel of four numbers of any type, which are copied bit by bit. f16s are always numbers.
alias Bits = vec4<u32>;
fn from_bits(stored: Bits) -> vec4<u32> { return stored; }
fn from_word(stored: u32) -> u32 { return stored; }
fn to_bits(value: vec4<u32>) -> Bits { return value; }

// A texel as it is stored, and its numbers.
fn raw_texel(stored: Texel) -> vec4<u32> { return bitcast<vec4<u32>>(stored); }
fn of_raw_texel(raw: vec4<u32>) -> vec4<f32> { return bitcast<vec4<f32>>(raw); }
