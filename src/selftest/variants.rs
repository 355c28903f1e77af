//! The kernels that compute a case: the same graph once for each kernel that its operation offers.

use crate::DType;
use crate::error::{ErrorKind, Result};
use crate::graph::only::Only;
use crate::graph::op::Io;
use crate::graph::{Graph, Input, Value};
use crate::kernel::{Caps, Kernel, Layout, Scalar};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Returns true if the kernel's values fit the device's textures, the device runs the kernel's loops to their end, and
/// all values other than `f32`s are in rows.
fn fits(kernel: &Kernel, dtypes: &[DType], io: &Io, caps: &Caps) -> bool {
    let placed = io.inputs.iter().zip(&kernel.reads).chain(io.outputs.iter().zip(&kernel.writes));
    kernel.ends_on(caps)
        && placed.zip(dtypes).all(|((shape, &layout), &dtype)| {
            layout.fits(shape, caps) && (layout == Layout::ROWS || dtype == DType::F32)
        })
}

/// Returns the graph once for each kernel that its operation has on such a device, if the graph is a single operation
/// on its inputs. Of kernels with the same shaders and layouts, only the first is returned, unless `all` is true.
pub(super) fn variants(graph: &Graph, caps: &Caps, all: bool, change: Change) -> Result<Vec<(Kernel, Graph)>> {
    let fused = graph.fused();
    let [node] = fused.nodes() else { return Ok(Vec::new()) };
    let inputs: Vec<Value> = fused.inputs().iter().map(|input| input.value).collect();
    if !node.inputs.iter().all(|value| inputs.contains(value)) {
        return Ok(Vec::new());
    }
    let mut kernels: Vec<(usize, Kernel)> = Vec::new();
    fused.visit(1, |node, io| {
        let offered = node.op.kernels(io, caps).map_err(|kind| kind.at(node.op.name(), &node.name))?;
        let dtypes: Vec<DType> =
            node.inputs.iter().chain(&node.outputs).map(|&value| fused.known_dtype(value)).collect();
        let offered = offered.into_iter().enumerate().filter(|(_, kernel)| fits(kernel, &dtypes, io, caps));
        kernels = offered.filter_map(|(i, kernel)| Some((i, change.stored(kernel)?))).collect();
        Ok(())
    })?;
    if change.scalar != Scalar::F32 && !caps.packs_f16 {
        return Ok(Vec::new());
    }
    if !all {
        let mut seen: Vec<String> = Vec::new();
        kernels.retain(|(_, kernel)| {
            let of = family(kernel);
            let new = !seen.contains(&of);
            seen.push(of);
            new
        });
    }
    if kernels.is_empty() {
        return Err(ErrorKind::Unsupported("none of its kernels fits".into()).at(node.op.name(), &node.name));
    }
    let change = change.function();
    let only = |kernel: usize| -> Result<Graph> {
        let mut graph = Graph::new();
        let own = |input: &Input| graph.typed_input(input.name.clone(), input.dtype, input.shape.clone());
        let values: Vec<Value> = fused.inputs().iter().map(own).collect();
        let of = |value: &Value| inputs.iter().position(|input| input == value).map(|i| values[i]);
        let read: Vec<Value> = node.inputs.iter().filter_map(of).collect();
        let outputs = graph.add_node(&node.name, Only { op: node.op.clone(), kernel, change }, &read)?;
        for (name, value) in fused.outputs() {
            let made = node.outputs.iter().position(|output| output == value).map(|i| outputs[i]);
            let Some(value) = made.or_else(|| of(value)) else { continue };
            graph.output(name.clone(), value);
        }
        Ok(graph)
    };
    kernels.into_iter().map(|(i, kernel)| Ok((kernel, only(i)?))).collect()
}

/// The change that each kernel undergoes before it runs.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) sabotage: bool,
    pub(super) scalar: Scalar,
}

impl Change {
    /// Returns the kernel with its values stored as `scalar`, if it can store them so.
    fn stored(self, kernel: Kernel) -> Option<Kernel> {
        if self.scalar == Scalar::F32 { Some(kernel) } else { in_halves(&kernel) }
    }

    fn function(self) -> fn(&mut Kernel) {
        match (self.sabotage, self.scalar) {
            (false, Scalar::F32) => |_| (),
            (true, Scalar::F32) => lose_a_workgroup,
            (false, Scalar::F16) => store_halves,
            (true, Scalar::F16) => |kernel| {
                store_halves(kernel);
                lose_a_workgroup(kernel);
            },
        }
    }
}

fn lose_a_workgroup(kernel: &mut Kernel) {
    kernel.dispatches.iter_mut().for_each(|dispatch| dispatch.workgroups[0] -= 1);
}

/// Returns the kernel with everything stored as `f16`s that may be. Some kernels read `f16`s, but can't write them.
fn in_halves(kernel: &Kernel) -> Option<Kernel> {
    let stored = |outputs| kernel.stored_as(&vec![Scalar::F16; kernel.reads.len()], outputs, Scalar::F16);
    stored(Scalar::F16).or_else(|| stored(Scalar::F32)).filter(Kernel::is_narrow)
}

fn store_halves(kernel: &mut Kernel) {
    *kernel = in_halves(kernel).expect("only kernels that can are run so");
}

/// Returns the properties that kernels share if they differ only in constants.
fn family(kernel: &Kernel) -> String {
    let shaders: BTreeSet<&str> = kernel.dispatches.iter().map(|dispatch| dispatch.shader.name()).collect();
    format!("{shaders:?} {:?} {:?}", kernel.reads, kernel.writes)
}

/// Returns the properties that identify a kernel, in order to skip a kernel that an earlier tier has run.
pub(super) fn identity(kernel: &Kernel) -> String {
    let mut text = format!("{:?} {:?}", kernel.reads, kernel.writes);
    for dispatch in &kernel.dispatches {
        // Writing to a string can't fail.
        let _never = write!(text, " {} {:?} {:?}", dispatch.shader, dispatch.params, dispatch.workgroups);
    }
    text
}
