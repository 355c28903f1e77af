//! The tools of the operations' tests: the adapter's tiers, checks that panic, refusals.

use shadernet::selftest::reference::Tensor;
use shadernet::selftest::{Suite, TABLES, Tier, Tolerance};
use shadernet::{ContextOptions, ErrorKind, Graph, Op, Value};
use std::sync::OnceLock;

/// Returns the adapter's tiers.
///
/// # Panics
/// Panics if there is no adapter: a test that can't run must not look like one that passed.
pub fn tiers() -> &'static [Tier] {
    static TIERS: OnceLock<Vec<Tier>> = OnceLock::new();
    TIERS.get_or_init(|| {
        let tiers = shadernet::selftest::tiers(&ContextOptions::from_env());
        tiers.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
    })
}

/// Everybody can run these tests on llvmpipe: they must include its own kernels.
#[test]
fn llvmpipe_has_a_second_tier() {
    let info = tiers()[0].context.info();
    assert_eq!(tiers()[0].context.caps().profile(), "portable");
    let eight = info.name.contains("llvmpipe") && (info.subgroup_min_size, info.subgroup_max_size) == (8, 8);
    assert_eq!(tiers().iter().any(|tier| tier.context.caps().profile() == "shuffles"), eight, "{info:?}");
}

/// Runs a table of the self-test.
pub fn table(op: &str) {
    let table = TABLES.iter().find(|table| table.op == op).unwrap_or_else(|| panic!("there is no table of {op}"));
    let suite = Suite::new(tiers());
    (table.cases)(&suite);
    let report = suite.report(table.op);
    assert!(report.passed(), "{report}");
}

/// Checks one graph as a table does.
pub fn check(case: &str, graph: &Graph, inputs: &[&Tensor], expected: &Tensor, tolerance: Tolerance) {
    let suite = Suite::new(tiers());
    suite.check(case, graph, inputs, expected, tolerance);
    let report = suite.report("graph");
    assert!(report.passed(), "{report}");
}

/// Returns the error that refuses an operation with these inputs.
pub fn refused(inputs: &[&[usize]], op: impl Op) -> String {
    let mut graph = Graph::new();
    let inputs: Vec<Value> = inputs.iter().map(|&shape| graph.input("x", shape.to_vec())).collect();
    let name = op.name();
    let error = graph.push(op, &inputs).expect_err("it should be refused");
    assert!(matches!(error.kind, ErrorKind::Argument { .. } | ErrorKind::Unsupported(_)), "{error}");
    assert_eq!(error.at.as_ref().expect("an error names its node").0, name);
    error.to_string()
}
