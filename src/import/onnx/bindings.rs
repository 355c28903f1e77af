//! The user's values for the open sizes of a network.

use super::ports::{Size, ValueInfo};
use super::stored;
use crate::error::{ErrorKind, Result};
use crate::{Shape, Tensor};
use std::collections::{BTreeSet, HashMap};

/// Sizes, shapes and values that a network leaves open, for [`Onnx::graph`](super::Onnx::graph). A name that the
/// network doesn't have is an error there.
///
/// ```
/// use shadernet::import::onnx::Bindings;
/// let bindings = Bindings::new().batch(8).size("sequence", 128);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    batch: Option<usize>,
    sizes: HashMap<String, usize>,
    shapes: HashMap<String, Shape>,
    values: HashMap<String, Tensor>,
    /// The output that each of these inputs takes from the frame before.
    states: HashMap<String, String>,
    pub(super) seed: Option<u64>,
}

impl Bindings {
    /// Creates empty bindings: the batch is 1.
    pub fn new() -> Bindings {
        Bindings::default()
    }

    /// Sets the first size of every input that leaves it open. If no input does, a batch other than 1 must be the first
    /// size of some input.
    #[must_use]
    pub fn batch(self, batch: usize) -> Bindings {
        Bindings { batch: Some(batch), ..self }
    }

    /// Sets all open sizes of that name.
    #[must_use]
    pub fn size(mut self, name: impl Into<String>, size: usize) -> Bindings {
        self.sizes.insert(name.into(), size);
        self
    }

    /// Sets the shape of an input.
    #[must_use]
    pub fn shape(mut self, input: impl Into<String>, shape: impl Into<Shape>) -> Bindings {
        self.shapes.insert(input.into(), shape.into());
        self
    }

    /// Sets the values of an input, which the graph then no longer has. Inputs that determine shapes, axes or weights
    /// must be known when the graph is built. (An input without elements is known already, and no graph has it.)
    #[must_use]
    pub fn values(mut self, input: impl Into<String>, values: Tensor) -> Bindings {
        self.values.insert(input.into(), values);
        self
    }

    /// Makes an input of `f32`s a [state](crate::State), which the graph has instead: zeros in the first frame, then what the
    /// frame before left in an output. It stays on the device. If its sizes are those of a recurrent layer, `[layers, batch,
    /// hidden]`, with more than one layer and an open batch that nothing sets, that is the other inputs' batch.
    #[must_use]
    pub fn state(mut self, input: impl Into<String>, output: impl Into<String>) -> Bindings {
        self.states.insert(input.into(), output.into());
        self
    }

    /// Sets the seed of the random numbers that the network's nodes draw: they are drawn when the graph is built, so all frames
    /// have the same. Without a seed, such nodes are refused.
    #[must_use]
    pub fn seed(self, seed: u64) -> Bindings {
        Bindings { seed: Some(seed), ..self }
    }

    /// Returns the output that becomes an input of the next frame.
    pub(super) fn state_of(&self, input: &str) -> Option<&str> {
        self.states.get(input).map(|output| &output[..])
    }

    /// Returns true if the values of that input are set.
    pub fn has_values(&self, input: &str) -> bool {
        self.values.contains_key(input)
    }

    pub(super) fn values_of(&self, input: &str) -> Option<&Tensor> {
        self.values.get(input)
    }

    fn given(&self, input: &ValueInfo) -> Option<&Shape> {
        self.shapes.get(&input.name).or_else(|| self.values.get(&input.name).map(Tensor::shape))
    }

    /// Returns these bindings with a size for each name that is bound directly or by an input's shape.
    ///
    /// Fails if a bound size or input doesn't exist, or if sizes contradict each other.
    fn named(&self, inputs: &[ValueInfo]) -> Result<Bindings> {
        let names = || inputs.iter().map(|input| &input.name);
        let all = || inputs.iter().flat_map(|input| input.sizes.iter().flatten());
        let sizes = || all().filter_map(|size| if let Size::Named(name) = size { Some(name) } else { None });
        if let Some(name) = self.sizes.keys().filter(|name| !sizes().any(|known| known == *name)).min() {
            return Err(unknown("size", sizes(), name).into());
        }
        let bound = self.shapes.keys().chain(self.values.keys()).chain(self.states.keys());
        if let Some(name) = bound.filter(|name| !names().any(|known| known == *name)).min() {
            return Err(unknown("input", names(), name).into());
        }
        let mut resolved = self.clone();
        for (input, shape) in inputs.iter().filter_map(|input| Some((input, self.given(input)?))) {
            for (size, &given) in input.sizes.iter().flatten().zip(shape.iter()) {
                let Size::Named(name) = size else { continue };
                let said = *resolved.sizes.entry(name.clone()).or_insert(given);
                if self.sizes.contains_key(name) && said != given {
                    let wanted = format!("{given}, as the shape of input \"{}\" is {shape}", input.name);
                    return Err(ErrorKind::argument(format!("size \"{name}\""), wanted, said).into());
                }
            }
        }
        Ok(resolved)
    }

