// Where the weights of a matrix product lie: in blocks of BLOCK output channels, [block][k][BLOCK / 4] texels, as `src/ops/gemm` packs
// them.

const BLOCK: u32 = 64u;

// The weights of four output channels for the first of the rows 4k..4k+3. The next rows follow, BLOCK / 4 texels apart.
fn block_at(o4: u32, k: u32, k4: u32) -> u32 {
    return (o4 / (BLOCK / 4u) * k4 + k) * BLOCK + o4 % (BLOCK / 4u);
}
