// Returns the coordinate, along an axis of `size` pixels, of a position between -1 and 1. align_corners: -1 and 1 are
// the centres of the outermost pixels, not their outer edges.
fn along(given: f32, size: f32, align_corners: bool) -> f32 {
    return select(((given + 1.0) * size - 1.0) / 2.0, (given + 1.0) / 2.0 * (size - 1.0), align_corners);
}

// Returns the coordinate on the image that replaces `at`. padding: outside are 0 zeros, 1 the edge pixel, 2 mirrors.
fn inside(at: f32, size: f32, padding: u32, align_corners: bool) -> f32 {
    if padding == 0u { return at; }
    let last = size - 1.0;
    if padding == 1u { return clamp(at, 0.0, last); }
    // Mirrors stand at `low` and at every further `span`.
    let low = select(-0.5, 0.0, align_corners);
    let span = max(select(size, last, align_corners), 1e-6);
    let distance = abs(at - low);
    let mirrors = floor(distance / span);
    let beyond = distance - mirrors * span;
    let odd = mirrors - 2.0 * floor(0.5 * mirrors) == 1.0;
    return clamp(low + select(beyond, span - beyond, odd), 0.0, last);
}
