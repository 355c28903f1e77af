//! The ONNX backend tests on the adapter that the environment names: `make test-onnx`, which fetches them.
//!
//! Each test passes, is refused (an error before any computation names the unsupported feature) or fails. None may
//! fail, and tests that passed once must pass again: `tests/onnx/passed.txt`. `UPDATE_PASSED=1` adds to it.
//!
//! Inputs are uploaded, except for values that the importer needs to build the graph: shapes, axes, weights.

use pollster::block_on;
use shadernet::import::onnx::{self, Bindings, ElementType, Onnx};
use shadernet::{Context, ContextOptions, Data, ErrorKind, Model, Outputs, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

enum Outcome {
    Passed,
    Refused(String),
    Failed(String),
}

struct Case {
    kind: &'static str,
    name: String,
    model: PathBuf,
    /// The folders of inputs and outputs.
    sets: Vec<PathBuf>,
    rtol: f64,
    atol: f64,
}

/// The kinds of tests, and the README's words for them.
const KINDS: [&str; 5] = ["node", "pytorch-converted", "pytorch-operator", "simple", "light"];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/onnx/data");
    assert!(folder.join("node").is_dir(), "the tests aren't there: `make test-onnx` fetches them");
    let context = block_on(Context::with(&ContextOptions::from_env()));
    let context = context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"));
    println!("adapter: {} ({:?})", context.info().name, context.info().driver_info);

    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut cases: Vec<Case> = KINDS.iter().flat_map(|kind| cases(&folder, kind)).collect();
    cases.retain(|case| wanted.is_empty() || wanted.iter().any(|name| case.name.contains(name)));
    // A panic prints nothing: it is a failure, and is reported with the others.
    std::panic::set_hook(Box::new(|_| ()));
    let outcomes = outcomes(&context, &cases);
    let _default = std::panic::take_hook();
    report(&folder, &cases, &outcomes, wanted.is_empty());
}

fn cases(folder: &Path, kind: &'static str) -> Vec<Case> {
    let entries = std::fs::read_dir(folder.join(kind)).unwrap_or_else(|error| panic!("{kind}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    let case = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let (model, sets) = match path.is_dir() {
            true => {
                let sets = (0..).map(|i| path.join(format!("test_data_set_{i}"))).take_while(|set| set.is_dir());
                (path.join("model.onnx"), sets.collect())
            }
            false => (path.clone(), vec![path.with_extension("")]),
        };
        let rtol = if name.contains("densenet121") { 2e-3 } else { 1e-3 };
        // An expected value near an exact 0 is the rounding error of a transform in 32 bits.
        let atol = if name.starts_with("test_dft_inverse") { 1e-6 } else { 1e-7 };
        let case = Case { kind, name, model, sets, rtol, atol };
        case.model.extension().is_some_and(|extension| extension == "onnx").then_some(case)
    };
    paths.into_iter().filter_map(case).collect()
}

/// Runs all cases, on as many threads as there are processors.
fn outcomes(context: &Context, cases: &[Case]) -> Vec<Outcome> {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((i, case)) = take(&next, cases) {
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(context, case)));
                    let outcome = outcome.unwrap_or_else(|panic| {
                        let text = panic.downcast_ref::<String>().map_or("", |text| text);
                        let text = panic.downcast_ref::<&str>().copied().unwrap_or(text);
                        Outcome::Failed(format!("panic: {text}"))
                    });
                    outcomes.lock().expect("nothing panics here").insert(i, outcome);
                }
            });
        }
    });
    outcomes.into_inner().expect("nothing panics here").into_values().collect()
}

/// Returns the next case that no thread has taken.
fn take<'a>(next: &AtomicUsize, cases: &'a [Case]) -> Option<(usize, &'a Case)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    cases.get(i).map(|case| (i, case))
}

