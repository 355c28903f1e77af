//! Operations that move elements: on the host if the operands are known, otherwise on the device.

use super::builder::Builder;
use super::element::ElementType;
use super::node::Operand;
use super::tensor::{Tensor, foldable, made_of};
use crate::error::{ErrorKind, Result};
use crate::graph::Source;
use crate::ops::{BinaryKind, Compare, Concat, Expand, IndexSelect, LayerNorm, Slice};
use crate::rewrite::views::View;
use crate::{DType, Op, Shape, Value};

/// Resolves an axis, which may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, ErrorKind> {
    let from_the_end = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    let wanted = || ErrorKind::argument("axis", format_args!("one of {rank} dimensions"), axis);
    usize::try_from(from_the_end).ok().filter(|&axis| axis < rank).ok_or_else(wanted)
}

/// Resolves axes, which may count from the end. Fails if an axis occurs twice.
pub(super) fn axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, ErrorKind> {
    let list = axes.iter().take(rank + 1).map(|&each| axis(each, rank)).collect::<Result<Vec<_>, _>>()?;
    match (1..list.len()).find(|&i| list[..i].contains(&list[i])) {
        None => Ok(list),
        Some(_) => Err(ErrorKind::argument("axes", "each axis once", format!("{axes:?}"))),
    }
}

