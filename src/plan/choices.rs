//! The choice among several kernels, by measurement.

use crate::graph::op::Io;
use crate::hash::fnv1a;
use crate::kernel::Kernel;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The best kernel for each problem, by measurement: the [identity](Kernel::identity) of one of its [`Variants`]. Plain
/// data. A plan ignores problems that it doesn't have and kernels that don't exist any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Choices(BTreeMap<String, String>);

impl Choices {
    /// Returns an empty set of choices: each operation's first kernel serves.
    pub fn new() -> Choices {
        Choices::default()
    }

    /// Returns the kernel for a problem.
    pub fn get(&self, problem: &str) -> Option<&str> {
        self.0.get(problem).map(String::as_str)
    }

    /// Chooses a kernel for a problem.
    pub fn set(&mut self, problem: impl Into<String>, kernel: impl Into<String>) {
        self.0.insert(problem.into(), kernel.into());
    }

    /// Returns the number of problems that have a choice.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if no problem has a choice.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns these choices, and those of `other` for problems that have none here.
    #[must_use]
    pub fn or(self, other: Choices) -> Choices {
        let mut all = other.0;
        all.extend(self.0);
        Choices(all)
    }
}

impl FromIterator<(String, String)> for Choices {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Choices {
        Choices(pairs.into_iter().collect())
    }
}

/// The kernels that could serve one step. They have one priority and the same layouts, so that nothing else of the plan
/// depends on the choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants {
    /// The name of the problem, the same in every process: the operation, its shapes, and a hash of the first variant's
    /// shaders, parameters and workgroups.
    pub problem: String,
    /// The kernels' [identities](Kernel::identity), that of the operation's first choice first.
    pub kernels: Vec<String>,
    /// The index of the chosen kernel.
    pub taken: usize,
    /// The node of the planned graph.
    pub(crate) node: usize,
    /// The kernels' indices in the list of [`Op::kernels`](crate::Op::kernels).
    pub(crate) places: Vec<usize>,
}

impl Variants {
    /// Returns the variants among the kernels at these indices; `None` if there is only one.
    pub(super) fn new(
        node: usize,
        (op, io): (&str, &Io),
        kernels: &[Kernel],
        places: impl Iterator<Item = usize>,
        choices: &Choices,
    ) -> Option<Variants> {
        let (mut names, mut kept) = (Vec::new(), Vec::new());
        for place in places {
            let name = kernels[place].identity();
            // Choices can't distinguish kernels of the same name.
            if !names.contains(&name) {
                names.push(name);
                kept.push(place);
            }
        }
        if kept.len() < 2 {
            return None;
        }
        let problem = problem(op, io, &kernels[kept[0]]);
        let chosen = choices.get(&problem).and_then(|chosen| names.iter().position(|name| name == chosen));
        Some(Variants { problem, kernels: names, taken: chosen.unwrap_or(0), node, places: kept })
    }
}

/// Returns the name of a problem: `conv2d [1, 64, 56, 56] -> [1, 64, 56, 56] 0123456789abcdef`.
fn problem(op: &str, io: &Io, kernel: &Kernel) -> String {
    let list = |shapes: &[crate::Shape]| shapes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    // The parts of the first variant that depend on the problem: its shaders, parameters and workgroups.
    let mut told = Vec::new();
    for dispatch in &kernel.dispatches {
        told.extend(dispatch.shader.to_string().bytes());
        told.extend(&dispatch.params);
        told.extend(dispatch.workgroups.iter().flat_map(|count| count.to_le_bytes()));
    }
    format!("{op} {} -> {} {:016x}", list(io.inputs), list(io.outputs), fnv1a(&told))
}
