// A texel as it is stored: four f16s in two words. It needs no feature of the device.
alias Texel = vec2<u32>;
fn from_texel(stored: Texel) -> vec4<f32> { return vec4<f32>(unpack2x16float(stored.x), unpack2x16float(stored.y)); }
fn to_texel(value: vec4<f32>) -> Texel { return vec2<u32>(pack2x16float(value.xy), pack2x16float(value.zw)); }

// Rows are never stored so: nobody calls it.
fn from_scalar(stored: u32) -> f32 { return bitcast<f32>(stored); }
