//! Failures of the self-test: wrong kernels are found and named. `tests/ops` and the command's tests see it pass.

use shadernet::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader};
use shadernet::selftest::{Options, Special, Suite, TABLES, Table, Tolerance, cases, reference, run, tiers};
use shadernet::{ContextOptions, ErrorKind, Io, Op, Shape};

/// An operation that claims to replace numbers below 0 by 0; its kernel also replaces NaN.
#[derive(Debug)]
struct Positive;

const DROPS: &str = "
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.count { return; }
    let nan = (bitcast<u32>(x[id.x]) & 0x7fffffffu) > 0x7f800000u;
    y[id.x] = select(max(x[id.x], 0.0), 0.0, nan);
}";

/// An operation that claims to double; its kernel triples.
#[derive(Debug)]
struct Double;

const TRIPLE: &str = "
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.count { y[id.x] = 3.0 * x[id.x]; }
}";

/// Returns the kernel that computes each element from one element by this shader.
fn elementwise(io: &Io, name: &'static str, shader: &'static str) -> Vec<Kernel> {
    let count = io.inputs[0].elements();
    let bindings = vec![Binding::Input(0), Binding::Output(0)];
    let dispatch = Dispatch::new(Shader::new(name, shader, &[]), &(count as u32), bindings, count.div_ceil(64));
    vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)]
}

impl Op for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(elementwise(io, "triple", TRIPLE))
    }
}

impl Op for Positive {
    fn name(&self) -> &'static str {
        "positive"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(elementwise(io, "drops", DROPS))
    }
}

/// The kernel is right for numbers and infinities, and wrong for each of three NaNs: at either end and between.
#[test]
fn a_kernel_that_drops_nan_is_found() {
    let tiers = tiers(&ContextOptions::from_env()).unwrap_or_else(|error| panic!("it needs a GPU adapter: {error}"));
    let suite = Suite::new(&tiers[..1]);
    let x = cases::random(1, [3, 5]);
    let graph = cases::graph(&[&x], |graph, x| graph.push(Positive, x));
    suite.check("numbers", &graph, &[&x], &reference::relu(&x), Tolerance::Exact);
    suite.check_not_finite("planted", &graph, &[&x], |x| reference::relu(x[0]), Tolerance::Exact);
    let report = suite.report("positive");
    assert_eq!((report.cases, report.failed), (6, 3), "{report}");
    let text = report.to_string();
    for place in ["NaN at 0 of input 0", "NaN at 7 of input 0", "NaN at 14 of input 0"] {
        assert!(text.contains(place) && text.contains("got 0, wanted NaN"), "{text}");
    }
}

#[test]
fn a_wrong_kernel_is_reported_by_name() {
    let table = Table {
        op: "double",
        layers: "",
        parameters: "",
        goldens: "",
        cases: |t: &Suite| {
            let x = cases::random(1, [3, 5]);
            let graph = cases::graph(&[&x], |graph, x| graph.push(Double, x));
            t.check("fifteen", &graph, &[&x], &reference::add(&x, &x), Tolerance::Elementwise);
        },
    };
    let tiers = tiers(&ContextOptions::from_env()).unwrap_or_else(|error| panic!("it needs a GPU adapter: {error}"));
    let suite = Suite::new(&tiers[..1]);
    (table.cases)(&suite);
    let report = suite.report(table.op);
    assert!(!report.passed());
    assert_eq!((report.cases, report.kernels, report.failed), (1, 1, 1));
    let text = report.to_string();
    assert!(text.starts_with("double ") && text.contains("FAILED"), "{text}");
    let place = "case \"fifteen\", tier portable, triple: at [0, 0] of [3, 5] got ";
    assert!(text.contains(place) && text.contains("; 15 such elements"), "{text}");
}

/// Every table fails if its operation's kernels lose their last workgroup.
#[test]
fn every_table_notices() {
    for table in TABLES {
        let options = Options::new().device(ContextOptions::from_env().plain()).op(table.op).quick();
        let report = run(&options.sabotage(table.op), |_| {}).unwrap_or_else(|error| panic!("{error}"));
        // A view and an update of a state have no kernel of their own that a table could run alone.
        let computes = !["reshape", "append"].contains(&table.op);
        assert_eq!(report.passed(), !computes, "{report}");
        let verdict = report.to_string().lines().last().unwrap_or_default().to_owned();
        assert_eq!(verdict.ends_with(&format!("FAILED in {}", table.op)), computes, "{verdict}");
    }
}

#[test]
fn what_it_refuses() {
    let error = run(&Options::new().op("conv9d"), |_| {}).expect_err("there is no such operation").to_string();
    assert!(error.starts_with("op: wanted one of activation, ") && error.ends_with("got conv9d"), "{error}");
    let nobody = Options::new().device(ContextOptions::new().adapter("no such adapter"));
    let error = run(&nobody, |_| {}).expect_err("there is no such adapter");
    assert!(matches!(error.kind, ErrorKind::NoAdapter { .. }), "{error}");
}

/// Nobody may believe that kernels were tested which no case ran.
#[test]
fn it_counts_what_ran_in_f16_and_in_matrix_units() {
    let device = ContextOptions::from_env();
    let tiers = tiers(&device).unwrap_or_else(|error| panic!("it needs a GPU adapter: {error}"));
    let has = |what: fn(&Caps) -> bool| tiers.iter().any(|tier| what(tier.context.caps()));
    let report =
        run(&Options::new().device(device).op("linear").quick(), |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let linear = &report.ops[0];
    assert_eq!(
        (linear.in_f16 > 0, linear.in_matrix_units > 0),
        (has(|it| it.packs_f16), has(|it| it.matrix.is_some()))
    );
    let counts = format!("({} in f16, {} in matrix units)", linear.in_f16, linear.in_matrix_units);
    assert!(report.to_string().contains(&counts), "{report}");
}

/// A device with matrix units runs them in many cases of the operations that they compute; a device without in none.
#[test]
fn the_tables_have_cases_for_matrix_units() {
    for (op, least) in [("conv", 60), ("linear", 20), ("matmul", 6), ("attention", 60)] {
        let table = TABLES.iter().find(|table| table.op == op).expect("there is such a table");
        let special = |caps| Suite::special(table, &caps).unwrap_or_else(|error| panic!("{error}"));
        for side in [8, 16] {
            let cases = special(Caps::matrix_units(side));
            assert!(cases.in_matrix_units >= least, "{op}, {side}: {cases:?}");
            assert!(op == "matmul" || cases.in_f16 > 0, "{op}, {side}: {cases:?}");
        }
        assert_eq!(special(Caps::portable()).in_matrix_units, 0, "{op}");
        let cannot_pack = Caps { packs_f16: false, ..Caps::portable() };
        assert_eq!(special(cannot_pack), Special::default(), "{op}");
    }
}

#[test]
fn quick_is_a_part() {
    let cases = |options: Options| {
        let options = options.device(ContextOptions::from_env().plain()).op("softmax");
        let report = run(&options, |_| {}).unwrap_or_else(|error| panic!("{error}"));
        assert!(report.passed(), "{report}");
        report.ops[0].cases
    };
    assert_eq!(cases(Options::new().quick()), cases(Options::new()).div_ceil(4));
}

/// Debug builds prove nothing here: all their shaders have guards.
#[test]
fn guards_change_no_bit_of_what_the_kernels_compute() {
    let report = run(&Options::new().device(ContextOptions::from_env()).quick().guarded(), |_| ());
    let report = report.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"));
    assert!(report.passed(), "{report}");
}
