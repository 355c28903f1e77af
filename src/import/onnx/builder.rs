//! The conversion of ONNX nodes to a [`Graph`], in order. Nodes that depend on no input are computed, others added.

use super::node::{Named, Node, Operand, first_output, name};
use super::ops::integer::Integers;
use super::proto::{GraphProto, NodeProto, TensorProto};
use super::scope::Scope;
use super::tensor::{MOST_FOLDED, Tensor};
use super::{Bindings, Onnx, ops};
use crate::error::{ErrorKind, Result};
use crate::graph::Source;
use crate::{Constant, Graph, Shape, Value};
use std::collections::{HashMap, HashSet};

/// A graph under construction, and the values of the file's names.
pub(super) struct Builder<'a> {
    pub(super) onnx: &'a Onnx,
    pub(super) graph: Graph,
    /// The graph's values of constants, by the constant's identity.
    placed: HashMap<u64, Value>,
    /// The scope of the network, then those of the bodies under construction, outermost first.
    pub(super) scopes: Vec<Scope<'a>>,
    pub(super) integers: Integers,
    /// The number of elements computed on the host so far, and its limit.
    folded: [usize; 2],
    /// The number of nodes, names and sequence elements unrolled so far.
    pub(super) unrolled: usize,
}

/// The maximum number of operations in a graph.
const MOST_NODES: usize = 1 << 18;

impl<'a> Builder<'a> {
    pub(super) fn new(onnx: &'a Onnx) -> Builder<'a> {
        // Each weight may be moved and cast a few times. Constants that aren't made from weights have a fixed limit.
        let most = (4 * MOST_FOLDED).saturating_add(onnx.files().len().saturating_mul(32));
        let (graph, placed, scopes, integers) =
            (Graph::new(), HashMap::new(), vec![Scope::default()], Integers::default());
        Builder { onnx, graph, placed, scopes, integers, folded: [0, most], unrolled: 0 }
    }

    /// Adds the nodes that a model's outputs need.
    pub(super) fn build(mut self, proto: &'a GraphProto, bindings: &Bindings) -> Result<Graph> {
        for (name, tensor) in self.onnx.initialisers() {
            self.define(name, tensor.clone().into())?;
        }
        for input in self.onnx.inputs() {
            let shape = bindings.shape_of(input)?;
            let dtype = input.element.dtype().expect("inputs were checked");
            let operand = match bindings.values_of(&input.name) {
                Some(given) if *given.shape() == shape && given.dtype() == dtype => {
                    Tensor::given(input.element, given).with_fixed(false).into()
                }
                Some(given) => {
                    let (wanted, got) = (format!("{dtype} {shape}"), format!("{} {}", given.dtype(), given.shape()));
                    return Err(ErrorKind::argument(format!("values of input \"{}\"", input.name), wanted, got).into());
                }
                None if shape.elements() == 0 => Tensor::empty(input.element, shape).into(),
                None => Operand::Device(self.graph.typed_input(&input.name, dtype, shape), input.element),
            };
            if self.define(&input.name, operand.into()).is_err() {
                return Err(
                    ErrorKind::argument("inputs", "a name for each", format!("\"{}\" twice", input.name)).into()
                );
            }
        }
        let names: Vec<&str> = proto.output.iter().map(|output| &output.name[..]).collect();
        for (name, named) in names.iter().zip(self.nodes(&proto.node, &names)?) {
            let wrong = || ErrorKind::argument(format!("output \"{name}\""), "a tensor", &named);
            let value = self.value(named.tensor().ok_or_else(wrong)?)?;
            self.graph.output(*name, value);
        }
        Ok(self.graph.recognised())
    }

    /// Adds a node. Only the outputs with names in `read` are wanted.
    pub(super) fn node(&mut self, proto: &'a NodeProto, read: &HashSet<&str>) -> Result<()> {
        let name = self.qualified(name(proto));
        let error = |kind: ErrorKind| kind.at(proto.op_type.clone(), name.clone());
        let input = |name: &String| match (name.is_empty(), self.look(name)) {
            (true, _) => Ok(Named::Nothing),
            (false, Some(named)) => Ok(named.clone()),
            (false, None) => {
                let got = format!("\"{name}\", which is no input, no initialiser and no output of a node");
                Err(error(ErrorKind::argument("inputs", "what exists", got)))
            }
        };
        let inputs = proto.input.iter().map(input).collect::<Result<Vec<_>>>()?;
        let opset = self.opset(&proto.domain).map_err(error)?;
        let attributes = self.attributes(proto).map_err(error)?;
        let key = self.key(first_output(proto));
        let wanted = proto.output.iter().map(|output| read.contains(&output[..])).collect();
        let node = Node::new(proto, [name, key], opset, inputs, attributes, wanted);
        let before = self.graph.nodes().len();
        let outputs = self.outputs(&node, proto, before).map_err(|wrong| node.wrong(wrong))?;
        node.finish()?;
        self.bounded(&node, &outputs)?;
        if let Some(beyond) = node.wanted().find(|&i| i >= outputs.len()) {
            let got = format!("{}: \"{}\" is read", node.outputs(), proto.output[beyond]);
            return Err(node.refused("outputs", &format!("{} at most", outputs.len()), got));
        }
        // A value computed from sizes must be recomputed for other sizes.
        let fixed = node.inputs().iter().all(Named::fixed);
        for (output, named) in proto.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            let named = match named.with_fixed(fixed) {
                Named::Tensor(host @ Operand::Host(_)) => self.kept(&self.key(output), host).into(),
                other => other,
            };
            self.define(output, named).map_err(|wrong| node.error(wrong))?;
        }
        Ok(())
    }

