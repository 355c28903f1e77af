//! The runner of the cases: each graph on every tier, by every kernel of its operation, compared with the reference.

use super::cases::data;
use super::reference::Tensor;
use super::report::{Failure, OpReport};
use super::tolerance::{EXACT, HALF, OPERANDS, Rounding, SINGLE, Tolerance, compare};
use super::variants::{Change, identity, variants};
use super::{Table, Tier};
use crate::error::Result;
use crate::graph::Graph;
use crate::kernel::{Caps, Kernel, Scalar};
use crate::plan::Plan;
use crate::{Context, DType, Data, Model, Tensor as Output};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// The runner of a table's cases.
pub struct Suite<'a> {
    tiers: &'a [Tier],
    /// The interval between the cases that run: 1 runs all.
    every: usize,
    /// True if kernels lose their last workgroup.
    pub(super) sabotage: bool,
    all_variants: Cell<bool>,
    /// The stored form of the kernels' values.
    scalar: Cell<Scalar>,
    /// The number of refused cases, if cases may be refused.
    refused: Option<Cell<usize>>,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    offered: usize,
    cases: usize,
    kernels: BTreeSet<String>,
    special: Special,
    worst: f64,
    failures: Vec<Failure>,
    failed: usize,
    graphs: Vec<(String, Graph, Scalar)>,
}

/// The cases that run kernels which devices need not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Special {
    /// The number of those with values stored as `f16`.
    pub in_f16: usize,
    /// The number of those for matrix units.
    pub in_matrix_units: usize,
}

impl Special {
    /// Counts a case that runs these kernels.
    fn count<'a>(&mut self, kernels: impl Iterator<Item = &'a Kernel> + Clone) {
        self.in_f16 += usize::from(kernels.clone().any(Kernel::is_narrow));
        self.in_matrix_units += usize::from(kernels.clone().any(|kernel| kernel.rounds_operands));
    }
}

/// The names of one run of a graph.
struct Run<'a> {
    tier: &'a Tier,
    case: &'a str,
    kernel: &'a str,
}

impl<'a> Suite<'a> {
    /// Creates a suite that runs cases on these tiers; without tiers, it only collects the graphs.
    pub fn new(tiers: &'a [Tier]) -> Suite<'a> {
        let all_variants = Cell::new(false);
        Suite {
            tiers,
            every: 1,
            sabotage: false,
            all_variants,
            scalar: Cell::default(),
            refused: None,
            found: RefCell::default(),
        }
    }

    /// Counts cases that these tiers refuse as refused, not as failed, and runs only every n-th case.
    #[must_use]
    pub fn refusing(self, every: usize) -> Suite<'a> {
        Suite { refused: Some(Cell::new(0)), ..self.every(every) }
    }

