use crate::harness::tiers;
use shadernet::ops::Embedding;
use shadernet::{Constant, Cost, DType, Data, Graph, Model, Op};

fn weight(shape: [usize; 2]) -> Constant {
    Constant::new("weight", shape, vec![0.0; shape[0] * shape[1]]).unwrap()
}

#[test]
fn what_it_refuses() {
    let refusal = |dtype: DType, weight: Constant| {
        let mut graph = Graph::new();
        let index = graph.typed_input("index", dtype, [2]);
        graph.embedding(index, weight).expect_err("it should be refused").to_string()
    };
    assert!(refusal(DType::F32, weight([5, 3])).contains("the elements of input 0: wanted i32, got f32"));
    for shape in [&[5][..], &[5, 3, 1], &[0, 3], &[5, 0]] {
        let weight = Constant::new("weight", shape, vec![0.0; shape.iter().product()]).unwrap();
        assert!(refusal(DType::I32, weight).contains("weight: wanted [num_embeddings, embedding_dim]"), "{shape:?}");
    }
    let mut graph = Graph::new();
    assert!(graph.push(Embedding::new(weight([5, 3])), &[]).is_err());
}

#[test]
fn a_session_refuses_what_is_not_there() {
    let mut graph = Graph::new();
    let index = graph.typed_input("tokens", DType::I32, [2]);
    let y = graph.embedding(index, weight([5, 3])).expect("they fit");
    graph.rename(y, "wte").expect("a node gives it");
    graph.output("y", y);
    let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
    let at = |index: i32| session.run_blocking(&[Data::I32(vec![0, index])]);
    assert!(at(4).is_ok());
    for index in [5, -1] {
        let error = at(index).expect_err("it isn't there").to_string();
        assert_eq!(error, format!("input \"tokens\": wanted 0 to 4 for embedding \"wte\", got {index}"));
    }
}

/// The rows are learned parameters, but take part in no multiplication.
#[test]
fn what_it_costs() {
    let op = Embedding::new(weight([5, 3]));
    let io = shadernet::Io { inputs: &[[2].into()], outputs: &[[2, 3].into()], dtypes: &[DType::I32] };
    let cost = op.metrics(&io).cost;
    // Two indices and two rows are read, and two rows written, whatever the number of rows in the table.
    assert_eq!(cost, Cost { parameters: 15, moves: Some(2 + 6 + 6), activations: true, ..Cost::default() });
    assert_eq!(cost.bytes(&io), 56);
}
