// A stored texel: four f32s. `lib/half.wgsl` has that of f16s.
alias Texel = vec4<f32>;
fn from_texel(stored: Texel) -> vec4<f32> { return stored; }
fn to_texel(value: vec4<f32>) -> Texel { return value; }

// Returns one number of a texel, which alone is loaded.
fn from_scalar(stored: f32) -> f32 { return stored; }
