//! The names of values. Each body that is inlined has a scope of its own: a branch, a loop iteration, a function.

use super::network::{self, Function, Opsets};
use super::node::{Named, Node};
use super::proto::{AttributeProto, NodeProto};
use crate::error::ErrorKind;
use std::collections::{HashMap, HashSet};
use std::fmt::Display;

/// The scope of the network, then those of the bodies under construction, outermost first.
pub(super) struct Scopes<'a> {
    opsets: &'a Opsets,
    scopes: Vec<Scope<'a>>,
}

/// The names of the network, or of a body.
#[derive(Default)]
struct Scope<'a> {
    names: HashMap<&'a str, Named>,
    /// The prefix of nodes' names.
    path: String,
    /// The prefix of outputs' keys, which are unique.
    key: String,
    /// The call, for a function's body. The body sees no outer names; the bodies inside it see its names.
    call: Option<Call<'a>>,
}

/// A function with the values of its attributes.
pub(super) struct Call<'a> {
    pub(super) function: &'a Function,
    pub(super) attributes: HashMap<&'a str, &'a AttributeProto>,
}

/// The maximum nesting depth of bodies.
const MOST_DEPTH: usize = 32;

impl<'a> Scopes<'a> {
    pub(super) fn new(opsets: &'a Opsets) -> Scopes<'a> {
        Scopes { opsets, scopes: vec![Scope::default()] }
    }

    /// Enters the scope of a node's body, or of the function that the node calls.
    pub(super) fn enter(&mut self, node: &Node, part: &dyn Display, call: Option<Call<'a>>) -> Result<(), ErrorKind> {
        if self.scopes.len() > MOST_DEPTH {
            return Err(ErrorKind::argument("bodies", format!("{MOST_DEPTH} at most, one in the other"), "more"));
        }
        // Names may contain slashes but no line breaks, so line breaks keep keys unique.
        let (path, key) = (format!("{}/{part}", node.name()), format!("{}\n{part}\n", node.key()));
        self.scopes.push(Scope { names: HashMap::new(), path, key, call });
        Ok(())
    }

    /// Leaves the scopes of all bodies.
    pub(super) fn leave_bodies(&mut self) {
        self.scopes.truncate(1);
    }

    /// Leaves the innermost scope.
    pub(super) fn leave(&mut self) {
        self.scopes.pop();
    }

    /// Returns true in a body.
    pub(super) fn inside(&self) -> bool {
        self.scopes.len() > 1
    }

    /// Returns true in the body of this function, or in a body that it contains or calls.
    pub(super) fn calls(&self, function: &Function) -> bool {
        let calls = |scope: &Scope| scope.call.as_ref().is_some_and(|call| std::ptr::eq(call.function, function));
        self.scopes.iter().any(calls)
    }

    /// Returns true if the innermost scope has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.scopes.last().is_some_and(|scope| scope.names.contains_key(name))
    }

    /// Returns the value of a name in the current scope.
    pub(super) fn look(&self, name: &str) -> Option<&Named> {
        // A function sees no outer names.
        let inner = self.scopes.iter().rposition(|scope| scope.call.is_some()).unwrap_or(0);
        self.scopes[inner..].iter().rev().find_map(|scope| scope.names.get(name))
    }

    /// Returns the values that later nodes read: those with a name in `read` outside of bodies, all in bodies.
    pub(super) fn read_later(&self, read: &HashSet<&str>) -> Vec<Named> {
        let bodies = self.scopes.iter().skip(1).flat_map(|scope| scope.names.values());
        let own = self.scopes.iter().take(1).flat_map(|scope| &scope.names).filter(|(name, _)| read.contains(*name));
        own.map(|(_, named)| named).chain(bodies).cloned().collect()
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
        network::opset(self.called().map_or(self.opsets, |call| &call.function.opsets), domain)
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
}
