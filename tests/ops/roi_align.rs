use crate::harness::{refused, tiers};
use shadernet::ops::RoiAlign;
use shadernet::{DType, Data, Graph, Model};

#[test]
fn what_it_refuses() {
    let align = || RoiAlign::new([2, 2]);
    let x: &[usize] = &[2, 3, 5, 5];
    assert!(refused(&[&[3, 5, 5], &[4, 4], &[4]], align()).contains("4 dimensions"));
    assert!(refused(&[x, &[4, 5], &[4]], align()).contains("rois: wanted [R, 4], got [4, 5]"));
    assert!(refused(&[x, &[4, 4], &[3]], align()).contains("batch_indices: wanted [4], got [3]"));
    assert!(refused(&[x, &[4, 4], &[4]], RoiAlign::new([0, 2])).contains("output_size: wanted 1 or more"));
    assert!(refused(&[x, &[4, 4], &[4]], align().sampling_ratio(1025)).contains("sampling_ratio"));
    assert!(refused(&[x, &[4, 4], &[4]], align().spatial_scale(f32::NAN)).contains("spatial_scale"));
    assert!(refused(&[x, &[4, 4], &[4]], align()).contains("the elements of input 2: wanted i32, got f32"));
    assert!(refused(&[x, &[4, 4]], align()).contains("inputs"));
}

#[test]
fn a_session_refuses_an_image_that_is_not_there() {
    let mut graph = Graph::new();
    let (x, rois) = (graph.input("x", [2, 1, 1, 1]), graph.input("rois", [1, 4]));
    let batch = graph.typed_input("batch", DType::I32, [1]);
    let y = graph.roi_align(x, rois, batch, RoiAlign::new([1, 1])).expect("they fit");
    graph.output("y", y);
    let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
    let of = |image| {
        // A region from minus to plus infinity has no finite sample positions; nothing hangs.
        let rois = vec![0.0, 0.0, 1e30, 1e30];
        session.run_blocking(&[Data::F32(vec![1.0, 2.0]), Data::F32(rois), Data::I32(vec![image])])
    };
    assert!(of(1).is_ok());
    let error = of(2).expect_err("it isn't there").to_string();
    assert!(error.contains("input \"batch\": wanted 0 to 1 for roi_align"), "{error}");
}
