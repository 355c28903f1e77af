//! The device that networks run on: this crate's own or the host's.

use super::checks::Checks;
use super::compilation::Compilation;
use super::compiled::Compiled;
use super::options::{ContextOptions, MATRIX_UNITS};
use super::pipeline::{self, Draw, Pipeline};
use super::{facts, tuned};
use crate::error::{ErrorKind, Result};
use crate::kernel::Caps;
use crate::plan::Choices;
use futures::FutureExt;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A device to run on, with its known facts and the pipelines compiled so far. Cheap to clone.
#[derive(Clone)]
pub struct Context(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    caps: Caps,
    matrix_units: Vec<wgpu::CooperativeMatrixProperties>,
    choices: Choices,
    /// The adapter of a context of this crate's own, if its driver compiles at the first dispatch.
    pub(super) adapter: Option<wgpu::Adapter>,
    pub(super) compilation: Compilation,
    pub(super) compiled: Option<Arc<Compiled>>,
    /// True if wgpu guards this crate's shaders too.
    pub(super) guarded: bool,
    pub(crate) pipelines: Mutex<HashMap<pipeline::Key, Arc<Pipeline>>>,
    pub(super) draws: Mutex<HashMap<pipeline::DrawKey, Arc<Draw>>>,
    checks: Checks,
    /// The number of GPU objects created so far.
    pub(crate) created: AtomicUsize,
    /// The bytes written to textures since the last submission.
    waiting: AtomicUsize,
    #[cfg(not(target_arch = "wasm32"))]
    waiter: std::sync::OnceLock<super::waiter::Waiter>,
}

impl Inner {
    fn new(device: &wgpu::Device, queue: &wgpu::Queue, info: wgpu::AdapterInfo, caps: Caps) -> Inner {
        Inner {
            device: device.clone(),
            queue: queue.clone(),
            info,
            caps,
            matrix_units: Vec::new(),
            choices: Choices::new(),
            adapter: None,
            compilation: Compilation::default(),
            compiled: None,
            guarded: false,
            pipelines: Mutex::default(),
            draws: Mutex::default(),
            checks: Checks::default(),
            created: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            #[cfg(not(target_arch = "wasm32"))]
            waiter: std::sync::OnceLock::new(),
        }
    }
}

impl Context {
    /// Returns the shaders that find out facts about a device.
    #[doc(hidden)]
    pub fn probes() -> Vec<crate::kernel::Shader> {
        vec![super::confirm::probe()]
    }

    /// Returns a context with a device of its own, on the adapter that wgpu prefers.
    pub async fn new() -> Result<Context> {
        Context::with(&ContextOptions::new()).await
    }

    /// Returns a context with a device of its own, on the adapter that the options name. It has been
    /// [probed](Context::probe), unless the options ask for portable kernels.
    pub async fn with(options: &ContextOptions) -> Result<Context> {
        let context = Context::open(options).await?;
        if options.portable { Ok(context) } else { context.probe().await }
    }

