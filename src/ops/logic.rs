//! Truth values: comparisons, logical operations, and the selection by a condition.

use super::binary::{Integers, broadcast_shape, by_element, eight, integers};
use super::strided::walks;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, expect_dtypes, same_dtype};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// A comparison of two tensors of one element type, element by element and broadcast as in NumPy: `torch.eq`,
/// `torch.lt` and so on. The output holds truth values. NaN is unequal to everything, itself too, and neither less nor
/// greater. False is less than true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `a == b`
    Eq,
    /// `a != b`
    Ne,
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
}

/// A logical operation on truth values, element by element and broadcast as in NumPy: `torch.logical_and` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// True if both inputs are true
    And,
    /// True if at least one input is true
    Or,
    /// True if exactly one input is true
    Xor,
    /// True if the only input is false
    Not,
}

/// `torch.where`: `a` where the condition, the first input, is true, else `b`. The condition holds truth values; `a`
/// and `b` have one element type. All three inputs are broadcast as in NumPy.
#[derive(Clone, Copy, Debug)]
pub struct Where;

params! {
    struct WhereParams {
        sizes: [usize; 8],
        strides: [[usize; 8]; 3] as [condition, a, b],
        count: usize,
    }
}

impl Op for Compare {
    fn name(&self) -> &'static str {
        match self {
            Compare::Eq => "eq",
            Compare::Ne => "ne",
            Compare::Lt => "lt",
            Compare::Le => "le",
            Compare::Gt => "gt",
            Compare::Ge => "ge",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [a, b] = expect_inputs::<2>(inputs)?;
        Ok(vec![broadcast_shape(a, b)?])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)?;
        Ok(vec![DType::Bool])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let [less, equal, greater, unordered] = [1u32, 2, 4, 8];
        let when = match self {
            Compare::Eq => equal,
            Compare::Ne => less | greater | unordered,
            Compare::Lt => less,
            Compare::Le => less | equal,
            Compare::Gt => greater,
            Compare::Ge => greater | equal,
        };
        let shader = shader!("compare", "operands", "index").set("FLOAT", io.dtypes[0] == DType::F32).set("WHEN", when);
        Ok(vec![by_element(io, shader, |elements| elements)?])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written())).reach(Reach::Pixel)
    }
}

impl Op for Logical {
    fn name(&self) -> &'static str {
        match self {
            Logical::And => "logical_and",
            Logical::Or => "logical_or",
            Logical::Xor => "logical_xor",
            Logical::Not => "logical_not",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        if let Logical::Not = self {
            let [x] = expect_inputs::<1>(inputs)?;
            eight(x, 1)?;
            return Ok(vec![x.clone()]);
        }
        let [a, b] = expect_inputs::<2>(inputs)?;
        Ok(vec![broadcast_shape(a, b)?])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::Bool)?;
        Ok(vec![DType::Bool])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let kind = match self {
            Logical::And => Integers::And,
            Logical::Or => Integers::Or,
            Logical::Xor => Integers::Xor,
            Logical::Not => Integers::Not,
        };
        Ok(vec![integers(io, kind)?])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written())).reach(Reach::Pixel)
    }
}

impl Op for Where {
    fn name(&self) -> &'static str {
        "where"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [condition, a, b] = expect_inputs::<3>(inputs)?;
        let values = broadcast_shape(a, b)?;
        let shape = condition.broadcast(&values).ok_or_else(|| {
            let wanted = format!("a shape that broadcasts with {values}");
            ErrorKind::argument("condition", wanted, condition)
        })?;
        eight(&shape, 1)?;
        Ok(vec![shape])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |i| if i == 0 { DType::Bool } else { inputs[1] })?;
        Ok(inputs[1..2].to_vec())
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let y = &io.outputs[0];
        let [condition, a, b] = expect_inputs::<3>(io.inputs)?.each_ref().map(|x| x.broadcast_strides(y));
        let (sizes, strides) = walks(y, [&condition, &a, &b])?;
        let params = WhereParams { sizes, strides, count: y.elements() };
        let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Input(2), Binding::Output(0)];
        let dispatch = Dispatch::for_each(shader!("where", "index"), &params, bindings, y.elements().div_ceil(4));
        Ok(vec![Kernel::new(vec![Layout::ROWS; 3], Layout::ROWS, dispatch)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written())).reach(Reach::Pixel)
    }
}

impl Graph {
    /// Adds a comparison: `graph.compare(a, Compare::Lt, b)` is true where `a < b`.
    pub fn compare(&mut self, a: Value, compare: Compare, b: Value) -> Result<Value> {
        self.push(compare, &[a, b])
    }

    /// Adds [`Logical::And`].
    pub fn logical_and(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Logical::And, &[a, b])
    }

    /// Adds [`Logical::Or`].
    pub fn logical_or(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Logical::Or, &[a, b])
    }

    /// Adds [`Logical::Xor`].
    pub fn logical_xor(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Logical::Xor, &[a, b])
    }

    /// Adds [`Logical::Not`].
    pub fn logical_not(&mut self, x: Value) -> Result<Value> {
        self.push(Logical::Not, &[x])
    }

    /// Adds a [`Where`]: `a` where the condition is true, else `b`.
    pub fn where_(&mut self, condition: Value, a: Value, b: Value) -> Result<Value> {
        self.push(Where, &[condition, a, b])
    }
}
