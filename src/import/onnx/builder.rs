//! The graph under construction, and the types of the functions that import operators into it.

// Long because each method adds to the one graph, or asks about it.

use super::asked::{self, Question, Questions};
use super::element::ElementType;
use super::node::{Named, Node, Operand};
use super::proto::{GraphProto, TensorProto};
use super::shared::Shared;
use super::tensor::{MOST_FOLDED, Tensor, foldable};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Input, Kept, Source};
use crate::part::{self, Computation};
use crate::{Constant, DType, Graph, Shape, Value};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

/// The importer of an operator on tensors.
pub(super) type Import = fn(&mut Builder, &Node) -> Result<Vec<Operand>>;

/// The importer of an operator with a body, or of one on sequences or optional values.
pub(super) type Structure = for<'a> fn(&mut Builder, &mut dyn Bodies<'a>, &Node<'a>) -> Result<Vec<Named>>;

/// The importer of bodies, which knows the names that their nodes may read.
pub(super) trait Bodies<'a> {
    /// Adds the graph of a node's attribute in the node's place. `part` names the graph or the iteration. Outputs that
    /// aren't `wanted` are `Named::Nothing`.
    fn inline(
        &mut self,
        b: &mut Builder,
        node: &Node<'a>,
        part: &dyn Display,
        body: &'a GraphProto,
        inputs: Vec<Named>,
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<Named>>;
}

/// A graph under construction.
pub(super) struct Builder<'a> {
    pub(super) graph: Graph,
    shared: &'a Shared,
    /// The type of most weights.
    weights: ElementType,
    /// The graph's values of constants, by the constant's identity.
    placed: HashMap<u64, Value>,
    /// The number of elements computed on the host so far, and its limit.
    folded: [usize; 2],
    /// The number of nodes, names and sequence elements unrolled so far.
    unrolled: usize,
    /// The seed of random numbers, if the caller gave one.
    pub(super) seed: Option<u64>,
    pub(super) questions: Questions,
    /// For each loop under construction, the values that its next turn reads.
    pub(super) carried: Vec<Vec<Named>>,
}

/// The maximum number of operations in a graph.
const MOST_NODES: usize = 1 << 18;

/// The maximum number of nodes, names and sequence elements unrolled: a few bytes can describe an endless loop.
const MOST_UNROLLED: usize = 1 << 21;

