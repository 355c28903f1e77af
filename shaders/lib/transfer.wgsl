// Transfer functions between linear light and the numbers that a denoising network sees, by code: 0 none, 1 sRGB (IEC
// 61966-2-1), 2 PU2 at 100 cd/m² (Aydin et al. 2008, with the fit of Open Image Denoise), 3 log(1 + y). `largest`: the
// encoded 65504, by which 2 and 3 are divided.

const LARGEST: f32 = 3.40282346e38;

// Returns numbers between bounds; NaN is 0.
fn bounded(x: vec4<f32>, lo: f32, hi: f32) -> vec4<f32> {
    return clamp(select(x, vec4<f32>(), is_nan(x)), vec4<f32>(lo), vec4<f32>(hi));
}

// Encodes light: finite numbers from 0 on.
fn encoded(code: u32, y: vec4<f32>, largest: f32) -> vec4<f32> {
    if code == 1u {
        let curve = 1.055 * pow(y, vec4<f32>(1.0 / 2.4)) - 0.055;
        return select(curve, 12.92 * y, y <= vec4<f32>(0.0031308));
    }
    if code == 2u {
        let dark = 1.64593172 * pow(y, vec4<f32>(0.431384981)) - 0.00294139609;
        let bright = 0.192653254 * log(y + 0.00626026094) + 0.998620152;
        let curve = select(bright, dark, y <= vec4<f32>(0.0322087631));
        return select(curve, 1412.83765 * y, y <= vec4<f32>(1.5794576e-6)) / largest;
    }
    if code == 3u { return log(y + 1.0) / largest; }
    return y;
}

// Decodes finite numbers from 0 on.
fn decoded(code: u32, x: vec4<f32>, largest: f32) -> vec4<f32> {
    if code == 1u {
        let curve = pow((x + 0.055) / 1.055, vec4<f32>(2.4));
        return select(curve, x / 12.92, x <= vec4<f32>(0.04045));
    }
    let whole = x * largest;
    if code == 2u {
        let dark = pow((whole + 0.00294139609) / 1.64593172, vec4<f32>(1.0 / 0.431384981));
        let bright = exp((whole - 0.998620152) / 0.192653254) - 0.00626026094;
        let curve = select(bright, dark, whole <= vec4<f32>(0.370974749));
        return select(curve, whole / 1412.83765, whole <= vec4<f32>(0.00223151711));
    }
    if code == 3u { return exp(whole) - 1.0; }
    return x;
}
