use crate::harness::{refused, tiers};
use shadernet::kernel::Caps;
use shadernet::ops::{IntegerMatMul, Requantize};
use shadernet::plan::Plan;
use shadernet::plan::Resource;
use shadernet::selftest::cases::{graph, packed, whole};
use shadernet::{Constant, Cost, DType, Data, Graph, IntType, Io, Model, Op, Shape, Value};

fn weight(shape: &[usize]) -> Constant {
    packed(&whole(1, shape, IntType::I8), IntType::I8)
}

fn refused_integers(inputs: &[&[usize]], op: IntegerMatMul) -> String {
    let mut graph = Graph::new();
    let inputs: Vec<Value> = inputs.iter().map(|&shape| graph.typed_input("x", DType::I32, shape)).collect();
    graph.push(op, &inputs).expect_err("it should be refused").to_string()
}

#[test]
fn what_it_refuses() {
    let op = IntegerMatMul::new;
    assert!(refused(&[&[2, 3], &[3, 2], &[1], &[1]], op()).contains("the elements of input 0: wanted i32, got f32"));
    let refused = refused_integers;
    assert!(refused(&[&[2, 3], &[3, 2]], op()).contains("inputs: wanted 4, got 2"));
    assert!(refused(&[&[2, 3], &[1]], IntegerMatMul::with(weight(&[3, 2]))).contains("inputs: wanted 3, got 2"));
    assert!(refused(&[&[2, 3], &[4, 2], &[1], &[1]], op()).contains("b: wanted [3, N] for a's [2, 3], got [4, 2]"));
    assert!(refused(&[&[], &[4, 2], &[1], &[1]], op()).contains("a: wanted 1 dimension or more"));
    assert!(refused(&[&[4], &[], &[1], &[1]], op()).contains("b: wanted 1 dimension or more"));
    let batches = refused(&[&[2, 2, 3], &[3, 3, 2], &[1], &[1]], op());
    assert!(batches.contains("b: wanted batch dimensions that broadcast"), "{batches}");
    assert!(refused(&[&[2, 3], &[3, 4], &[3], &[1]], op()).contains("a_zero_point: wanted one, or [2], got [3]"));
    assert!(refused(&[&[2, 3], &[3, 4], &[1, 2], &[1]], op()).contains("a_zero_point"));
    assert!(refused(&[&[2, 3], &[3, 4], &[1], &[3]], op()).contains("b_zero_point: wanted one, or [4], got [3]"));
    let deep = IntegerMatMul::with(weight(&[1, 3, 2]));
    assert!(refused(&[&[2, 3], &[1], &[1]], deep).contains("b: wanted [3, N] for a's [2, 3], got [1, 3, 2]"));
    let integers = IntegerMatMul::with(Constant::new("w", [3, 2], vec![0; 6]).unwrap());
    assert!(refused(&[&[2, 3], &[1], &[1]], integers).contains("b: wanted packed integers of 4 or 8 bits, got i32"));
    let end = |scales: usize, zero| {
        let scale = Constant::new("scale", [scales], vec![1.0; scales]).unwrap();
        op().requantize(Requantize::new(1.0, scale, 1.0, zero, IntType::U8))
    };
    let inputs: &[&[usize]] = &[&[2, 3], &[3, 4], &[1], &[1]];
    assert!(refused(inputs, end(3, 0)).contains("w_scale: wanted one, or [4], got [3]"));
    assert!(refused(inputs, end(4, 256)).contains("y_zero_point: wanted 0 to 255 for u8, got 256"));
}

#[test]
fn a_weight_takes_a_byte_each_and_a_binding_at_most() {
    let a = whole(1, [2, 64], IntType::U8);
    let graph = graph(&[&a], |graph, x| graph.integer_linear(x[0], weight(&[64, 48]), [None; 2], None));
    let plan = Plan::new(&graph.fused(), 1, &Caps::portable()).expect("it is small");
    let held = plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources);
    let bytes: Vec<u64> =
        held.filter_map(|held| if let Resource::Weight(w) = held { Some(w.bytes()) } else { None }).collect();
    // The weight, two zero points, and a placeholder for a scale.
    assert_eq!(bytes, [64 * 48, 16, 16, 16]);
    let caps = Caps { max_binding: 3071, ..Caps::portable() };
    let error = Plan::new(&graph.fused(), 1, &caps).expect_err("it is too large").to_string();
    assert!(error.contains("the weight needs 3072 bytes"), "{error}");
}

#[test]
fn costs() {
    let shapes = [Shape::from([2, 5]), Shape::from([1]), Shape::from([1]), Shape::from([2, 7])];
    let io = Io { inputs: &shapes[..3], outputs: &shapes[3..], dtypes: &[] };
    let end = Requantize::new(1.0, Constant::new("scale", [], vec![1.0]).unwrap(), 1.0, 0, IntType::U8);
    let cost = IntegerMatMul::with(weight(&[5, 7])).requantize(end).metrics(&io).cost;
    // Five rows of two words.
    let moves = Some(10 + 2 + 14 + 10);
    assert_eq!(cost, Cost { weights: 35, parameters: 35, macs: 70, other: 70, moves, activations: true });
}

/// Sums beyond an f32's exact range are exact.
#[test]
fn large_sums_are_exact() {
    let k = 5000;
    let a: Vec<i32> = (0..2 * k).map(|i| 255 - (i % 7) as i32).collect();
    let bytes: Vec<u8> = (0..3 * k).map(|i| 255 - (i % 5) as u8).collect();
    let want: Vec<i32> = (0..6)
        .map(|i| (0..k).map(|j| i64::from(a[i / 3 * k + j]) * i64::from(bytes[j * 3 + i % 3])).sum::<i64>())
        .map(|sum| i32::try_from(sum).expect("it is below 2^31"))
        .collect();
    assert!(want.iter().any(|&sum| sum as f32 as i32 != sum) && want[0] > 1 << 28, "{want:?}");
    let mut graph = Graph::new();
    let x = graph.typed_input("a", DType::I32, [2, k]);
    let b = Constant::packed("b", [k, 3], IntType::U8, move || bytes.clone());
    let y = graph.integer_linear(x, b.clone(), [None; 2], None).expect("they fit");
    graph.output("packed", y);
    let b = graph.constant(b);
    let y = graph.integer_matmul([x, b], [None; 2], None).expect("they fit");
    graph.output("values", y);
    for tier in tiers() {
        let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).expect("it is small");
        let got = session.run_blocking(&[Data::I32(a.clone())]).expect("it runs");
        assert_eq!(got[0], want);
        assert_eq!(got[1], want);
    }
}
