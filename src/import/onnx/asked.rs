//! The questions of a graph under construction: which values must be known, where the device computes them. A network in
//! parts answers them; each part is built by the same walk, with the answers to one question more.

use super::element::ElementType;
use super::tensor::Tensor;
use crate::error::ErrorKind;
use crate::part::{Computation, Finding, Known, Place};
use crate::{Shape, Value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The questions that a walk has asked, and the answers.
#[derive(Default)]
pub(super) struct Questions {
    /// The findings of the parts before, in the order of the questions; `None` if the network must not be cut.
    findings: Option<Vec<Finding>>,
    /// The number of findings that were asked for.
    passed: Cell<usize>,
    /// The values that were found.
    found: RefCell<HashMap<Value, Tensor>>,
    /// The question without an answer, where the part ends.
    open: RefCell<Option<Question>>,
    /// True where a question would be no reason to end the part.
    paused: Cell<bool>,
}

/// A fact that the next part must know.
pub(super) enum Question {
    /// The content of values.
    Values(Vec<(Place, Value)>),
    /// The shapes of what the host computes of values.
    Shapes(Computation, Vec<Value>),
}

impl Questions {
    /// Allows the network to be cut: these are the answers so far.
    pub(super) fn answered(known: &Known) -> Questions {
        Questions { findings: Some(known.findings.clone()), ..Questions::default() }
    }

    /// Returns true if a value's content is known, because it was asked for before.
    pub(super) fn has(&self, value: Value) -> bool {
        self.found.borrow().contains_key(&value)
    }

    /// Returns the content of a value that was asked for before.
    pub(super) fn look(&self, value: Value) -> Option<Tensor> {
        self.found.borrow().get(&value).cloned()
    }

    /// Returns true if the next answer is that for this place.
    pub(super) fn is_next(&self, place: &Place) -> bool {
        let next = self.findings.as_ref().and_then(|findings| findings.get(self.passed.get()));
        !self.paused.get() && matches!(next, Some(Finding::Values(of, _)) if of == place)
    }

    /// Asks for the content of a value at a place. `None` without an answer.
    pub(super) fn ask(&self, value: Value, element: ElementType, place: Place) -> Option<Tensor> {
        if let Some(tensor) = self.look(value) {
            return Some(tensor);
        }
        let findings = self.findings.as_ref().filter(|_| !self.paused.get())?;
        match findings.get(self.passed.get()) {
            Some(Finding::Values(of, tensor)) if *of == place => {
                self.passed.set(self.passed.get() + 1);
                let tensor = Tensor::given(element, tensor).with_fixed(false);
                self.found.borrow_mut().insert(value, tensor.clone());
                Some(tensor)
            }
            // The walk asks the same questions every time: another one is none that a part can answer.
            Some(_) => None,
            None => {
                let mut open = self.open.borrow_mut();
                match &mut *open {
                    None => *open = Some(Question::Values(vec![(place, value)])),
                    // A node may ask for several values at once.
                    Some(Question::Values(values)) if values.iter().all(|(_, other)| *other != value) => {
                        values.push((place, value));
                    }
                    Some(_) => {}
                }
                None
            }
        }
    }

    /// Asks for the shapes that the host's computation finds, which `question` makes of its number. `None` without an answer.
    pub(super) fn ask_shapes(&self, question: impl FnOnce(usize) -> Question) -> Option<(usize, Vec<Shape>)> {
        let findings = self.findings.as_ref().filter(|_| !self.paused.get())?;
        let number = self.passed.get();
        match findings.get(number) {
            Some(Finding::Shapes(shapes)) => {
                self.passed.set(number + 1);
                Some((number, shapes.clone()))
            }
            Some(Finding::Values(..)) => None,
            None => {
                self.open.borrow_mut().get_or_insert_with(|| question(number));
                None
            }
        }
    }

    /// Pauses questions, or allows them again. Returns the state before.
    pub(super) fn pause(&self, paused: bool) -> bool {
        self.paused.replace(paused)
    }

    /// Returns true if the network may be cut.
    pub(super) fn may_cut(&self) -> bool {
        self.findings.is_some() && !self.paused.get()
    }

    /// Returns the question at which the part ends.
    pub(super) fn take_open(&self) -> Option<Question> {
        self.open.borrow_mut().take()
    }
}

/// Returns the result of the host for the frame, in the device's types.
pub(super) fn given(tensor: &Tensor) -> Result<crate::Tensor, ErrorKind> {
    crate::Tensor::new(tensor.shape.clone(), tensor.data()?).map_err(|error| error.kind)
}
