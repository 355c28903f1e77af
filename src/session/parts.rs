//! Networks in parts: each ends where the host must read a value that decides a size.

use super::{Model, Session};
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::kernel::Precision;
use crate::part::{Computation, Content, Finding, Known, Next, Part};
use crate::tensor::{Outputs, Tensor};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A network with sizes that values decide, such as the number of boxes that a detector finds or the length of speech.
///
/// It is cut at such values. A frame runs part after part: it reads the value back, and the next part is built for it. The
/// 64 parts that were used last are kept, so a frame with the same sizes builds nothing. All parts share their weights. Inputs
/// may have other shapes in each frame. Between parts, values go through host memory. Threads may run frames at once.
///
/// ```no_run
/// use shadernet::import::onnx::{Bindings, Onnx};
/// # async fn run(context: shadernet::Context, image: shadernet::Tensor) -> shadernet::Result<()> {
/// let network = Onnx::open("detector.onnx")?;
/// let parts = shadernet::Parts::new(&context, move |known| network.part(&Bindings::new(), known));
/// let outputs = parts.run(&[("image", &image)]).await?;
/// println!("{} boxes; cut at {:?}", outputs["boxes"].shape()[0], parts.cuts());
/// # Ok(()) }
/// ```
pub struct Parts {
    /// The model whose weights all parts share.
    model: Model,
    build: Box<Build>,
    /// The first parts, by the inputs' types and shapes.
    first: Mutex<Vec<Arc<Stage>>>,
    frames: AtomicU64,
    cuts: Mutex<Vec<String>>,
}

/// The function that builds a part.
type Build = dyn Fn(&Known) -> Result<Part> + Send + Sync;

/// A part made resident.
struct Stage {
    /// `None` if the part has nothing to compute.
    session: Option<Session>,
    known: Known,
    /// The findings that led here from the part before.
    found: Vec<Finding>,
    next: Next,
    after: Mutex<Vec<Arc<Stage>>>,
    /// The last frame that ran it.
    used: AtomicU64,
}

/// The most parts of a frame: a loop whose condition is computed has one part for each turn.
const MOST_PARTS: usize = 256;

/// The number of parts that are kept. Beyond it, those that were last used long ago are dropped.
const MOST_KEPT: usize = 64;

/// The values of a frame, by their names.
type Values<'a> = HashMap<String, Cow<'a, Tensor>>;

impl Parts {
    /// Creates a network whose parts are built by a function, such as that of a file: `Onnx::part`. It builds nothing yet.
    pub fn new(context: &Context, build: impl Fn(&Known) -> Result<Part> + Send + Sync + 'static) -> Parts {
        Parts {
            model: Model::without_graph(context),
            build: Box::new(build),
            first: Mutex::default(),
            frames: AtomicU64::new(0),
            cuts: Mutex::default(),
        }
    }