    /// Returns the outputs of a node.
    fn outputs(&mut self, node: &Node<'a>, proto: &'a NodeProto, before: usize) -> Result<Vec<Named>> {
        if let Some(function) = self.onnx.function(proto) {
            return self.call(node, function);
        }
        if let Some(import) = ops::structure(&proto.domain, &proto.op_type) {
            return import(self, node);
        }
        let import = ops::find(&proto.domain, &proto.op_type).ok_or_else(|| {
            let domain = if proto.domain.is_empty() { String::new() } else { format!(" of {}", proto.domain) };
            ErrorKind::Unsupported(format!("the operator {}{domain}", proto.op_type))
        })?;
        node.only_tensors()?;
        let outputs = import(self, node)?;
        for (_, output) in outputs.iter().enumerate().filter(|(i, _)| node.wants(*i)) {
            if let Operand::Device(value, _) = *output {
                self.name(value, before, node.name());
            }
        }
        Ok(outputs.into_iter().map(Named::from).collect())
    }

    /// Fails if a file makes much more work than it has bytes.
    fn bounded(&mut self, node: &Node, outputs: &[Named]) -> Result<()> {
        if self.graph.nodes().len() > MOST_NODES {
            return Err(node.refused("operations", &format!("{MOST_NODES} at most in all"), self.graph.nodes().len()));
        }
        // A constant stored in the file has cost no work yet.
        if node.inputs().is_empty() && node.has("value") {
            return Ok(());
        }
        let host = |output: &Named| output.tensor().is_none_or(|output| output.host().is_some());
        if outputs.iter().any(host) {
            let all = node.hosts().chain(outputs.iter().filter_map(Named::tensor).filter_map(Operand::host));
            // A larger tensor with one number everywhere is not read on the host.
            let all = all.filter(|tensor| !tensor.filled || tensor.elements() <= MOST_FOLDED);
            self.folded[0] = all.fold(self.folded[0], |sum, tensor| sum.saturating_add(tensor.elements()));
        }
        let [folded, most] = self.folded;
        if folded > most {
            return Err(node.refused(
                "constants",
                &format!("{most} elements at most that are computed in all"),
                folded,
            ));
        }
        Ok(())
    }

    /// Gives a node that was added since `before` its name in the file.
    fn name(&mut self, value: Value, before: usize, name: &str) {
        if matches!(self.graph.source(value), &Source::Node(node) if node >= before) {
            self.graph.rename(value, name);
        }
    }

