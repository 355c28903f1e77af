//! The conversion of a network's nodes to a [`Graph`], in order. Nodes that depend on no input are computed, others
//! added. Bodies are inlined in place of their nodes: branches, loop iterations, functions.

use super::asked::{self, Questions};
use super::bindings::{self, Bindings};
use super::builder::{Bodies, Builder};
use super::network::{Function, Network};
use super::node::{Named, Node, Operand, first_output, name};
use super::ops;
use super::order::{self, Order};
use super::proto::{GraphProto, NodeProto};
use super::scope::{Call, Scopes};
use super::tensor::Tensor;
use crate::error::{Error, ErrorKind, Result};
use crate::part::{self, Content, Known, Next, Part};
use crate::{DType, Graph, State};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;

/// A walk over the nodes of a network.
struct Walk<'a> {
    network: &'a Network,
    scopes: Scopes<'a>,
}

/// The cost of a body without nodes.
const ENTERED: usize = 16;

/// Builds a graph of the nodes that a network's outputs need.
pub(super) fn graph(network: &Network, bindings: &Bindings) -> Result<Graph> {
    let (mut walk, mut b, states) = begin(network, bindings, Questions::default())?;
    let graph = network.graph();
    let names: Vec<&str> = graph.output.iter().map(|output| &output.name[..]).collect();
    let mut given = HashMap::new();
    for (name, named) in names.iter().zip(walk.nodes(&mut b, &graph.node, &names)?) {
        let wrong = || ErrorKind::argument(format!("output \"{name}\""), "a tensor", &named);
        let value = b.value(named.tensor().ok_or_else(wrong)?).map_err(|error| walk.given(name, error.kind))?;
        b.graph.output(*name, value);
        given.insert(*name, value);
    }
    for (output, state) in states {
        let unknown = || bindings::unknown("output", network.outputs.iter().map(|port| &port.name), output);
        b.graph.assign(state, *given.get(output).ok_or_else(unknown)?)?;
    }
    Ok(b.graph.recognised())
}

/// Builds the part of a network that follows these findings. It ends before the node that must know more.
pub(super) fn part(network: &Network, bindings: &Bindings, known: &Known) -> Result<Part> {
    let (mut walk, mut b, states) = begin(network, bindings, Questions::answered(known))?;
    if let Some((output, _)) = states.first() {
        return Err(ErrorKind::Unsupported(format!("states of a network in parts, \"{output}\"")).into());
    }
    let graph = network.graph();
    let names: Vec<&str> = graph.output.iter().map(|output| &output.name[..]).collect();
    let order = walk.order(&graph.node, &names)?;
    for (i, node) in order.nodes.iter().enumerate() {
        let Err(error) = walk.node(&mut b, node, &order.read) else { continue };
        let Some(question) = b.questions.take_open() else { return Err(error) };
        let mut read: HashSet<&str> = names.iter().copied().collect();
        for node in &order.nodes[i..] {
            order::names(node, &mut Vec::new(), &mut |name| {
                read.insert(name);
            });
        }
        return b.part(known, question, &walk.scopes.read_later(&read), &error);
    }
    let (mut values, mut outputs) = (Vec::new(), Vec::new());
    for (name, named) in names.iter().zip(walk.outputs_of(&names)?) {
        let wrong = || ErrorKind::argument(format!("output \"{name}\""), "a tensor", &named);
        let content = match named.tensor().ok_or_else(wrong)? {
            Operand::Host(tensor) => Content::Known(asked::given(tensor).map_err(|kind| walk.given(name, kind))?),
            Operand::Device(value, _) => {
                values.push(*value);
                Content::Value(part::name(&b.graph, *value))
            }
        };
        outputs.push(((*name).to_owned(), content));
    }
    Part::new(&b.graph, &known.computed, &values, Next::Outputs(outputs))
}

/// Returns an error for each node that keeps a network's graph from being built. What reads the outputs of such a node isn't
/// tried.
pub(super) fn problems(network: &Network, bindings: &Bindings) -> Result<Vec<Error>> {
    let (mut walk, mut b, _) = begin(network, bindings, Questions::default())?;
    let graph = network.graph();
    let names: Vec<&str> = graph.output.iter().map(|output| &output.name[..]).collect();
    let order = walk.order(&graph.node, &names)?;
    let (mut problems, mut lost) = (Vec::new(), HashSet::new());
    for node in order.nodes {
        let mut reads_lost = false;
        order::names(node, &mut Vec::new(), &mut |name| reads_lost |= lost.contains(name));
        if !reads_lost {
            let Err(error) = walk.node(&mut b, node, &order.read) else { continue };
            problems.push(error);
            walk.scopes.leave_bodies();
        }
        lost.extend(node.output.iter().map(|name| &name[..]));
    }
    Ok(problems)
}

/// The states that inputs became, with the outputs that change them.
type States<'b> = Vec<(&'b str, State)>;

