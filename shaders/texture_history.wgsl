// An image, blended with the last one where that showed the same surface: y = (1 - weight * W) x + weight * sum_k w[k] last[k].
//
// An invocation computes one pixel. The taps k are the four pixels around the place from where `motion` (times `scale`)
// leads, with bilinear weights w. A tap outside of the image or of another surface has none, and W is the sum of the
// others. A surface is the same if its depth differs by at most a tenth, its normal (in -1..1) by at most 0.5 and its
// albedo by at most 0.17 (0.03 squared). Where a motion, a depth or a result isn't finite, nothing is taken or kept.
//
// x, motion, depth (first channel), normal (times normal_scale, plus normal_offset), albedo: textures of `size`.
// last, y: planes [3][height][width]. last_surface, surface: planes [3][height][width] of bits: depth, normal with a fourth
// byte other than 0 where something is known, albedo.

struct Params {
    size: vec2<u32>, scale: vec2<f32>,
    weight: f32, normal_scale: f32, normal_offset: f32, has_albedo: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var x: texture_2d<f32>;
@group(0) @binding(2) var motion: texture_2d<f32>;
@group(0) @binding(3) var depth: texture_2d<f32>;
@group(0) @binding(4) var normal: texture_2d<f32>;
@group(0) @binding(5) var albedo: texture_2d<f32>;
@group(0) @binding(6) var<storage, read> last: array<f32>;
@group(0) @binding(7) var<storage, read> last_surface: array<u32>;
@group(0) @binding(8) var<storage, read_write> y: array<f32>;
@group(0) @binding(9) var<storage, read_write> surface: array<u32>;

// Depth, normal and albedo as they are kept.
struct Surface { depth: u32, normal: u32, albedo: u32 }

fn without_nan(v: vec4<f32>) -> vec4<f32> { return select(v, vec4<f32>(), is_nan(v)); }

fn is_same(a: Surface, b: Surface) -> bool {
    let depths = vec2<f32>(bitcast<f32>(a.depth), bitcast<f32>(b.depth));
    let turn = unpack4x8snorm(a.normal).xyz - unpack4x8snorm(b.normal).xyz;
    let hue = unpack4x8unorm(a.albedo) - unpack4x8unorm(b.albedo);
    let is_near = abs(depths.x - depths.y) <= 0.1 * max(depths.x, depths.y);
    return is_near && dot(turn, turn) <= 0.25 && dot(hue, hue) <= 0.03 && min(a.normal, b.normal) >= 0x1000000u;
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if any(id.xy >= params.size) { return; }
    let plane = params.size.x * params.size.y;
    let at = id.y * params.size.x + id.x;
    let color = textureLoad(x, id.xy, 0);
    let way = textureLoad(motion, id.xy, 0).xy * params.scale;
    let far = abs(textureLoad(depth, id.xy, 0).x);
    let turned = without_nan(textureLoad(normal, id.xy, 0)) * params.normal_scale + params.normal_offset;
    let tint = without_nan(textureLoad(albedo, id.xy, 0));
    var here = Surface(bitcast<u32>(far), 0u, 0u);
    here.normal = pack4x8snorm(vec4<f32>(clamp(turned.xyz, vec3<f32>(-1.0), vec3<f32>(1.0)), 1.0));
    if params.has_albedo == 1u { here.albedo = pack4x8unorm(vec4<f32>(saturate(tint.xyz), 0.0)); }
    if !all(is_finite(vec4<f32>(far))) { here.normal = 0u; }

    // Far outside, no number of a pixel would fit.
    let place = vec2<f32>(id.xy) + way;
    let is_there = all(is_finite(vec4<f32>(way, way))) && all(place > vec2<f32>(-1.0)) && all(place < vec2<f32>(params.size));
    let corner = select(vec2<f32>(), floor(place), is_there);
    let beyond = select(vec2<f32>(), place - corner, is_there);
    var weights: array<f32, 4>;
    var pixels: array<u32, 4>;
    for (var k = 0u; k < 4u; k++) {
        let step = vec2<u32>(k & 1u, k >> 1u);
        let tap = vec2<i32>(corner) + vec2<i32>(step);
        let is_inside = is_there && all(tap >= vec2<i32>()) && all(tap < vec2<i32>(params.size));
        let each = select(1.0 - beyond, beyond, step == vec2<u32>(1u));
        weights[k] = select(0.0, each.x * each.y, is_inside);
        pixels[k] = select(at, u32(tap.y) * params.size.x + u32(tap.x), is_inside);
    }
    var surfaces: array<Surface, 4>;
    var colors: array<vec3<f32>, 4>;
    for (var k = 0u; k < 4u; k++) {
        let i = pixels[k];
        surfaces[k] = Surface(last_surface[i], last_surface[i + plane], last_surface[i + 2u * plane]);
        colors[k] = vec3<f32>(last[i], last[i + plane], last[i + 2u * plane]);
    }
    var known = 0.0;
    var sum = vec3<f32>();
    for (var k = 0u; k < 4u; k++) {
        let is_taken = weights[k] > 0.0 && is_same(surfaces[k], here);
        known += select(0.0, weights[k], is_taken);
        sum += select(vec3<f32>(), colors[k] * weights[k], is_taken);
    }
    let blended = color.xyz * (1.0 - params.weight * known) + params.weight * sum;
    if !all(is_finite(vec4<f32>(blended, 0.0))) { here.normal = 0u; }
    for (var c = 0u; c < 3u; c++) { y[at + c * plane] = blended[c]; }
    surface[at] = here.depth;
    surface[at + plane] = here.normal;
    surface[at + 2u * plane] = here.albedo;
}
