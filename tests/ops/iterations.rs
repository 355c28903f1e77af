//! Devices that end loops early, as Mesa's llvmpipe does after 65,535 iterations: no kernel reaches their limit.

use crate::harness::tiers;
use shadernet::kernel::Caps;
use shadernet::plan::Plan;
use shadernet::selftest::{Suite, TABLES, Tier};
use shadernet::{ErrorKind, Graph, Model};
use std::collections::BTreeMap;

/// A limit so low that sums of the tables' ordinary sizes are divided.
const FEW: u32 = 150;

/// The tables pass on a device with a low limit, where kernels share or divide their loops. A kernel that states too
/// few iterations isn't found here: the tables' long loops find it on llvmpipe.
#[test]
fn divided_loops_give_the_same() {
    let context = &tiers()[0].context;
    let caps = Caps { max_loop_iterations: FEW, ..context.caps().clone() };
    let tiers = [Tier { name: "few iterations", context: context.with_caps(caps), guarded: None }];
    let (mut refused, mut all) = (0, 0);
    for table in TABLES {
        let suite = Suite::new(&tiers).refusing(3);
        (table.cases)(&suite);
        let (few, of) = suite.refused();
        (refused, all) = (refused + few, all + of);
        let report = suite.report(table.op);
        assert!(report.passed(), "{report}");
    }
    println!("{refused} of {all} cases were refused");
    assert!(refused * 5 < all, "{refused} of {all} cases were refused: there is nothing left to test");
}

/// If neither sharing nor dividing helps, the plan is refused, and the error says why.
#[test]
fn what_can_not_end_is_refused() {
    let mut graph = Graph::new();
    let x = graph.input("x", [1, 70_000, 1, 1]);
    let y = graph.local_response_norm(x, shadernet::ops::LocalResponseNorm::new(69_999)).expect("any size");
    graph.output("y", y);
    let plan = |caps: &Caps| Plan::new(&graph.fused(), 1, caps);
    assert!(plan(&Caps::portable()).is_ok());
    let error = plan(&Caps::llvmpipe()).expect_err("the window is too large");
    assert!(matches!(error.kind, ErrorKind::Limit { need: 70_003, have: 65_535, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("local_response_norm") && text.contains("iterations") && text.contains("65535"), "{text}");
    // The adapter that runs these tests refuses the graph too, if it is llvmpipe.
    let context = &tiers()[0].context;
    let made = Model::new(context, &graph).and_then(|model| model.session(1));
    assert_eq!(made.is_err(), context.info().name.contains("llvmpipe"), "{:?}", context.info());
}

/// Returns true if a loop's head has no condition, or names anything but its own counter, literals and constants in
/// capitals. Such a loop runs over sizes, and drivers don't unroll it.
fn runs_over_sizes(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default().trim();
    let Some(head) = ["for (", "while ", "loop "].iter().find_map(|start| code.strip_prefix(start)) else {
        return false;
    };
    let head = head.split(" {").next().unwrap_or_default();
    let counter = head.split("var ").nth(1).and_then(|rest| rest.split([' ', ':']).next()).unwrap_or_default();
    let words = head.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    let mut names = words.filter(|word| !["var", "u32", "i32", counter].contains(word));
    head.contains("; ;") || names.any(|name| name.starts_with(|c: char| c.is_lowercase()))
}

/// Shaders whose loops run over at most eight dimensions, 32 bits or four components. Such loops need not be counted.
const SHORT: &[&str] = &[
    "resize",
    "binary",
    "broadcast",
    "compare",
    "elementwise",
    "gather",
    "gather_nd",
    "glu",
    "integer",
    "pack",
    "pad_rows",
    "pixel_shuffle",
    "strided",
    "unpack",
    "where",
];

#[test]
fn every_loop_over_sizes_is_counted() {
    let mut most: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    let limited = Caps { max_loop_iterations: Caps::llvmpipe().max_loop_iterations, ..Caps::portable() };
    for caps in [Caps::portable(), limited, Caps::llvmpipe()] {
        for (case, graph) in TABLES.iter().flat_map(Suite::graphs) {
            let plan = Plan::new(&graph.fused(), 1, &caps).unwrap_or_else(|error| panic!("{case}: {error}"));
            for (dispatch, _) in plan.steps.iter().flat_map(|step| &step.dispatches) {
                let (name, iterations) = (dispatch.shader.name(), dispatch.iterations);
                assert!(iterations <= caps.max_loop_iterations.into(), "{case}: {name} makes {iterations}");
                let known = most.entry(name).or_insert_with(|| {
                    (0, dispatch.shader.wgsl().expect("a shader of this crate").lines().any(runs_over_sizes))
                });
                known.0 = known.0.max(iterations);
            }
        }
    }
    for (name, (iterations, loops)) in most {
        assert!(
            iterations > 0 || !loops || SHORT.contains(&name),
            "{name} has loops over sizes, and states no iterations"
        );
        assert!(loops || iterations == 0, "{name} states iterations, and has no loop over sizes");
    }
}
