//! The integer forms of a graph's values, in "QDQ" networks.

use crate::ops::IntegerConv2d;
use crate::{Constant, Value};
use std::collections::HashMap;

/// The integer forms of a graph's values.
#[derive(Default)]
pub(super) struct Integers {
    pub(super) numbers: HashMap<Value, Numbers>,
    pub(super) sums: HashMap<Value, Sums>,
}

/// A dequantised value: `(q - zero_point) * scale`.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    pub(super) q: Value,
    pub(super) zero_point: Option<Value>,
    pub(super) scale: f32,
    /// True if the scale is the same for all sizes of the inputs.
    pub(super) fixed: bool,
}

/// A convolution's output: integer sums times `x_scale * w_scale`.
#[derive(Clone)]
pub(super) struct Sums {
    pub(super) x: Numbers,
    pub(super) conv: IntegerConv2d,
    pub(super) w_zero_point: Option<Constant>,
    pub(super) w_scale: Constant,
}
