//! A model and its sessions: plans made resident on a device.

mod cache;
mod frame;
mod model;
#[cfg(feature = "onnx")]
mod parts;
mod record;
mod slices;

pub use cache::SessionCache;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use frame::whole;
pub use frame::{BoundBuffers, Pending};
pub use model::Model;
pub(crate) use model::in_background;
#[cfg(feature = "onnx")]
pub use parts::Parts;
pub use slices::{FrameSlice, FrameSlices};

use crate::dtype::{Elements, View};
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::{Memory, PARAMS, check_lent, upload};
use crate::gpu::pipeline::{Kind, Pipeline, group, pipelines_for};
use crate::kernel::{Dispatch, Identity, Scalar, Storage};
use crate::plan::memory::SlotKind;
use crate::plan::{Plan, Port, Resource};
use crate::tensor::Outputs;
use frame::Frame;
use futures::{Stream, StreamExt};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A plan made resident: memory, pipelines and bind groups, created once. Running it creates nothing.
///
/// [`Session::run`] takes and returns host memory. It builds on [`Session::bind`] and [`Session::encode`], which record
/// the network into the host's own encoder, between the host's own buffers.
pub struct Session {
    context: Context,
    plan: Plan,
    dispatches: Vec<Resident>,
    slots: Vec<Memory>,
    /// The states, which outlive a frame. Sessions of [`Model::session_sharing`] share them.
    states: Arc<Vec<Memory>>,
    weights: HashMap<Identity, Arc<Memory>>,
    params: wgpu::Buffer,
    /// The names of the outputs.
    names: Arc<[String]>,
    /// The number that tells this session's bind groups from those of other sessions.
    id: u64,
    /// The number of recordings so far. A sliced frame goes on only if nothing else was recorded in between.
    recorded: AtomicU64,
    /// The frames that aren't in use. They grow to as many as were ever in flight at once.
    idle: Arc<Mutex<Vec<Frame>>>,
}

/// A resident dispatch.
struct Resident {
    pipeline: Arc<Pipeline>,
    group: Group,
    workgroups: [u32; 3],
    /// The index of its step in the plan, and its index in the step.
    at: (usize, usize),
    /// The offset and the length of its parameters, in bytes.
    params: (u64, u64),
}

impl Resident {
    /// Returns its bind group: its own or the caller's.
    fn bound<'a>(&'a self, bound: &'a BoundBuffers) -> &'a wgpu::BindGroup {
        match &self.group {
            Group::Own(group) => group,
            Group::Bound(at) => &bound.groups[*at],
        }
    }
}

/// The owner of a dispatch's bind group.
enum Group {
    Own(wgpu::BindGroup),
    /// A [`BoundBuffers`], at this index: the dispatch touches inputs or outputs.
    Bound(usize),
}

impl Session {
    /// Makes a plan resident, with its weights, and with the states of another session or zeros.
    fn new(
        context: &Context,
        plan: Plan,
        weights: HashMap<Identity, Arc<Memory>>,
        states: Option<Arc<Vec<Memory>>>,
    ) -> Result<Session> {
        let mut params = Vec::new();
        let mut wanted = Vec::new();
        let mut places = Vec::new();
        for (i, step) in plan.steps.iter().enumerate() {
            for (j, (dispatch, resources)) in step.dispatches.iter().enumerate() {
                params.resize(params.len().next_multiple_of(context.caps().params_alignment as usize), 0);
                places.push(((i, j), (params.len() as u64, dispatch.params.len() as u64), dispatch.workgroups));
                params.extend(&dispatch.params);
                wanted.push((dispatch.shader.clone(), kinds(&plan, dispatch, resources)));
            }
        }
        params.resize(params.len().next_multiple_of(16).max(16), 0);
        let slots = plan.slots.iter().map(|&slot| Memory::slot(context, slot)).collect::<Result<_>>()?;
        let states = match states {
            Some(states) => states,
            None => {
                let zeros = |port: &Port| Memory::slot(context, SlotKind::Buffer(port.bytes()));
                Arc::new(plan.states.iter().map(zeros).collect::<Result<_>>()?)
            }
        };
        let params = upload(context, "params", &params, PARAMS)?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut session = Session {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            context: context.clone(),
            names: plan.outputs.iter().map(|port| port.name.clone()).collect(),
            plan,
            dispatches: Vec::new(),
            slots,
            states,
            weights,
            params,
            recorded: AtomicU64::new(0),
            idle: Arc::default(),
        };
        let dispatches = session.plan.steps.iter().flat_map(|step| &step.dispatches);
        let params: Vec<&[u8]> = dispatches.map(|(dispatch, _)| &dispatch.params[..]).collect();
        let pipelines = pipelines_for(context, &wanted, &params)?;
        let mut bound = 0;
        for ((at, params, workgroups), pipeline) in places.into_iter().zip(pipelines) {
            let mut resident = Resident { pipeline, group: Group::Bound(bound), workgroups, at, params };
            if session.touches_ports(&resident) {
                bound += 1;
            } else {
                resident.group = Group::Own(session.group(&resident, &[], &[])?);
            }
            session.dispatches.push(resident);
        }
        Ok(session)
    }

    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the inputs, with their shapes.
    pub fn inputs(&self) -> &[Port] {
        &self.plan.inputs
    }

