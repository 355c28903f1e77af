//! The engine that rewrites graphs: a rule exchanges the output of a node for another value that is the same.
//!
//! The engine keeps an index of readers, results and shapes that is true before and after each rule. The rules are in
//! `src/rewrite/`.

use super::op::Op;
use super::{Graph, Node, Source, Value};
use crate::error::{ErrorKind, Result};
use crate::{Constant, DType, Shape};
use std::cmp::Reverse;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

/// A rule: a name, and a search for what the rule exchanges.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// The name, for the log.
    pub(crate) name: &'static str,
    /// Returns the replacement for the output of a node, if the rule applies to that node.
    pub(crate) find: fn(&Rewriting, &Node) -> Option<Replacement>,
}

/// Adds nodes to a graph, and returns the value that they give.
type Build = Box<dyn FnOnce(&mut Graph) -> Result<Value>>;

/// The nodes that replace a node's only output.
pub(crate) struct Replacement {
    build: Build,
    /// The name of the last new node; the replaced node's name if there is none.
    name: Option<String>,
}

impl Replacement {
    /// Creates a replacement that `build` adds to the graph. If it fails, or gives another shape or element type, the old
    /// node stays.
    pub(crate) fn new(build: impl FnOnce(&mut Graph) -> Result<Value> + 'static) -> Option<Replacement> {
        Some(Replacement { build: Box::new(build), name: None })
    }

    /// Creates a replacement by one operation.
    pub(crate) fn op(op: impl Op, inputs: &[Value]) -> Option<Replacement> {
        Replacement::shared(Arc::new(op), inputs)
    }

    /// Creates a replacement by one operation that other graphs may hold too.
    pub(crate) fn shared(op: Arc<dyn Op>, inputs: &[Value]) -> Option<Replacement> {
        let inputs = inputs.to_vec();
        Replacement::new(move |graph| Ok(graph.add_shared(op.name().to_owned(), op, &inputs)?[0]))
    }

    /// Names the replacement's last node.
    pub(crate) fn named(self, name: &str) -> Replacement {
        Replacement { name: Some(name.to_owned()), ..self }
    }
}

/// A rule that was applied to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The name of the rule.
    pub rule: &'static str,
    /// The name of the node whose output was exchanged.
    pub node: String,
    /// The operations that nobody needs any more.
    pub removed: Vec<&'static str>,
    /// The operations that give the output now.
    pub added: Vec<&'static str>,
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [removed, added] = [&self.removed, &self.added].map(|ops| ops.join(" + "));
        let added = if added.is_empty() { "nothing" } else { &added };
        write!(f, "{}: {} ({removed} -> {added})", self.rule, self.node)
    }
}

/// A graph while rules change it.
pub(crate) struct Rewriting {
    graph: Graph,
    /// True for each node that is still there.
    alive: Vec<bool>,
    /// The position of each node in the order of execution: its own at first, the replaced node's for a new one.
    position: Vec<usize>,
    /// The number of nodes on the longest way from an input to each node, when these rules began.
    depth: Vec<usize>,
    /// The nodes that read each value, as often as they read it.
    readers: Vec<Vec<usize>>,
    /// The results of the graph.
    results: HashSet<Value>,
}

impl Rewriting {
    /// Begins with the nodes that the graph's results need.
    pub(crate) fn new(graph: &Graph) -> Rewriting {
        let alive = graph.needed();
        let mut readers = vec![Vec::new(); graph.sources.len()];
        for (i, node) in graph.nodes.iter().enumerate().filter(|&(i, _)| alive[i]) {
            node.inputs.iter().for_each(|value| readers[value.index()].push(i));
        }
        Rewriting {
            alive,
            position: (0..graph.nodes.len()).collect(),
            depth: vec![0; graph.nodes.len()],
            readers,
            results: graph.results().collect(),
            graph: Graph { shapes_of_two: graph.shapes(2).ok().filter(|two| *two != graph.shapes), ..graph.clone() },
        }
    }

