//! Exports in float16, by `half.py`: the memory that they take.

use super::{Folder, exports, planned, text, unpack};
use shadernet::Precision;
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::kernel::Caps;
use shadernet::plan::{Plan, Resource};
use std::collections::BTreeMap;

/// Returns the bytes of a plan's weights, and of its activations.
fn bytes(plan: &Plan) -> [u64; 2] {
    let mut weights = BTreeMap::new();
    for resource in plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources) {
        if let Resource::Weight(packed) = resource {
            weights.insert(format!("{packed:?}"), packed.bytes());
        }
    }
    [weights.values().sum(), plan.peak_bytes()]
}

/// Files of float16 take half of the memory without being asked to, but for biases, inputs and outputs. Norms of rows
/// read and write `f32`s.
#[test]
fn files_of_float16_take_half_of_the_memory() {
    let mut larger = Vec::new();
    for (network, sizes, most) in [
        ("resnet18", &[("batch", 2)][..], [0.55, 0.55]),
        ("unet", &[("batch", 1), ("height", 64), ("width", 96)], [0.55, 0.55]),
        ("gpt", &[("batch", 2), ("sequence", 32)], [0.55, 0.6]),
    ] {
        let export = exports(network).into_iter().find(|export| export.contains("-half-")).expect("half.py wrote it");
        let folder = Folder::new(&format!("{export}-memory"));
        let file = unpack(&export, &folder, false).and_then(|path| Onnx::open(path).map_err(text));
        let file = file.unwrap_or_else(|error| panic!("{export}: {error}"));
        assert_eq!(file.precision(), Precision::F16, "{export}");
        let bindings = sizes.iter().fold(Bindings::new(), |bindings, &(name, size)| bindings.size(name, size));
        let graph = file.graph(&bindings).unwrap_or_else(|error| panic!("{export}: {error}"));
        for caps in [Caps::portable(), Caps::llvmpipe(), Caps::phone()] {
            let plans = [planned(&graph, &caps, Precision::F32), Plan::new(&graph.fused(), 1, &caps)];
            let [whole, half] = plans.map(|plan| bytes(&plan.unwrap_or_else(|error| panic!("{export}: {error}"))));
            let ratios = [0, 1].map(|i| half[i] as f64 / whole[i] as f64);
            let all = half.iter().sum::<u64>() as f64 / whole.iter().sum::<u64>() as f64;
            println!(
                "{export}, {}: weights {:.3}, activations {:.3}, all {all:.3}",
                caps.profile(),
                ratios[0],
                ratios[1]
            );
            if ratios[0] > most[0] || ratios[1] > most[1] {
                larger.push(format!("{export}, {}: {ratios:.3?}", caps.profile()));
            }
        }
    }
    assert!(larger.is_empty(), "{larger:#?}");
}
