// The elements of two operands that a shader combines. The shader's `params` have the `sizes`, at most 8 dimensions,
// outermost first, and the strides of `a` and `b`, 0 along a repeated dimension.

struct Operands { a: vec4<u32>, b: vec4<u32> }

// Returns the indices of the operands of four neighbouring elements: those of texel i.
fn operands(i: u32) -> Operands {
    var rest = four(i, params.count);
    var a = vec4<u32>();
    var b = vec4<u32>();
    // Once `rest` is 0, the indices of all further dimensions are 0. Its last component is the greatest.
    for (var d = 7u; rest.w > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        let next = divide4(rest, size);
        let at = rest - next * size;
        rest = next;
        a += at * params.a[d / 4u][d % 4u];
        b += at * params.b[d / 4u][d % 4u];
    }
    return Operands(a, b);
}
