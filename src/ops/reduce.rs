//! Reduction: sum, mean, extrema, product, norms and log-sum-exp over any axes.

use super::binary::eight;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, expect_dtypes, number_dtype};
use crate::kernel::params::{Encoder, Field, params};
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// The kind of a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// `torch.sum`
    Sum,
    /// `torch.mean`
    Mean,
    /// `torch.amax`
    Max,
    /// `torch.amin`
    Min,
    /// `torch.prod`
    Prod,
    /// `torch.norm(p=1)`: the sum of the absolute values
    L1,
    /// `torch.norm(p=2)`: the square root of the sum of the squares
    L2,
    /// `torch.logsumexp`: `max + log(sum(exp(x - max)))`
    LogSumExp,
}

/// `torch.sum`, `mean`, `amax`, `amin`, `prod`, `norm` and `logsumexp`: one number from all elements along the reduced
/// axes. These axes are dropped from the shape, or kept with a size of 1.
///
/// Except for `p=2` and `logsumexp`, `i32`s are allowed too: they wrap around, and a mean is rounded toward zero.
///
/// ```
/// use shadernet::ops::{Reduce, ReduceKind};
/// let per_channel = Reduce::new(ReduceKind::Mean, [0, 2, 3]).keepdim(true);
/// let of_all = Reduce::new(ReduceKind::Sum, []);
/// ```
#[derive(Clone, Debug)]
pub struct Reduce {
    kind: ReduceKind,
    axes: Vec<usize>,
    keepdim: bool,
}

params! {
    struct Params {
        kept: [[usize; 4]; 2] as [kept, kept_strides],
        reduced: [[usize; 4]; 2] as [reduced, reduced_strides],
        outputs: usize,
        length: usize,
        identity: Element,
    }
}

/// Returns the sizes and the strides of up to four dimensions, the innermost last.
fn four(dimensions: &[(usize, usize)]) -> [[usize; 4]; 2] {
    let (mut sizes, mut strides) = ([1; 4], [0; 4]);
    for (i, &dimension) in dimensions.iter().enumerate() {
        let at = 4 - dimensions.len() + i;
        (sizes[at], strides[at]) = dimension;
    }
    [sizes, strides]
}

/// A number of the type of the elements.
#[derive(Clone, Copy, Debug)]
enum Element {
    Float(f32),
    Integer(i32),
}

impl Field for Element {
    fn put(&self, name: &'static str, to: &mut Encoder) {
        match self {
            Element::Float(value) => value.put(name, to),
            Element::Integer(value) => value.put(name, to),
        }
    }
}

/// The most invocations of a workgroup: WebGPU's default limit.
const MOST_LANES: usize = 256;

/// The fewest invocations of a workgroup: fewer leave a part of a wide subgroup idle.
const LEAST_WORKGROUP: usize = 64;

/// The length beyond which a line gets up to `MOST_LANES` invocations.
const LONG: usize = 1024;

/// The division of a workgroup's invocations among outputs: `lanes` times `columns` of them, both powers of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    pub(crate) lanes: u32,
    pub(crate) columns: u32,
}

impl Split {
    /// Returns the split for lines of `length` elements; `neighbours` outputs are adjacent (1 if their elements are).
    pub(crate) fn new(length: usize, neighbours: usize, caps: &Caps) -> Split {
        // Four elements an invocation at least: a barrier costs more than a few additions.
        let most = if length > LONG { MOST_LANES } else { LEAST_WORKGROUP };
        let most = length.div_ceil(4).next_power_of_two().min(most);
        let with = |columns: usize| {
            let lanes = most.min(MOST_LANES / columns);
            // Short lines need more columns to fill a workgroup.
            let columns = columns.max(LEAST_WORKGROUP / lanes.min(LEAST_WORKGROUP));
            Split { lanes: lanes as u32, columns: columns as u32 }
        };
        // Fewer columns leave more invocations for each line.
        let mut columns = neighbours.next_power_of_two().min(LEAST_WORKGROUP);
        while columns > 1 && with(columns).iterations(length) > caps.max_loop_iterations as usize {
            columns /= 2;
        }
        with(columns)
    }

    /// Returns the iterations of one invocation: it takes every `lanes`-th element of a line, one at a time, and then
    /// joins the results of the workgroup.
    pub(crate) fn iterations(self, length: usize) -> usize {
        length.div_ceil(self.lanes as usize) + 16
    }
}

/// Returns a shape without `axes`, or with a size of 1 there. No axes stand for all axes.
pub(crate) fn reduced_shape(x: &Shape, axes: &[usize], keepdim: bool) -> Result<Shape, ErrorKind> {
    eight(x, 1)?;
    for (i, axis) in axes.iter().enumerate() {
        if *axis >= x.len() {
            return Err(ErrorKind::argument("axes", format_args!("dimensions of {x}"), axis));
        }
        if axes[..i].contains(axis) {
            return Err(ErrorKind::argument("axes", "each axis once", format_args!("{axes:?}")));
        }
    }
    let size = |(axis, &size): (usize, &usize)| match axes.is_empty() || axes.contains(&axis) {
        true => keepdim.then_some(1),
        false => Some(size),
    };
    Ok(x.iter().enumerate().filter_map(size).collect::<Vec<_>>().into())
}

