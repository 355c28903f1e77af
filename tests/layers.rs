//! The table of layers, `docs/layers.md`, against the code: the self-test's tables, the kernels of their cases, the
//! goldens. `UPDATE_DOCS=1 cargo test --features cli --test layers` writes it.

use serde_json::Value;
use shadernet::Graph;
use shadernet::kernel::Caps;
use shadernet::selftest::{Special, Suite, TABLES, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// Returns the operations of the goldens, each with the number of its cases.
fn goldens() -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("it is JSON");
        for op in cases.iter().filter_map(|case| case["op"].as_str()) {
            *count.entry(op.to_owned()).or_default() += 1;
        }
    }
    count
}

/// Returns the shaders of all the kernels that a table's graphs could use on such a device.
fn shaders(graphs: &[(String, Graph)], caps: &Caps) -> String {
    let mut names = BTreeSet::new();
    for (case, graph) in graphs {
        let each = graph.fused().visit(1, |node, io| {
            let kernels = node.op.kernels(io, caps).map_err(|kind| kind.at(node.op.name(), &node.name))?;
            let dispatches = kernels.iter().flat_map(|kernel| &kernel.dispatches);
            names.extend(dispatches.map(|dispatch| dispatch.shader.name()));
            Ok(())
        });
        each.unwrap_or_else(|error| panic!("case \"{case}\": {error}"));
    }
    if names.is_empty() { "none: it copies nothing".into() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
}

fn row(table: &Table, goldens: &BTreeMap<String, usize>) -> String {
    let graphs = Suite::graphs(table);
    let single = |graphs: &[(String, Graph)]| -> Vec<(String, Graph)> {
        // Cases of several operations also use kernels of other operations.
        graphs.iter().filter(|(_, graph)| graph.fused().nodes().len() == 1).cloned().collect()
    };
    let own = single(&graphs);
    let own = if own.is_empty() { &graphs } else { &own };
    let (portable, llvmpipe) = (shaders(own, &Caps::portable()), shaders(own, &Caps::llvmpipe()));
    let in_f16_and_matrix_units = Suite::special(table, &Caps::matrix_units(16));
    let Special { in_f16, in_matrix_units } = in_f16_and_matrix_units.unwrap_or_else(|error| panic!("{error}"));
    let golden: usize = table.goldens.split_whitespace().map(|op| goldens[op]).sum();
    let Table { op, layers, parameters, .. } = table;
    let cases = graphs.len();
    format!(
        "| {layers} | {parameters} | `{op}` | {portable} | {llvmpipe} | {cases} | {in_f16} | {in_matrix_units} | {golden} |"
    )
}

fn document() -> String {
    let goldens = goldens();
    let mut text = String::from(
        "# Layers\n\n\
        What the operations are known as in PyTorch (or ONNX), and what each is tested against. Names, parameters and defaults\n\
        are PyTorch's; images are NCHW, weights OIHW. Every kernel of every case is compared with plain loops in f64, on each\n\
        tier of an adapter (`shadernet selftest`; docs/drivers.md lists the tiers). Those loops are compared with PyTorch itself (ONNX Runtime\n\
        where numbers are quantised), in as many golden cases as the last column says. Cases *in f16* also run kernels that store values\n\
        so, and those *in matrix units* kernels for them, on devices that can.\n\n\
        <!-- Written by `UPDATE_DOCS=1 cargo test --features cli --test layers`, from src/selftest/ops/mod.rs and the kernels. -->\n\n\
        | layers | parameters | operation | portable kernels | llvmpipe's kernels | cases | in f16 | in matrix units | goldens |\n\
        |---|---|---|---|---|---:|---:|---:|---:|\n",
    );
    for table in TABLES {
        writeln!(text, "{}", row(table, &goldens)).expect("it is a string");
    }
    text + NOT_FINITE
}

const NOT_FINITE: &str = "
## NaN and infinities

What is computed from a NaN is NaN, in every kernel, and infinities give what PyTorch gives: the self-test puts both into every input
of `f32`s. WGSL doesn't promise that (a device may compute as if there were none), so shaders recognise NaN by its bits. Exceptions:

* Comparisons, `isnan`, `isinf`, and `where`, which chooses, are as in IEEE 754. So is `pow`: 1 to any power is 1, anything to the power
  of 0 is 1.
* `argmax`, `argmin`, `topk` and the places of max pooling take NaN for the most extreme, in `topk` for the largest, as in PyTorch.
* Integers have no NaN: a `cast` makes 0 of it, quantisation the zero point. Formats of small floats have it or not.
* `sign` of NaN is NaN, as in NumPy and ONNX Runtime; PyTorch's is 0. `gelu(∞)` is ∞.
* A coordinate of `grid_sample`, `deform_conv2d` or `roi_align` that is NaN gives NaN; an infinite one is outside of the image.
* In attention a key that `is_causal`, a window or the cache's position hides is ignored, even if it holds NaN. A mask is added to the
  scores, so its -∞ doesn't hide a score that is NaN. A value of weight 0 is multiplied by 0: if it is NaN or infinite the sum may be
  NaN, as in PyTorch. Where nothing is seen the result is 0, and NaN where an ONNX file spells attention out with a Softmax.
* ONNX's ThresholdedRelu and Shrink are comparisons: they make 0 of NaN.
* Norms take deviations up to 1e28 with PyTorch's epsilon of 1e-5, in lines of up to 10^8 elements; PyTorch's squares overflow from 1e18
  on.
";

#[test]
fn the_table_of_layers_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/layers.md");
    let text = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).expect("it can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/layers.md is out of date: UPDATE_DOCS=1 cargo test --features cli --test layers writes it"
    );
}

#[test]
fn every_layer_has_goldens_and_every_golden_a_layer() {
    let goldens = goldens();
    let mut claimed = BTreeSet::new();
    for table in TABLES {
        assert!(!table.goldens.is_empty(), "{} has no goldens", table.op);
        for op in table.goldens.split_whitespace() {
            assert!(goldens.contains_key(op), "{}: no golden case of {op}", table.op);
            assert!(claimed.insert(op.to_owned()), "{op} is claimed twice");
        }
    }
    let unclaimed: Vec<&String> = goldens.keys().filter(|op| !claimed.contains(*op)).collect();
    assert!(unclaimed.is_empty(), "no table claims {unclaimed:?}");
}
