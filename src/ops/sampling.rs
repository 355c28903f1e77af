//! The arithmetic of operations that sample images between their pixels.

/// Returns the arithmetic of `sums` weighted sums of `pixels` pixels each: 0 for a single pixel, which is only copied.
pub(crate) fn weighted(sums: u64, pixels: u64) -> u64 {
    if pixels == 1 { 0 } else { sums.saturating_mul(2 * pixels - 1) }
}
