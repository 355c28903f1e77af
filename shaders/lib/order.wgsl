// Returns an integer that sorts as the number does: an f32 (`float`), with NaN above all others, or an i32. A
// compiler's idea of floating point can't disturb integers.

fn order(value: u32, float: bool) -> u32 {
    var bits = value;
    if !float { return bits ^ 0x80000000u; }
    if (bits & 0x7fffffffu) > 0x7f800000u { return 0xffffffffu; }
    // Both zeros are equal.
    if bits == 0x80000000u { bits = 0u; }
    return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}