impl<'a> Builder<'a> {
    pub(super) fn new(shared: &'a Shared, weights: ElementType, questions: Questions) -> Builder<'a> {
        // Each weight may be moved and cast a few times. Constants that aren't made from weights have a fixed limit.
        let most = (4 * MOST_FOLDED).saturating_add(shared.files.len().saturating_mul(32));
        let (graph, placed, carried) = (Graph::new(), HashMap::new(), Vec::new());
        Builder { graph, shared, weights, placed, folded: [0, most], unrolled: 0, seed: None, questions, carried }
    }

    /// Fails if a file makes much more work than it has bytes.
    pub(super) fn bounded(&mut self, node: &Node, outputs: &[Named]) -> Result<()> {
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

    /// Counts unrolled nodes, names and elements, which a file of a few bytes could make for ever.
    pub(super) fn unrolled(&mut self, size: usize) -> Result<(), ErrorKind> {
        self.unrolled = self.unrolled.saturating_add(size);
        if self.unrolled <= MOST_UNROLLED {
            return Ok(());
        }
        let wanted = format!("{MOST_UNROLLED} nodes, names and elements at most in all");
        Err(ErrorKind::argument("bodies and sequences", wanted, "more"))
    }

    /// Gives a node that was added since `before` its name in the file.
    pub(super) fn name(&mut self, value: Value, before: usize, name: &str) {
        if matches!(self.graph.source(value), &Source::Node(node) if node >= before) {
            self.graph.rename(value, name).expect("a node gives it");
        }
    }

    /// Keeps a value `f32` that the file has in another floating-point type than its 16-bit weights, for its range or for
    /// its digits.
    pub(super) fn keep(&mut self, value: Value, element: ElementType) {
        if self.weights != ElementType::F32 && element != self.weights && element.is_float() {
            self.graph.keep_f32(value, Kept::Weights);
        }
    }

    /// Keeps what an operator reads of its own results `f32` at every precision, among what was added for it since `before`:
    /// its sums, squares and products may be beyond the range of `f16` although its outputs aren't.
    pub(super) fn keep_inner(&mut self, before: usize) {
        let nodes = &self.graph.nodes()[before..];
        let (mut computed, mut inner) = (HashSet::<Value>::new(), HashSet::<Value>::new());
        let computes: Vec<bool> = nodes.iter().map(|node| self.graph.known_cost(node).flops() > 0).collect();
        for (node, &computes) in nodes.iter().zip(&computes) {
            if computes || node.inputs.iter().any(|input| computed.contains(input)) {
                computed.extend(&node.outputs);
            }
        }
        // What only moves on the way to an output is rounded there.
        for (node, &computes) in nodes.iter().zip(&computes).rev() {
            if computes || node.outputs.iter().any(|output| inner.contains(output)) {
                inner.extend(node.inputs.iter().filter(|input| computed.contains(input)));
            }
        }
        inner.into_iter().for_each(|value| self.graph.keep_f32(value, Kept::Value));
    }

    /// Keeps the outputs of an operator so, with all that was added to the graph for it since `before`.
    pub(super) fn keep_since(&mut self, before: usize, outputs: &[Named]) {
        if self.weights == ElementType::F32 {
            return;
        }
        let added: Vec<Value> = self.graph.nodes()[before..].iter().flat_map(|node| node.outputs.clone()).collect();
        for element in outputs.iter().filter_map(Named::element) {
            added.iter().for_each(|&value| self.keep(value, element));
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
        if fixed { self.shared.kept(name, &constant).unwrap_or(constant) } else { constant }
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
        self.keep(value, tensor.element);
        self.placed.insert(id, value);
        Ok(value)
    }

    /// Returns the integers of 4 or 8 bits in a file as a constant that stays packed, which all readers of the tensor share.
    pub(super) fn stored_packed(&self, tensor: &Tensor) -> Option<Constant> {
        let of = tensor.element.int_type().filter(|of| of.bits() <= 8)?;
        let (stored, place) = (tensor.packed()?.clone(), tensor.place()?);
        let constant = Constant::packed("", tensor.shape.clone(), of, move || stored.packed()).into_parameter();
        Some(self.shared(&format!("\n{place}"), tensor.fixed, constant))
    }

    /// Converts integers or booleans to a constant. All readers of a tensor in the file share one constant.
    fn integers(&self, tensor: &Tensor) -> Result<Constant, ErrorKind> {
        if let Some(packed) = self.stored_packed(tensor) {
            return Ok(packed);
        }
        let constant = Constant::known("", tensor.shape.clone(), tensor.data()?);
        Ok(match tensor.place() {
            Some(place) => self.shared(&format!("\n{place}"), tensor.fixed, constant),
            None => constant,
        })
    }

    /// Returns the tensor that an attribute holds.
    pub(super) fn stored(&self, name: &str, proto: &TensorProto) -> Result<Tensor, ErrorKind> {
        self.shared.stored(name, proto)
    }

    /// Returns the shape of an operand.
    pub(super) fn shape(&self, operand: &Operand) -> Shape {
        match operand {
            Operand::Host(tensor) => tensor.shape.clone(),
            Operand::Device(value, _) => self.graph.known_shape(*value).clone(),
        }
    }

    /// Returns the tensor of an operand that must be known when the graph is built. Errors call it `argument`. If the network
    /// may be cut, the error ends a part, after which the value is known.
    pub(super) fn known(&self, argument: &str, operand: &Operand) -> Result<Tensor> {
        self.known_at(self.graph.nodes().len(), argument, operand)
    }

    /// Returns such a tensor. What was added to the graph since it had `at` nodes isn't in the next part.
    pub(super) fn known_at(&self, at: usize, argument: &str, operand: &Operand) -> Result<Tensor> {
        match operand {
            Operand::Host(tensor) => Ok(tensor.clone()),
            Operand::Device(value, element) => {
                foldable(self.graph.known_shape(*value))?;
                let known = self.questions.ask(*value, *element, (part::name(&self.graph, *value), at));
                let known = known.ok_or_else(|| self.unknown(argument, *value))?;
                self.expect_whole(argument, *value, &known)?;
                Ok(known)
            }
        }
    }

    /// Fails if a value that decides a size is an end of int32 after a cast from floating-point numbers: the device saturates
    /// there, so the number may have been another one.
    fn expect_whole(&self, argument: &str, value: Value, known: &Tensor) -> Result<(), ErrorKind> {
        let ends = [i32::MIN, i32::MAX].map(i64::from);
        let Some(end) = known.as_ints().ok().and_then(|ints| ints.iter().copied().find(|int| ends.contains(int)))
        else {
            return Ok(());
        };
        let (mut seen, mut open) = (HashSet::from([value]), vec![value]);
        while let Some(value) = open.pop() {
            let &Source::Node(node) = self.graph.source(value) else { continue };
            let node = &self.graph.nodes()[node];
            let whole = |&&input: &&Value| self.graph.known_dtype(input) != DType::F32;
            if node.op.name() == "cast" && !node.inputs.iter().any(|input| whole(&input)) {
                let got = format!("{end} or a number beyond, which Cast \"{}\" cuts off there", node.name);
                return Err(ErrorKind::argument(argument, "an integer that int32 holds", got));
            }
            open.extend(node.inputs.iter().filter(whole).filter(|&&input| seen.insert(input)));
        }
        Ok(())
    }

    /// Returns true if an operand was asked for, or if the next answer is that to this question.
    pub(super) fn is_answered(&self, operand: &Operand, at: usize) -> bool {
        let Operand::Device(value, _) = operand else { return false };
        self.questions.has(*value) || self.questions.is_next(&(part::name(&self.graph, *value), at))
    }

    /// The error about a value that isn't known.
    fn unknown(&self, argument: &str, value: Value) -> ErrorKind {
        let input = self.inputs_behind(value).first().map(|input| input.name.clone());
        let value = match self.graph.source(value) {
            &Source::Node(node) => {
                let node = &self.graph.nodes()[node];
                format!("the output of {} \"{}\"", node.op.name(), node.name)
            }
            _ => format!("the input \"{}\"", input.as_deref().unwrap_or_default()),
        };
        ErrorKind::Unknown { argument: argument.to_owned(), value: value.into(), input }
    }

    /// Computes tensors of these types on the host, where their shapes depend on the inputs' values. If the device computes an
    /// input, the network is cut: the host computes in each frame, and the next part depends on the shapes alone.
    pub(super) fn on_host(
        &mut self,
        node: &Node,
        inputs: &[(&str, &Operand)],
        elements: &[ElementType],
        compute: impl Fn(&[&Tensor]) -> Result<Vec<Tensor>, ErrorKind> + Send + Sync + 'static,
    ) -> Result<Vec<Operand>> {
        let known = |(_, operand): &(&str, &Operand)| match operand {
            Operand::Host(tensor) => Some(tensor.clone()),
            Operand::Device(value, _) => self.questions.look(*value),
        };
        if let Some(tensors) = inputs.iter().map(known).collect::<Option<Vec<Tensor>>>() {
            let fixed = tensors.iter().all(|tensor| tensor.fixed);
            let outputs = compute(&tensors.iter().collect::<Vec<_>>())?;
            return Ok(outputs.into_iter().map(|tensor| tensor.with_fixed(fixed).into()).collect());
        }
        for (_, operand) in inputs {
            foldable(&self.shape(operand))?;
        }
        let device = |(_, operand): &(&str, &Operand)| match operand {
            Operand::Device(value, element) if !self.questions.has(*value) => Some((*value, *element)),
            _ => None,
        };
        let read: Vec<(Value, ElementType)> = inputs.iter().filter_map(device).collect();
        let name = |number: usize, output: usize| format!("{}\nhost {number}.{output}", node.name());
        let question = |number: usize| {
            let tensors: Vec<Option<Tensor>> = inputs.iter().map(known).collect();
            let types: Vec<ElementType> = read.iter().map(|&(_, element)| element).collect();
            let at = (node.op().to_owned(), node.name().to_owned());
            let compute = move |read: &[&crate::Tensor]| -> Result<Vec<crate::Tensor>> {
                let mut read = read.iter().zip(&types).map(|(tensor, &element)| Tensor::given(element, tensor));
                let all: Vec<Tensor> =
                    tensors.iter().filter_map(|known| known.clone().or_else(|| read.next())).collect();
                let outputs = compute(&all.iter().collect::<Vec<_>>());
                let outputs = outputs.and_then(|outputs| outputs.iter().map(asked::given).collect());
                outputs.map_err(|kind: ErrorKind| kind.at(at.0.clone(), at.1.clone()))
            };
            let computation = Computation {
                at: String::new(),
                reads: read.iter().map(|&(value, _)| part::name(&self.graph, value)).collect(),
                gives: (0..elements.len()).map(|output| name(number, output)).collect(),
                compute: Arc::new(compute),
            };
            Question::Shapes(computation, read.iter().map(|&(value, _)| value).collect())
        };
        let Some((number, shapes)) = self.questions.ask_shapes(question) else {
            let argument = inputs.iter().zip(&read).map(|((argument, _), (value, _))| (*argument, *value)).next();
            let (argument, value) = argument.expect("not all inputs are known");
            return Err(self.unknown(argument, value).into());
        };
        let mut outputs = Vec::new();
        for ((i, &element), shape) in elements.iter().enumerate().zip(shapes) {
            if shape.elements() == 0 {
                outputs.push(Tensor::empty(element, shape).into());
                continue;
            }
            let dtype = element.dtype().ok_or_else(|| ErrorKind::Unsupported(format!("tensors of {element}")))?;
            let value = self.graph.typed_input(name(number, i), dtype, shape);
            self.keep(value, element);
            outputs.push(Operand::Device(value, element));
        }
        Ok(outputs)
    }

    /// Returns the part that ends with this question, at which the walk failed. Parts after it read the values `later`.
    pub(super) fn part(
        &self,
        known: &part::Known,
        question: Question,
        later: &[Named],
        error: &Error,
    ) -> Result<part::Part> {
        let argument = match &error.kind {
            ErrorKind::Unknown { argument, .. } => argument,
            _ => "a value",
        };
        let node = error.at.as_ref().map_or_else(|| "a node".to_owned(), |(op, node)| format!("{op} \"{node}\""));
        let (mut values, next, most) = match question {
            Question::Values(read) => {
                let most = read.first().map_or(0, |((_, at), _)| *at);
                let (places, read) = read.into_iter().unzip();
                let at = format!("{node} must know {argument}");
                (read, part::Next::Read { at, values: places }, most)
            }
            Question::Shapes(computation, read) => {
                let at = format!("{node} has as many results as the values of {argument} say");
                (read, part::Next::Compute(Computation { at, ..computation }), self.graph.nodes().len())
            }
        };
        let operands = |named: &Named| match named {
            Named::Tensor(operand) => vec![operand.clone()],
            Named::Sequence(sequence) => sequence.items(),
            Named::Nothing => Vec::new(),
        };
        for operand in later.iter().chain(self.carried.iter().flatten()).flat_map(operands) {
            // What is beyond `most` won't be in the next part. Constants are in every part.
            if let Operand::Device(value, _) = operand
                && matches!(self.graph.source(value), &Source::Node(node) if node < most)
            {
                values.push(value);
            }
        }
        part::Part::new(&self.graph, &known.computed, &values, next)
    }

    /// Returns integers that must be known when the graph is built.
    pub(super) fn known_ints(&self, argument: &str, operand: &Operand) -> Result<Vec<i64>> {
        Ok(self.known(argument, operand)?.as_ints()?.into_owned())
    }

    /// Returns one integer that must be known when the graph is built.
    pub(super) fn known_int(&self, argument: &str, operand: &Operand) -> Result<i64> {
        match self.known_ints(argument, operand)?[..] {
            [number] => Ok(number),
            ref other => {
                Err(ErrorKind::argument(argument, "one number", format_args!("{} numbers", other.len())).into())
            }
        }
    }

    /// Returns the integers of an attribute, or of the input that took its place in a later opset; `None` without either.
    pub(super) fn ints(&self, node: &Node, name: &'static str, position: usize) -> Result<Option<Vec<i64>>> {
        match node.ints(name)? {
            Some(ints) => Ok(Some(ints)),
            None => node.optional(position).map(|input| self.known_ints(name, input)).transpose(),
        }
    }

    /// Returns weights: floating-point numbers that must be known when the graph is built.
    pub(super) fn weights(&self, argument: &str, operand: &Operand) -> Result<Constant> {
        Ok(self.known(argument, operand)?.constant()?)
    }

    /// Returns the inputs of the graph from which an operand is computed.
    pub(super) fn inputs_of(&self, operand: &Operand) -> Vec<&Input> {
        if let Operand::Device(value, _) = operand { self.inputs_behind(*value) } else { Vec::new() }
    }

    /// Returns the inputs of the graph from which a value is computed.
    fn inputs_behind(&self, value: Value) -> Vec<&Input> {
        let (mut seen, mut open, mut inputs) = (HashSet::from([value]), vec![value], Vec::new());
        while let Some(value) = open.pop() {
            match self.graph.source(value) {
                Source::Input => inputs.extend(self.graph.inputs().iter().find(|input| input.value == value)),
                &Source::Node(node) => {
                    open.extend(self.graph.nodes()[node].inputs.iter().filter(|&&input| seen.insert(input)));
                }
                Source::Constant(_) | Source::State(_) => {}
            }
        }
        inputs
    }
}
