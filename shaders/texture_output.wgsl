// An image of a batch, drawn into a rectangle of a texture: `main` stores into a storage texture, one invocation a
// pixel; `corner` and `paint` draw one triangle over an attachment.
//
// y: [channels, height, width] from element `first` on, f32s (LABELS: i32s), of which `place` is drawn into `rect`: each
// x, y, width, height.
// KIND: the use of `colors`. IMAGE: a matrix and an offset, from channels to RGBA. RAMP: colors for y[0] from `low` to
// low + 1 / per. CLASSES: colors of the channels; the greatest shows. LABELS: colors of the labels y[0]. BLEND: 0
// nearest pixel, 1 bilinear. CLAMP: to 0..1. CONVERT: see `convert`. ALPHA: 0 as drawn, 1 opaque, 2 the alpha of
// `kept`, the texels within `part`. Values with weight 0 aren't read, even if infinite. NaN stays: a ramp gives NaN in
// all channels, and NaN is the greatest score.

const IMAGE = 0u;
const RAMP = 1u;
const CLASSES = 2u;
const LABELS = 3u;

override KIND: u32 = 0u;
override BLEND: u32 = 1u;
override CLAMP: u32 = 1u;
override CONVERT: u32 = 0u;
override ALPHA: u32 = 0u;

alias Surface = texture_storage_2d<rgba8unorm, write>;

struct Params {
    rect: vec4<u32>, part: vec4<u32>, place: vec4<u32>, scale: vec2<f32>, part_scale: vec2<f32>,
    size: vec2<u32>, channels: u32, first: u32, colors: u32, low: f32, per: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
// Bits: a load as f32 may flush integers, which are tiny as f32s, to 0.
@group(0) @binding(1) var<storage, read> y: array<u32>;
@group(0) @binding(2) var<storage, read> colors: array<vec4<f32>>;
@group(0) @binding(3) var kept: texture_2d<f32>;
@group(0) @binding(4) var surface: Surface;

fn taps(at: vec2<u32>, scale: vec2<f32>, size: vec2<u32>) -> Around {
    if BLEND == 0u || KIND == LABELS { return nearest(at, scale, size); }
    return around(at, scale, size);
}

fn element(c: u32, column: u32, row: u32) -> u32 {
    let at = params.place.xy + vec2<u32>(column, row);
    return y[params.first + (c * params.size.y + at.y) * params.size.x + at.x];
}

// Interpolates between four pixels.
fn between(upper: vec2<f32>, lower: vec2<f32>, beyond: vec2<f32>) -> f32 {
    let pixels = vec4<f32>(upper, lower);
    let column = blend(pixels.xzxz, pixels.ywyw, beyond.x);
    return blend(column, column.yxyx, beyond.y).x;
}

fn value(c: u32, place: Around) -> f32 {
    let near = element(c, place.first.x, place.first.y);
    if all(place.beyond == vec2<f32>()) { return bitcast<f32>(near); }
    let upper = vec2<u32>(near, element(c, place.second.x, place.first.y));
    let lower = vec2<u32>(element(c, place.first.x, place.second.y), element(c, place.second.x, place.second.y));
    return between(bitcast<vec2<f32>>(upper), bitcast<vec2<f32>>(lower), place.beyond);
}

fn alpha(column: u32, row: u32) -> f32 { return textureLoad(kept, params.part.xy + vec2<u32>(column, row), 0).a; }

fn kept_alpha(at: vec2<u32>) -> f32 {
    let place = taps(at, params.part_scale, params.part.zw);
    let near = alpha(place.first.x, place.first.y);
    if all(place.beyond == vec2<f32>()) { return near; }
    let upper = vec2<f32>(near, alpha(place.second.x, place.first.y));
    let lower = vec2<f32>(alpha(place.first.x, place.second.y), alpha(place.second.x, place.second.y));
    return between(upper, lower, place.beyond);
}

fn drawn(at: vec2<u32>) -> vec4<f32> {
    let place = taps(at, params.scale, params.place.zw);
    if KIND == LABELS { return colors[element(0u, place.first.x, place.first.y) % params.colors]; }
    if KIND == CLASSES {
        var best = 0u;
        var greatest = value(0u, place);
        for (var c = 1u; c < params.channels; c++) {
            let score = value(c, place);
            let nan = is_nan(vec4<f32>(score, greatest, 0.0, 0.0));
            if (score > greatest || nan.x) && !nan.y {
                greatest = score;
                best = c;
            }
        }
        return colors[best % params.colors];
    }
    if KIND == RAMP {
        let given = vec4<f32>(value(0u, place));
        if is_nan(given).x { return given; }
        let along = saturate((given.x - params.low) * params.per) * f32(params.colors - 1u);
        let first = min(u32(along), params.colors - 1u);
        return blend(colors[first], colors[min(first + 1u, params.colors - 1u)], along - f32(first));
    }
    var channels = vec4<f32>();
    for (var c = 0u; c < params.channels; c++) { channels[c] = value(c, place); }
    return affine(mat4x4<f32>(colors[0], colors[1], colors[2], colors[3]), channels, colors[4]);
}

fn shown(at: vec2<u32>) -> vec4<f32> {
    var color = drawn(at);
    if ALPHA == 1u { color.a = 1.0; }
    if ALPHA == 2u { color.a = kept_alpha(at); }
    if CLAMP == 1u { color = select(saturate(color), color, is_nan(color)); }
    return convert(color, CONVERT);
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if any(id.xy >= params.rect.zw) { return; }
    textureStore(surface, params.rect.xy + id.xy, shown(id.xy));
}

@vertex
fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(i / 2u) * 4.0 - 1.0, f32(i % 2u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn paint(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    return shown(vec2<u32>(position.xy) - params.rect.xy);
}
