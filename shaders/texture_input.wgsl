// One image of a batch from a texture: y[c, py, px] = sum_k matrix[k][c] t[k] + offset[c]. t is the texture's color at
// the pixel's centre, bilinear in converted texels. Texels and components with weight 0 aren't read, even if infinite.
//
// One invocation computes all channels of one pixel: neighbours in a row store neighbours of a plane. CONVERT: see
// `convert`. x: texels within `rect` (x, y, width, height). y: [channels, height, width] from element `first` on; they
// show in `place` of it, and `fill` is around them.

override CONVERT: u32 = 0u;

struct Params {
    matrix: mat4x4<f32>, offset: vec4<f32>,
    rect: vec4<u32>, place: vec4<u32>, scale: vec2<f32>, size: vec2<u32>,
    channels: u32, first: u32, fill: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var x: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn texel(column: u32, row: u32) -> vec4<f32> {
    return convert(textureLoad(x, params.rect.xy + vec2<u32>(column, row), 0), CONVERT);
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if any(id.xy >= params.size) { return; }
    let at = params.first + id.y * params.size.x + id.x;
    let plane = params.size.x * params.size.y;
    if any(id.xy < params.place.xy) || any(id.xy >= params.place.xy + params.place.zw) {
        for (var c = 0u; c < params.channels; c++) { y[at + c * plane] = params.fill; }
        return;
    }
    let place = around(id.xy - params.place.xy, params.scale, params.rect.zw);
    var color = texel(place.first.x, place.first.y);
    // An image of the texture's size needs one texel a pixel.
    if any(place.beyond > vec2<f32>()) {
        let above = blend(color, texel(place.second.x, place.first.y), place.beyond.x);
        let below = blend(texel(place.first.x, place.second.y), texel(place.second.x, place.second.y), place.beyond.x);
        color = blend(above, below, place.beyond.y);
    }
    let values = affine(params.matrix, color, params.offset);
    for (var c = 0u; c < params.channels; c++) { y[at + c * plane] = values[c]; }
}
