//! Networks from ONNX files: [`Onnx`].

mod bindings;
mod builder;
mod element;
mod math;
mod moves;
mod node;
mod ops;
mod order;
mod proto;
mod scope;
mod stored;
mod tensor;

pub use bindings::Bindings;
pub use element::ElementType;

use crate::error::{ErrorKind, Result};
use crate::{Constant, Graph, Shape};
use builder::Builder;
use prost::Message;
use proto::{
    DimensionValue, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeKind, ValueInfoProto,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use stored::{Files, Region, Stored};
use tensor::Tensor;

/// A network in an ONNX file, <https://onnx.ai>. Sizes may be open: [`Bindings`] fix them for a [`Graph`].
///
/// The file is mapped, not read: weights are read when they are uploaded. Nothing in it is ignored: an unsupported
/// operator, attribute, input or element type is an error that names the node.
///
/// Floating-point numbers of all types are computed as `f32`s, integers of all types as `i32`s. A `Cast` rounds to
/// the values of its type.
///
/// ```no_run
/// use shadernet::import::onnx::{Bindings, Onnx};
/// # async fn run(context: shadernet::Context, input: Vec<f32>) -> shadernet::Result<()> {
/// let network = Onnx::open("network.onnx")?;
/// let graph = network.graph(&Bindings::new().batch(1))?;
/// let outputs = shadernet::Model::new(&context, &graph)?.session(1)?.run(&[input]).await?;
/// # Ok(()) }
/// ```
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Onnx(Arc<Inner>);

struct Inner {
    files: Files,
    model: ModelProto,
    opsets: Opsets,
    /// The functions of the model, by domain, name and overload.
    functions: HashMap<[String; 3], Function>,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    initialisers: HashMap<String, Tensor>,
    /// The constants that were computed from initializers alone, by their names in the file.
    kept: Mutex<HashMap<String, Constant>>,
    /// The tensors of attributes and of bodies, by their addresses in `model`: a body may be read many times.
    stored: Mutex<HashMap<usize, Tensor>>,
}

/// The versions of operator sets, by domain.
type Opsets = HashMap<String, i64>;

/// A function of the model: the definition of an operator that nodes call.
struct Function {
    proto: FunctionProto,
    opsets: Opsets,
}

/// An input or an output of a network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValueInfo {
    /// The name.
    pub name: String,
    /// The element type in the file.
    pub element: ElementType,
    /// The sizes; `None` if the file doesn't state the shape.
    pub sizes: Option<Vec<Size>>,
}

/// A size of an input or an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// A fixed number.
    Fixed(usize),
    /// An open size with a name: all sizes of that name are equal.
    Named(String),
    /// An open size without a name.
    Open,
}

/// The newest supported version of ONNX's operator set. Each importer honours the differences between versions.
const NEWEST: i64 = 27;

/// Returns the canonical name of a domain: ONNX's own is also called `ai.onnx`.
fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

fn opsets(sets: &[OperatorSetIdProto]) -> Result<Opsets, ErrorKind> {
    let mut opsets = Opsets::new();
    for set in sets {
        let version = *opsets.entry(domain(&set.domain).to_owned()).or_insert(set.version);
        if version != set.version {
            let got = format!("{version} and {} of \"{}\"", set.version, set.domain);
            return Err(ErrorKind::argument("operator sets", "one version of each domain", got));
        }
    }
    Ok(opsets)
}

/// Returns the version of a domain's operator set.
fn opset(sets: &Opsets, name: &str) -> Result<i64, ErrorKind> {
    let version = sets.get(domain(name)).copied();
    let version =
        version.ok_or_else(|| ErrorKind::argument("operator set", format!("a version of \"{name}\""), "none"))?;
    if domain(name).is_empty() && !(1..=NEWEST).contains(&version) {
        return Err(ErrorKind::argument("operator set", format!("1 to {NEWEST}"), version));
    }
    Ok(version)
}

