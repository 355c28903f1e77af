//! The content of a file, and everything in it that can't be served, without building its graph.

use super::bindings::Bindings;
use super::network::Network;
use super::node::name;
use super::ops;
use super::proto::NodeProto;
use super::walk;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Calls `each` with all nodes of a network and the names of the nodes around them: its own, those in bodies, those of
/// functions.
fn visit<'a>(network: &'a Network, each: &mut dyn FnMut(&str, &'a NodeProto)) {
    visit_nodes(&network.graph().node, "", each);
    for function in network.functions() {
        visit_nodes(&function.proto.node, &format!("{}/", function.proto.name), each);
    }
}

fn visit_nodes<'a>(nodes: &'a [NodeProto], path: &str, each: &mut dyn FnMut(&str, &'a NodeProto)) {
    for node in nodes {
        each(path, node);
        for body in node.attribute.iter().filter_map(|attribute| attribute.g.as_deref()) {
            visit_nodes(&body.node, &format!("{path}{}/", name(node)), each);
        }
    }
}

/// Returns the number of nodes by operator.
pub(super) fn operators(network: &Network) -> BTreeMap<String, usize> {
    let mut operators = BTreeMap::new();
    visit(network, &mut |_, node| {
        let domain = match &node.domain[..] {
            "" | "ai.onnx" => String::new(),
            other => format!("{other}."),
        };
        *operators.entry(domain + &node.op_type).or_insert(0) += 1;
    });
    operators
}

/// Returns an error for each node whose operator has no importer.
pub(super) fn unsupported(network: &Network) -> Vec<Error> {
    let mut errors = Vec::new();
    visit(network, &mut |path, node| {
        if !known(network, node) {
            errors.push(walk::unsupported(node).at(node.op_type.clone(), format!("{path}{}", name(node))));
        }
    });
    errors
}

fn known(network: &Network, node: &NodeProto) -> bool {
    let (domain, op) = (&node.domain[..], &node.op_type[..]);
    network.function(node).is_some() || ops::structure(domain, op).is_some() || ops::find(domain, op).is_some()
}

/// Returns everything that keeps the graph from being built.
pub(super) fn problems(network: &Network, bindings: &Bindings) -> Result<Vec<Error>> {
    let mut problems = unsupported(network);
    let seen: Vec<String> = problems.iter().map(Error::to_string).collect();
    let others = walk::problems(network, bindings)?;
    problems.extend(others.into_iter().filter(|error| !seen.contains(&error.to_string())));
    Ok(problems)
}
