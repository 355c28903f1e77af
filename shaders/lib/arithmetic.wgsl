// Arithmetic on two operands, four elements at once.
//
// kind: 0 add, 1 subtract, 2 multiply, 3 divide, 4 maximum, 5 minimum, 6 power. `src/ops/binary.rs` chooses.

fn combine(kind: u32, a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    switch kind {
        case 1u: { return a - b; }
        case 2u: { return a * b; }
        case 3u: { return a / b; }
        case 4u: { return max(a, b); }
        case 5u: { return min(a, b); }
        case 6u: { return power(a, b); }
        default: { return a + b; }
    }
}

// WGSL's pow is for positive bases only. Squares, which everybody takes, are exact.
fn power(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let size = abs(a);
    let zero = select(size, 1.0 / size, b < vec4<f32>());
    let positive = select(pow(size, b), zero, size == vec4<f32>());
    let odd = floor(0.5 * b) * 2.0 != b;
    let nothing = a - a;
    let negative = select(select(positive, -positive, odd), nothing / nothing, floor(b) != b);
    let general = select(positive, negative, a < vec4<f32>());
    return select(select(general, vec4<f32>(1.0), b == vec4<f32>()), a * a, b == vec4<f32>(2.0));
}
