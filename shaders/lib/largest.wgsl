// The largest pixel of a window and its place, for max pooling with indices: (order, place). Of equal ones the first; NaN is larger
// than any number, and of several the last counts, as in PyTorch.

// Any pixel is larger than none, whose place is -1.
const NO_PIXEL: vec2<u32> = vec2<u32>(0u, 0xffffffffu);

fn larger(a: vec2<u32>, b: vec2<u32>) -> bool {
    let later = a.y > b.y;
    let nan = a.x == 0xffffffffu;
    return a.x > b.x || (a.x == b.x && later == nan);
}