impl Builder<'_> {
    /// Adds an operation with one output to the graph.
    pub(super) fn push(&mut self, op: impl Op, inputs: &[&Operand]) -> Result<Value> {
        let inputs = inputs.iter().map(|operand| self.value(operand)).collect::<Result<Vec<_>>>()?;
        self.graph.push(op, &inputs)
    }

    /// Adds an operation with one output of this element type.
    pub(super) fn typed(&mut self, element: ElementType, op: impl Op, inputs: &[&Operand]) -> Result<Operand> {
        Ok(self.several(&[element], op, inputs)?.swap_remove(0))
    }

    /// Adds an operation with outputs of these element types. If all are empty, there is nothing to compute.
    pub(super) fn several(
        &mut self,
        elements: &[ElementType],
        op: impl Op,
        inputs: &[&Operand],
    ) -> Result<Vec<Operand>> {
        let shapes: Vec<Shape> = inputs.iter().map(|operand| self.shape(operand)).collect();
        let shapes = op.output_shapes(&shapes)?;
        shapes.iter().try_for_each(Shape::countable)?;
        if shapes.iter().all(|shape| shape.elements() == 0) {
            let empty = |(&element, shape)| Tensor::empty(element, shape).into();
            return Ok(elements.iter().zip(shapes).map(empty).collect());
        }
        let inputs = inputs.iter().map(|operand| self.value(operand)).collect::<Result<Vec<_>>>()?;
        let name = format!("{}_{}", op.name(), self.graph.nodes().len());
        let values = self.graph.add_node(name, op, &inputs)?;
        Ok(values.into_iter().zip(elements).map(|(value, &element)| Operand::Device(value, element)).collect())
    }

    /// Adds an operation with one output of the first input's element type.
    pub(super) fn moved(&mut self, op: impl Op, inputs: &[&Operand]) -> Result<Operand> {
        self.typed(inputs[0].element(), op, inputs)
    }

    pub(super) fn reshape(&mut self, x: &Operand, shape: impl Into<Shape>) -> Result<Operand> {
        let (from, shape) = (self.shape(x), shape.into());
        shape.countable()?;
        if from.elements() != shape.elements() {
            return Err(ErrorKind::argument("shape", format_args!("as many elements as {from}"), shape).into());
        }
        match x {
            _ if from == shape => Ok(x.clone()),
            Operand::Host(tensor) => Ok(tensor.reshaped(shape).into()),
            Operand::Device(value, element) => {
                let view = View::new(&self.graph, *value);
                Ok(Operand::Device(view.place(&mut self.graph, &shape)?, *element))
            }
        }
    }

    pub(super) fn transpose(&mut self, x: &Operand, order: &[usize]) -> Result<Operand> {
        let shape = self.shape(x);
        if shape.len() != order.len() {
            return Err(ErrorKind::argument("input", format_args!("{} dimensions", order.len()), shape).into());
        }
        if order.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Ok(x.clone());
        }
        match x {
            Operand::Host(tensor) if *order == [1, 0] => Ok(tensor.turned()?.into()),
            Operand::Host(tensor) => {
                let strides = tensor.shape.strides();
                let shape: Vec<usize> = order.iter().map(|&axis| tensor.shape[axis]).collect();
                let strides = order.iter().map(|&axis| strides[axis] as isize).collect();
                Ok(tensor.strided(shape.into(), 0, strides)?.into())
            }
            Operand::Device(value, element) => {
                let view = View::new(&self.graph, *value).transposed(order);
                let shape = order.iter().map(|&axis| self.graph.known_shape(*value)[axis]).collect::<Vec<_>>();
                Ok(Operand::Device(view.place(&mut self.graph, &shape.into())?, *element))
            }
        }
    }

    /// Broadcasts an operand to a shape.
    pub(super) fn expand(&mut self, x: &Operand, shape: &Shape) -> Result<Operand> {
        let from = self.shape(x);
        if from == *shape {
            return Ok(x.clone());
        }
        match x {
            Operand::Host(tensor) if from.broadcast(shape).as_ref() == Some(shape) => {
                let strides = from.broadcast_strides(shape).into_iter().map(|stride| stride as isize).collect();
                Ok(tensor.strided(shape.clone(), 0, strides)?.into())
            }
            _ => {
                let sizes: Vec<isize> = shape.iter().map(|&size| size as isize).collect();
                self.moved(Expand::new(sizes), &[x])
            }
        }
    }

    /// Takes the `count` elements `start, start + step, ..` along an axis.
    pub(super) fn slice(
        &mut self,
        x: &Operand,
        axis: usize,
        start: usize,
        count: usize,
        step: isize,
    ) -> Result<Operand> {
        let mut shape = self.shape(x).to_vec();
        let size = *shape.get(axis).ok_or_else(|| ErrorKind::argument("axis", "one of the input's", axis))?;
        if (start, count, step) == (0, size, 1) {
            return Ok(x.clone());
        }
        if count == 0 {
            shape[axis] = 0;
            return Ok(Tensor::empty(x.element(), shape.into()).into());
        }
        let last = (count as isize - 1).checked_mul(step).and_then(|way| way.checked_add_unsigned(start));
        let last = last.filter(|&last| start < size && (0..size as isize).contains(&last));
        let last = last.ok_or_else(|| {
            let got = format!("{count} from {start} on, by {step}");
            ErrorKind::argument("slice", format_args!("a part of the {size} elements of axis {axis}"), got)
        })?;
        let Operand::Host(tensor) = x else {
            if let Some(y) = self.slice_of_norm(x, axis, start, count, step)? {
                return Ok(y);
            }
            // An end of -1 would count from the axis's end: an end before the first element needs a lower number.
            let end = if step > 0 {
                last + 1
            } else if last == 0 {
                isize::MIN
            } else {
                last - 1
            };
            return self.moved(Slice::new().along(axis, start as isize, end, step), &[x]);
        };
        let mut strides: Vec<isize> = tensor.shape.strides().into_iter().map(|stride| stride as isize).collect();
        let first = start * strides[axis] as usize;
        strides[axis] *= step;
        shape[axis] = count;
        Ok(tensor.strided(shape.into(), first, strides)?.into())
    }

    /// Slices the input of a layer norm, not its output: its rows are independent, so only the taken ones remain.
    fn slice_of_norm(
        &mut self,
        x: &Operand,
        axis: usize,
        start: usize,
        count: usize,
        step: isize,
    ) -> Result<Option<Operand>> {
        let &Operand::Device(value, element) = x else { return Ok(None) };
        let &Source::Node(node) = self.graph.source(value) else { return Ok(None) };
        let node = &self.graph.nodes()[node];
        let Some(norm) = node.op.downcast_ref::<LayerNorm>() else { return Ok(None) };
        if axis + norm.normalized_shape().len() >= self.graph.known_shape(value).len() {
            return Ok(None);
        }
        let (norm, input) = (norm.clone(), Operand::Device(node.inputs[0], element));
        let rows = self.slice(&input, axis, start, count, step)?;
        Ok(Some(self.moved(norm, &[&rows])?))
    }

    pub(super) fn concat(&mut self, parts: &[Operand], axis: usize) -> Result<Operand> {
        if let [one] = parts {
            return Ok(one.clone());
        }
        let shapes: Vec<Shape> = parts.iter().map(|part| self.shape(part)).collect();
        let mut shape = shapes.first().map(|shape| shape.to_vec()).unwrap_or_default();
        if axis >= shape.len() {
            return Err(ErrorKind::argument("axis", format_args!("one of {} dimensions", shape.len()), axis).into());
        }
        let fits = |other: &&Shape| {
            let sizes = || other.iter().zip(&shape).enumerate();
            other.len() == shape.len() && sizes().all(|(i, (a, b))| i == axis || a == b)
        };
        if let Some(wrong) = shapes.iter().find(|shape| !fits(shape)) {
            return Err(ErrorKind::argument("inputs", format!("sizes like {shape:?}"), wrong).into());
        }
        let hosts: Option<Vec<&Tensor>> = parts.iter().map(Operand::host).collect();
        let Some(hosts) = hosts else {
            // Empty parts contribute nothing.
            let some = parts.iter().zip(&shapes).filter(|(_, shape)| shape.elements() > 0);
            let some: Vec<&Operand> = some.map(|(part, _)| part).collect();
            return if let [one] = some[..] { Ok(one.clone()) } else { self.moved(Concat::new(axis), &some) };
        };
        shape[axis] = hosts.iter().map(|tensor| tensor.shape[axis]).sum();
        let shape = Shape::from(shape);
        shape.countable()?;
        made_of(&shape, &hosts)?;
        // For each outer index, a part's numbers are contiguous.
        let outer: usize = shape[..axis].iter().product();
        let inner = |tensor: &Tensor| tensor.shape[axis..].iter().product::<usize>();
        let fixed = hosts.iter().all(|tensor| tensor.fixed);
        let joined = if hosts[0].element.is_float() {
            let parts: Vec<Vec<f32>> =
                hosts.iter().map(|tensor| Ok(tensor.constant()?.values())).collect::<Result<_, ErrorKind>>()?;
            Tensor::floats(hosts[0].element, shape, join(&parts, outer, |i| inner(hosts[i])))
        } else {
            let parts: Vec<Vec<i64>> =
                hosts.iter().map(|tensor| Ok(tensor.as_ints()?.into_owned())).collect::<Result<_, ErrorKind>>()?;
            Tensor::ints(hosts[0].element, shape, join(&parts, outer, |i| inner(hosts[i])))
        };
        Ok(joined.with_fixed(fixed).into())
    }

    /// Converts indices that may count from the end of `size` elements to indices from the start, on the device.
    /// Indices that are an input of the graph stay: the session checks them and refuses negative ones.
    pub(super) fn counted_from_the_start(&mut self, index: &Operand, size: usize) -> Result<Operand> {
        if let Operand::Device(value, _) = index
            && matches!(self.graph.source(*value), Source::Input)
        {
            return Ok(index.clone());
        }
        let negative = self.compare(index, Compare::Lt, &index.number(0))?;
        let moved = self.binary(BinaryKind::Add, index, &index.number(size as f64))?;
        self.where_(&negative, &moved, index)
    }

    /// Computes ONNX `Gather`: `x[.., index, ..]` along an axis, for indices of any shape. Negative ones count back.
    pub(super) fn gather(&mut self, x: &Operand, axis: usize, index: &Operand) -> Result<Operand> {
        let (from, shape) = (self.shape(x), self.shape(index));
        let axis = self::axis(axis as i64, from.len())?;
        let result: Shape = [&from[..axis], &shape[..], &from[axis + 1..]].concat().into();
        let index = match index {
            Operand::Device(..) => {
                let index = self.counted_from_the_start(index, from[axis])?;
                return self.moved(IndexSelect::new(axis), &[x, &index]);
            }
            Operand::Host(tensor) => {
                let inside = |&index: &i64| {
                    let error = || ErrorKind::argument("indices", format_args!("places in {}", from[axis]), index);
                    let from_the_start = if index < 0 { index + from[axis] as i64 } else { index };
                    usize::try_from(from_the_start).ok().filter(|&place| place < from[axis]).ok_or_else(error)
                };
                tensor.as_ints()?.iter().map(inside).collect::<Result<Vec<_>, _>>()?
            }
        };
        let Operand::Host(tensor) = x else {
            // Consecutive indices are a slice; the reshape drops the axis for a scalar index.
            let straight = index.windows(2).all(|pair| pair[1] == pair[0] + 1);
            if straight && !index.is_empty() {
                let part = self.slice(x, axis, index[0], index.len(), 1)?;
                return self.reshape(&part, result);
            }
            let places = Tensor::ints(ElementType::I64, shape, index.iter().map(|&i| i as i64).collect());
            return self.moved(IndexSelect::new(axis), &[x, &places.into()]);
        };
        made_of(&result, &[tensor])?;
        let inner: usize = from[axis + 1..].iter().product();
        let (outer, size): (usize, usize) = (from[..axis].iter().product(), from[axis]);
        let places: Vec<usize> = (0..outer)
            .flat_map(|o| index.iter().map(move |&i| (o, i)))
            .flat_map(|(o, i)| (0..inner).map(move |j| (o * size + i) * inner + j))
            .collect();
        Ok(tensor.picked(result, &places)?.into())
    }

    /// Returns the entry at a position of an axis, without that axis.
    pub(super) fn entry(&mut self, x: &Operand, axis: usize, place: usize) -> Result<Operand> {
        let mut shape = self.shape(x).to_vec();
        shape.remove(axis);
        let part = self.slice(x, axis, place, 1, 1)?;
        self.reshape(&part, shape)
    }

    /// Stacks tensors of one shape along a new axis.
    pub(super) fn stack(&mut self, items: &[Operand], axis: usize) -> Result<Operand> {
        let mut parts = Vec::with_capacity(items.len());
        for item in items {
            let mut shape = self.shape(item).to_vec();
            if item.element() != items[0].element() || shape[..] != self.shape(&items[0])[..] {
                let [wanted, got] = [&items[0], item].map(|item| format!("{} {}", item.element(), self.shape(item)));
                return Err(ErrorKind::argument("tensors that are stacked", format!("all {wanted}"), got).into());
            }
            shape.insert(axis, 1);
            parts.push(self.reshape(item, shape)?);
        }
        self.concat(&parts, axis)
    }

    /// Adds elements before and after each axis, or removes them where numbers are negative. A reflection of removed
    /// elements is refused: PyTorch shows them, NumPy has no such thing, ONNX says nothing of it.
    pub(super) fn pad(&mut self, x: &Operand, pads: &[[i64; 2]], mode: &str, value: f64) -> Result<Operand> {
        let mut x = x.clone();
        let shape = self.shape(&x);
        // Elements are removed first, then the rest is padded.
        for (axis, &[before, after]) in pads.iter().enumerate() {
            let [first, last] = [before, after].map(|pad| pad.min(0).unsigned_abs() as usize);
            let count = shape[axis].checked_sub(first.saturating_add(last));
            let count =
                count.ok_or_else(|| ErrorKind::argument("pads", format!("what {shape} has"), format!("{pads:?}")))?;
            x = self.slice(&x, axis, first, count, 1)?;
        }
        for (axis, ends) in pads.iter().enumerate().filter(|_| mode == "reflect") {
            let (most, size) = (ends[0].max(ends[1]), self.shape(&x)[axis]);
            if ends[0].min(ends[1]) < 0 && most > 0 && most as usize >= size {
                let wanted = format!("less than the {size} elements that are left of axis {axis}, to reflect these");
                return Err(ErrorKind::argument("pads", wanted, most).into());
            }
        }
        let pads: Vec<[usize; 2]> = pads.iter().map(|pads| pads.map(|pad| pad.max(0) as usize)).collect();
        if pads.iter().all(|pads| *pads == [0, 0]) {
            return Ok(x);
        }
        if mode == "constant" {
            return self.pad_constant(&x, &pads, value);
        }
        for (axis, &[before, after]) in pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]) {
            let size = self.shape(&x)[axis] as i64;
            if size == 0 {
                return Err(ErrorKind::argument("pads", format!("an element to repeat in {shape}"), "none").into());
            }
            foldable(&[before.saturating_add(after).saturating_add(size as usize)].into())?;
            let place = |i: i64| match mode {
                "edge" => i.clamp(0, size - 1),
                "wrap" => i.rem_euclid(size),
                // Reflections at the centres of the outermost elements, repeated.
                _ if size == 1 => 0,
                _ => (size - 1) - (i.rem_euclid(2 * (size - 1)) - (size - 1)).abs(),
            };
            let places: Vec<i64> = (-(before as i64)..size + after as i64).map(place).collect();
            let places = Tensor::ints(ElementType::I64, [places.len()], places).with_fixed(false);
            x = self.gather(&x, axis, &places.into())?;
        }
        Ok(x)
    }

    fn pad_constant(&mut self, x: &Operand, pads: &[[usize; 2]], value: f64) -> Result<Operand> {
        if let Operand::Device(device, _) = *x
            && self.graph.known_dtype(device) == DType::F32
        {
            let pads: Vec<[isize; 2]> = pads.iter().map(|pads| pads.map(|pad| pad as isize)).collect();
            return Ok(Operand::Device(self.graph.pad(device, pads, value as f32)?, x.element()));
        }
        let mut x = x.clone();
        for (axis, &[before, after]) in pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]) {
            let mut parts = vec![x.clone()];
            for (pad, place) in [(before, 0), (after, parts.len())] {
                let mut sizes = self.shape(&x).to_vec();
                sizes[axis] = pad;
                let part = Tensor::filled(x.element(), sizes.into(), value)?.with_fixed(false);
                parts.insert(if place == 0 { 0 } else { parts.len() }, part.into());
            }
            x = self.concat(&parts, axis)?;
        }
        Ok(x)
    }
}

fn join<T: Copy>(parts: &[Vec<T>], outer: usize, inner: impl Fn(usize) -> usize) -> Vec<T> {
    let mut joined = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for o in 0..outer {
        for (i, part) in parts.iter().enumerate() {
            joined.extend_from_slice(&part[o * inner(i)..(o + 1) * inner(i)]);
        }
    }
    joined
}