/// Starts a walk: the initialisers and the inputs have their values.
fn begin<'a, 'b>(
    network: &'a Network,
    bindings: &'b Bindings,
    questions: Questions,
) -> Result<(Walk<'a>, Builder<'a>, States<'b>)> {
    let mut states = Vec::new();
    let mut b = Builder::new(&network.shared, network.weights, questions);
    b.graph.set_precision(network.precision);
    b.seed = bindings.seed;
    let mut walk = Walk { network, scopes: Scopes::new(&network.opsets) };
    for (name, tensor) in &network.initialisers {
        walk.scopes.define(name, tensor.clone().into())?;
    }
    for (input, shape) in network.inputs.iter().zip(bindings.shapes_of(&network.inputs)?) {
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
            None => {
                if let Some(output) = bindings.state_of(&input.name) {
                    if dtype != DType::F32 {
                        let argument = format!("state \"{}\"", input.name);
                        return Err(ErrorKind::argument(argument, "floating-point numbers", input.element).into());
                    }
                    let state = b.graph.state(&input.name, shape);
                    walk.scopes.define(&input.name, Operand::Device(state.value(), input.element).into())?;
                    states.push((output, state));
                    continue;
                }
                let value = b.graph.typed_input(&input.name, dtype, shape);
                b.keep(value, input.element);
                Operand::Device(value, input.element)
            }
        };
        if walk.scopes.define(&input.name, operand.into()).is_err() {
            return Err(ErrorKind::argument("inputs", "a name for each", format!("\"{}\" twice", input.name)).into());
        }
    }
    Ok((walk, b, states))
}

/// The error of a node whose operator has no importer.
pub(super) fn unsupported(proto: &NodeProto) -> ErrorKind {
    let domain = if proto.domain.is_empty() { String::new() } else { format!(" of {}", proto.domain) };
    ErrorKind::Unsupported(format!("the operator {}{domain}", proto.op_type))
}

impl<'a> Walk<'a> {
    /// Returns an error about an output of the network, at the node that gives it.
    fn given(&self, output: &str, kind: ErrorKind) -> Error {
        let mut nodes = self.network.graph().node.iter();
        match nodes.find(|node| node.output.iter().any(|name| name == output)) {
            Some(node) => kind.at(node.op_type.clone(), name(node)),
            None => kind.at("output", output),
        }
    }

