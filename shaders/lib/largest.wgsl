// The largest pixel of a window and its index, for max pooling with indices: (order, index). Of equal pixels the first
// counts; NaN is larger than any number, and of several NaNs the last counts, as in PyTorch.

// The result before the first pixel: every pixel is larger. Its index is -1.
const NO_PIXEL: vec2<u32> = vec2<u32>(0u, 0xffffffffu);

fn larger(a: vec2<u32>, b: vec2<u32>) -> bool {
    let later = a.y > b.y;
    let nan = a.x == 0xffffffffu;
    return a.x > b.x || (a.x == b.x && later == nan);
}
