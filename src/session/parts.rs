//! Networks in parts: each ends where the host must read a value that decides a size.

use super::Session;
use super::cache::{Cached, Recent};
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::kernel::Precision;
use crate::part::{Computation, Content, Finding, Known, Next, Part};
use crate::tensor::{Outputs, Tensor};
use crate::{DType, Shape};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A network with sizes that values decide, such as the number of boxes that a detector finds or the length of speech.
///
/// It is cut at such values. A frame runs part after part: it reads the value back, and the next part is built for it. The
/// parts that were used last are kept, so a frame with the same sizes builds nothing. All parts share their weights. Between
/// parts, values go through host memory. Threads may run frames at once.
///
/// Inputs are [`Tensor`]s by their names in the file: [`Tensor::new`] takes a shape and the values, `f32`s for floating-point
/// numbers of every type, `i32`s for integers of every type, `bool`s. Shapes may be others in each frame, and set the open sizes.
///
/// ```no_run
/// use shadernet::import::onnx::{Bindings, Onnx};
/// use shadernet::{Parts, Tensor};
/// # async fn run(context: shadernet::Context) -> shadernet::Result<()> {
/// let network = Onnx::open("detector.onnx")?;
/// // What is known of a frame is passed on to the file, which builds the next part.
/// let build = move |known: &shadernet::Known| network.part(&Bindings::new(), known);
/// let parts = Parts::new(&context, 256 << 20, build); // 256 MiB
/// let image = Tensor::new([1, 3, 480, 640], vec![0.5f32; 3 * 480 * 640])?;
/// let most = Tensor::new([1], vec![100])?; // an int64 of the file
/// let outputs = parts.run(&[("image", &image), ("max_boxes", &most)]).await?;
/// println!("{} boxes {:?}; cut at {:?}", outputs["boxes"].shape()[0], outputs["boxes"].f32()?, parts.cuts());
/// # Ok(()) }
/// ```
pub struct Parts {
    stages: Recent<Key, Stage>,
    build: Box<Build>,
    last: Mutex<Last>,
}

/// The way to a part: the number of the part before, the inputs' types and shapes, and the findings of the part before.
type Key = (u64, Vec<(String, DType, Shape)>, Vec<Finding>);

/// Facts about the last frame that ended.
#[derive(Default)]
struct Last {
    cuts: Vec<String>,
    preparation: Duration,
}

/// The function that builds a part.
type Build = dyn Fn(&Known) -> Result<Part> + Send + Sync;

/// A part made resident.
struct Stage {
    /// A number that no other part has.
    number: u64,
    /// `None` if the part has nothing to compute.
    session: Option<Session>,
    known: Known,
    next: Next,
}

impl Cached for Stage {
    fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    fn more_bytes(&self) -> u64 {
        let bytes = |finding: &Finding| match finding {
            Finding::Values(_, tensor) => 4 * tensor.shape().elements() as u64,
            Finding::Shapes(_) => 0,
        };
        LEAST_BYTES + self.known.findings.iter().map(bytes).sum::<u64>()
    }
}

/// The most parts of a frame: a loop whose condition is computed has one part for each turn.
const MOST_PARTS: usize = 256;

/// The bytes that a part counts for if it holds hardly anything: of names, shapes and the description of its outputs.
const LEAST_BYTES: u64 = 4096;

/// The values of a frame, by their names.
type Values<'a> = HashMap<String, Cow<'a, Tensor>>;

impl Parts {
    /// Creates a network whose parts are built by a function, such as that of a file: `Onnx::part`. It builds nothing yet. The
    /// parts are kept within a bound on memory in bytes, as in a [`SessionCache`](crate::SessionCache): a frame whose parts don't
    /// fit is right, but builds them each time.
    pub fn new(context: &Context, bytes: u64, build: impl Fn(&Known) -> Result<Part> + Send + Sync + 'static) -> Parts {
        Parts { stages: Recent::new(context, bytes), build: Box::new(build), last: Mutex::default() }
    }

    /// Returns the same network with its numbers stored so: see [`Precision`]. Otherwise each part has its graph's precision.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Parts {
        Parts { stages: Recent::new(self.stages.model.context(), self.stages.bound).precision(precision), ..self }
    }

    /// Returns the places where the network was cut in the last frame that ended, in words: the node, and what it must know.
    pub fn cuts(&self) -> Vec<String> {
        locked(&self.last).cuts.clone()
    }

    /// Returns the time that the last frame that ended spent on making parts: their graphs, plans, pipelines and weights. 0 if
    /// all parts were kept, and in a browser, where there is no clock.
    pub fn preparation(&self) -> Duration {
        locked(&self.last).preparation
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
        let (mut last, mut found) = (Last::default(), Vec::new());
        let mut before: Option<Arc<Stage>> = None;
        loop {
            let stage = self.stage(before.as_deref(), &known, found, &mut last)?;
            stage.run(&mut values).await?;
            found = match &stage.next {
                Next::Outputs(outputs) => {
                    *locked(&self.last) = last;
                    return named(outputs, &values);
                }
                Next::Read { at, values: read } => {
                    last.cuts.push(at.clone());
                    let read = read.iter().map(|place| {
                        let content = value(&values, &place.0)?;
                        Ok(Finding::Values(place.clone(), content.clone()))
                    });
                    read.collect::<Result<Vec<_>>>()?
                }
                Next::Compute(computation) => {
                    last.cuts.push(computation.at.clone());
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
    fn stage(&self, before: Option<&Stage>, known: &Known, found: Vec<Finding>, last: &mut Last) -> Result<Arc<Stage>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let key: Key = (before.map_or(0, |before| before.number), known.inputs.clone(), found);
        if let Some(stage) = self.stages.get(&key) {
            return Ok(stage);
        }
        if known.findings.len() >= MOST_PARTS {
            let wanted = format_args!("{MOST_PARTS} values at most that decide sizes");
            let got = format!("more: {}", last.cuts.last().map_or("", |cut| cut));
            return Err(ErrorKind::argument("the network's parts", wanted, got).into());
        }
        let start = (!cfg!(target_arch = "wasm32")).then(Instant::now);
        let part = (self.build)(known)?;
        let session = match part.graph.outputs().is_empty() {
            true => None,
            false => Some(self.stages.model.with_graph(&part.graph)?.session(1)?),
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let stage = self.stages.keep(key, Stage { number, session, known: known.clone(), next: part.next });
        last.preparation += start.map_or(Duration::ZERO, |start| start.elapsed());
        Ok(stage)
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
        write!(f, "Parts({} kept on {:?})", self.stages.kept().len(), self.stages.model.context())
    }
}
