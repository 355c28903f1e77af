// The layout of the weights of a matrix product: blocks of BLOCK output channels, [block][k][BLOCK / 4] texels,
// prepacked by `src/ops/gemm`.

const BLOCK: u32 = 64u;

// Returns the index of the weights of four output channels for row 4k. The next rows follow, BLOCK / 4 texels apart.
fn block_at(o4: u32, k: u32, k4: u32) -> u32 {
    return (o4 / (BLOCK / 4u) * k4 + k) * BLOCK + o4 % (BLOCK / 4u);
}
