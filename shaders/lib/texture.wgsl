// Pixels of one image where the pixels of another have their centres, and the colours of what they hold.

// The two pixels, along each axis, between which a pixel's centre lies, and how far it is from the first of them. The edges repeat.
struct Around { first: vec2<u32>, second: vec2<u32>, beyond: vec2<f32> }

// Around the pixel `at` of an image whose pixels are `scale` as large as those of the image of this size.
fn around(at: vec2<u32>, scale: vec2<f32>, size: vec2<u32>) -> Around {
    let place = max((vec2<f32>(at) + 0.5) * scale - 0.5, vec2<f32>());
    let first = min(vec2<u32>(place), size - 1u);
    return Around(first, min(first + 1u, size - 1u), saturate(place - vec2<f32>(first)));
}

// The pixel in which that centre lies, and no other.
fn nearest(at: vec2<u32>, scale: vec2<f32>, size: vec2<u32>) -> Around {
    let first = min(vec2<u32>((vec2<f32>(at) + 0.5) * scale), size - 1u);
    return Around(first, first, vec2<f32>());
}

// IEC 61966-2-1, extended to negative values and beyond 1. `how`: 0 as it is, 1 linear to sRGB, 2 sRGB to linear.
fn convert(color: vec3<f32>, how: u32) -> vec3<f32> {
    if how == 0u { return color; }
    let c = abs(color);
    if how == 1u {
        return sign(color) * select(1.055 * pow(c, vec3<f32>(1.0 / 2.4)) - 0.055, 12.92 * c, c <= vec3<f32>(0.0031308));
    }
    return sign(color) * select(pow((c + 0.055) / 1.055, vec3<f32>(2.4)), c / 12.92, c <= vec3<f32>(0.04045));
}