    /// Runs only every n-th case.
    #[must_use]
    pub fn every(self, n: usize) -> Suite<'a> {
        Suite { every: n, ..self }
    }

    /// Returns the number of refused cases, and of all cases.
    pub fn refused(&self) -> (usize, usize) {
        (self.refused.as_ref().map_or(0, Cell::get), self.found.borrow().cases)
    }

    /// Returns the graphs of a table's cases. They need no device.
    pub fn graphs(table: &Table) -> Vec<(String, Graph)> {
        let suite = Suite::new(&[]);
        (table.cases)(&suite);
        suite.found.into_inner().graphs.into_iter().map(|(case, graph, _)| (case, graph)).collect()
    }

    /// Returns the numbers of a table's cases that run such kernels on a device of these facts. It needs no device.
    pub fn special(table: &Table, caps: &Caps) -> Result<Special> {
        let suite = Suite::new(&[]);
        (table.cases)(&suite);
        let mut special = Special::default();
        for (_, graph, scalar) in &suite.found.borrow().graphs {
            let variants = variants(graph, caps, true, Change { sabotage: false, scalar: *scalar })?;
            special.count(variants.iter().map(|(kernel, _)| kernel));
        }
        Ok(special)
    }

    /// Returns the results so far.
    pub fn report(self, op: &'static str) -> OpReport {
        let Found { cases, kernels, special, worst, failures, failed, .. } = self.found.into_inner();
        let Special { in_f16, in_matrix_units } = special;
        OpReport { op, cases, in_f16, in_matrix_units, kernels: kernels.len(), worst, failures, failed }
    }

    /// Runs these cases by every variant of a kernel. Elsewhere, of the variants that differ only in constants, only
    /// the first runs: each is a pipeline, and a driver takes a while to compile it.
    pub fn by_all_variants(&self, cases: impl FnOnce(&Suite)) {
        let before = self.all_variants.replace(true);
        cases(self);
        self.all_variants.set(before);
    }

    /// Runs these cases by the kernels that can store their values as `F16`, of single operations only. Inputs must be
    /// [rounded](super::cases::halves) to `f16`. A device that can't store `F16` runs the cases as planned.
    pub fn in_halves(&self, cases: impl FnOnce(&Suite)) {
        self.scalar.set(Scalar::F16);
        cases(self);
        self.scalar.set(Scalar::F32);
    }

    /// Counts the next case, and returns true if it is to be run.
    fn takes_next(&self) -> bool {
        let mut found = self.found.borrow_mut();
        found.offered += 1;
        let taken = (found.offered - 1).is_multiple_of(self.every);
        found.cases += usize::from(taken);
        taken
    }

    /// Checks a graph of one output. The graph runs by each kernel that the planner could choose if it is one operation
    /// after fusion, otherwise as planned.
    pub fn check(&self, case: &str, graph: &Graph, inputs: &[&Tensor], expected: &Tensor, tolerance: Tolerance) {
        self.check_outputs(case, graph, inputs, &[expected], tolerance);
    }

    /// Checks a graph of several outputs, as [`Suite::check`] does for one.
    pub fn check_outputs(
        &self,
        case: &str,
        graph: &Graph,
        inputs: &[&Tensor],
        expected: &[&Tensor],
        tolerance: Tolerance,
    ) {
        if self.tiers.is_empty() {
            self.found.borrow_mut().graphs.push((case.to_owned(), graph.clone(), self.scalar.get()));
        }
        if !self.takes_next() {
            return;
        }
        for ((_, output), expected) in graph.outputs().iter().zip(expected) {
            let shape = graph.shape(*output, 1).map(|shape| shape.to_vec()).unwrap_or_default();
            for tier in self.tiers.iter().filter(|_| shape != expected.shape).take(1) {
                let problem = format!("its shape is {shape:?}, wanted {:?}", expected.shape);
                self.fail(&Run { tier, case, kernel: "as planned" }, problem);
            }
        }
        let inputs: Vec<Data> = inputs.iter().map(|input| data(input)).collect();
        let mut ran: Vec<(String, Kernel)> = Vec::new();
        for tier in self.tiers {
            let change = Change { sabotage: self.sabotage, scalar: self.scalar.get() };
            let variants = match variants(graph, tier.context.caps(), self.all_variants.get(), change) {
                Ok(variants) => variants,
                Err(error) => {
                    match &self.refused {
                        Some(refused) => refused.set(refused.get() + 1),
                        None => self.fail(&Run { tier, case, kernel: "no kernel" }, error.to_string()),
                    }
                    continue;
                }
            };
            if variants.is_empty() {
                let run = Run { tier, case, kernel: "as planned" };
                self.judge(&run, self.frame(&run, graph, &inputs), expected, tolerance, (EXACT, SINGLE));
            }
            for (kernel, graph) in variants {
                let identity = identity(&kernel);
                if ran.iter().all(|(other, _)| *other != identity) {
                    let which = kernel.dispatches.first().map_or("a view".into(), |first| first.shader.to_string());
                    let run = Run { tier, case, kernel: &which };
                    let rounding = if kernel.is_narrow() { HALF } else { EXACT };
                    let rounding = (rounding, if kernel.rounds_operands { OPERANDS } else { SINGLE });
                    self.judge(&run, self.frame(&run, &graph, &inputs), expected, tolerance, rounding);
                    ran.push((identity, kernel));
                }
            }
        }
        self.found.borrow_mut().special.count(ran.iter().map(|(_, kernel)| kernel));
    }

    /// Checks a graph of one output with inputs that are not all finite. Each `f32` input in turn holds a NaN at its
    /// beginning, in its middle or at its end, or an infinity. `reference` computes the expected output.
    pub fn check_not_finite(
        &self,
        case: &str,
        graph: &Graph,
        inputs: &[&Tensor],
        reference: impl Fn(&[&Tensor]) -> Tensor,
        tolerance: Tolerance,
    ) {
        for (i, input) in inputs.iter().enumerate().filter(|(_, input)| input.dtype == DType::F32) {
            let last = input.data.len() - 1;
            for (value, at) in [
                (f32::NAN, 0),
                (-f32::NAN, last / 2),
                (f32::NAN, last),
                (f32::INFINITY, last / 2),
                (f32::NEG_INFINITY, last / 2),
            ] {
                let mut planted = (*input).clone();
                planted.data[at] = value;
                let mut inputs = inputs.to_vec();
                inputs[i] = &planted;
                let case = format!("{case}, {value} at {at} of input {i}");
                self.check(&case, graph, &inputs, &reference(&inputs), tolerance);
            }
        }
    }

    /// Checks the outputs of `frames` on each tier; the function may run several frames.
    pub fn check_frames(
        &self,
        case: &str,
        graph: &Graph,
        expected: &[&Tensor],
        tolerance: Tolerance,
        frames: impl Fn(&Context) -> Result<Vec<Output>>,
    ) {
        if self.tiers.is_empty() {
            self.found.borrow_mut().graphs.push((case.to_owned(), graph.clone(), Scalar::F32));
        }
        if !self.takes_next() {
            return;
        }
        for tier in self.tiers {
            let run = Run { tier, case, kernel: "as planned" };
            if let Ok(plan) = Plan::new(&graph.fused(), 1, tier.context.caps()) {
                self.count(&run, &plan);
            }
            self.judge(&run, alike(tier, &frames), expected, tolerance, (EXACT, SINGLE));
        }
    }

    /// Expects this number of operations in a graph after fusion.
    pub fn expect_fused(&self, graph: &Graph, operations: usize) {
        let left = graph.fused().nodes().len();
        for tier in self.tiers.iter().filter(|_| left != operations).take(1) {
            let problem = format!("{left} operations after fusion, wanted {operations}");
            self.fail(&Run { tier, case: "fusion", kernel: "as planned" }, problem);
        }
    }

    fn frame(&self, run: &Run, graph: &Graph, inputs: &[Data]) -> Result<Vec<Output>, String> {
        alike(run.tier, |context| {
            let session = Model::new(context, graph).and_then(|model| model.session(1))?;
            self.count(run, session.plan());
            Ok(session.run_blocking(inputs)?.into_iter().collect())
        })
    }

    fn count(&self, run: &Run, plan: &Plan) {
        let shaders = plan.steps.iter().flat_map(|step| &step.dispatches);
        let shaders = shaders.map(|(dispatch, _)| format!("{} {}", run.tier.name, dispatch.shader));
        self.found.borrow_mut().kernels.extend(shaders);
    }

    fn judge(
        &self,
        run: &Run,
        outputs: Result<Vec<Output>, String>,
        expected: &[&Tensor],
        tolerance: Tolerance,
        (rounding, operands): (Rounding, f64),
    ) {
        let outputs = match outputs {
            Ok(outputs) if outputs.len() == expected.len() => outputs,
            Ok(outputs) => return self.fail(run, format!("{} outputs, wanted {}", outputs.len(), expected.len())),
            Err(problem) => return self.fail(run, problem),
        };
        for (output, expected) in outputs.iter().zip(expected) {
            match compare(output, expected, tolerance, rounding, operands) {
                Ok(worst) => {
                    let mut found = self.found.borrow_mut();
                    found.worst = found.worst.max(worst);
                }
                Err(problem) => self.fail(run, problem),
            }
        }
    }

    fn fail(&self, run: &Run, problem: String) {
        let mut found = self.found.borrow_mut();
        found.failed += 1;
        if found.failures.len() < 100 {
            let (case, kernel) = (run.case.to_owned(), run.kernel.to_owned());
            found.failures.push(Failure { case, tier: run.tier.name, kernel, problem });
        }
    }
}