    /// Returns the graph as it is now. Exchanged nodes are still in it.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    fn producer(&self, value: Value) -> Option<usize> {
        match self.graph.source(value) {
            &Source::Node(node) => Some(node),
            _ => None,
        }
    }

    /// Returns the shape of a value for a batch of 1.
    pub(crate) fn shape(&self, value: Value) -> &Shape {
        self.graph.known_shape(value)
    }

    /// Returns the node that gives a value, if it has one output.
    pub(crate) fn node(&self, value: Value) -> Option<&Node> {
        let node = &self.graph.nodes[self.producer(value)?];
        (node.outputs.len() == 1).then_some(node)
    }

    /// Returns the operation that gives a value, if it is a `T`, and its inputs.
    pub(crate) fn op<T: Op>(&self, value: Value) -> Option<(&T, &[Value])> {
        let node = &self.graph.nodes[self.producer(value)?];
        Some((node.op.downcast_ref()?, &node.inputs))
    }

    /// Returns the constant of `f32`s that a value stands for.
    pub(crate) fn constant(&self, value: Value) -> Option<&Constant> {
        match self.graph.source(value) {
            Source::Constant(constant) if constant.dtype() == DType::F32 => Some(constant),
            _ => None,
        }
    }

    /// Returns true if an operation on these inputs gives the shape and type of `output`, for batches of 1 and 2.
    pub(crate) fn gives(&self, op: &dyn Op, inputs: &[Value], output: Value) -> bool {
        let dtypes: Vec<DType> = inputs.iter().map(|&value| self.graph.known_dtype(value)).collect();
        let mut all = std::iter::once(&self.graph.shapes).chain(&self.graph.shapes_of_two);
        let same = |shapes: &Vec<Shape>| {
            let inputs: Vec<Shape> = inputs.iter().map(|value| shapes[value.index()].clone()).collect();
            op.output_shapes(&inputs).is_ok_and(|given| given == [shapes[output.index()].clone()])
        };
        op.output_dtypes(&dtypes).is_ok_and(|given| given.first() == Some(&self.graph.known_dtype(output)))
            && all.all(same)
    }

    /// Returns true if a value is read once and is no result of the graph.
    pub(crate) fn read_once(&self, value: Value) -> bool {
        self.only_reader(value).is_some()
    }

    /// Returns the only node that reads a value, if it reads it once and the value is no result of the graph.
    pub(crate) fn only_reader(&self, value: Value) -> Option<&Node> {
        let mut readers = self.readers(value)?;
        readers.next().filter(|_| readers.next().is_none())
    }

    /// Returns the nodes that read a value, as often as they read it, if the value is no result of the graph.
    pub(crate) fn readers(&self, value: Value) -> Option<impl Iterator<Item = &Node>> {
        let nodes = self.readers[value.index()].iter().map(|&reader| &self.graph.nodes[reader]);
        (!self.results.contains(&value)).then_some(nodes)
    }

    /// Returns the positions of the inputs that other nodes give, the deepest node first.
    pub(crate) fn deepest_inputs(&self, node: &Node) -> Vec<usize> {
        let producer = |&position: &usize| self.producer(node.inputs[position]);
        let mut positions: Vec<usize> =
            (0..node.inputs.len()).filter(|position| producer(position).is_some()).collect();
        positions.sort_by_key(|position| {
            Reverse(producer(position).map(|producer| (self.depth[producer], self.position[producer])))
        });
        positions
    }

    /// Applies rules until none of them finds anything, to the nodes in order. The first rule that applies to a node wins.
    pub(crate) fn apply(&mut self, rules: &[Rule], log: &mut Vec<Rewrite>) {
        let mut queue = VecDeque::from(self.order());
        for &node in &queue {
            let inputs = &self.graph.nodes[node].inputs;
            let before = inputs.iter().filter_map(|&value| Some(self.depth[self.producer(value)?]));
            self.depth[node] = 1 + before.max().unwrap_or(0);
        }
        let mut queued = vec![true; self.graph.nodes.len()];
        while let Some(node) = queue.pop_front() {
            queued[node] = false;
            if !self.alive[node] || self.graph.nodes[node].outputs.len() != 1 {
                continue;
            }
            let found = rules.iter().find_map(|rule| {
                let found = (rule.find)(self, &self.graph.nodes[node])?;
                self.exchange(node, rule.name, found)
            });
            let Some(rewrite) = found else { continue };
            log::debug!("{rewrite}");
            log.push(rewrite);
            // The new nodes, then those that read the last one's output: a rule may apply to them that didn't before.
            let added = queued.len()..self.graph.nodes.len();
            queued.resize(added.end, false);
            let last = added.clone().next_back().map_or(&[][..], |node| &self.graph.nodes[node].outputs);
            let readers = last.iter().flat_map(|value| &self.readers[value.index()]).copied();
            for next in readers.chain(added.rev()).filter(|&node| self.alive[node]) {
                if !std::mem::replace(&mut queued[next], true) {
                    queue.push_front(next);
                }
            }
        }
    }

    /// Exchanges the output of a node for what the replacement gives.
    fn exchange(&mut self, node: usize, rule: &'static str, found: Replacement) -> Option<Rewrite> {
        let (nodes, values) = (self.graph.nodes.len(), self.graph.sources.len());
        let old = self.graph.nodes[node].outputs[0];
        let name = self.graph.nodes[node].name.clone();
        let built = (found.build)(&mut self.graph).and_then(|new| Ok(self.same(old, new).map(|()| new)?));
        let new = match built {
            Ok(new) => new,
            Err(error) => {
                log::debug!("{rule}: {name}: {error}");
                self.graph.nodes.truncate(nodes);
                self.graph.sources.truncate(values);
                self.graph.shapes.truncate(values);
                self.graph.dtypes.truncate(values);
                self.graph.shapes_of_two.iter_mut().for_each(|shapes| shapes.truncate(values));
                return None;
            }
        };
        self.readers.resize(self.graph.sources.len(), Vec::new());
        if let Some(kept) = self.graph.kept(old) {
            let outputs = self.graph.nodes[nodes..].iter().flat_map(|node| &node.outputs);
            outputs.copied().collect::<Vec<_>>().into_iter().for_each(|value| self.graph.keep_f32(value, kept));
        }
        let mut added = Vec::new();
        for i in nodes..self.graph.nodes.len() {
            let inputs = self.graph.nodes[i].inputs.clone();
            inputs.iter().for_each(|value| self.readers[value.index()].push(i));
            self.alive.push(true);
            self.position.push(self.position[node]);
            self.depth.push(self.depth[node]);
            added.push(self.graph.nodes[i].op.name());
        }
        match self.producer(new).filter(|&producer| producer >= nodes) {
            // The new node gives the old value: whoever knows the value by its identity still does.
            Some(producer) => {
                self.graph.nodes[producer].name = found.name.unwrap_or_else(|| name.clone());
                self.exchange_outputs([node, producer], [old, new]);
            }
            None => self.redirect(old, new),
        }
        let mut removed = self.remove(node);
        // Nodes that were added for nothing.
        (nodes..self.graph.nodes.len()).for_each(|i| removed.extend(self.remove(i)));
        removed.reverse();
        Some(Rewrite { rule, node: name, removed, added })
    }

    /// Lets two nodes give each other's value.
    fn exchange_outputs(&mut self, nodes: [usize; 2], values: [Value; 2]) {
        for (node, [from, to]) in nodes.into_iter().zip([values, [values[1], values[0]]]) {
            self.graph.nodes[node].outputs.iter_mut().filter(|value| **value == from).for_each(|value| *value = to);
            self.graph.sources[to.index()] = Source::Node(node);
        }
    }

    /// Checks that a new value may stand for an old one, for batches of 1 and 2.
    fn same(&self, old: Value, new: Value) -> Result<(), ErrorKind> {
        if old == new {
            return Err(ErrorKind::argument("output", "another value", "the old one"));
        }
        for shapes in std::iter::once(&self.graph.shapes).chain(&self.graph.shapes_of_two) {
            let [old, new] = [old, new].map(|value| &shapes[value.index()]);
            if old != new {
                return Err(ErrorKind::argument("output", old, new));
            }
        }
        let [old, new] = [old, new].map(|value| self.graph.known_dtype(value));
        if old == new { Ok(()) } else { Err(ErrorKind::argument("output", old, new)) }
    }

    /// Lets all that read `old` read `new`.
    fn redirect(&mut self, old: Value, new: Value) {
        let readers = std::mem::take(&mut self.readers[old.index()]);
        let exchange = |value: &mut Value| {
            if *value == old {
                *value = new;
            }
        };
        readers.iter().for_each(|&reader| self.graph.nodes[reader].inputs.iter_mut().for_each(exchange));
        self.readers[new.index()].extend(readers);
        if self.results.remove(&old) {
            self.results.insert(new);
            self.graph.outputs.iter_mut().for_each(|(_, value)| exchange(value));
            self.graph.updates.iter_mut().for_each(|(_, value)| exchange(value));
        }
    }

    /// Removes a node and those before it that nobody needs any more, and returns their operations.
    fn remove(&mut self, node: usize) -> Vec<&'static str> {
        let (mut open, mut removed) = (vec![node], Vec::new());
        while let Some(node) = open.pop() {
            let Node { op, inputs, outputs, .. } = &self.graph.nodes[node];
            let needed = |value: &Value| !self.readers[value.index()].is_empty() || self.results.contains(value);
            if !self.alive[node] || outputs.iter().any(needed) {
                continue;
            }
            self.alive[node] = false;
            removed.push(op.name());
            for value in inputs {
                let readers = &mut self.readers[value.index()];
                if let Some(at) = readers.iter().position(|&reader| reader == node) {
                    readers.swap_remove(at);
                }
                if let &Source::Node(producer) = &self.graph.sources[value.index()] {
                    open.push(producer);
                }
            }
        }
        removed
    }

    /// Returns the nodes in an order in which they can run: by position, but each after those whose values it reads.
    fn order(&self) -> Vec<usize> {
        let mut sorted: Vec<usize> = (0..self.graph.nodes.len()).filter(|&node| self.alive[node]).collect();
        sorted.sort_by_key(|&node| (self.position[node], node));
        let (mut order, mut seen) = (Vec::new(), vec![false; self.graph.nodes.len()]);
        // Each open node, and how many of its inputs were looked at.
        let mut open: Vec<(usize, usize)> = Vec::new();
        for node in sorted {
            if !std::mem::replace(&mut seen[node], true) {
                open.push((node, 0));
            }
            while let Some((node, looked)) = open.last_mut() {
                let input = self.graph.nodes[*node].inputs.get(*looked);
                *looked += 1;
                match input.map(|&value| self.producer(value)) {
                    None => order.extend(open.pop().map(|(node, _)| node)),
                    Some(Some(before)) if !std::mem::replace(&mut seen[before], true) => open.push((before, 0)),
                    Some(_) => {}
                }
            }
        }
        order
    }

    /// Returns the graph that the rules left.
    pub(crate) fn finish(self) -> Graph {
        let order = self.order();
        let mut graph = Graph { shapes_of_two: None, ..self.graph };
        graph.nodes = order.into_iter().map(|node| graph.nodes[node].clone()).collect();
        for (i, node) in graph.nodes.iter().enumerate() {
            for value in &node.outputs {
                graph.sources[value.index()] = Source::Node(i);
            }
        }
        graph
    }
}

impl Graph {
    /// For each node whether the results need it.
    fn needed(&self) -> Vec<bool> {
        let mut read: Vec<bool> = vec![false; self.sources.len()];
        // The planner refuses the others.
        self.results().filter(|&value| self.owns(value)).for_each(|value| read[value.index()] = true);
        let mut needed = vec![false; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            needed[i] = node.outputs.iter().any(|value| read[value.index()]);
            node.inputs.iter().filter(|_| needed[i]).for_each(|value| read[value.index()] = true);
        }
        needed
    }
}