    async fn open(options: &ContextOptions) -> Result<Context> {
        let adapter = options.request().await?;
        let features = options.features(&adapter);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("shadernet"),
            required_features: features,
            experimental_features: if features.contains(MATRIX_UNITS) {
                // SAFETY: the caller has asked for a feature documented as experimental. Two shaders of this crate use
                // it, on whole tiles within their memory, by whole subgroups in uniform control flow.
                unsafe { wgpu::ExperimentalFeatures::enabled() }
            } else {
                wgpu::ExperimentalFeatures::disabled()
            },
            required_limits: if options.plain { wgpu::Limits::default() } else { adapter.limits() },
            ..Default::default()
        };
        let opened = adapter.request_device(&descriptor).await;
        let (device, queue) = opened.map_err(|error| ErrorKind::Device(error.to_string()))?;
        let mut context = Context::with_options(&adapter, &device, &queue, options)?;
        if let Some(inner) = Arc::get_mut(&mut context.0).filter(|inner| facts::compiles_late(&inner.info)) {
            inner.adapter = Some(adapter);
        }
        // A browser only writes uncaptured errors to its console; elsewhere wgpu panics.
        #[cfg(target_arch = "wasm32")]
        {
            let inner = Arc::downgrade(&context.0);
            device.on_uncaptured_error(Arc::new(move |error| {
                if let Some(inner) = inner.upgrade() {
                    inner.checks.add(std::future::ready(Some(error.to_string())).boxed().shared());
                }
            }));
        }
        Ok(context)
    }

    /// Returns a context on the host's device. This submits, polls and logs nothing, and reads nothing from the
    /// environment; docs/guest.md lists the calls that do. The context uses the [`Context::optional_features`] that the
    /// device has, and `EXPERIMENTAL_COOPERATIVE_MATRIX`: see [`ContextOptions::matrix_units`]. A host that is about to
    /// create the device finds them by [`Context::required_features`] and [`Context::required_limits`].
    ///
    /// An error if a limit that the portable kernels need is below WebGPU's default. One of them binds all eight storage
    /// buffers.
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Context> {
        Context::with_options(adapter, device, queue, &ContextOptions::new())
    }

    /// Returns a context on this device, with the files that the options' folder has for it.
    fn with_options(
        adapter: &wgpu::Adapter,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        options: &ContextOptions,
    ) -> Result<Context> {
        let folder = options.cache.as_deref();
        let info = adapter.get_info();
        let caps = facts::told(adapter, device);
        let least = Caps::portable();
        for (limit, have, need) in [
            ("max_compute_workgroup_storage_size", caps.max_workgroup_memory, least.max_workgroup_memory),
            ("max_compute_invocations_per_workgroup", caps.max_invocations, least.max_invocations),
            ("max_storage_buffers_per_shader_stage", caps.max_storage_buffers, least.max_storage_buffers),
        ] {
            if have < need {
                let (need, have) = (need.into(), have.into());
                return Err(ErrorKind::Limit { what: "the portable kernels".into(), limit, need, have }.into());
            }
        }
        let enabled = device.features().contains(MATRIX_UNITS);
        let matrix_units = if enabled { adapter.cooperative_matrix_properties() } else { Vec::new() };
        let choices = tuned::choices(&info, folder);
        let compiled = folder.and_then(|folder| Compiled::open(device, &info, folder)).map(Arc::new);
        let guarded = options.guarded;
        let inner = Inner { matrix_units, choices, compiled, guarded, ..Inner::new(device, queue, info, caps) };
        Ok(Context(Arc::new(inner)))
    }

    /// Returns the useful features, each with its benefit. None is needed.
    pub fn optional_features() -> [(wgpu::Features, &'static str); 4] {
        use wgpu::Features as F;
        [
            (F::SUBGROUP, "on Mesa's llvmpipe kernels that are several times as fast (Context::probe)"),
            (
                F::TIMESTAMP_QUERY,
                "device times in profiles and step times, instead of the host's clock around submissions",
            ),
            (F::TIMESTAMP_QUERY_INSIDE_PASSES, "the same without a pass for each step"),
            (
                F::SHADER_F16,
                "matrix units, which multiply f16s (ContextOptions::matrix_units), and the rate of f16 among a device's peaks",
            ),
        ]
    }

    /// Returns the [`Context::optional_features`] that the adapter has. A host that creates the device adds them to its
    /// own in `DeviceDescriptor::required_features`.
    pub fn required_features(adapter: &wgpu::Adapter) -> wgpu::Features {
        let there = adapter.features();
        let of_use = Context::optional_features().into_iter().map(|(feature, _)| feature & there);
        of_use.fold(wgpu::Features::empty(), wgpu::Features::union)
    }

    /// Returns `limits`, the host's own needs or wgpu's defaults, raised to the adapter's where networks profit: larger
    /// buffers and bindings (larger batches, weights in one piece), larger textures (llvmpipe's kernels). WebGPU's
    /// default limits suffice for all networks of [`models`](crate::models); a plan that needs more names the limit.
    pub fn required_limits(adapter: &wgpu::Adapter, limits: wgpu::Limits) -> wgpu::Limits {
        let there = adapter.limits();
        wgpu::Limits {
            max_buffer_size: limits.max_buffer_size.max(there.max_buffer_size),
            max_storage_buffer_binding_size: limits
                .max_storage_buffer_binding_size
                .max(there.max_storage_buffer_binding_size),
            max_texture_dimension_2d: limits.max_texture_dimension_2d.max(there.max_texture_dimension_2d),
            ..limits
        }
    }

    /// Returns the same device with these claimed capabilities, to test kernels for devices that aren't there. All
    /// shaders are guarded, since the device may lack the capabilities.
    #[doc(hidden)]
    pub fn with_caps(&self, caps: Caps) -> Context {
        self.with_capabilities(caps, true)
    }

    /// Returns the same device with facts that are known to be true.
    pub(crate) fn with_facts(&self, caps: Caps) -> Context {
        self.with_capabilities(caps, self.0.guarded)
    }

    /// Returns a context with another device of the adapter, to compile on.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn helper(&self, adapter: &wgpu::Adapter) -> Result<Context> {
        let required_limits = self.device().limits();
        let required_features = self.device().features().difference(MATRIX_UNITS | wgpu::Features::PIPELINE_CACHE);
        let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
        let opened = pollster::block_on(adapter.request_device(&descriptor));
        let (device, queue) = opened.map_err(|error| ErrorKind::Device(error.to_string()))?;
        let inner = Inner::new(&device, &queue, self.0.info.clone(), self.0.caps.clone());
        Ok(Context(Arc::new(Inner { guarded: self.0.guarded, ..inner })))
    }

    fn with_capabilities(&self, caps: Caps, guarded: bool) -> Context {
        Context(Arc::new(Inner {
            matrix_units: self.0.matrix_units.clone(),
            choices: self.0.choices.clone(),
            adapter: self.0.adapter.clone(),
            compilation: self.0.compilation.clone(),
            compiled: self.0.compiled.clone(),
            guarded,
            ..Inner::new(&self.0.device, &self.0.queue, self.0.info.clone(), caps)
        }))
    }

    /// Returns the facts that the choice of kernels depends on.
    pub fn caps(&self) -> &Caps {
        &self.0.caps
    }

    /// Returns the description of the adapter.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.0.info
    }

    /// Returns the tiles that the adapter's matrix units multiply: none if the device was created without
    /// [`ContextOptions::matrix_units`].
    pub fn matrix_units(&self) -> &[wgpu::CooperativeMatrixProperties] {
        &self.0.matrix_units
    }

    /// Returns the kernels chosen by measurement: those that the user's [`Tuning`](crate::measure::Tuning) left in the
    /// folder of [`ContextOptions::cache`], then this crate's own for the adapter.
    pub fn choices(&self) -> &Choices {
        &self.0.choices
    }

    /// Returns the bytes of compiled pipelines loaded from the folder of [`ContextOptions::cache`], 0 if there were
    /// none; `None` if pipelines aren't cached.
    pub fn loaded_pipelines(&self) -> Option<usize> {
        self.0.compiled.as_ref().map(|compiled| compiled.loaded)
    }

    /// Returns the progress of the compilation of pipelines, for a host that shows it. On a driver that compiles at the
    /// first dispatch it counts what is compiled before: nothing on a host's device.
    pub fn compilation(&self) -> Compilation {
        self.0.compilation.clone()
    }

    /// Returns the device.
    pub fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    /// Returns the queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    /// Returns the number of buffers, textures, pipelines and bind groups created so far. A steady state creates none.
    pub fn created(&self) -> usize {
        self.0.created.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, objects: usize) {
        self.0.created.fetch_add(objects, Ordering::Relaxed);
    }

    /// The bytes of pending texture uploads that cause a submission.
    pub(crate) const ENOUGH: usize = 8 << 20;

    /// Counts bytes on their way to a texture, and submits once enough have gathered: until then wgpu holds a second
    /// copy. Only kernels for fast textures keep weights there: their context is this crate's or has submitted before
    /// ([`Context::probe`]).
    pub(crate) fn uploaded(&self, bytes: usize) {
        if self.0.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes >= Context::ENOUGH {
            self.0.waiting.store(0, Ordering::Relaxed);
            self.0.queue.submit([]);
            // The next use of the device reports its loss.
            let _lost = self.0.device.poll(wgpu::PollType::wait_indefinitely());
        }
    }

    /// Runs a closure that creates GPU objects, and returns wgpu's error. In a browser the error may come later:
    /// [`Context::settled`] returns it then.
    pub(crate) fn checked<T>(&self, create: impl FnOnce() -> T) -> Result<T> {
        let device = &self.0.device;
        let scopes = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal]
            .map(|filter| device.push_error_scope(filter));
        let value = create();
        let mut error = None;
        for scope in scopes.into_iter().rev() {
            let check = scope.pop().map(|error| error.map(|error| error.to_string())).boxed().shared();
            match check.clone().now_or_never() {
                Some(said) => error = said.or(error),
                None => self.0.checks.add(check),
            }
        }
        refused(error).map(|()| value)
    }

    /// Waits for the outcome of all creations so far; a failure is an error from then on. Every frame does this before
    /// it gives a result; a host that records frames into its own encoder does it once, before the first.
    ///
    /// Natively there is nothing to wait for: the function that creates an object returns the error. In a browser that
    /// function returns before the outcome is known. After an error here create another context.
    pub async fn settled(&self) -> Result<()> {
        refused(self.0.checks.all().await)
    }

    /// Returns the error that is known so far, without waiting.
    pub(crate) fn settled_so_far(&self) -> Result<()> {
        refused(self.0.checks.found())
    }

    /// Makes sure that a submission's callbacks are called, without blocking this thread. On native a thread of this
    /// context waits for the submission; a browser needs no wait.
    pub(crate) fn wait_in_background(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        #[cfg(target_arch = "wasm32")]
        {
            drop(submission);
            Ok(())
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.0.waiter.get_or_init(|| super::waiter::Waiter::start(self.0.device.clone())).wait(submission)
    }
}

