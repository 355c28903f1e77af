//! Matrix units: the models and the layers that use them.

use super::{graph, plan};
use shadernet::Precision;
use shadernet::kernel::{Caps, Matrix};
use shadernet::plan::{Choices, Plan, Step};

fn shaders(plan: &Plan) -> Vec<String> {
    let dispatches = plan.steps.iter().flat_map(|step| &step.dispatches);
    dispatches.map(|(dispatch, _)| dispatch.shader.to_string()).collect()
}

#[test]
fn matrix_units_serve_every_precision_but_f32() {
    let without = Caps { f16: true, subgroup_sizes: Some([32; 2]), max_workgroup_memory: 48 << 10, ..Caps::portable() };
    let with = Caps { matrix: Some(Matrix { side: 16 }), ..without.clone() };
    let graph = graph("resnet18");
    assert_eq!(shaders(&plan(&graph, 1, &with)), shaders(&plan(&graph, 1, &without)), "f32 doesn't use them");
    for precision in [Precision::F16, Precision::Mixed] {
        let plan = Plan::with_precision(&graph, 1, &with, &Choices::new(), precision).expect("any device can plan it");
        let shaders = shaders(&plan);
        let in_matrices = shaders.iter().filter(|shader| shader.starts_with("gemm_matrix ")).count();
        assert_eq!(in_matrices, 20, "{precision}: all convolutions are products of matrices");
        let own = |step: &Step| step.dispatches.iter().any(|(of, _)| of.shader.to_string().starts_with("gemm_matrix "));
        assert!(plan.steps.iter().all(|step| step.matrix_units == own(step)), "{precision}");
        assert!(shaders.iter().any(|shader| shader.starts_with("gemv ")), "{precision}: one row is none: {shaders:?}");
        let plan =
            Plan::with_precision(&graph, 1, &without, &Choices::new(), precision).expect("any device can plan it");
        assert!(!format!("{plan:?}").contains("gemm_matrix"));
    }
}

/// ViT-Ti/16 has 12 blocks. Few queries, as of the next token, read each key once: no matrix unit helps.
#[test]
fn attention_runs_in_matrix_units() {
    let caps = Caps::matrix_units(16);
    let graph = graph("vit_ti_16");
    for precision in [Precision::F16, Precision::Mixed] {
        let plan = Plan::with_precision(&graph, 1, &caps, &Choices::new(), precision).expect("any device can plan it");
        let (attention, others): (Vec<&Step>, Vec<&Step>) = plan
            .steps
            .iter()
            .partition(|step| step.dispatches.iter().any(|(dispatch, _)| dispatch.shader.name() == "attention_matrix"));
        assert_eq!(attention.len(), 12, "{precision}");
        assert!(attention.iter().all(|step| step.matrix_units), "{precision}");
        let names = shaders(&plan);
        assert!(names.iter().all(|name| !name.starts_with("attention ")), "{precision}: {} others", others.len());
    }
    let decoder = shadernet::models::shakespeare().expect("it is in the crate");
    let shaders = |tokens: usize| {
        let graph = decoder.decoder.next(&decoder.weights, tokens).expect("it has so many tokens").fused();
        let plan = Plan::with_precision(&graph, 1, &caps, &Choices::new(), Precision::F16);
        shaders(&plan.expect("any device can plan it")).join(", ")
    };
    assert!(shaders(64).contains("attention_matrix "), "a prompt");
    assert!(!shaders(1).contains("attention_matrix "), "a token");
}
