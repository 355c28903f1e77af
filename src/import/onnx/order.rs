//! The order in which nodes are imported: only needed nodes, each after the nodes whose outputs it reads.

use super::proto::NodeProto;
use crate::error::{ErrorKind, Result};
use std::collections::{HashMap, HashSet};

/// The nodes of a graph or a function that its outputs need.
pub(super) struct Order<'a> {
    /// The nodes, each after the nodes whose outputs it reads; otherwise in the order of the file.
    pub(super) nodes: Vec<&'a NodeProto>,
    /// The names that these nodes and the outputs read.
    pub(super) read: HashSet<&'a str>,
    /// The number of names that were examined.
    pub(super) looked: usize,
}

impl<'a> Order<'a> {
    /// Finds the nodes that the outputs need. Names that are `there` exist before any node. Most files list their nodes
    /// in order, which one pass verifies. Some tools append nodes at the end: such files are sorted.
    ///
    /// Fails if nodes depend on each other in a cycle. The error holds one of these nodes and the reason.
    pub(super) fn new(
        nodes: &'a [NodeProto],
        outputs: &[&'a str],
        there: &dyn Fn(&str) -> bool,
    ) -> Result<Order<'a>, (&'a NodeProto, ErrorKind)> {
        let mut order = Order { nodes: Vec::new(), read: outputs.iter().copied().collect(), looked: outputs.len() };
        let mut later = HashSet::new();
        for node in nodes.iter().rev() {
            let given = || node.output.iter().map(|name| &name[..]).filter(|name| !name.is_empty());
            later.extend(given());
            order.looked += 1 + node.output.len();
            if given().any(|name| order.read.contains(name)) {
                let mut sorted = true;
                order.looked += names(node, &mut Vec::new(), &mut |name| {
                    sorted &= !later.contains(name) || there(name);
                    order.read.insert(name);
                });
                if !sorted {
                    return Order::sorted(nodes, outputs, there, order.looked);
                }
                order.nodes.push(node);
            }
        }
        order.nodes.reverse();
        Ok(order)
    }

    fn sorted(
        nodes: &'a [NodeProto],
        outputs: &[&'a str],
        there: &dyn Fn(&str) -> bool,
        looked: usize,
    ) -> Result<Order<'a>, (&'a NodeProto, ErrorKind)> {
        let mut order = Order { nodes: Vec::new(), read: HashSet::new(), looked };
        let mut made_by: HashMap<&str, usize> = HashMap::new();
        for (i, node) in nodes.iter().enumerate() {
            node.output.iter().filter(|name| !name.is_empty()).for_each(|name| {
                made_by.entry(name).or_insert(i);
            });
        }
        // For each needed node: the names that it reads from other nodes, and these nodes.
        let mut needs: Vec<Option<Vec<(&str, usize)>>> = vec![None; nodes.len()];
        let mut open: Vec<usize> = Vec::new();
        order.read.extend(outputs);
        open.extend(outputs.iter().filter_map(|name| made_by.get(name)));
        while let Some(i) = open.pop() {
            if needs[i].is_none() {
                let mut makers = Vec::new();
                order.looked += names(&nodes[i], &mut Vec::new(), &mut |name| {
                    order.read.insert(name);
                    makers.extend(made_by.get(name).filter(|_| !there(name)).map(|&maker| (name, maker)));
                });
                open.extend(makers.iter().map(|&(_, maker)| maker));
                needs[i] = Some(makers);
            }
        }
        // Depth first, in the order of the file: the nodes that a node needs come right before it, unless done.
        let (mut begun, mut done) = (vec![false; nodes.len()], vec![false; nodes.len()]);
        for first in 0..nodes.len() {
            let mut way = Vec::from_iter((needs[first].is_some() && !done[first]).then_some((first, 0)));
            while let Some((i, next)) = way.pop() {
                begun[i] = true;
                let needed = needs[i].as_ref().and_then(|makers| makers.get(next));
                match needed {
                    None => {
                        done[i] = true;
                        order.nodes.push(&nodes[i]);
                    }
                    Some(&(name, maker)) => {
                        way.push((i, next + 1));
                        if begun[maker] && !done[maker] {
                            let got = format!("\"{name}\", which is computed from this node's own outputs");
                            return Err((&nodes[i], ErrorKind::argument("inputs", "what doesn't depend on it", got)));
                        }
                        way.extend((!done[maker]).then_some((maker, 0)));
                    }
                }
            }
        }
        Ok(order)
    }
}

/// Calls `each` with the names that a node reads: its inputs, and the outer names that its bodies read. `own` holds the
/// names that the enclosing bodies define. Returns the number of names that were examined.
pub(super) fn names<'a>(node: &'a NodeProto, own: &mut Vec<HashSet<&'a str>>, each: &mut dyn FnMut(&'a str)) -> usize {
    let outside =
        |own: &[HashSet<&str>], name: &&'a str| !name.is_empty() && !own.iter().any(|names| names.contains(name));
    node.input.iter().map(|name| &name[..]).filter(|name| outside(own, name)).for_each(&mut *each);
    let mut looked = node.input.len() + node.attribute.len();
    for body in node.attribute.iter().filter_map(|attribute| attribute.g.as_deref()) {
        let ports =
            body.input.iter().map(|input| &input.name).chain(body.initializer.iter().map(|tensor| &tensor.name));
        let names_of = ports.chain(body.node.iter().flat_map(|node| &node.output));
        let inner: HashSet<&str> = names_of.map(|name| &name[..]).collect();
        looked += inner.len() + body.output.len() + body.node.len();
        own.push(inner);
        body.output.iter().map(|output| &output.name[..]).filter(|name| outside(own, name)).for_each(&mut *each);
        looked += body.node.iter().map(|node| names(node, own, each)).sum::<usize>();
        own.pop();
    }
    looked
}