    /// Returns the outputs, with their shapes.
    pub fn outputs(&self) -> &[Port] {
        &self.plan.outputs
    }

    /// Returns the context that it runs on.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns the bytes of its memory on the device beside weights, with the buffers of one frame: each input and output
    /// has one for the device and one for the host.
    fn own_bytes(&self) -> u64 {
        let bytes = |ports: &[Port]| ports.iter().map(Port::bytes).sum::<u64>();
        let Plan { inputs, outputs, states, .. } = &self.plan;
        self.plan.peak_bytes() + self.params.size() + bytes(states) + 2 * (bytes(inputs) + bytes(outputs))
    }

    /// Runs one frame. Several may run at once.
    ///
    /// Inputs are row-major, in the order of [`Session::inputs`], or pairs of a name and values in any order:
    ///
    /// ```no_run
    /// # async fn run(session: &shadernet::Session, image: &[f32], mask: &[f32]) -> shadernet::Result<()> {
    /// let outputs = session.run(&[image, mask]).await?;
    /// let outputs = session.run(&[("mask", mask), ("image", image)]).await?;
    /// # Ok(()) }
    /// ```
    pub async fn run<T: Elements>(&self, inputs: &[T]) -> Result<Outputs> {
        self.submit(inputs)?.await
    }

