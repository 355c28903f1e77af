//! Cases of rounding to smaller float formats, and its reference.

use crate::ops::{FloatFormat, ReducePrecision};
use crate::selftest::cases::{graph, graph_between_images, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Rounds each element to the nearest number of the format.
pub fn reduce_precision(x: &Tensor, format: FloatFormat, saturate: bool) -> Tensor {
    let numbers = format.numbers();
    let (largest, nan) = (f64::from(numbers.largest), f64::from(numbers.nan));
    let beyond = if saturate { largest } else { f64::from(numbers.beyond) };
    let nearest = |size: f64| {
        if numbers.powers {
            return 2f64.powi((-127..=128).find(|&exponent| 2f64.powi(exponent) >= size).unwrap_or(128));
        }
        let exponent = if size == 0.0 { numbers.least } else { (size.log2().floor() as i32).max(numbers.least) };
        // log2 may be off by a rounding. That doesn't matter: powers of two have neighbours on either side.
        let step = 2f64.powi(exponent - numbers.mantissa as i32);
        (size / step).round_ties_even() * step
    };
    x.map(|x| {
        if x.is_nan() {
            return nan;
        }
        let size = if x.is_finite() { nearest(x.abs()) } else { f64::INFINITY };
        let size = if size > largest { beyond } else { size };
        if numbers.powers || size == 0.0 && !numbers.negative_zero { size } else { size.copysign(x) }
    })
}

pub const FORMATS: [FloatFormat; 8] = [
    FloatFormat::F16,
    FloatFormat::Bf16,
    FloatFormat::Float8E4M3Fn,
    FloatFormat::Float8E4M3Fnuz,
    FloatFormat::Float8E5M2,
    FloatFormat::Float8E5M2Fnuz,
    FloatFormat::Float8E8M0,
    FloatFormat::Float4E2M1,
];

/// Runs the cases.
pub fn cases(t: &Suite) {
    for format in FORMATS {
        for saturate in [false, true] {
            check(t, "random numbers", &random(1, [5, 13]).map(|x| 4.0 * x), format, saturate);
            check(t, "where it is hard", &hard(format), format, saturate);
        }
        check(t, "one", &Tensor::new([1], vec![0.1]), format, false);
        check(t, "nine dimensions", &random(1, [1, 2, 1, 2, 1, 2, 1, 2, 5]), format, true);
    }
    signs_of_zeros(t);
    let x = random(1, [2, 5, 3, 4]);
    let image =
        graph_between_images(&[&x], |graph, x| graph.reduce_precision(x[0], ReducePrecision::new(FloatFormat::F16)));
    t.check("an image", &image, &[&x], &reduce_precision(&x, FloatFormat::F16, false), Tolerance::Exact);
    not_finite(t);
}

fn check(t: &Suite, case: &str, x: &Tensor, format: FloatFormat, saturate: bool) {
    let graph = graph(&[x], |graph, x| graph.reduce_precision(x[0], ReducePrecision::new(format).saturate(saturate)));
    let case = format!("{case} to {format:?}, {}", if saturate { "saturated" } else { "as they are" });
    t.check(&case, &graph, &[x], &reduce_precision(x, format, saturate), Tolerance::Exact);
}

/// Returns numbers of the format, midpoints and their neighbours; the largest number and larger ones; the least.
fn hard(format: FloatFormat) -> Tensor {
    let numbers = format.numbers();
    let step = 2f32.powi(numbers.least.max(-118) - numbers.mantissa as i32);
    let half = 2f32.powi(-1 - numbers.mantissa as i32);
    let mut all = vec![f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::from_bits(1), f32::MIN_POSITIVE];
    all.extend([f32::from_bits(0x0040_0000), f32::from_bits(0x0040_0001), f32::from_bits(0x0060_0000)]);
    for number in [0.0, 0.5 * step, step, 1.5 * step, 2.5 * step, 1.0 + half, 1.0 + 3.0 * half, 2.0 - half] {
        all.extend([number, -number, number.next_up(), number.next_down()]);
    }
    let largest = numbers.largest;
    // Halfway to the next number, if the format had one more exponent.
    let over = largest * (1.0 + half);
    all.extend([largest, -largest, largest.next_up(), over, -over, over.next_up(), over.next_down(), 1.3 * largest]);
    let last = largest * (1.0 - half / 2.0);
    all.extend([last, -last, 0.75 * largest]);
    Tensor::new([all.len()], all)
}

/// Checks the sign of zeros: minus zero equals zero, but a quotient by it shows the sign.
fn signs_of_zeros(t: &Suite) {
    for format in [FloatFormat::Float8E4M3Fn, FloatFormat::Float8E5M2Fnuz, FloatFormat::F16] {
        let x = Tensor::new([4], vec![-0.0, -1e-30, 0.0, 1e-30]);
        let graph = graph(&[&x], |graph, x| {
            let y = graph.reduce_precision(x[0], ReducePrecision::new(format))?;
            graph.unary(y, crate::ops::Unary::Reciprocal)
        });
        let expected = reduce_precision(&x, format, false).map(f64::recip);
        t.check(&format!("signs of zeros in {format:?}"), &graph, &[&x], &expected, Tolerance::Exact);
    }
}

fn not_finite(t: &Suite) {
    let x = random(1, [5, 7]);
    for format in FORMATS {
        let graph = graph(&[&x], |graph, x| graph.reduce_precision(x[0], ReducePrecision::new(format)));
        let reference = |x: &[&Tensor]| reduce_precision(x[0], format, false);
        t.check_not_finite(&format!("to {format:?}"), &graph, &[&x], reference, Tolerance::Exact);
    }
}
