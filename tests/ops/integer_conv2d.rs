use crate::harness::refused as refused_floats;
use shadernet::kernel::Caps;
use shadernet::ops::{IntegerConv2d, Requantize};
use shadernet::plan::Plan;
use shadernet::plan::Resource;
use shadernet::selftest::cases::{graph, packed, whole};
use shadernet::selftest::ops::integer_conv2d::{Case, ONE, SAME};
use shadernet::selftest::reference::Conv;
use shadernet::{Constant, Cost, DType, Graph, IntType, Io, Op, Shape, Value};

fn weight(shape: [usize; 4]) -> Constant {
    packed(&whole(1, shape, IntType::I8), IntType::I8)
}

fn refused(inputs: &[&[usize]], op: IntegerConv2d) -> String {
    let mut graph = Graph::new();
    let inputs: Vec<Value> = inputs.iter().map(|&shape| graph.typed_input("x", DType::I32, shape)).collect();
    graph.push(op, &inputs).expect_err("it should be refused").to_string()
}

#[test]
fn what_it_refuses() {
    let conv = |shape| IntegerConv2d::new(weight(shape), None);
    let inputs: &[&[usize]] = &[&[1, 4, 5, 6], &[1], &[1]];
    assert!(refused_floats(inputs, conv([2, 4, 3, 3])).contains("the elements of input 0: wanted i32, got f32"));
    assert!(refused(&inputs[..2], conv([2, 4, 3, 3])).contains("inputs: wanted 3, got 2"));
    assert!(refused(&[&[4, 5, 6], &[1], &[1]], conv([2, 4, 3, 3])).contains("input: wanted 4 dimensions"));
    let line = IntegerConv2d::new(packed(&whole(1, [2, 4, 3], IntType::I8), IntType::I8), None);
    assert!(refused(inputs, line).contains("weight: wanted 4 dimensions"));
    let floats = IntegerConv2d::new(Constant::new("w", [2, 4, 1, 1], vec![0.0; 8]).unwrap(), None);
    assert!(refused(inputs, floats).contains("weight: wanted packed integers of 4 or 8 bits, got f32"));
    assert!(refused(inputs, conv([2, 3, 3, 3])).contains("[N, 3, H, W]"));
    assert!(refused(inputs, conv([3, 2, 3, 3]).groups(2)).contains("groups: wanted a divisor of 3"));
    assert!(refused(inputs, conv([3, 2, 3, 3]).groups(0)).contains("0 groups"));
    assert!(refused(inputs, conv([2, 4, 6, 1])).contains("input height: wanted at least 6 pixels"));
    assert!(refused(inputs, conv([2, 4, 1, 1]).stride([1, 0])).contains("stride"));
    assert!(refused(inputs, conv([2, 4, 1, 1]).dilation([usize::MAX, 1])).contains("dilation"));
    assert!(refused(inputs, conv([2, 4, 1, 1]).padding(usize::MAX)).contains("padding"));
    assert!(
        refused(inputs, conv([2, 4, 1, 1]).padding(1 << 16)).contains("one image: wanted an output of fewer than 2^31")
    );
    assert!(refused(&[inputs[0], &[4], &[1]], conv([2, 4, 1, 1])).contains("x_zero_point: wanted one, got [4]"));
    assert!(
        refused(&[inputs[0], &[1], &[3]], conv([2, 4, 1, 1])).contains("w_zero_point: wanted one, or [2], got [3]")
    );
    let bias = |bias| IntegerConv2d::new(weight([2, 4, 1, 1]), Some(bias));
    assert!(refused(inputs, bias(Constant::new("b", [3], vec![0; 3]).unwrap())).contains("bias: wanted [2], got [3]"));
    assert!(
        refused(inputs, bias(Constant::new("b", [2], vec![0.0; 2]).unwrap())).contains("bias: wanted i32, got f32")
    );
    let end = Requantize::new(1.0, Constant::new("scale", [3], vec![1.0; 3]).unwrap(), 1.0, 0, IntType::U8);
    assert!(refused(inputs, conv([2, 4, 1, 1]).requantize(end)).contains("w_scale: wanted one, or [2], got [3]"));
}

/// A kernel for few output channels per group pads its weights, but the padding isn't stored.
#[test]
fn a_weight_takes_a_byte_each() {
    let bytes = |case: Case| {
        let x = whole(1, case.x, IntType::U8);
        let graph = graph(&[&x], |graph, x| graph.integer_conv2d(x[0], case.op(None), [None; 2]));
        let plan = Plan::new(&graph.fused(), 1, &Caps::portable()).expect("it is small");
        let (_, resources) = &plan.steps[0].dispatches[0];
        resources.iter().find_map(|held| if let Resource::Weight(w) = held { Some(w.bytes()) } else { None })
    };
    let case = Case { x: [1, 16, 8, 8], out: 32, kernel: [3; 2], conv: SAME, of: IntType::I8 };
    assert_eq!(bytes(case), Some(32 * 16 * 9));
    // Nine taps take three words.
    assert_eq!(bytes(Case { out: 16, conv: Conv { groups: 16, ..SAME }, ..case }), Some(16 * 12));
}

#[test]
fn costs() {
    let case = Case {
        x: [2, 6, 4, 5],
        out: 8,
        kernel: [1; 2],
        conv: Conv { groups: 2, stride: [2; 2], ..ONE },
        of: IntType::I8,
    };
    let shapes = [Shape::from(case.x), Shape::from([1]), Shape::from([1]), Shape::from([2, 8, 2, 3])];
    let io = Io { inputs: &shapes[..3], outputs: &shapes[3..], dtypes: &[] };
    let bias = whole(3, [8], IntType::I8);
    let (weights, moves) = (24, Some(2 * 6 * 2 * 3 + 6 + 8 + 96));
    let cost = Cost { weights, parameters: weights + 8, macs: 24 * 12, other: 96, moves, activations: true };
    assert_eq!(case.op(Some(&bias)).metrics(&io).cost, cost);
}
