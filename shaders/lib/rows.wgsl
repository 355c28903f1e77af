// The places of what gemm_matrix.wgsl brings and of its results. They ask for its constants.

// Returns the start of a row after some texels: a texel, or the own pair if rows are `whole`.
fn start_of(row: u32, width: u32, after: u32, pair: u32, whole: bool) -> u32 {
    return select(row * width + after, row * (width / 2u) + (after / 2u + pair), whole);
}

// Returns texel t of the own pair from pair c of a row on; at most the last of `count` if the row isn't whole.
fn in_row(start: u32, c: u32, own: u32, t: u32, count: u32, whole: bool) -> u32 {
    return select(start + min(own + t, count - 1u), 2u * (start + c) + t, whole);
}

// Returns the first number of row `below` of texel t of the results.
fn result_of(t: u32, below: u32) -> u32 {
    if POOL == 1u { return 4u * t; }
    return (t / (SIDE / 4u) * POOL + below) * SIDE + t % (SIDE / 4u) * 4u;
}