fn run(context: &Context, case: &Case) -> Outcome {
    let network = match Onnx::open(&case.model) {
        Ok(network) => network,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    for set in &case.sets {
        match compare(context, &network, case, set) {
            Outcome::Passed => {}
            other => return other,
        }
    }
    Outcome::Passed
}

fn compare(context: &Context, network: &Onnx, case: &Case, set: &Path) -> Outcome {
    let inputs = match inputs(network, case, set) {
        Ok(inputs) => inputs,
        Err(error) => return Outcome::Refused(error),
    };
    let mut known: BTreeSet<String> = BTreeSet::new();
    let outputs = loop {
        match attempt(context, network, &inputs, &known) {
            Ok(outputs) => break outputs,
            Err(error) => match &error.kind {
                ErrorKind::Unknown { input: Some(input), .. } if known.insert(input.clone()) => {}
                // Negative indices aren't supported at run time.
                ErrorKind::Argument { argument, .. } if bind(&inputs, argument, &mut known) => {}
                _ => return Outcome::Refused(error.to_string()),
            },
        }
    };
    for (i, (port, output)) in network.outputs().iter().zip(&outputs).enumerate() {
        let path = match set.is_dir() {
            true => set.join(format!("output_{i}.pb")),
            false => PathBuf::from(format!("{}_output_{i}.pb", set.display())),
        };
        let wanted = match onnx::tensor(&path) {
            Ok(tensor) => tensor,
            Err(error) => return Outcome::Refused(format!("expected output: {error}")),
        };
        if let Err(wrong) = same(&wanted, (port.element, output), [case.rtol, case.atol]) {
            return Outcome::Failed(format!("output \"{}\": {wrong}", port.name));
        }
    }
    Outcome::Passed
}

/// Returns true if the error concerns an integer input that can be bound to its values.
fn bind(inputs: &[(String, Tensor)], argument: &str, known: &mut BTreeSet<String>) -> bool {
    let named = inputs
        .iter()
        .find(|(name, tensor)| tensor.dtype() != shadernet::DType::F32 && argument.contains(&format!("\"{name}\"")));
    named.is_some_and(|(name, _)| known.insert(name.clone()))
}

/// Returns the inputs of a set. The light models have none: theirs rise evenly from 0 to 1.
fn inputs(network: &Onnx, case: &Case, set: &Path) -> Result<Vec<(String, Tensor)>, String> {
    let made = |port: &onnx::ValueInfo| -> Result<Tensor, String> {
        let shape = network.shape(&port.name, &Bindings::new()).map_err(|error| error.to_string())?;
        let count = shape.elements();
        let values: Vec<f32> = (0..count).map(|i| (i as f64 / count as f64) as f32).collect();
        Tensor::new(shape, values).map_err(|error| error.to_string())
    };
    let read = |(i, port): (usize, &onnx::ValueInfo)| -> Result<(String, Tensor), String> {
        let tensor = if case.kind == "light" {
            made(port)?
        } else {
            onnx::tensor(set.join(format!("input_{i}.pb"))).map_err(|error| error.to_string())?.1
        };
        Ok((port.name.clone(), tensor))
    };
    network.inputs().iter().enumerate().map(read).collect()
}

/// Builds the graph with the values of these inputs, and runs it on the others.
fn attempt(
    context: &Context,
    network: &Onnx,
    inputs: &[(String, Tensor)],
    known: &BTreeSet<String>,
) -> shadernet::Result<Outputs> {
    let bindings = inputs.iter().fold(Bindings::new(), |bindings, (name, tensor)| match known.contains(name) {
        true => bindings.values(name, tensor.clone()),
        false => bindings.shape(name, tensor.shape().clone()),
    });
    let graph = network.graph(&bindings)?;
    let session = Model::new(context, &graph)?.session(1)?;
    let fed = inputs.iter().filter(|(name, _)| graph.inputs().iter().any(|input| input.name == *name));
    session.run_blocking(&fed.map(|(name, tensor)| (name.as_str(), tensor)).collect::<Vec<_>>())
}

/// Compares as NumPy's `assert_allclose` in the tests' own runner (mostly atol 1e-7); types and shapes must be equal.
fn same(
    (wanted_element, wanted): &(ElementType, Tensor),
    (element, got): (ElementType, &Tensor),
    [rtol, atol]: [f64; 2],
) -> Result<(), String> {
    let (wanted_shape, shape) = (wanted.shape(), got.shape());
    if element != *wanted_element || shape != wanted_shape {
        return Err(format!("wanted {wanted_element} {wanted_shape}, got {element} {shape}"));
    }
    let numbers = |tensor: &Tensor| -> Vec<f64> {
        match tensor.data() {
            Data::I32(values) => values.iter().map(|&value| value.into()).collect(),
            other => other.to_f32().into_iter().map(f64::from).collect(),
        }
    };
    let (wanted, got) = (numbers(wanted), numbers(got));
    let close = |(&a, &b): (&f64, &f64)| {
        a == b || (a.is_nan() && b.is_nan()) || ((a - b).abs() <= atol + rtol * a.abs() && a.is_finite())
    };
    match wanted.iter().zip(&got).position(|pair| !close(pair)) {
        None => Ok(()),
        Some(i) => Err(format!("element {i} of {wanted_shape}: wanted {}, got {}", wanted[i], got[i])),
    }
}

/// Prints the outcomes, writes them to `target/onnx/report.txt`, and ends the process with an error if a test failed.
fn report(folder: &Path, cases: &[Case], outcomes: &[Outcome], all: bool) {
    let (mut lines, mut table) = (String::new(), String::new());
    let mut failed = 0;
    let mut passed = BTreeSet::new();
    for kind in KINDS {
        let mut counts = [0; 3];
        for (case, outcome) in cases.iter().zip(outcomes).filter(|(case, _)| case.kind == kind) {
            let (place, text) = match outcome {
                Outcome::Passed => (0, "passed".to_owned()),
                Outcome::Refused(why) => (1, format!("refused: {why}")),
                Outcome::Failed(why) => (2, format!("FAILED: {why}")),
            };
            counts[place] += 1;
            let line = format!("{kind}/{}: {text}", case.name);
            if place == 2 || !all {
                println!("{line}");
            }
            writeln!(lines, "{line}").expect("a string takes everything");
            if place == 0 {
                passed.insert(format!("{kind}/{}", case.name));
            }
        }
        failed += counts[2];
        let [yes, refused, no] = counts;
        writeln!(table, "| {kind} | {} | {yes} | {refused} | {no} |", yes + refused + no).expect("it does");
    }
    println!("| tests | | passed | refused | failed |\n|---|---:|---:|---:|---:|\n{table}");
    let mut wrong = failed > 0;
    if all {
        std::fs::write(folder.with_file_name("report.txt"), lines).expect("target can be written to");
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/passed.txt");
        let before: BTreeSet<String> =
            std::fs::read_to_string(&list).unwrap_or_default().lines().map(str::to_owned).collect();
        for name in before.difference(&passed) {
            println!("{name} passed once and doesn't any more");
            wrong = true;
        }
        let readme = include_str!("../../README.md");
        if !readme.contains(table.trim_end()) {
            println!("the README has other counts");
            wrong = true;
        }
        let new = passed.difference(&before).count();
        if new > 0 && std::env::var_os("UPDATE_PASSED").is_some() {
            let union: Vec<&str> = before.union(&passed).map(String::as_str).collect();
            std::fs::write(&list, union.join("\n") + "\n").expect("the list can be written");
        } else if new > 0 {
            println!("{new} more pass than tests/onnx/passed.txt has: UPDATE_PASSED=1 adds them");
            wrong = true;
        }
    }
    std::process::exit(i32::from(wrong));
}
