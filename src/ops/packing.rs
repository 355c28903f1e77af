//! Parts of all operations on quantised numbers: weights that stay packed on the device, and the requantising epilogue.

use crate::dtype::IntType;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::kernel::{Binding, Caps, Prepacked, Storage, WeightKey};
use std::ops::Range;

/// Returns the type of packed weights, or an error if kernels can't read them.
pub(crate) fn packed(argument: &str, weight: &Constant) -> Result<IntType, ErrorKind> {
    let wanted = "packed integers of 4 or 8 bits";
    match weight.int_type() {
        Some(of) if of.bits() <= 8 => Ok(of),
        Some(of) => Err(ErrorKind::argument(argument, wanted, of)),
        None => Err(ErrorKind::argument(argument, wanted, weight.dtype())),
    }
}

/// Packs small numbers into the words that a shader reads, `bits` bits each, the first in the lowest.
pub(crate) fn words(numbers: &[u8], bits: u32) -> Vec<u32> {
    let each = (32 / bits) as usize;
    let word = |numbers: &[u8]| numbers.iter().rev().fold(0, |word, &number| (word << bits) | u32::from(number));
    numbers.chunks(each).map(word).collect()
}

/// Returns the items of each row and column, in the order of `grouped` of `shaders/lib/quantize.wgsl`.
pub(crate) fn grouped<T>(rows: usize, columns: Range<usize>, at: impl Fn(usize, usize) -> T) -> Vec<T> {
    let mut all = Vec::with_capacity(rows * columns.len());
    for first in columns.clone().step_by(16) {
        for row in 0..rows {
            all.extend((first..(first + 16).min(columns.end)).map(|column| at(row, column)));
        }
    }
    all
}

/// Returns weights of `count` words in a buffer.
pub(crate) fn buffer(key: WeightKey, count: usize, make: impl Fn() -> Vec<u32> + Send + Sync + 'static) -> Prepacked {
    let texels = count.div_ceil(4).max(1);
    let values = move || {
        let mut words = make();
        words.resize(4 * texels, 0);
        words.into_iter().map(f32::from_bits).collect()
    };
    Prepacked::new(key, Storage::Buffer, (1, texels), values)
}

/// Returns such weights as a binding, or an error if they exceed the size of one.
pub(crate) fn expect_one(
    caps: &Caps,
    argument: &str,
    key: WeightKey,
    count: usize,
    make: impl Fn() -> Vec<u32> + Send + Sync + 'static,
) -> Result<Binding, ErrorKind> {
    let packed = buffer(key, count, make);
    let (need, have) = (packed.bytes(), caps.max_binding);
    if need > have {
        let limit = "max_storage_buffer_binding_size";
        return Err(ErrorKind::Limit { what: argument.to_owned(), limit, need, have });
    }
    Ok(Binding::Weight(packed))
}

/// The epilogue of an integer sum that quantises the result, as in ONNX's `QLinearMatMul` and `QLinearConv`:
/// `y = saturate(round(sum (x_scale w_scale / y_scale)) + y_zero_point)`, where `round` rounds halves to even.
#[derive(Clone, Debug)]
pub struct Requantize {
    x_scale: f32,
    w_scale: Constant,
    y_scale: f32,
    zero_point: i32,
    to: IntType,
    range: [i32; 2],
}

impl Requantize {
    /// Creates an epilogue for integers of type `to`. `w_scale` is one number, or one for each channel, `[channels]`.
    pub fn new(x_scale: f32, w_scale: Constant, y_scale: f32, zero_point: i32, to: IntType) -> Requantize {
        Requantize { x_scale, w_scale, y_scale, zero_point, to, range: to.range() }
    }

    /// Clamps the real numbers before they are quantised: `clamp`, `relu`, `relu6`.
    #[must_use]
    pub fn clamp(mut self, lo: f32, hi: f32) -> Requantize {
        let [least, greatest] = self.to.range();
        let quantised = |bound: f32| {
            let q = f64::from((bound / self.y_scale).round_ties_even()) + f64::from(self.zero_point);
            (q as i32).clamp(least, greatest)
        };
        self.range = [quantised(lo), quantised(hi)];
        self
    }

    /// Checks the zero point, and the scales for so many channels.
    pub(crate) fn expect(&self, channels: usize) -> Result<(), ErrorKind> {
        let [least, greatest] = self.to.range();
        if !(least..=greatest).contains(&self.zero_point) {
            let wanted = format!("{least} to {greatest} for {}", self.to);
            return Err(ErrorKind::argument("y_zero_point", wanted, self.zero_point));
        }
        let shape = self.w_scale.shape();
        if shape.elements() == 1 || shape[..] == [channels] {
            return Ok(());
        }
        Err(ErrorKind::argument("w_scale", format_args!("one, or [{channels}]"), shape))
    }

    /// Returns the factor for the sums of each channel.
    fn multipliers(&self, channels: usize) -> Prepacked {
        let Requantize { x_scale, w_scale, y_scale, .. } = self.clone();
        let key = WeightKey::new("requantize").constants([Some(w_scale.id())]).sizes([channels]);
        let key = key.number(x_scale.into()).number(y_scale.into());
        buffer(key, channels, move || {
            let multipliers = w_scale.values().into_iter().map(|scale| (x_scale * scale / y_scale).to_bits());
            multipliers.cycle().take(channels).collect()
        })
    }

    /// Returns the multipliers of so many channels, the zero point, and the range. Zeros stand for a missing epilogue.
    pub(crate) fn parts(of: Option<&Requantize>, channels: usize) -> (Binding, i32, [i32; 2]) {
        match of {
            Some(end) => (Binding::Weight(end.multipliers(channels)), end.zero_point, end.range),
            None => (Binding::Weight(buffer(WeightKey::new("zero"), 1, || vec![0])), 0, [0; 2]),
        }
    }

    /// Returns [`Cost::other`](crate::Cost::other): multiplication, rounding, addition and two comparisons of each sum.
    pub(crate) fn other(of: Option<&Requantize>, sums: u64) -> u64 {
        if of.is_some() { sums.saturating_mul(5) } else { 0 }
    }
}

/// Returns the rows and the texels of columns in a workgroup's tile. Each of 64 invocations computes all rows of four
/// columns for a slice of k. The widest tile that leaves no unit idle is best: a narrow one reads less in one piece.
pub(crate) fn tile(matrices: usize, rows: usize, columns: usize, caps: &Caps) -> [usize; 2] {
    let (high, quads) = (rows.next_power_of_two().min(8), columns.div_ceil(4));
    let others = matrices.saturating_mul(rows.div_ceil(high));
    let enough = |wide: &usize| *wide == 4 || others.saturating_mul(quads / wide) >= 4 * caps.units as usize;
    [high, [64, 16, 4].into_iter().filter(|&wide| wide <= quads).find(enough).unwrap_or(1)]
}
