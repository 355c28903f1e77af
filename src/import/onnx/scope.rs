//! Bodies inlined in place of their nodes: branches, loop iterations, functions. Each has a scope of names.

use super::builder::Builder;
use super::node::{Named, Node, name};
use super::order::Order;
use super::proto::{AttributeProto, GraphProto, NodeProto};
use super::{Function, Opsets};
use crate::error::{ErrorKind, Result};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The names of the network, or of a body.
#[derive(Default)]
pub(super) struct Scope<'a> {
    names: HashMap<&'a str, Named>,
    /// The prefix of nodes' names.
    path: String,
    /// The prefix of outputs' keys, which are unique.
    key: String,
    /// The call, for a function's body. The body sees no outer names; the bodies inside it see its names.
    call: Option<Call<'a>>,
}

/// A function with the values of its attributes.
struct Call<'a> {
    function: &'a Function,
    attributes: HashMap<&'a str, &'a AttributeProto>,
}

/// The maximum nesting depth of bodies.
const MOST_DEPTH: usize = 32;

/// The maximum number of nodes, names and sequence elements unrolled: a few bytes can describe an endless loop.
const MOST_UNROLLED: usize = 1 << 21;

/// The cost of a body without nodes.
const ENTERED: usize = 16;

impl<'a> Builder<'a> {
    /// Returns the value of a name in the current scope.
    pub(super) fn look(&self, name: &str) -> Option<&Named> {
        // A function sees no outer names.
        let inner = self.scopes.iter().rposition(|scope| scope.call.is_some()).unwrap_or(0);
        self.scopes[inner..].iter().rev().find_map(|scope| scope.names.get(name))
    }

    /// Defines a name in the innermost scope. Fails if that scope has the name already.
    pub(super) fn define(&mut self, name: &'a str, named: Named) -> Result<(), ErrorKind> {
        match self.scopes.last_mut().and_then(|scope| scope.names.insert(name, named)) {
            None => Ok(()),
            Some(_) => Err(ErrorKind::argument("outputs", "a name that nothing has yet", format!("\"{name}\""))),
        }
    }

    /// Returns a name prefixed with the names of the enclosing nodes.
    pub(super) fn qualified(&self, name: &str) -> String {
        self.scopes.last().map_or("", |scope| &scope.path).to_owned() + name
    }

    /// Returns a unique key for an output.
    pub(super) fn key(&self, output: &str) -> String {
        self.scopes.last().map_or("", |scope| &scope.key).to_owned() + output
    }

