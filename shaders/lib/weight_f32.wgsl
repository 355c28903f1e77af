// A stored texel of weights: four f32s.
alias Weight = vec4<f32>;
fn from_weight(stored: Weight) -> vec4<f32> { return stored; }
