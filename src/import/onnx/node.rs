//! A node of an ONNX graph. An attribute or input that its importer doesn't read is an error, not silently ignored.

// Long because it is one view of a node, with one method for each kind of attribute and input.

use super::element::ElementType;
use super::proto::{AttributeProto, AttributeType, GraphProto, NodeProto, TensorProto};
use super::tensor::Tensor;
use crate::error::{ErrorKind, Result};
use crate::{Error, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The value of a name in an ONNX graph.
#[derive(Clone)]
pub(super) enum Named {
    Tensor(Operand),
    Sequence(Sequence),
    /// An absent input, or an empty optional value.
    Nothing,
}

/// A sequence of tensors. Its length is known when the graph is built.
#[derive(Clone)]
pub(super) struct Sequence {
    pub(super) element: ElementType,
    items: Arc<[Operand]>,
    /// True if everything known of the sequence is the same for all sizes of the inputs.
    fixed: bool,
}

impl Sequence {
    pub(super) fn new(element: ElementType, items: Vec<Operand>) -> Sequence {
        let fixed = items.iter().filter_map(Operand::host).all(|tensor| tensor.fixed);
        Sequence { element, items: items.into(), fixed }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn at(&self, place: usize) -> Operand {
        self.items[place].clone().with_fixed(self.fixed)
    }

    pub(super) fn items(&self) -> Vec<Operand> {
        (0..self.len()).map(|place| self.at(place)).collect()
    }
}

impl Named {
    /// Returns true if everything known of the value is the same for all sizes of the inputs.
    pub(super) fn fixed(&self) -> bool {
        match self {
            Named::Tensor(operand) => operand.host().is_none_or(|tensor| tensor.fixed),
            Named::Sequence(sequence) => sequence.fixed,
            Named::Nothing => true,
        }
    }

    /// Returns this value, fixed only if `fixed`: the number that selects a value must be fixed too.
    #[must_use]
    pub(super) fn with_fixed(self, fixed: bool) -> Named {
        match self {
            Named::Tensor(operand) => Named::Tensor(operand.with_fixed(fixed)),
            Named::Sequence(sequence) => Named::Sequence(Sequence { fixed: sequence.fixed && fixed, ..sequence }),
            Named::Nothing => Named::Nothing,
        }
    }

    /// Returns the type of the elements.
    pub(super) fn element(&self) -> Option<ElementType> {
        match self {
            Named::Tensor(operand) => Some(operand.element()),
            Named::Sequence(sequence) => Some(sequence.element),
            Named::Nothing => None,
        }
    }

    pub(super) fn tensor(&self) -> Option<&Operand> {
        match self {
            Named::Tensor(operand) => Some(operand),
            Named::Sequence(_) | Named::Nothing => None,
        }
    }
}

/// A description for error messages.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Tensor(operand) => write!(f, "a tensor of {}", operand.element()),
            Named::Sequence(sequence) => write!(f, "a sequence of {} tensors of {}", sequence.len(), sequence.element),
            Named::Nothing => f.write_str("nothing"),
        }
    }
}

impl<T: Into<Operand>> From<T> for Named {
    fn from(tensor: T) -> Named {
        Named::Tensor(tensor.into())
    }
}

/// A tensor, known or computed.
#[derive(Clone)]
pub(super) enum Operand {
    /// Known when the graph is built.
    Host(Tensor),
    /// Computed on the device.
    Device(Value, ElementType),
}

impl Operand {
    pub(super) fn element(&self) -> ElementType {
        match self {
            Operand::Host(tensor) => tensor.element,
            Operand::Device(_, element) => *element,
        }
    }

    pub(super) fn host(&self) -> Option<&Tensor> {
        match self {
            Operand::Host(tensor) => Some(tensor),
            Operand::Device(..) => None,
        }
    }

    /// Returns a number of this operand's element type.
    pub(super) fn number(&self, value: impl Into<f64>) -> Operand {
        Tensor::scalar(self.element(), value.into()).into()
    }

    /// Returns this value, fixed only if `fixed`: the number that selects a value must be fixed too.
    #[must_use]
    pub(super) fn with_fixed(self, fixed: bool) -> Operand {
        match self {
            Operand::Host(tensor) if !fixed => tensor.with_fixed(false).into(),
            same => same,
        }
    }
}