    fn called(&self) -> Option<&Call<'a>> {
        self.scopes.iter().rev().find_map(|scope| scope.call.as_ref())
    }

    /// Returns the version of a domain's operator set.
    pub(super) fn opset(&self, domain: &str) -> Result<i64, ErrorKind> {
        let sets: &Opsets = self.called().map_or(self.onnx.opsets(), |call| &call.function.opsets);
        super::opset(sets, domain)
    }

    /// Returns a node's attributes. One that refers to an attribute of the function has the call's value, or is absent.
    pub(super) fn attributes(&self, proto: &'a NodeProto) -> Result<Vec<(&'a str, &'a AttributeProto)>, ErrorKind> {
        let call = self.called();
        let mut attributes = Vec::with_capacity(proto.attribute.len());
        for attribute in &proto.attribute {
            let (name, of) = (&attribute.name[..], &attribute.ref_attr_name[..]);
            match call.filter(|_| !of.is_empty()) {
                None => attributes.push((name, attribute)),
                Some(call) => match call.attributes.get(of) {
                    // The graph's names belong to the caller's scope.
                    Some(given) if given.g.is_some() => {
                        return Err(ErrorKind::Unsupported(format!("\"{of}\", a graph that a function is given")));
                    }
                    given => attributes.extend(given.map(|&given| (name, given))),
                },
            }
        }
        Ok(attributes)
    }

    /// Adds the nodes that the outputs need, and returns the outputs' values.
    pub(super) fn nodes(&mut self, nodes: &'a [NodeProto], outputs: &[&'a str]) -> Result<Vec<Named>> {
        let there = |name: &str| self.scopes.last().is_some_and(|scope| scope.names.contains_key(name));
        let order = Order::new(nodes, outputs, &there);
        let order = order.map_err(|(node, kind)| kind.at(node.op_type.clone(), self.qualified(name(node))))?;
        if self.scopes.len() > 1 {
            self.unrolled(order.looked)?;
        }
        for node in order.nodes {
            self.node(node, &order.read)?;
        }
        let missing = |name| ErrorKind::argument("outputs", "what a node gives", format!("\"{name}\""));
        let output = |&name: &&'a str| match name {
            "" => Ok(Named::Nothing),
            _ => Ok(self.look(name).cloned().ok_or_else(|| missing(name))?),
        };
        outputs.iter().map(output).collect()
    }

    /// Adds the graph of a node's attribute in the node's place. `part` names the graph or the iteration. Outputs that
    /// aren't `wanted` are `Named::Nothing`.
    pub(super) fn inline(
        &mut self,
        node: &Node<'a>,
        part: impl fmt::Display,
        body: &'a GraphProto,
        inputs: Vec<Named>,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<Named>> {
        if let Some(sparse) = body.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            return Err(ErrorKind::Unsupported(format!("sparse initialisers, \"{name}\"")).into());
        }
        self.enter(node, format_args!("{part}/"), None, body.input.len() + body.initializer.len())?;
        let mut constants = HashSet::new();
        for proto in &body.initializer {
            let name = self.qualified(&proto.name);
            let tensor = self.stored(&name, proto).and_then(|tensor| self.define(&proto.name, tensor.into()));
            tensor.map_err(|kind| kind.at("initialiser", name))?;
            constants.insert(&proto.name);
        }
        let ports = body.input.iter().filter(|input| !constants.contains(&input.name));
        let ports: Vec<&'a str> = ports.map(|input| &input.name[..]).collect();
        if ports.len() != inputs.len() {
            return Err(ErrorKind::argument("a body's inputs", inputs.len(), ports.len()).into());
        }
        for (name, named) in ports.into_iter().zip(inputs) {
            self.define(name, named)?;
        }
        let names = body.output.iter().enumerate().map(|(i, output)| if wanted(i) { &output.name[..] } else { "" });
        let names: Vec<&'a str> = names.collect();
        let outputs = self.nodes(&body.node, &names)?;
        self.scopes.pop();
        Ok(outputs)
    }

    /// Adds the body of a function in place of the node that calls it.
    pub(super) fn call(&mut self, node: &Node<'a>, function: &'a Function) -> Result<Vec<Named>> {
        let proto = &function.proto;
        let calls = |scope: &Scope| scope.call.as_ref().is_some_and(|call| std::ptr::eq(call.function, function));
        if self.scopes.iter().any(calls) {
            return Err(ErrorKind::Unsupported(format!("the function {}, which calls itself", proto.name)).into());
        }
        let defaults = proto.attribute_proto.iter().map(|attribute| (&attribute.name[..], attribute));
        node.ignore(&proto.attribute.iter().map(|name| &name[..]).collect::<Vec<_>>());
        node.ignore(&defaults.clone().map(|(name, _)| name).collect::<Vec<_>>());
        let inputs: Vec<Named> = (0..proto.input.len()).map(|i| node.named(i).clone()).collect();
        node.finish()?;
        let attributes = defaults.chain(node.attributes().iter().copied()).collect();
        let size = proto.input.len() + proto.attribute.len() + proto.attribute_proto.len();
        self.enter(node, format_args!(""), Some(Call { function, attributes }), size)?;
        for (name, named) in proto.input.iter().zip(inputs) {
            self.define(name, named)?;
        }
        // Outputs that the caller doesn't read need no nodes.
        let wanted = |(i, name): (usize, &'a String)| if node.wants(i) { &name[..] } else { "" };
        let names: Vec<&'a str> = proto.output.iter().enumerate().map(wanted).collect();
        let outputs = self.nodes(&proto.node, &names)?;
        self.scopes.pop();
        Ok(outputs)
    }

    fn enter(
        &mut self,
        node: &Node<'a>,
        part: fmt::Arguments,
        call: Option<Call<'a>>,
        size: usize,
    ) -> Result<(), ErrorKind> {
        self.unrolled(ENTERED + size)?;
        if self.scopes.len() > MOST_DEPTH {
            return Err(ErrorKind::argument("bodies", format!("{MOST_DEPTH} at most, one in the other"), "more"));
        }
        // Names may contain slashes but no line breaks, so line breaks keep keys unique.
        let (path, key) = (format!("{}/{part}", node.name()), format!("{}\n{part}\n", node.key()));
        self.scopes.push(Scope { names: HashMap::new(), path, key, call });
        Ok(())
    }

    /// Counts unrolled nodes, names and elements, which a file of a few bytes could make for ever.
    pub(super) fn unrolled(&mut self, size: usize) -> Result<(), ErrorKind> {
        self.unrolled = self.unrolled.saturating_add(size);
        if self.unrolled <= MOST_UNROLLED {
            return Ok(());
        }
        let wanted = format!("{MOST_UNROLLED} nodes, names and elements at most in all");
        Err(ErrorKind::argument("bodies and sequences", wanted, "more"))
    }
}
