// Resampling of an image at the centres of another image's pixels, and conversion of colors.

// The two pixels on either side of a centre, along each axis, and its distance beyond the first. The edges repeat.
struct Around { first: vec2<u32>, second: vec2<u32>, beyond: vec2<f32> }

// Returns the pixels around the centre of pixel `at` of another image, whose pixels are `scale` times as large.
fn around(at: vec2<u32>, scale: vec2<f32>, size: vec2<u32>) -> Around {
    let place = max((vec2<f32>(at) + 0.5) * scale - 0.5, vec2<f32>());
    let first = min(vec2<u32>(place), size - 1u);
    return Around(first, min(first + 1u, size - 1u), saturate(place - vec2<f32>(first)));
}

// Returns the one pixel that contains that centre.
fn nearest(at: vec2<u32>, scale: vec2<f32>, size: vec2<u32>) -> Around {
    let first = min(vec2<u32>((vec2<f32>(at) + 0.5) * scale), size - 1u);
    return Around(first, first, vec2<f32>());
}

// Interpolates from `a` to `b`; `b` isn't read at weight 0: 0 times an infinity is NaN. Not `mix`, which may subtract.
fn blend(a: vec4<f32>, b: vec4<f32>, beyond: f32) -> vec4<f32> {
    if beyond == 0.0 { return a; }
    return a * (1.0 - beyond) + b * beyond;
}

// Returns matrix * x + offset. Components that the matrix multiplies by zero aren't read either.
fn affine(matrix: mat4x4<f32>, x: vec4<f32>, offset: vec4<f32>) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var k = 0u; k < 4u; k++) {
        let none = (bitcast<vec4<u32>>(matrix[k]) & vec4<u32>(0x7fffffffu)) == vec4<u32>();
        sum += select(matrix[k] * x[k], vec4<f32>(), none);
    }
    return sum + offset;
}

// Converts red, green and blue by IEC 61966-2-1, extended to negative values and beyond 1. `how`: 0 not at all, 1
// linear to sRGB, 2 sRGB to linear. Infinities and NaN stay.
fn convert(color: vec4<f32>, how: u32) -> vec4<f32> {
    if how == 0u { return color; }
    let c = abs(color);
    var curve: vec4<f32>;
    if how == 1u {
        curve = select(1.055 * pow(c, vec4<f32>(1.0 / 2.4)) - 0.055, 12.92 * c, c <= vec4<f32>(0.0031308));
    } else {
        curve = select(pow((c + 0.055) / 1.055, vec4<f32>(2.4)), c / 12.92, c <= vec4<f32>(0.04045));
    }
    let converted = select(color, sign(color) * curve, is_finite(color));
    return vec4<f32>(converted.rgb, color.a);
}
