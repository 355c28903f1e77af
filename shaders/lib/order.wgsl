// Numbers as integers in the same order, NaN above all others, which no compiler's idea of floating point disturbs.

fn order(value: f32) -> u32 {
    var bits = bitcast<u32>(value);
    if (bits & 0x7fffffffu) > 0x7f800000u { return 0xffffffffu; }
    // Both zeros are equal.
    if bits == 0x80000000u { bits = 0u; }
    return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}