    /// Adds a node. Only the outputs with names in `read` are wanted.
    fn node(&mut self, b: &mut Builder, proto: &'a NodeProto, read: &HashSet<&str>) -> Result<()> {
        let name = self.scopes.qualified(name(proto));
        let error = |kind: ErrorKind| kind.at(proto.op_type.clone(), name.clone());
        let input = |name: &String| match (name.is_empty(), self.scopes.look(name)) {
            (true, _) => Ok(Named::Nothing),
            (false, Some(named)) => Ok(match named {
                // A value that was found is known from then on.
                Named::Tensor(Operand::Device(value, _)) => {
                    b.questions.look(*value).map_or_else(|| named.clone(), Named::from)
                }
                other => other.clone(),
            }),
            (false, None) => {
                let got = format!("\"{name}\", which is no input, no initialiser and no output of a node");
                Err(error(ErrorKind::argument("inputs", "what exists", got)))
            }
        };
        let inputs = proto.input.iter().map(input).collect::<Result<Vec<_>>>()?;
        let opset = self.scopes.opset(&proto.domain).map_err(error)?;
        let attributes = self.scopes.attributes(proto).map_err(error)?;
        let key = self.scopes.key(first_output(proto));
        let wanted = proto.output.iter().map(|output| read.contains(&output[..])).collect();
        let node = Node::new(proto, [name, key], opset, inputs, attributes, wanted);
        let before = b.graph.nodes().len();
        let outputs = self.outputs(b, &node, proto, before).map_err(|wrong| node.wrong(wrong))?;
        node.finish()?;
        b.bounded(&node, &outputs)?;
        if let Some(beyond) = node.wanted().find(|&i| i >= outputs.len()) {
            let got = format!("{}: \"{}\" is read", node.outputs(), proto.output[beyond]);
            return Err(node.refused("outputs", &format!("{} at most", outputs.len()), got));
        }
        // A value computed from sizes, or from what was found, must be recomputed for others.
        let found = |named: &Named| matches!(named, Named::Tensor(Operand::Device(v, _)) if b.questions.has(*v));
        let fixed = node.inputs().iter().all(|named| named.fixed() && !found(named));
        for (output, named) in proto.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            let named = match named.with_fixed(fixed) {
                Named::Tensor(host @ Operand::Host(_)) => b.kept(&self.scopes.key(output), host).into(),
                other => other,
            };
            self.scopes.define(output, named).map_err(|wrong| node.error(wrong))?;
        }
        Ok(())
    }

    /// Returns the outputs of a node.
    fn outputs(&mut self, b: &mut Builder, node: &Node<'a>, proto: &'a NodeProto, before: usize) -> Result<Vec<Named>> {
        if let Some(function) = self.network.function(proto) {
            return self.call(b, node, function);
        }
        if let Some(import) = ops::structure(&proto.domain, &proto.op_type) {
            let outputs = import(b, self, node)?;
            b.keep_since(before, &outputs);
            return Ok(outputs);
        }
        let import = ops::find(&proto.domain, &proto.op_type).ok_or_else(|| unsupported(proto))?;
        node.only_tensors()?;
        let outputs = import(b, node)?;
        b.keep_inner(before);
        for (_, output) in outputs.iter().enumerate().filter(|(i, _)| node.wants(*i)) {
            if let Operand::Device(value, _) = *output {
                b.name(value, before, node.name());
            }
        }
        let outputs: Vec<Named> = outputs.into_iter().map(Named::from).collect();
        b.keep_since(before, &outputs);
        Ok(outputs)
    }

    /// Returns the nodes that the outputs need, in order.
    fn order(&self, nodes: &'a [NodeProto], outputs: &[&'a str]) -> Result<Order<'a>> {
        let order = Order::new(nodes, outputs, &|name| self.scopes.has(name));
        order.map_err(|(node, kind)| kind.at(node.op_type.clone(), self.scopes.qualified(name(node))))
    }

    /// Adds the nodes that the outputs need, and returns the outputs' values.
    fn nodes(&mut self, b: &mut Builder, nodes: &'a [NodeProto], outputs: &[&'a str]) -> Result<Vec<Named>> {
        let order = self.order(nodes, outputs)?;
        if self.scopes.inside() {
            b.unrolled(order.looked)?;
        }
        for node in order.nodes {
            self.node(b, node, &order.read)?;
        }
        self.outputs_of(outputs)
    }

    /// Returns the values of outputs.
    fn outputs_of(&self, outputs: &[&'a str]) -> Result<Vec<Named>> {
        let missing = |name| ErrorKind::argument("outputs", "what a node gives", format!("\"{name}\""));
        let output = |&name: &&'a str| match name {
            "" => Ok(Named::Nothing),
            _ => Ok(self.scopes.look(name).cloned().ok_or_else(|| missing(name))?),
        };
        outputs.iter().map(output).collect()
    }

    /// Adds the body of a function in place of the node that calls it.
    fn call(&mut self, b: &mut Builder, node: &Node<'a>, function: &'a Function) -> Result<Vec<Named>> {
        let proto = &function.proto;
        if self.scopes.calls(function) {
            return Err(ErrorKind::Unsupported(format!("the function {}, which calls itself", proto.name)).into());
        }
        let defaults = proto.attribute_proto.iter().map(|attribute| (&attribute.name[..], attribute));
        node.ignore(&proto.attribute.iter().map(|name| &name[..]).collect::<Vec<_>>());
        node.ignore(&defaults.clone().map(|(name, _)| name).collect::<Vec<_>>());
        let inputs: Vec<Named> = (0..proto.input.len()).map(|i| node.named(i).clone()).collect();
        node.finish()?;
        let attributes = defaults.chain(node.attributes().iter().copied()).collect();
        b.unrolled(ENTERED + proto.input.len() + proto.attribute.len() + proto.attribute_proto.len())?;
        self.scopes.enter(node, &"", Some(Call { function, attributes }))?;
        for (name, named) in proto.input.iter().zip(inputs) {
            self.scopes.define(name, named)?;
        }
        // Outputs that the caller doesn't read need no nodes.
        let wanted = |(i, name): (usize, &'a String)| if node.wants(i) { &name[..] } else { "" };
        let names: Vec<&'a str> = proto.output.iter().enumerate().map(wanted).collect();
        let outputs = self.nodes(b, &proto.node, &names)?;
        self.scopes.leave();
        Ok(outputs)
    }
}

impl<'a> Bodies<'a> for Walk<'a> {
    fn inline(
        &mut self,
        b: &mut Builder,
        node: &Node<'a>,
        part: &dyn Display,
        body: &'a GraphProto,
        inputs: Vec<Named>,
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<Named>> {
        if let Some(sparse) = body.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            return Err(ErrorKind::Unsupported(format!("sparse initialisers, \"{name}\"")).into());
        }
        b.unrolled(ENTERED + body.input.len() + body.initializer.len())?;
        self.scopes.enter(node, &format_args!("{part}/"), None)?;
        let mut constants = HashSet::new();
        for proto in &body.initializer {
            let name = self.scopes.qualified(&proto.name);
            let tensor = b.stored(&name, proto).and_then(|tensor| self.scopes.define(&proto.name, tensor.into()));
            tensor.map_err(|kind| kind.at("initialiser", name))?;
            constants.insert(&proto.name);
        }
        let ports = body.input.iter().filter(|input| !constants.contains(&input.name));
        let ports: Vec<&'a str> = ports.map(|input| &input.name[..]).collect();
        if ports.len() != inputs.len() {
            return Err(ErrorKind::argument("a body's inputs", inputs.len(), ports.len()).into());
        }
        for (name, named) in ports.into_iter().zip(inputs) {
            self.scopes.define(name, named)?;
        }
        let names = body.output.iter().enumerate().map(|(i, output)| if wanted(i) { &output.name[..] } else { "" });
        let names: Vec<&'a str> = names.collect();
        let outputs = self.nodes(b, &body.node, &names)?;
        self.scopes.leave();
        Ok(outputs)
    }
}