    /// Returns the same network with its numbers stored so: see [`Precision`]. Otherwise each part has its graph's precision.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Parts {
        Parts { model: self.model.precision(precision), first: Mutex::default(), ..self }
    }

    /// Returns the places where the network was cut in the last frame that ended: the node and its argument.
    pub fn cuts(&self) -> Vec<String> {
        locked(&self.cuts).clone()
    }

    /// Runs one frame on tensors by the inputs' names, and returns the network's outputs.
    pub async fn run(&self, inputs: &[(&str, &Tensor)]) -> Result<Outputs> {
        let mut values = Values::new();
        let mut known = Known::default();
        for &(name, tensor) in inputs {
            if values.insert(name.to_owned(), Cow::Borrowed(tensor)).is_some() {
                return Err(ErrorKind::argument("inputs", "each once", format_args!("\"{name}\" twice")).into());
            }
            known.inputs.push((name.to_owned(), tensor.dtype(), tensor.shape().clone()));
        }
        known.inputs.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let frame = self.frames.fetch_add(1, Ordering::Relaxed) + 1;
        let (mut cuts, mut found) = (Vec::new(), Vec::new());
        let mut before: Option<Arc<Stage>> = None;
        loop {
            let stage = self.stage(before.as_deref(), &known, found, frame)?;
            stage.run(&mut values).await?;
            found = match &stage.next {
                Next::Outputs(outputs) => {
                    *locked(&self.cuts) = cuts;
                    return named(outputs, &values);
                }
                Next::Read { at, values: read } => {
                    cuts.push(at.clone());
                    let read = read.iter().map(|place| {
                        let content = value(&values, &place.0)?;
                        Ok(Finding::Values(place.clone(), content.clone()))
                    });
                    read.collect::<Result<Vec<_>>>()?
                }
                Next::Compute(computation) => {
                    cuts.push(computation.at.clone());
                    vec![computed(computation, &mut values)?]
                }
            };
            known = stage.known.clone();
            let outputs = stage.session.iter().flat_map(Session::outputs);
            known.computed.extend(outputs.map(|port| port.name.clone()));
            known.findings.extend(found.iter().cloned());
            before = Some(stage);
        }
    }

    /// Runs one frame and blocks this thread until its outputs are there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking(&self, inputs: &[(&str, &Tensor)]) -> Result<Outputs> {
        pollster::block_on(self.run(inputs))
    }

    /// Returns the part that follows such findings: a kept one, or a new one.
    fn stage(&self, before: Option<&Stage>, known: &Known, found: Vec<Finding>, frame: u64) -> Result<Arc<Stage>> {
        let list = before.map_or(&self.first, |before| &before.after);
        let leads = |stage: &&Arc<Stage>| {
            let same = |(a, b): (&Finding, &Finding)| a.leads_as(b);
            let findings = stage.found.len() == found.len() && stage.found.iter().zip(&found).all(same);
            findings && stage.known.inputs == known.inputs
        };
        let kept = locked(list).iter().find(leads).cloned();
        if let Some(stage) = kept {
            stage.used.store(frame, Ordering::Relaxed);
            return Ok(stage);
        }
        if known.findings.len() >= MOST_PARTS {
            let wanted = format_args!("{MOST_PARTS} values at most that decide sizes");
            return Err(ErrorKind::argument("the network's parts", wanted, "more").into());
        }
        let part = (self.build)(known)?;
        let session = match part.graph.outputs().is_empty() {
            true => None,
            false => Some(self.model.with_graph(&part.graph)?.session(1)?),
        };
        let (known, next) = (known.clone(), part.next);
        let stage = Stage { session, known, found, next, after: Mutex::default(), used: AtomicU64::new(frame) };
        let stage = Arc::new(stage);
        locked(list).push(stage.clone());
        self.drop_old();
        Ok(stage)
    }

    /// Drops the parts that were not used for longest, half of all, if too many are kept; and their weights.
    fn drop_old(&self) {
        let mut first = locked(&self.first);
        let mut frames = Vec::new();
        first.iter().for_each(|stage| stage.collect(&mut frames));
        if frames.len() <= MOST_KEPT {
            return;
        }
        frames.sort_unstable();
        retain(&mut first, frames[frames.len() / 2]);
        self.model.drop_unused_weights();
    }
}

impl Stage {
    /// Runs the part on the values of a frame, which it adds to.
    async fn run(&self, values: &mut Values<'_>) -> Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        let outputs = {
            let mut inputs: Vec<(&str, &Tensor)> = Vec::new();
            for port in session.inputs() {
                inputs.push((&port.name, value(values, &port.name)?));
            }
            session.run(&inputs).await?
        };
        let names = outputs.names().to_vec();
        values.extend(names.into_iter().zip(outputs.into_iter().map(Cow::Owned)));
        Ok(())
    }

    /// Adds the last frames of this part and of those after it.
    fn collect(&self, frames: &mut Vec<u64>) {
        frames.push(self.used.load(Ordering::Relaxed));
        locked(&self.after).iter().for_each(|stage| stage.collect(frames));
    }
}

/// Keeps the parts that were used in this frame or later. A part is used at least as late as those after it.
fn retain(stages: &mut Vec<Arc<Stage>>, frame: u64) {
    stages.retain(|stage| stage.used.load(Ordering::Relaxed) >= frame);
    stages.iter().for_each(|stage| retain(&mut locked(&stage.after), frame));
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a value of a frame.
fn value<'a>(values: &'a Values, name: &str) -> Result<&'a Tensor> {
    let missing = || ErrorKind::argument(format!("input \"{name}\""), "a tensor", "none");
    Ok(values.get(name).ok_or_else(missing)?)
}

/// Computes on the host. The results are values of the frame, and their shapes lead to the next part.
fn computed(computation: &Computation, values: &mut Values) -> Result<Finding> {
    let read = computation.reads.iter().map(|name| value(values, name)).collect::<Result<Vec<_>>>()?;
    let results = (computation.compute)(&read)?;
    let shapes = results.iter().map(|result| result.shape().clone()).collect();
    values.extend(computation.gives.iter().cloned().zip(results.into_iter().map(Cow::Owned)));
    Ok(Finding::Shapes(shapes))
}

/// Returns the network's outputs.
fn named(outputs: &[(String, Content)], values: &Values) -> Result<Outputs> {
    let tensor = |(_, content): &(String, Content)| match content {
        Content::Value(name) => value(values, name).cloned(),
        Content::Known(tensor) => Ok(tensor.clone()),
    };
    let names: Vec<String> = outputs.iter().map(|(name, _)| name.clone()).collect();
    Ok(Outputs::new(names.into(), outputs.iter().map(tensor).collect::<Result<_>>()?))
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parts({} first ones on {:?})", locked(&self.first).len(), self.model.context())
    }
}
