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