    /// Runs one frame and blocks this thread until its outputs are there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking<T: Elements>(&self, inputs: &[T]) -> Result<Outputs> {
        self.submit(inputs)?.wait()
    }

    /// Submits one frame and returns at once. Awaiting the returned [`Pending`] gives the outputs.
    pub fn submit<T: Elements>(&self, inputs: &[T]) -> Result<Pending> {
        let inputs = in_order(self.inputs(), inputs)?;
        for (port, input) in self.inputs().iter().zip(&inputs) {
            check_input(port, input)?;
        }
        let idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        let frame = idle.map_or_else(|| Frame::new(self), Ok)?;
        frame.submit(self, &inputs)
    }

    /// Runs frame after frame, with up to `in_flight` submitted at once. Outputs come in the order of the inputs.
    ///
    /// The host prepares the next frame while the device computes one. On a GPU more frames in flight give a higher
    /// throughput, and each waits longer. On a software driver they only wait longer.
    pub fn stream<'a, F, T>(
        &'a self,
        frames: impl Stream<Item = F> + 'a,
        in_flight: usize,
    ) -> impl Stream<Item = Result<Outputs>> + 'a
    where
        F: AsRef<[T]> + 'a,
        T: Elements + 'a,
    {
        frames
            .map(|frame| {
                let pending = self.submit(frame.as_ref());
                async { pending?.await }
            })
            .buffered(in_flight.max(1))
    }

    /// Binds the caller's buffers as inputs and outputs, once for all the frames that use them.
    ///
    /// Each buffer holds its tensor row-major, four bytes an element (`true` is a `u32` of 1), has at least
    /// [`Port::bytes`] bytes, and has `STORAGE` usage. An output's buffer is bound to nothing else, because one
    /// dispatch may read an output and write another.
    pub fn bind(&self, inputs: &[wgpu::BufferBinding], outputs: &[wgpu::BufferBinding]) -> Result<BoundBuffers> {
        self.check_ports("inputs", &self.plan.inputs, inputs)?;
        self.check_ports("outputs", &self.plan.outputs, outputs)?;
        for (i, (port, output)) in self.plan.outputs.iter().zip(outputs).enumerate() {
            if inputs.iter().chain(&outputs[..i]).any(|other| other.buffer == output.buffer) {
                let argument = format!("output \"{}\"", port.name);
                let wanted = "a buffer that isn't an input or another output too";
                return Err(ErrorKind::argument(argument, wanted, "the same buffer").into());
            }
        }
        let touching = self.dispatches.iter().filter(|resident| matches!(resident.group, Group::Bound(_)));
        let groups = touching.map(|resident| self.group(resident, inputs, outputs)).collect::<Result<_>>()?;
        Ok(BoundBuffers { session: self.id, groups })
    }

    fn check_ports(&self, what: &str, ports: &[Port], bindings: &[wgpu::BufferBinding]) -> Result<()> {
        if ports.len() != bindings.len() {
            return Err(ErrorKind::argument(what, format_args!("{} buffers", ports.len()), bindings.len()).into());
        }
        ports.iter().zip(bindings).try_for_each(|(port, binding)| check_lent(&self.context, port, binding))
    }

    /// Records one frame into an encoder, between bound buffers. It allocates, creates, submits and waits for nothing.
    ///
    /// An error, before anything is recorded, if another session bound the buffers, or if it is known that an object of
    /// the session couldn't be created: see [`Context::settled`].
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, bound: &BoundBuffers) -> Result<()> {
        self.check_bound(bound)?;
        self.context.settled_so_far()?;
        let descriptor = wgpu::ComputePassDescriptor { label: Some("shadernet"), timestamp_writes: None };
        self.record(&mut encoder.begin_compute_pass(&descriptor), bound, 0..self.plan.steps.len());
        Ok(())
    }

    /// Checks that this session has bound the buffers.
    pub(crate) fn check_bound(&self, bound: &BoundBuffers) -> Result<()> {
        if bound.session == self.id {
            return Ok(());
        }
        Err(ErrorKind::argument("bound", "what this session has bound", "another session's").into())
    }

    fn resources(&self, resident: &Resident) -> &[Resource] {
        &self.plan.steps[resident.at.0].dispatches[resident.at.1].1
    }

    fn touches_ports(&self, resident: &Resident) -> bool {
        self.resources(resident).iter().any(|r| matches!(r, Resource::Input(_) | Resource::Output { .. }))
    }

    fn group(
        &self,
        resident: &Resident,
        inputs: &[wgpu::BufferBinding],
        outputs: &[wgpu::BufferBinding],
    ) -> Result<wgpu::BindGroup> {
        let port = |binding: &wgpu::BufferBinding<'_>, port: &Port| {
            let (buffer, offset) = (binding.buffer.clone(), binding.offset);
            (buffer, offset, wgpu::BufferSize::new(port.bytes()))
        };
        let bound: Vec<Option<(wgpu::Buffer, u64, Option<wgpu::BufferSize>)>> = self
            .resources(resident)
            .iter()
            .map(|resource| match *resource {
                Resource::Input(i) => Some(port(&inputs[i], &self.plan.inputs[i])),
                Resource::Output { output, .. } => Some(port(&outputs[output], &self.plan.outputs[output])),
                _ => None,
            })
            .collect();
        let params = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.params,
            offset: resident.params.0,
            size: wgpu::BufferSize::new(resident.params.1),
        });
        let resources = self.resources(resident).iter().zip(&bound).map(|(resource, bound)| match (resource, bound) {
            (_, Some((buffer, offset, size))) => {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: *offset, size: *size })
            }
            (Resource::State { state, .. }, _) => self.states[*state].binding(0, self.plan.states[*state].bytes()),
            (Resource::Weight(packed), _) => self.weights[&packed.identity()].binding(0, packed.bytes()),
            (Resource::Slot { slot, offset, bytes, .. }, _) => self.slots[*slot].binding(*offset, *bytes),
            (Resource::Input(_) | Resource::Output { .. }, None) => unreachable!("inputs and outputs are bound above"),
        });
        let label = Some(self.plan.steps[resident.at.0].node.as_str());
        group(&self.context, label, &resident.pipeline.layout, std::iter::once(params).chain(resources))
    }
}

