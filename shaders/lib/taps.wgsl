// The weights of the pixels around a position between pixels. taps: 1 nearest, 2 linear, 4 cubic.
//
// Cubic: R. Keys, Cubic convolution interpolation for digital image processing, 1981, with PyTorch's a = -0.75.

fn tap_weight(taps: u32, tap: u32, fraction: f32) -> f32 {
    if taps == 1u { return 1.0; }
    let d = abs(f32(tap) - f32((taps - 1u) / 2u) - fraction);
    if taps == 2u { return 1.0 - d; }
    // Factored, so that weights near 0 keep their digits.
    if d <= 1.0 { return (1.0 - d) * (1.0 + d - 1.25 * d * d); }
    return 0.75 * (1.0 - d) * (2.0 - d) * (2.0 - d);
}