    /// Replaces a constant by the first one of this name, so that graphs for several sizes share it.
    pub(super) fn kept(&self, name: &str, operand: Operand) -> Operand {
        let Operand::Host(tensor) = &operand else { return operand };
        let Ok(constant) = tensor.constant() else { return operand };
        tensor.clone().with_constant(self.shared(name, tensor.fixed, constant)).into()
    }

    /// Returns the first constant made under this name if `fixed`, which means equal for all sizes; else `constant`.
    pub(super) fn shared(&self, name: &str, fixed: bool, constant: Constant) -> Constant {
        if fixed { self.onnx.kept(name, &constant).unwrap_or(constant) } else { constant }
    }

    /// Converts an operand to a value of the graph.
    pub(super) fn value(&mut self, operand: &Operand) -> Result<Value> {
        let tensor = match operand {
            Operand::Device(value, _) => return Ok(*value),
            Operand::Host(tensor) => tensor,
        };
        let constant = match tensor.constant() {
            Ok(constant) => constant,
            Err(_) => self.integers(tensor)?,
        };
        let there = self.placed.get(&constant.id()).filter(|&&value| self.graph.known_shape(value) == constant.shape());
        if let Some(&value) = there {
            return Ok(value);
        }
        let id = constant.id();
        let value = self.graph.constant(constant);
        self.placed.insert(id, value);
        Ok(value)
    }

    /// Converts integers or booleans to a constant. All readers of a tensor in the file share one constant.
    fn integers(&self, tensor: &Tensor) -> Result<Constant, ErrorKind> {
        let constant = Constant::known("", tensor.shape.clone(), tensor.data()?);
        Ok(match tensor.place() {
            Some(place) => self.shared(&format!("\n{place}"), tensor.fixed, constant),
            None => constant,
        })
    }

    /// Returns the tensor that an attribute holds.
    pub(super) fn stored(&self, name: &str, proto: &TensorProto) -> Result<Tensor, ErrorKind> {
        self.onnx.stored(name, proto)
    }

    /// Returns the shape of an operand.
    pub(super) fn shape(&self, operand: &Operand) -> Shape {
        match operand {
            Operand::Host(tensor) => tensor.shape.clone(),
            Operand::Device(value, _) => self.graph.known_shape(*value).clone(),
        }
    }

    /// Returns the tensor of an operand that must be known when the graph is built. Errors call it `argument`.
    pub(super) fn known<'o>(&self, argument: &str, operand: &'o Operand) -> Result<&'o Tensor> {
        match operand {
            Operand::Host(tensor) => Ok(tensor),
            Operand::Device(value, _) => Err(match self.input_behind(*value) {
                Some(input) => ErrorKind::Unknown { argument: argument.to_owned(), input },
                None => {
                    ErrorKind::argument(argument, "what is known when the graph is built", "what is computed later")
                }
            }
            .into()),
        }
    }

    /// Returns integers that must be known when the graph is built.
    pub(super) fn known_ints(&self, argument: &str, operand: &Operand) -> Result<Vec<i64>> {
        Ok(self.known(argument, operand)?.as_ints()?.into_owned())
    }

    /// Returns weights: floating-point numbers that must be known when the graph is built.
    pub(super) fn weights(&self, argument: &str, operand: &Operand) -> Result<Constant> {
        Ok(self.known(argument, operand)?.constant()?)
    }

    /// Returns the name of an input of the graph from which a value is computed, if there is one.
    fn input_behind(&self, value: Value) -> Option<String> {
        let (mut seen, mut open) = (HashSet::from([value]), vec![value]);
        while let Some(value) = open.pop() {
            match self.graph.source(value) {
                Source::Input => {
                    let input = self.graph.inputs().iter().find(|input| input.value == value);
                    return input.map(|input| input.name.clone());
                }
                &Source::Node(node) => {
                    open.extend(self.graph.nodes()[node].inputs.iter().filter(|&&input| seen.insert(input)));
                }
                Source::Constant(_) | Source::State(_) => {}
            }
        }
        None
    }
}
