//! The rules of operations that sample images between their pixels.

use crate::Shape;
use crate::error::ErrorKind;

/// Checks that a shader can number the elements of an output whose size `argument` determines.
pub(crate) fn expect_countable(argument: &str, output: &Shape) -> Result<(), ErrorKind> {
    if output.elements() <= i32::MAX as usize {
        return Ok(());
    }
    Err(ErrorKind::argument(argument, "an output of less than 2^31 elements", output))
}

/// Returns the arithmetic of `sums` weighted sums of `pixels` pixels each: 0 for a single pixel, which is only copied.
pub(crate) fn weighted(sums: u64, pixels: u64) -> u64 {
    if pixels == 1 { 0 } else { sums.saturating_mul(2 * pixels - 1) }
}
