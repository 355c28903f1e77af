use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::{Activation, GateFunction, Recurrent, RecurrentCell, RecurrentInputs};
use shadernet::plan::{Plan, Resource};
use shadernet::{Constant, Cost, Graph, IntType, Io, Op, Shape};

fn zeros(shape: &[usize]) -> Constant {
    Constant::new("zeros", shape, vec![0.0; shape.iter().product()]).expect("as many numbers")
}

fn lstm() -> Recurrent {
    Recurrent::new(RecurrentCell::Lstm, zeros(&[1, 20, 5]))
}

#[test]
fn what_it_refuses() {
    let x: &[&[usize]] = &[&[3, 2, 20]];
    let text = refused(&[&[3, 2, 21]], lstm());
    assert!(text.contains("input: wanted [steps, batch, 1 * 4 * hidden], got [3, 2, 21]"), "{text}");
    assert!(refused(&[&[3, 20]], lstm()).contains("input: wanted [steps"));
    assert!(refused(&[&[3, 2, 24]], lstm()).contains("weight: wanted [1, 24, 6], got [1, 20, 5]"));
    assert!(refused(&[x[0], x[0]], lstm()).contains("inputs: wanted 1, got 2"));
    assert!(refused(x, lstm().clip(-1.0)).contains("clip: wanted more than 0, got -1"));
    let one: Vec<GateFunction> = vec![Activation::Tanh.into()];
    assert!(refused(x, lstm().functions(one)).contains("functions: wanted 3, got 1"));
    let rnn = Recurrent::new(RecurrentCell::Rnn, zeros(&[2, 5, 5]));
    assert!(
        refused(&[&[3, 2, 10]], rnn.clone().reverse())
            .contains("directions: wanted 1, 1 reversed, or 2, got 2, reversed")
    );
    assert!(refused(&[&[3, 2, 10]], rnn.coupled()).contains("coupled: wanted an LSTM, got Rnn"));
    let none = Recurrent::without_weight(RecurrentCell::Rnn, 1);
    assert!(refused(&[&[3, 2, 5], &[1, 4, 5, 5]], none).contains("weight: wanted [1, 4, 5, 4], got [1, 4, 5, 5]"));
    let integers = Constant::packed("q", [1, 20, 5], IntType::I8, || vec![0; 100]);
    let of = |scale: &[usize]| Recurrent::new(RecurrentCell::Lstm, integers.clone()).quantized(zeros(scale), None);
    assert!(refused(x, of(&[3])).contains("scale: wanted 1, 1 or 20 numbers, got 3"));
    assert!(refused(x, Recurrent::new(RecurrentCell::Lstm, integers.clone())).contains("weight: wanted f32, got i32"));
    assert!(refused(x, lstm().quantized(zeros(&[1]), None)).contains("weight: wanted an LSTM's, integers of 8 bits"));
    let mut graph = Graph::new();
    let (x, state) = (graph.input("x", [3, 2, 20]), graph.input("state", [1, 1, 2, 5]));
    let with = RecurrentInputs { initial: Some(state), ..RecurrentInputs::default() };
    let error = graph.recurrent(x, lstm(), with).expect_err("c is missing").to_string();
    assert!(error.contains("initial: wanted [2, 1, 2, 5], got [1, 1, 2, 5]"), "{error}");
}

/// A state that no workgroup can hold is refused by the limit's name.
#[test]
fn too_many_units_are_refused() {
    let units = 1376;
    let layer =
        Recurrent::new(RecurrentCell::Rnn, Constant::lazy("r", [1, units, units], move || vec![0.0; units * units]));
    let io = [Shape::from([1, 1, units])];
    let outputs = layer.output_shapes(&io).expect("shapes are right");
    let io = Io { inputs: &io, outputs: &outputs, dtypes: &[] };
    let error = layer.kernels(&io, &Caps::portable()).expect_err("16 KiB hold fewer").to_string();
    assert!(
        error.contains("the state of 1376 units") && error.contains("max_compute_workgroup_storage_size"),
        "{error}"
    );
    assert!(layer.kernels(&io, &Caps { max_workgroup_memory: 32 << 10, ..Caps::portable() }).is_ok());
}

#[test]
fn eight_bits_stay_eight_bits() {
    let hidden = 64;
    let weight = Constant::packed("q", [2, 4 * hidden, hidden], IntType::U8, move || vec![0; 8 * hidden * hidden]);
    let layer = Recurrent::new(RecurrentCell::Lstm, weight).quantized(zeros(&[1]), None);
    let mut graph = Graph::new();
    let x = graph.input("x", [3, 2, 8 * hidden]);
    let [y, _] = graph.recurrent(x, layer, RecurrentInputs::default()).expect("its shapes fit");
    graph.output("y", y);
    let plan = Plan::new(&graph.fused(), 1, &Caps::portable()).expect("it is small");
    let held = plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources);
    let most = held.filter_map(|held| if let Resource::Weight(w) = held { Some(w.bytes()) } else { None }).max();
    // A byte for each weight, and 16 for the scale and the zero point of each row.
    assert_eq!(most, Some(8 * 64 * 64 + 16 * 8 * 64));
}

#[test]
fn costs() {
    let (input, outputs) = ([Shape::from([3, 2, 20])], [Shape::from([3, 1, 2, 5]), Shape::from([2, 1, 2, 5])]);
    let io = Io { inputs: &input, outputs: &outputs, dtypes: &[] };
    let cost = lstm().metrics(&io).cost;
    // Of each of 30 units: 4 sums of two numbers, 5 functions, 3 products, a sum.
    let other = 2 * 120 + 12 * 30;
    assert_eq!(cost, Cost { weights: 100, parameters: 100, macs: 120 * 5, other, moves: None, activations: true });
}