    /// Returns these bindings with a size for each bound name: bound directly, by an input's shape, or by the batch.
    ///
    /// Fails if a bound size or input doesn't exist, if sizes contradict each other, or if no input takes the batch.
    pub(super) fn resolved<'a>(&self, inputs: &'a [ValueInfo]) -> Result<Bindings> {
        let mut resolved = self.named(inputs)?;
        let first = |input: &'a ValueInfo| input.sizes.as_ref().and_then(|sizes| sizes.first());
        let batch = self.batch.unwrap_or(1);
        for size in inputs.iter().filter_map(first) {
            if let Size::Named(name) = size {
                resolved.sizes.entry(name.clone()).or_insert(batch);
            }
        }
        resolved.bind_states(inputs, batch);
        // Values that decide sizes, such as a shape, have no batch; neither does a vector of a fixed size.
        let batched = |input: &&'a ValueInfo| !resolved.has_values(&input.name);
        let vector = |input: &ValueInfo| input.sizes.as_ref().is_some_and(|sizes| sizes.len() == 1);
        let size = |input: &'a ValueInfo| match (resolved.given(input), first(input)) {
            (_, Some(Size::Fixed(_))) if vector(input) => None,
            (Some(shape), _) => shape.first().copied(),
            (None, Some(Size::Fixed(size))) => Some(*size),
            (None, Some(Size::Named(name))) => resolved.sizes.get(name).copied(),
            (None, None) => None,
        };
        if batch == 1 {
            return Ok(resolved);
        }
        let given = |input: &&'a ValueInfo| self.shapes.contains_key(&input.name);
        let open = |input: &&'a ValueInfo| first(input).is_some_and(|size| size.open().is_some());
        let other = |input: &&'a ValueInfo| size(input).is_some_and(|size| size != batch);
        if let Some(input) = inputs.iter().filter(batched).filter(given).filter(open).find(other) {
            let wanted = format!("{}, the first size of input \"{}\"", size(input).unwrap_or_default(), input.name);
            return Err(ErrorKind::argument("batch", wanted, batch).into());
        }
        if !inputs.iter().filter(batched).any(|input| size(input) == Some(batch)) {
            let wanted = format!("1: no input leaves its first size to it ({})", ports(inputs));
            return Err(ErrorKind::argument("batch", wanted, batch).into());
        }
        Ok(resolved)
    }

    /// Sets the open batches of recurrent layers' states.
    fn bind_states(&mut self, inputs: &[ValueInfo], batch: usize) {
        let state = |input: &&ValueInfo| self.states.contains_key(&input.name);
        let first = |input: &ValueInfo| match input.sizes.as_ref()?.first()? {
            Size::Named(name) => self.sizes.get(name).copied(),
            Size::Fixed(_) => None,
        };
        let mut batches: Vec<usize> = inputs.iter().filter(|input| !state(input)).filter_map(first).collect();
        batches.sort_unstable();
        batches.dedup();
        let ([] | [_]) = batches[..] else { return };
        let batch = batches.first().copied().unwrap_or(batch);
        let open = inputs.iter().filter(state).filter_map(|input| match input.sizes.as_deref() {
            Some([Size::Fixed(2..), Size::Named(name), Size::Fixed(_)]) if !self.sizes.contains_key(name) => Some(name),
            _ => None,
        });
        let open: Vec<String> = open.cloned().collect();
        self.sizes.extend(open.into_iter().map(|name| (name, batch)));
    }

    /// Returns the shape of an input under these bindings.
    pub(super) fn shape_of(&self, input: &ValueInfo) -> Result<Shape> {
        let given = self.given(input);
        let argument = || format!("input \"{}\"", input.name);
        let named = |kind| match kind {
            ErrorKind::Argument { wanted, got, .. } => ErrorKind::argument(argument(), wanted, got),
            other => other,
        };
        let Some(sizes) = &input.sizes else {
            let missing = || ErrorKind::argument(argument(), "its shape: the file doesn't say it", "none");
            return Ok(given.cloned().ok_or_else(missing)?);
        };
        if let Some(given) = given {
            let fits = |(size, &given): (&Size, &usize)| !matches!(size, Size::Fixed(size) if *size != given);
            if given.len() != sizes.len() || !sizes.iter().zip(given.iter()).all(fits) {
                let fixed =
                    if sizes.iter().any(|size| size.fixed().is_some()) { ", whose numbers the file fixes" } else { "" };
                return Err(ErrorKind::argument(argument(), input.sizes_text() + fixed, given).into());
            }
            given.countable().map_err(named)?;
            return Ok(given.clone());
        }
        let sizes = self.known(sizes);
        let open = open(&sizes);
        if !open.is_empty() {
            return Err(ErrorKind::argument(argument(), missing(&open), input.sizes_text()).into());
        }
        let sizes = sizes.iter().filter_map(Size::fixed).map(|size| size as i64);
        Ok(stored::sizes(&sizes.collect::<Vec<_>>()).map_err(named)?)
    }

    /// Returns the shapes of all inputs under these bindings. An error names every size that is missing.
    pub(super) fn shapes_of(&self, inputs: &[ValueInfo]) -> Result<Vec<Shape>> {
        let sizes: Vec<Size> = inputs.iter().filter_map(|input| self.bound(input).sizes).flatten().collect();
        let open = open(&sizes);
        if open.len() > 1 {
            return Err(ErrorKind::argument("inputs", missing(&open), ports(inputs)).into());
        }
        inputs.iter().map(|input| self.shape_of(input)).collect()
    }

    /// Returns the inputs with the sizes that these bindings fix; the batch fixes sizes only if it is set.
    pub(super) fn bound_inputs(&self, inputs: &[ValueInfo]) -> Result<Vec<ValueInfo>> {
        let known = if self.batch.is_some() { self.resolved(inputs)? } else { self.named(inputs)? };
        for input in inputs.iter().filter(|input| known.given(input).is_some()) {
            known.shape_of(input)?;
        }
        Ok(inputs.iter().map(|input| known.bound(input)).collect())
    }

    /// Returns an input with the sizes that are known under these bindings.
    fn bound(&self, input: &ValueInfo) -> ValueInfo {
        let sizes = match self.given(input) {
            Some(shape) => Some(shape.iter().copied().map(Size::Fixed).collect()),
            None => input.sizes.as_deref().map(|sizes| self.known(sizes)),
        };
        ValueInfo { sizes, ..input.clone() }
    }

    fn known(&self, sizes: &[Size]) -> Vec<Size> {
        let known = |size: &Size| match size {
            Size::Named(name) => self.sizes.get(name).map_or_else(|| size.clone(), |&size| Size::Fixed(size)),
            Size::Fixed(_) => size.clone(),
        };
        sizes.iter().map(known).collect()
    }
}