fn refused(error: Option<String>) -> Result<()> {
    error.map_or(Ok(()), |error| Err(ErrorKind::Device(error).into()))
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({}, {:?})", self.0.info.name, self.0.info.backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BATCH, Graph, Model};
    use futures::channel::oneshot;

    /// Simulates a browser: the session exists and its frames run before the error is known.
    #[test]
    fn no_result_comes_of_what_was_refused_late() {
        let context = pollster::block_on(Context::with(&ContextOptions::from_env().portable()));
        let context = context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"));
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 4]);
        let y = graph.relu(x).expect("any shape serves");
        graph.output("y", y);
        let session = Model::new(&context, &graph).and_then(|model| model.session(1)).expect("it fits");
        let frame = || session.submit(&[[1.0; 4]]);
        let (sender, receiver) = oneshot::channel::<Option<String>>();
        context.0.checks.add(receiver.map(|said| said.expect("it is sent")).boxed().shared());
        let (early, mut pending) = (frame().expect("nothing is known yet"), frame().expect("nothing is known yet"));
        context.device().poll(wgpu::PollType::wait_indefinitely()).expect("it isn't lost");
        assert!((&mut pending).now_or_never().is_none(), "a result, before it is known that it is one");
        sender.send(Some("a shader was refused".into())).expect("somebody listens");
        for said in [early.wait().err(), pollster::block_on(pending).err(), frame().err()] {
            let error = said.expect("nothing is computed by a shader that was refused");
            assert!(error.to_string().contains("a shader was refused"), "{error}");
        }
        assert!(pollster::block_on(context.settled()).is_err());
    }
}