impl From<Tensor> for Operand {
    fn from(tensor: Tensor) -> Operand {
        Operand::Host(tensor)
    }
}

/// A node with its inputs.
pub(super) struct Node<'a> {
    proto: &'a NodeProto,
    /// The node's name, or its first output's, after the names of the enclosing nodes.
    name: String,
    key: String,
    /// The version of the operator set that defines the node.
    pub(super) opset: i64,
    inputs: Vec<Named>,
    /// The attributes' values. In a function, some are the caller's.
    attributes: Vec<(&'a str, &'a AttributeProto)>,
    /// For each output: true if it is read.
    wanted: Vec<bool>,
    /// The attributes that the importer has asked for.
    asked: RefCell<BTreeSet<&'a str>>,
    /// The number of inputs that the importer has asked for.
    read: RefCell<usize>,
}

impl<'a> Node<'a> {
    pub(super) fn new(
        proto: &'a NodeProto,
        [name, key]: [String; 2],
        opset: i64,
        inputs: Vec<Named>,
        attributes: Vec<(&'a str, &'a AttributeProto)>,
        wanted: Vec<bool>,
    ) -> Node<'a> {
        let (asked, read) = (RefCell::default(), RefCell::default());
        Node { proto, name, key, opset, inputs, attributes, wanted, asked, read }
    }

    pub(super) fn op(&self) -> &'a str {
        &self.proto.op_type
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns a unique key. Names of nodes may occur twice.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Returns the number of outputs in the file, read or not. Outputs before the last may be unnamed.
    pub(super) fn outputs(&self) -> usize {
        self.proto.output.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1)
    }

    /// Returns the number of outputs that the file lists, with those left out at the end.
    pub(super) fn listed_outputs(&self) -> usize {
        self.proto.output.len()
    }

    /// Returns the positions of the outputs that are read.
    pub(super) fn wanted(&self) -> impl Iterator<Item = usize> {
        (0..self.wanted.len()).filter(|&position| self.wants(position))
    }

    /// Returns true if the output at that position is read.
    pub(super) fn wants(&self, position: usize) -> bool {
        self.wanted.get(position).copied().unwrap_or(false)
    }

    /// Returns an error about this node.
    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        kind.at(self.op().to_owned(), self.name())
    }

    /// Attributes an error to this node, unless the error names a node in its body.
    pub(super) fn wrong(&self, error: Error) -> Error {
        let inside = |(_, name): &(_, String)| name.strip_prefix(self.name()).is_some_and(|rest| rest.starts_with('/'));
        if error.at.as_ref().is_some_and(inside) { error } else { self.error(error.kind) }
    }

    /// Returns an error about an unsupported attribute or input.
    pub(super) fn refused(&self, argument: &str, supported: &str, got: impl std::fmt::Display) -> Error {
        self.error(ErrorKind::argument(argument, supported, got))
    }

    // Inputs.

    /// Returns a tensor input that must be present.
    pub(super) fn input(&self, position: usize) -> Result<&Operand> {
        match self.named(position) {
            Named::Tensor(operand) => Ok(operand),
            Named::Nothing if position < self.inputs.len() => {
                Err(self.refused(&format!("input {position}"), "a tensor", "nothing"))
            }
            Named::Nothing => Err(self.refused("inputs", &format!("{} or more", position + 1), self.inputs.len())),
            other => Err(self.refused(&format!("input {position}"), "a tensor", other)),
        }
    }

    /// Returns a tensor input that may be absent.
    pub(super) fn optional(&self, position: usize) -> Option<&Operand> {
        self.named(position).tensor()
    }

    /// Returns a sequence input that must be present.
    pub(super) fn sequence(&self, position: usize) -> Result<&Sequence> {
        match self.named(position) {
            Named::Sequence(sequence) => Ok(sequence),
            other => Err(self.refused(&format!("input {position}"), "a sequence", other)),
        }
    }

    /// Returns an input of any kind.
    pub(super) fn named(&self, position: usize) -> &Named {
        let mut read = self.read.borrow_mut();
        *read = (*read).max(position + 1);
        self.inputs.get(position).unwrap_or(&Named::Nothing)
    }

    /// Returns all inputs, which must be tensors and present.
    pub(super) fn all(&self) -> Result<Vec<Operand>> {
        (0..self.inputs.len()).map(|position| self.input(position).cloned()).collect()
    }

    /// Returns all inputs, of any kind.
    pub(super) fn inputs(&self) -> &[Named] {
        &self.inputs
    }

    /// Returns the inputs that are known when the graph is built.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Tensor> {
        self.inputs.iter().filter_map(Named::tensor).filter_map(Operand::host)
    }

    /// Fails if an input is a sequence.
    pub(super) fn only_tensors(&self) -> Result<()> {
        match self.inputs.iter().position(|input| matches!(input, Named::Sequence(_))) {
            Some(sequence) => self.input(sequence).map(|_| ()),
            None => Ok(()),
        }
    }

    // Attributes.

    /// Returns an attribute, if the node has it. Its type must be `wanted`.
    fn attribute(&self, name: &'static str, wanted: AttributeType) -> Result<Option<&'a AttributeProto>> {
        self.asked.borrow_mut().insert(name);
        let Some(&(_, attribute)) = self.attributes.iter().find(|(given, _)| *given == name) else { return Ok(None) };
        let got = type_of(attribute, wanted);
        if got.is_none_or(|got| got != wanted) {
            let wanted = format!("a value of type {wanted:?}");
            let got = got.map_or_else(|| format!("type {}", attribute.r#type), |got| format!("{got:?}"));
            return Err(self.refused(&format!("attribute {name}"), &wanted, got));
        }
        if !attribute.ref_attr_name.is_empty() {
            let got = format!("that of the function's attribute \"{}\"", attribute.ref_attr_name);
            return Err(self.refused(&format!("attribute {name}"), "a value of its own", got));
        }
        Ok(Some(attribute))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(given, _)| *given == name)
    }

    pub(super) fn int(&self, name: &'static str, default: i64) -> Result<i64> {
        Ok(self.attribute(name, AttributeType::Int)?.map_or(default, |attribute| attribute.i))
    }

    /// Returns an integer of `least` or more.
    pub(super) fn count(&self, name: &'static str, default: usize, least: usize) -> Result<usize> {
        let given = self.int(name, default as i64)?;
        let wrong = || self.refused(&format!("attribute {name}"), &format!("{least} or more"), given);
        usize::try_from(given).ok().filter(|&count| count >= least).ok_or_else(wrong)
    }

    pub(super) fn float(&self, name: &'static str, default: f32) -> Result<f32> {
        Ok(self.attribute(name, AttributeType::Float)?.map_or(default, |attribute| attribute.f))
    }

    pub(super) fn flag(&self, name: &'static str, default: bool) -> Result<bool> {
        match self.int(name, default.into())? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.refused(&format!("attribute {name}"), "0 or 1", other)),
        }
    }

    pub(super) fn ints(&self, name: &'static str) -> Result<Option<Vec<i64>>> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|attribute| attribute.ints.clone()))
    }

    pub(super) fn floats(&self, name: &'static str) -> Result<Option<Vec<f32>>> {
        Ok(self.attribute(name, AttributeType::Floats)?.map(|attribute| attribute.floats.clone()))
    }

    pub(super) fn string(&self, name: &'static str) -> Result<Option<String>> {
        let attribute = self.attribute(name, AttributeType::String)?;
        Ok(attribute.map(|attribute| String::from_utf8_lossy(&attribute.s).into_owned()))
    }

    pub(super) fn strings(&self, name: &'static str) -> Result<Option<Vec<String>>> {
        let text = |bytes: &prost::bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
        let attribute = self.attribute(name, AttributeType::Strings)?;
        Ok(attribute.map(|attribute| attribute.strings.iter().map(text).collect()))
    }

    /// Returns a string attribute that must be one of `allowed`. The default is the first of `allowed`.
    pub(super) fn one_of(&self, name: &'static str, allowed: &[&'static str]) -> Result<&'static str> {
        let Some(text) = self.string(name)? else { return Ok(allowed[0]) };
        let found = allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(&text));
        found.copied().ok_or_else(|| self.refused(&format!("attribute {name}"), &allowed.join(", "), text))
    }

    pub(super) fn tensor(&self, name: &'static str) -> Result<Option<&'a TensorProto>> {
        Ok(self.attribute(name, AttributeType::Tensor)?.and_then(|attribute| attribute.t.as_deref()))
    }

    /// Returns an element type, given by its number as in `Cast`.
    pub(super) fn element(&self, name: &'static str) -> Result<Option<ElementType>> {
        let attribute = self.attribute(name, AttributeType::Int)?;
        let of = |attribute: &AttributeProto| {
            let element = i32::try_from(attribute.i).ok().and_then(ElementType::of_code);
            element.ok_or_else(|| self.refused(&format!("attribute {name}"), "an element type", attribute.i))
        };
        attribute.map(of).transpose()
    }

    /// Returns a graph that must be present.
    pub(super) fn graph(&self, name: &'static str) -> Result<&'a GraphProto> {
        let graph = self.attribute(name, AttributeType::Graph)?.and_then(|attribute| attribute.g.as_deref());
        graph.ok_or_else(|| self.refused(&format!("attribute {name}"), "a graph", "none"))
    }

    /// Returns all attributes.
    pub(super) fn attributes(&self) -> &[(&'a str, &'a AttributeProto)] {
        &self.attributes
    }

    /// Marks attributes as read, whatever their values: they make no difference to the result of inference.
    pub(super) fn ignore(&self, names: &[&'a str]) {
        self.asked.borrow_mut().extend(names);
    }

    /// Fails if the node has an attribute or an input that the importer has not asked for, or an attribute twice.
    pub(super) fn finish(&self) -> Result<()> {
        let asked = self.asked.borrow();
        if let Some((unknown, _)) = self.attributes.iter().find(|(name, _)| !asked.contains(name)) {
            let known = asked.iter().copied().collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            let wanted = format!("only what is supported in opset {}: {known}", self.opset);
            return Err(self.refused("attributes", &wanted, format_args!("\"{unknown}\"")));
        }
        let mut seen = BTreeSet::new();
        if let Some((twice, _)) = self.attributes.iter().find(|(name, _)| !seen.insert(*name)) {
            let got = format!("\"{twice}\" twice");
            return Err(self.refused("attributes", "each once", got));
        }
        let read = *self.read.borrow();
        if self.inputs.iter().skip(read).any(|input| !matches!(input, Named::Nothing)) {
            return Err(self.refused("inputs", &format!("{read} at most"), self.inputs.len()));
        }
        Ok(())
    }
}

/// Returns the type of an attribute, or `None` if the stated type is unknown. Files from before 2017 state no type: the
/// value that is present then tells the type, and zeros have the type `wanted`.
fn type_of(attribute: &AttributeProto, wanted: AttributeType) -> Option<AttributeType> {
    let stated = AttributeType::try_from(attribute.r#type).ok()?;
    if stated != AttributeType::Undefined {
        return Some(stated);
    }
    let there = [
        (!attribute.floats.is_empty(), AttributeType::Floats),
        (!attribute.ints.is_empty(), AttributeType::Ints),
        (!attribute.strings.is_empty(), AttributeType::Strings),
        (!attribute.s.is_empty(), AttributeType::String),
        (attribute.t.is_some(), AttributeType::Tensor),
        (attribute.g.is_some(), AttributeType::Graph),
        (attribute.f != 0.0, AttributeType::Float),
        (attribute.i != 0, AttributeType::Int),
    ];
    Some(there.into_iter().find(|(there, _)| *there).map_or(wanted, |(_, of)| of))
}

/// Returns the name of a node, or that of its first output if the node has none.
pub(super) fn name(proto: &NodeProto) -> &str {
    if proto.name.is_empty() { first_output(proto) } else { &proto.name }
}

/// Returns the name of the first output that has one.
pub(super) fn first_output(proto: &NodeProto) -> &str {
    proto.output.iter().find(|name| !name.is_empty()).map_or("", |name| name)
}