/// Returns the inputs in the order of the ports: each is found by its name, or all have none and are in order.
fn in_order<'a, T: Elements>(ports: &[Port], inputs: &'a [T]) -> Result<Vec<&'a T>> {
    let list = || ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
    if inputs.len() != ports.len() {
        let names = if ports.is_empty() { String::new() } else { format!(" ({})", list()) };
        let wanted = format_args!("{}{names}", ports.len());
        return Err(ErrorKind::argument("inputs", wanted, inputs.len()).into());
    }
    if inputs.iter().all(|input| input.name().is_none()) {
        return Ok(inputs.iter().collect());
    }
    let unknown = |input: &&T| !ports.iter().any(|port| input.name() == Some(&port.name));
    if let Some(input) = inputs.iter().find(unknown) {
        return Err(ErrorKind::argument("the name of an input", list(), input.name().unwrap_or("none")).into());
    }
    let find = |port: &Port| {
        let found: Vec<&T> = inputs.iter().filter(|input| input.name() == Some(&port.name)).collect();
        match found[..] {
            [only] => Ok(only),
            _ => Err(ErrorKind::argument(format!("input \"{}\"", port.name), "one of that name", found.len()).into()),
        }
    };
    ports.iter().map(find).collect()
}

/// Checks an input's type, shape and range, before anything is uploaded.
fn check_input(port: &Port, input: &impl Elements) -> Result<()> {
    let values = input.view();
    let wrong =
        |wanted: String, got: String| Err(ErrorKind::argument(format!("input \"{}\"", port.name), wanted, got).into());
    if values.dtype() != port.dtype {
        return wrong(port.dtype.to_string(), values.dtype().to_string());
    }
    if let Some(shape) = input.shape().filter(|&shape| *shape != port.shape) {
        return wrong(port.shape.to_string(), shape.to_string());
    }
    let (wanted, got) = (port.shape.elements(), values.elements());
    if wanted != got {
        return wrong(format!("{wanted} values for {}", port.shape), got.to_string());
    }
    let (Some(([least, greatest], of)), View::I32(values)) = (&port.range, values) else { return Ok(()) };
    match values.iter().find(|value| !(*least..=*greatest).contains(*value)) {
        Some(value) => wrong(format!("{least} to {greatest} for {of}"), value.to_string()),
        None => Ok(()),
    }
}

/// Returns the kinds of a dispatch's bindings: the parameters, then the resources.
fn kinds(plan: &Plan, dispatch: &Dispatch, resources: &[Resource]) -> Vec<Kind> {
    let uniform = Kind::Params(dispatch.params.len() as u64);
    std::iter::once(uniform).chain(resources.iter().map(|resource| kind(plan, resource))).collect()
}

/// Returns the kind of a resource's binding.
fn kind(plan: &Plan, resource: &Resource) -> Kind {
    match resource {
        Resource::Input(_) => Kind::Read,
        Resource::Output { write, .. } | Resource::State { write, .. } => {
            Memory::kind(Storage::Buffer, Scalar::F32, *write)
        }
        Resource::Weight(packed) => Memory::kind(packed.storage, packed.scalar, false),
        Resource::Slot { slot, write, .. } => match plan.slots[*slot] {
            SlotKind::Buffer(_) => Memory::kind(Storage::Buffer, Scalar::F32, *write),
            SlotKind::Texture(_, _, scalar) => Memory::kind(Storage::Texture, scalar, *write),
        },
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session(batch {}, {} steps)", self.plan.batch, self.plan.steps.len())
    }
}