/// Returns the key of a function: domain, name and overload.
fn key(of: &str, name: &str, overload: &str) -> [String; 3] {
    [domain(of), name, overload].map(str::to_owned)
}

impl Onnx {
    /// Opens a file. Its external data must lie in the file's folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Onnx> {
        let path = path.as_ref();
        let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let files = Files::new(folder.map(Path::to_owned), Region::open(path)?);
        Onnx::new(files).map_err(|error| match error.at {
            None => ErrorKind::file(path, error.kind).into(),
            Some(_) => error,
        })
    }

    /// Reads a network from memory. The network must not have external data.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Onnx> {
        Onnx::new(Files::new(None, Region::from_bytes(bytes.into())))
    }

    fn new(files: Files) -> Result<Onnx> {
        let problem = |text: String| ErrorKind::argument("ONNX file", "a whole one", text);
        let model = ModelProto::decode(files.main().bytes().clone());
        let mut model = model.map_err(|error| problem(error.to_string()))?;
        let graph = model.graph.as_mut().ok_or_else(|| problem("no graph".into()))?;
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            return Err(ErrorKind::Unsupported(format!("sparse initialisers, \"{name}\"")).into());
        }
        let mut initialisers = HashMap::new();
        for proto in std::mem::take(&mut graph.initializer) {
            let stored = Stored::new(&proto, &files).map_err(|kind| kind.at("initialiser", proto.name.clone()))?;
            let tensor = Tensor::stored(&proto.name, Arc::new(stored));
            if initialisers.insert(proto.name.clone(), tensor).is_some() {
                return Err(problem(format!("two initialisers \"{}\"", proto.name)).into());
            }
        }
        let ports = |values: &[ValueInfoProto]| values.iter().map(ValueInfo::new).collect::<Result<Vec<_>>>();
        let inputs = ports(&graph.input)?.into_iter().filter(|input| !initialisers.contains_key(&input.name));
        let (inputs, outputs) = (inputs.collect(), ports(&graph.output)?);
        let mut functions = HashMap::new();
        for proto in std::mem::take(&mut model.functions) {
            let name = proto.name.clone();
            let function = Function { opsets: opsets(&proto.opset_import)?, proto };
            if functions.insert(key(&function.proto.domain, &name, &function.proto.overload), function).is_some() {
                return Err(problem(format!("two functions \"{name}\"")).into());
            }
        }
        let opsets = opsets(&model.opset_import)?;
        let (kept, stored) = Default::default();
        Ok(Onnx(Arc::new(Inner { files, model, opsets, functions, inputs, outputs, initialisers, kept, stored })))
    }

    /// Returns the network's inputs, except those with an initializer.
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.0.inputs
    }

    /// Returns the network's outputs.
    pub fn outputs(&self) -> &[ValueInfo] {
        &self.0.outputs
    }

    /// Builds the graph for these sizes. Graphs for several sizes share their weights: see
    /// [`Model::with_graph`](crate::Model::with_graph).
    ///
    /// Fails if a size is missing, if a bound name doesn't exist in the network, or if something in the network isn't
    /// supported.
    pub fn graph(&self, bindings: &Bindings) -> Result<Graph> {
        let proto = self.0.model.graph.as_ref().expect("it was checked");
        Builder::new(self).build(proto, &bindings.resolved(self.inputs())?)
    }

    /// Returns the shape of an input for these sizes.
    pub fn shape(&self, input: &str, bindings: &Bindings) -> Result<Shape> {
        let bindings = bindings.resolved(self.inputs())?;
        let port = self.inputs().iter().find(|port| port.name == input);
        bindings.shape_of(
            port.ok_or_else(|| bindings::unknown("input", self.inputs().iter().map(|port| &port.name), input))?,
        )
    }

    fn files(&self) -> &Files {
        &self.0.files
    }

    fn initialisers(&self) -> &HashMap<String, Tensor> {
        &self.0.initialisers
    }

    fn opsets(&self) -> &Opsets {
        &self.0.opsets
    }

    /// Returns the function of the model that a node calls, if there is one.
    fn function(&self, node: &NodeProto) -> Option<&Function> {
        let functions = &self.0.functions;
        if functions.is_empty() { None } else { functions.get(&key(&node.domain, &node.op_type, &node.overload)) }
    }

    /// Returns a tensor of an attribute or of a body: the same tensor on every call with one `proto`.
    fn stored(&self, name: &str, proto: &TensorProto) -> Result<Tensor, ErrorKind> {
        let mut stored = self.0.stored.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = std::ptr::from_ref(proto) as usize;
        if let Some(tensor) = stored.get(&place) {
            return Ok(tensor.clone());
        }
        let tensor = Tensor::stored(name, Arc::new(Stored::new(proto, self.files())?));
        stored.insert(place, tensor.clone());
        Ok(tensor)
    }

    /// Returns the first constant computed under a name, or `constant` if there was none. `None` if the shapes differ.
    fn kept(&self, name: &str, constant: &Constant) -> Option<Constant> {
        let mut kept = self.0.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let kept = kept.entry(name.to_owned()).or_insert_with(|| constant.clone());
        (kept.shape() == constant.shape()).then(|| kept.clone())
    }
}