impl Reduce {
    /// Creates a reduction over `axes`; over all of them if none is named, as in PyTorch.
    pub fn new(kind: ReduceKind, axes: impl Into<Vec<usize>>) -> Reduce {
        Reduce { kind, axes: axes.into(), keepdim: false }
    }

    /// Keeps the reduced axes, with size 1, if `keepdim` is true.
    #[must_use]
    pub fn keepdim(self, keepdim: bool) -> Reduce {
        Reduce { keepdim, ..self }
    }

    /// Returns the kind and the axes of the reduction, and whether the axes stay.
    pub(crate) fn parts(&self) -> (ReduceKind, &[usize], bool) {
        (self.kind, &self.axes, self.keepdim)
    }

    fn is_reduced(&self, axis: usize) -> bool {
        self.axes.is_empty() || self.axes.contains(&axis)
    }

    /// Returns the identity element of the reduction.
    fn identity(&self, dtype: DType) -> Element {
        let of = |float, integer| if dtype == DType::F32 { Element::Float(float) } else { Element::Integer(integer) };
        match self.kind {
            ReduceKind::Max | ReduceKind::LogSumExp => of(f32::NEG_INFINITY, i32::MIN),
            ReduceKind::Min => of(f32::INFINITY, i32::MAX),
            ReduceKind::Prod => of(1.0, 1),
            _ => of(0.0, 0),
        }
    }
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            ReduceKind::Sum => "sum",
            ReduceKind::Mean => "mean",
            ReduceKind::Max => "amax",
            ReduceKind::Min => "amin",
            ReduceKind::Prod => "prod",
            ReduceKind::L1 | ReduceKind::L2 => "norm",
            ReduceKind::LogSumExp => "logsumexp",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        Ok(vec![reduced_shape(x, &self.axes, self.keepdim)?])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        if matches!(self.kind, ReduceKind::L2 | ReduceKind::LogSumExp) {
            expect_dtypes(inputs, |_| DType::F32)?;
        }
        Ok(vec![number_dtype(inputs)?])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, outputs) = (&io.inputs[0], io.outputs[0].elements());
        // Neighbouring dimensions of a kind are merged: of eight dimensions at most four of each kind are left.
        let mut dimensions: Vec<(bool, usize, usize)> = Vec::new();
        for (axis, (&size, stride)) in x.iter().zip(x.strides()).enumerate().filter(|(_, (size, _))| **size > 1) {
            match dimensions.last_mut() {
                Some(last) if last.0 == self.is_reduced(axis) => *last = (last.0, last.1 * size, stride),
                _ => dimensions.push((self.is_reduced(axis), size, stride)),
            }
        }
        let of = |reduced: bool| -> Vec<(usize, usize)> {
            dimensions.iter().filter(|of| of.0 == reduced).map(|&(_, size, stride)| (size, stride)).collect()
        };
        let (kept, reduced) = (of(false), of(true));
        let length = x.elements() / outputs;
        let inner = dimensions.last().is_none_or(|innermost| innermost.0);
        let neighbours = if inner { 1 } else { kept[kept.len() - 1].0 };
        let Split { lanes, columns } = Split::new(length, neighbours, caps);
        let params = Params {
            kept: four(&kept),
            reduced: four(&reduced),
            outputs,
            length,
            identity: self.identity(io.dtypes[0]),
        };
        let shader = shader!("reduce", "index", "nan")
            .for_dtype(io.dtypes[0])
            .set("KIND", self.kind as u32)
            .set("FLOAT", io.dtypes[0] == DType::F32)
            .set("INNER", inner)
            .set("LANES", lanes)
            .set("COLUMNS", columns)
            .set("KEPT", kept.len().max(1) as u32)
            .set("REDUCED", reduced.len().max(1) as u32);
        let bindings = vec![Binding::Input(0), Binding::Output(0)];
        let dispatch = Dispatch::new(shader, &params, bindings, outputs.div_ceil(columns as usize))
            .iterations(Split { lanes, columns }.iterations(length));
        Ok(vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let (n, outputs) = (io.read(), io.written());
        let channels = (0..io.inputs[0].len()).all(|axis| axis < 2 || !self.is_reduced(axis));
        Metrics::new(Cost::held(match self.kind {
            ReduceKind::Sum | ReduceKind::Max | ReduceKind::Min | ReduceKind::Prod => n.saturating_sub(outputs),
            ReduceKind::Mean => n,
            ReduceKind::L1 => n.saturating_mul(2).saturating_sub(outputs),
            ReduceKind::L2 => n.saturating_mul(2),
            ReduceKind::LogSumExp => n.saturating_mul(4),
        }))
        .reach(Reach::pixel_if(channels && self.keepdim))
    }
}

impl Graph {
    /// Adds a [`Reduce`].
    pub fn reduce(&mut self, x: Value, reduce: Reduce) -> Result<Value> {
        self.push(reduce, &[x])
    }

    /// Adds a [`Reduce`]: the mean over `axes`, or of all elements if none is named.
    pub fn mean(&mut self, x: Value, axes: impl Into<Vec<usize>>) -> Result<Value> {
        self.push(Reduce::new(ReduceKind::Mean, axes), &[x])
    }
}
