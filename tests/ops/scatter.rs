use crate::harness::{refused, tiers};
use shadernet::ops::{Scatter, ScatterKind};
use shadernet::{Constant, DType, Data, Graph, Model};

#[test]
fn what_it_refuses() {
    let scatter = |axis| Scatter::new(axis, ScatterKind::Add);
    assert!(refused(&[&[3, 5], &[3, 5], &[3, 5]], scatter(2)).contains("axis: wanted a dimension of [3, 5], got 2"));
    for index in [&[4, 5][..], &[3], &[3, 5, 1]] {
        let error = refused(&[&[3, 5], index, index], scatter(1));
        assert!(error.contains("index: wanted at most [3, 5], but for dimension 1"), "{error}");
    }
    let error = refused(&[&[3, 5], &[3, 9], &[3, 5]], scatter(1));
    assert!(error.contains("updates: wanted [3, 9], as the indices, got [3, 5]"), "{error}");
    assert!(refused(&[&[3, 5]], scatter(1)).contains("inputs"));
    assert!(refused(&[&[1; 9], &[1; 9], &[1; 9]], scatter(1)).contains("9 dimensions"));
    let mut graph = Graph::new();
    let [x, index, truth] = [DType::F32, DType::I32, DType::Bool].map(|dtype| graph.typed_input("x", dtype, [3]));
    let mixed = graph.scatter(x, 0, index, index, ScatterKind::Add).expect_err("of two types").to_string();
    assert!(mixed.contains("the elements of input 2: wanted f32, got i32"), "{mixed}");
    let sum = graph.scatter(truth, 0, index, truth, ScatterKind::Add).expect_err("not numbers").to_string();
    assert!(sum.contains("the elements of input 0: wanted f32 or i32, got bool"), "{sum}");
}

#[test]
fn what_a_session_refuses_and_what_is_lost() {
    let run = |index: [i32; 3], checked: bool| {
        let mut graph = Graph::new();
        let (x, updates) = (graph.input("x", [4]), graph.input("updates", [3]));
        let at = if checked {
            graph.typed_input("index", DType::I32, [3])
        } else {
            graph.constant(Constant::new("index", [3], index.to_vec()).unwrap())
        };
        let y = graph.scatter(x, 0, at, updates, ScatterKind::Replace).expect("they fit");
        graph.output("y", y);
        let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
        let mut inputs = vec![Data::F32(vec![0.0; 4]), Data::F32(vec![1.0, 2.0, 3.0])];
        inputs.extend(checked.then(|| Data::I32(index.to_vec())));
        session.run_blocking(&inputs)
    };
    assert_eq!(run([-4, 3, 1], true).expect("they are there")[0], [1.0f32, 3.0, 0.0, 2.0]);
    for odd in [4, -5] {
        let error = run([odd, 0, 0], true).expect_err("it isn't there").to_string();
        assert!(error.contains("input \"index\": wanted -4 to 3 for scatter"), "{error}");
    }
    assert_eq!(run([4, i32::MIN, 2], false).expect("nobody checks")[0], [0.0f32, 0.0, 3.0, 0.0]);
}
