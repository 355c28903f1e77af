// Angles of many turns.

struct Turned { r: f32, quarters: i32 }

// Returns x, of magnitude 1 or more, minus the nearest multiple of π/2, and that multiple's last two bits (M. Payne and
// R. Hanek, Radian reduction for trigonometric functions, 1983). x is m 2^(e - 23); x 2/π is needed modulo 4: m times
// 96 bits of 2/π, modulo 2^96. Later bits add less than 2^-70 of a quarter; no f32 is nearer to a multiple than 2^-30.
fn less_quarters(bits: u32) -> Turned {
    let size = bits & 0x7fffffffu;
    if size >= 0x7f800000u { return Turned(bitcast<f32>(size | 0x7fc00000u), 0); }
    // 2/π, after a word of zeros.
    var four = vec4<u32>(0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u);
    let more = vec4<u32>(0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);
    let m = (size & 0x7fffffu) | 0x800000u;
    // e + 7 bits of 2/π: their products with m are multiples of 4.
    let skipped = (size >> 23u) - 120u;
    let shift = vec3<u32>(skipped % 32u);
    // A table with a variable index would lie in memory (NVK).
    switch skipped / 32u {
        case 0u: {}
        case 1u: { four = vec4<u32>(four.yzw, more.x); }
        case 2u: { four = vec4<u32>(four.zw, more.xy); }
        case 3u: { four = vec4<u32>(four.w, more.xyz); }
        default: { four = more; }
    }
    // A shift by 32 takes two steps, because WGSL shifts by 31 at most.
    let words = (four.xyz << shift) | ((four.yzw >> vec3<u32>(1u)) >> (vec3<u32>(31u) - shift));
    let middle = wide_product(m, words.y);
    let carried = middle.x + wide_product(m, words.z).y;
    let high = m * words.x + middle.y + select(0u, 1u, carried < middle.x);
    // Two bits of whole quarters, then a fraction in two's complement: half a quarter and more is negative.
    let part = f32(i32((high << 2u) | (carried >> 30u))) + f32(carried << 2u) * 2.3283064e-10;
    let quarters = i32((high + 0x20000000u) >> 30u);
    let r = part * 3.6572952e-10;
    if bits > 0x7fffffffu { return Turned(-r, -quarters); }
    return Turned(r, quarters);
}

// Returns the product of 24 bits and 32 bits: the low and the high word.
fn wide_product(a: u32, b: u32) -> vec2<u32> {
    let low = vec2<u32>(a, b) & vec2<u32>(0xffffu);
    let high = vec2<u32>(a, b) >> vec2<u32>(16u);
    let first = high.x * low.y + ((low.x * low.y) >> 16u);
    let second = low.x * high.y + (first & 0xffffu);
    return vec2<u32>(a * b, high.x * high.y + (first >> 16u) + (second >> 16u));
}
