// A stored texel: four f32s.
alias Texel = vec4<f32>;
fn from_texel(stored: Texel) -> vec4<f32> { return stored; }
fn to_texel(value: vec4<f32>) -> Texel { return value; }

// Returns one number of a texel of rows.
fn from_scalar(stored: f32) -> f32 { return stored; }
