//! A decoded file.

use super::element::ElementType;
use super::ports::ValueInfo;
use super::proto::{FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};
use super::shared::Shared;
use super::stored::{Files, Stored};
use super::tensor::Tensor;
use crate::Precision;
use crate::error::{ErrorKind, Result};
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;

/// The content of a file.
pub(super) struct Network {
    pub(super) model: ModelProto,
    pub(super) opsets: Opsets,
    /// The functions of the model, by domain, name and overload.
    functions: HashMap<[String; 3], Function>,
    pub(super) inputs: Vec<ValueInfo>,
    pub(super) outputs: Vec<ValueInfo>,
    pub(super) initialisers: HashMap<String, Tensor>,
    /// The type of most of the weights' bytes, and the precision that holds such.
    pub(super) weights: ElementType,
    pub(super) precision: Precision,
    pub(super) shared: Shared,
}

/// The versions of operator sets, by domain.
pub(super) type Opsets = HashMap<String, i64>;

/// A function of the model: the definition of an operator that nodes call.
pub(super) struct Function {
    pub(super) proto: FunctionProto,
    pub(super) opsets: Opsets,
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
pub(super) fn opset(sets: &Opsets, name: &str) -> Result<i64, ErrorKind> {
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

/// Returns the floating-point type of most of the tensors' bytes, and the precision that holds the tensors: `F32` if the
/// range of `f16` is too small for a matrix or a filter of bfloat16.
fn precision(tensors: &[Arc<Stored>]) -> (ElementType, Precision) {
    let bytes = |of: &dyn Fn(ElementType) -> bool| {
        let of = tensors.iter().filter(|tensor| of(tensor.element));
        of.map(|tensor| tensor.shape.elements().saturating_mul(tensor.element.bits())).fold(0, usize::saturating_add)
    };
    let all = bytes(&ElementType::is_float);
    let most = |half: &ElementType| bytes(&|element| element == *half) > all / 2;
    let weights = [ElementType::F16, ElementType::BF16].into_iter().find(most).unwrap_or(ElementType::F32);
    let mut brains = tensors.iter().filter(|tensor| tensor.element == ElementType::BF16 && tensor.shape.len() > 1);
    match weights {
        ElementType::BF16 if !brains.all(|tensor| tensor.fits_f16()) => (weights, Precision::F32),
        _ => (weights, weights.precision()),
    }
}

impl Network {
    /// Decodes a file and checks everything but its nodes.
    pub(super) fn new(files: Files) -> Result<Network> {
        let problem = |text: String| ErrorKind::argument("ONNX file", "a whole one", text);
        let model = ModelProto::decode(files.main().bytes().clone());
        let mut model = model.map_err(|error| problem(error.to_string()))?;
        let graph = model.graph.as_mut().ok_or_else(|| problem("no graph".into()))?;
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            return Err(ErrorKind::Unsupported(format!("sparse initialisers, \"{name}\"")).into());
        }
        let (mut initialisers, mut weights) = (HashMap::new(), Vec::new());
        for proto in std::mem::take(&mut graph.initializer) {
            let stored = Stored::new(&proto, &files).map_err(|kind| kind.at("initialiser", proto.name.clone()))?;
            let stored = Arc::new(stored);
            weights.push(stored.clone());
            let tensor = Tensor::stored(&proto.name, stored);
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
        let (weights, precision) = precision(&weights);
        let shared = Shared::new(files);
        Ok(Network { model, opsets, functions, inputs, outputs, initialisers, weights, precision, shared })
    }

    pub(super) fn graph(&self) -> &GraphProto {
        self.model.graph.as_ref().expect("it was checked")
    }

    /// Returns the functions of the model, by name.
    pub(super) fn functions(&self) -> impl Iterator<Item = &Function> {
        let mut functions: Vec<_> = self.functions.iter().collect();
        functions.sort_by_key(|(key, _)| *key);
        functions.into_iter().map(|(_, function)| function)
    }

    /// Returns the function of the model that a node calls, if there is one.
    pub(super) fn function(&self, node: &NodeProto) -> Option<&Function> {
        let functions = &self.functions;
        if functions.is_empty() { None } else { functions.get(&key(&node.domain, &node.op_type, &node.overload)) }
    }
}