/// Reads a file that holds a single `TensorProto` (`.pb`), the format of networks' test data. Integers must fit in 32
/// bits.
pub fn tensor(path: impl AsRef<Path>) -> Result<(ElementType, crate::Tensor)> {
    let path = path.as_ref();
    let files = Files::new(None, Region::open(path)?);
    let read = || -> Result<_, ErrorKind> {
        let proto = proto::TensorProto::decode(files.main().bytes().clone());
        let proto = proto.map_err(|error| ErrorKind::argument("tensor", "a whole one", error))?;
        let tensor = Tensor::stored("", Arc::new(Stored::new(&proto, &files)?));
        let data = tensor.data()?;
        Ok((tensor.element, tensor.shape, data))
    };
    let (element, shape, data) = read().map_err(|kind| ErrorKind::file(path, kind))?;
    Ok((element, crate::Tensor::new(shape, data)?))
}

impl std::fmt::Debug for Onnx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nodes = self.0.model.graph.as_ref().map_or(0, |graph| graph.node.len());
        let from = [&self.0.model.producer_name[..], &self.0.model.producer_version].join(" ");
        write!(f, "Onnx({nodes} nodes, from {})", from.trim())
    }
}

impl ValueInfo {
    fn new(proto: &ValueInfoProto) -> Result<ValueInfo> {
        let error = |kind: ErrorKind| kind.at("input or output", proto.name.clone());
        let tensor = match proto.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
            Some(TypeKind::Tensor(tensor)) => tensor,
            Some(_) => {
                return Err(error(ErrorKind::Unsupported("sequences, maps, optional and sparse tensors".into())));
            }
            None => return Err(error(ErrorKind::argument("type", "a tensor's", "none"))),
        };
        let element = ElementType::of_code(tensor.elem_type);
        let element = element.ok_or_else(|| error(ErrorKind::argument("type", "an element type", tensor.elem_type)))?;
        if element == ElementType::String {
            return Err(error(ErrorKind::Unsupported("tensors of strings".into())));
        }
        let size = |value: &Option<DimensionValue>| match value {
            // Some exporters write -1 for an open size.
            Some(DimensionValue::Size(size)) if *size < 0 => Ok(Size::Open),
            Some(DimensionValue::Size(size)) => Ok(Size::Fixed(stored::sizes(&[*size])?[0])),
            Some(DimensionValue::Name(name)) if !name.is_empty() => Ok(Size::Named(name.clone())),
            _ => Ok(Size::Open),
        };
        let sizes = |shape: &proto::TensorShapeProto| shape.dim.iter().map(|dim| size(&dim.value)).collect();
        let sizes: Option<Result<Vec<Size>, ErrorKind>> = tensor.shape.as_ref().map(sizes);
        Ok(ValueInfo { name: proto.name.clone(), element, sizes: sizes.transpose().map_err(error)? })
    }
}
