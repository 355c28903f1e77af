//! Networks from ONNX files: [`Onnx`].

mod asked;
mod bindings;
mod builder;
mod element;
mod inspect;
mod math;
mod moves;
mod network;
mod node;
mod ops;
mod order;
mod ports;
mod proto;
mod scope;
mod shared;
mod stored;
mod tensor;
mod walk;

pub use bindings::Bindings;
pub use element::ElementType;
pub use ports::{Size, ValueInfo};

use crate::error::{Error, ErrorKind, Result};
use crate::part::{Known, Part};
use crate::{Graph, Precision, Shape};
use network::Network;
use prost::Message;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use stored::{Files, Region, Stored};
use tensor::Tensor;

/// A network in an ONNX file, <https://onnx.ai>. Sizes may be open: [`Bindings`] fix them for a [`Graph`].
///
/// The file is mapped, not read: weights are read when they are uploaded. Nothing in it is ignored: an unsupported
/// operator, attribute, input or element type is an error that names the node.
///
/// Floating-point numbers of all types are computed as `f32`s, integers of all types as `i32`s. A `Cast` rounds to
/// the values of its type. Weights of float16 and bfloat16 stay as large as they are: [`Onnx::precision`].
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
pub struct Onnx(Arc<Network>);

impl Onnx {
    /// Opens a file. Its external data must lie in the file's folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Onnx> {
        let path = path.as_ref();
        let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let files = Files::new(folder.map(Path::to_owned), Region::open(path)?);
        let network = Network::new(files).map_err(|error| match error.at {
            None => ErrorKind::file(path, error.kind).into(),
            Some(_) => error,
        });
        Ok(Onnx(Arc::new(network?)))
    }

    /// Reads a network from memory. The network must not have external data.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Onnx> {
        Ok(Onnx(Arc::new(Network::new(Files::new(None, Region::from_bytes(bytes.into())))?)))
    }

    /// Returns the name and the version of the tool that wrote the file; empty if the file doesn't say them.
    pub fn producer(&self) -> String {
        [&self.0.model.producer_name[..], &self.0.model.producer_version].join(" ").trim().to_owned()
    }

    /// Returns the network's inputs, except those with an initializer.
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.0.inputs
    }

    /// Returns the network's outputs.
    pub fn outputs(&self) -> &[ValueInfo] {
        &self.0.outputs
    }

    /// Returns the precision that holds the file's weights as they are: `F16` if most of their bytes are float16, `Mixed`
    /// if most are bfloat16 in the range of `f16`, else `F32`. [Graphs](Onnx::graph) have it.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// Builds the graph for these sizes. Graphs for several sizes share their weights: see
    /// [`Model::with_graph`](crate::Model::with_graph).
    ///
    /// Fails if a size is missing, if a bound name doesn't exist in the network, or if something in the network isn't
    /// supported.
    pub fn graph(&self, bindings: &Bindings) -> Result<Graph> {
        walk::graph(&self.0, &bindings.resolved(self.inputs())?)
    }

    /// Builds the part of the network that follows what is known: the function of [`Parts`](crate::Parts), for networks with sizes
    /// that values decide. The inputs' shapes come from the frame; the bindings may set values of inputs.
    ///
    /// Fails as [`Onnx::graph`] does, except where a value must be known: the part ends there. States aren't supported.
    pub fn part(&self, bindings: &Bindings, known: &Known) -> Result<Part> {
        let mut bindings = bindings.clone();
        for (name, dtype, shape) in &known.inputs {
            let wanted = self.inputs().iter().find(|input| input.name == *name).and_then(|input| input.element.dtype());
            if let Some(wanted) = wanted.filter(|wanted| wanted != dtype) {
                return Err(ErrorKind::argument(format!("input \"{name}\""), wanted, dtype).into());
            }
            bindings = bindings.shape(name, shape.clone());
        }
        walk::part(&self.0, &bindings.resolved(self.inputs())?, known)
    }

    /// Returns everything that keeps [`Onnx::graph`] from building the graph for these sizes, one error for each node: first
    /// the operators that aren't supported, also in bodies and functions, then what is wrong with other nodes. What reads
    /// the outputs of a refused node isn't tried. Empty if the graph can be built.
    ///
    /// Fails if sizes are missing or wrong.
    pub fn problems(&self, bindings: &Bindings) -> Result<Vec<Error>> {
        inspect::problems(&self.0, &bindings.resolved(self.inputs())?)
    }

    /// Returns the nodes whose operator isn't supported, also in bodies and functions, for whatever sizes.
    pub fn unsupported(&self) -> Vec<Error> {
        inspect::unsupported(&self.0)
    }

    /// Returns the number of nodes by operator, also in bodies and functions. Operators that aren't ONNX's own come with
    /// their domain, such as `com.microsoft.FusedConv`.
    pub fn operators(&self) -> BTreeMap<String, usize> {
        inspect::operators(&self.0)
    }

    /// Returns the version of each operator set, by domain. ONNX's own is "".
    pub fn opsets(&self) -> BTreeMap<&str, i64> {
        self.0.opsets.iter().map(|(domain, &version)| (&domain[..], version)).collect()
    }

    /// Returns the network's inputs with the sizes that these bindings fix. First sizes stay open unless the bindings set
    /// the batch.
    pub fn bound(&self, bindings: &Bindings) -> Result<Vec<ValueInfo>> {
        bindings.bound_inputs(self.inputs())
    }

    /// Returns the shape of an input for these sizes.
    pub fn shape(&self, input: &str, bindings: &Bindings) -> Result<Shape> {
        let bindings = bindings.resolved(self.inputs())?;
        let port = self.inputs().iter().find(|port| port.name == input);
        let unknown = || bindings::unknown("input", self.inputs().iter().map(|port| &port.name), input);
        bindings.shape_of(port.ok_or_else(unknown)?)
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
        let nodes = self.0.graph().node.len();
        write!(f, "Onnx({nodes} nodes, from {})", self.producer())
    }
}