/// Computes on a tier. If the tier has a guarded device, computes there too, and expects the same bits.
fn alike(tier: &Tier, compute: impl Fn(&Context) -> Result<Vec<Output>>) -> Result<Vec<Output>, String> {
    let outputs = compute(&tier.context).map_err(|error| error.to_string())?;
    if let Some(guarded) = &tier.guarded {
        let guarded = compute(guarded).map_err(|error| format!("with guards: {error}"))?;
        let other: usize = outputs.iter().zip(&guarded).map(|(own, guarded)| others(own, guarded)).sum();
        if other > 0 {
            return Err(format!("with guards {other} of its elements are others"));
        }
    }
    Ok(outputs)
}

/// Counts the elements with different bits. All NaNs are equal: their bits may depend on the order of a sum's terms.
fn others(own: &Output, guarded: &Output) -> usize {
    fn count<T>(own: &[T], guarded: &[T], same: impl Fn(&T, &T) -> bool) -> usize {
        own.iter().zip(guarded).filter(|(own, guarded)| !same(own, guarded)).count()
    }
    match (own.data(), guarded.data()) {
        (Data::F32(own), Data::F32(guarded)) => {
            count(own, guarded, |a, b| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
        }
        (Data::I32(own), Data::I32(guarded)) => count(own, guarded, PartialEq::eq),
        (Data::Bool(own), Data::Bool(guarded)) => count(own, guarded, PartialEq::eq),
        _ => own.to_f32().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::tiers;

    #[test]
    fn bits_that_guards_change_are_found() {
        let mut tier =
            tiers(&crate::ContextOptions::from_env().portable()).expect("these tests need an adapter").remove(0);
        let frames = Cell::new(0.0);
        let outputs = |last: f32| vec![Output::new([2], vec![1.0, last]).expect("two values")];
        let frame = |least: f32| {
            frames.set(frames.get() + 1.0);
            Ok(outputs(least.max(frames.get())))
        };
        assert_eq!(alike(&tier, |_| frame(0.0)), Ok(outputs(1.0)));
        tier.guarded = Some(tier.context.clone());
        assert_eq!(alike(&tier, |_| frame(9.0)), Ok(outputs(9.0)));
        let error = alike(&tier, |_| frame(0.0)).expect_err("they differ");
        assert!(error.contains("with guards 1 of its elements are others"), "{error}");
    }
}