/// Returns an error about a name that is not among `names`.
pub(super) fn unknown<'a>(what: &str, names: impl Iterator<Item = &'a String>, got: &str) -> ErrorKind {
    let names: Vec<String> = names.collect::<BTreeSet<_>>().into_iter().map(|name| format!("\"{name}\"")).collect();
    let wanted =
        if names.is_empty() { "none: the file names none".to_owned() } else { format!("one of {}", names.join(", ")) };
    ErrorKind::argument(what, wanted, format!("\"{got}\""))
}

/// Returns the names of the sizes that are open, each once.
fn open(sizes: &[Size]) -> BTreeSet<&str> {
    sizes.iter().filter_map(Size::open).collect()
}

/// Says that these sizes are missing.
fn missing(open: &BTreeSet<&str>) -> String {
    let names: Vec<String> = open.iter().map(|name| format!("\"{name}\"")).collect();
    let options: Vec<String> = open.iter().map(|name| format!("--dim {name}=SIZE")).collect();
    let what = if names.len() == 1 { "a size" } else { "sizes" };
    format!("{what} for {} (Bindings::size, {})", names.join(", "), options.join(" "))
}

/// Formats inputs like `x [batch, 3, 224, 224], lengths [batch]`.
fn ports(inputs: &[ValueInfo]) -> String {
    inputs.iter().map(ValueInfo::to_string).collect::<Vec<_>>().join(", ")
}
