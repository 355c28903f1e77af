use shadernet::ops::{Dequantize, Quantize};
use shadernet::selftest::cases::{constant, packed, random, whole};
use shadernet::selftest::ops::quantize::dequantize;
use shadernet::{Constant, Cost, DType, Graph, IntType, Io, Op, Shape, Value};

/// Returns the error that refuses an operation with inputs of these shapes and types.
fn refused(inputs: &[(&[usize], DType)], op: impl Op) -> String {
    let mut graph = Graph::new();
    let inputs: Vec<Value> = inputs.iter().map(|&(shape, dtype)| graph.typed_input("x", dtype, shape)).collect();
    graph.push(op, &inputs).expect_err("it should be refused").to_string()
}

const X: (&[usize], DType) = (&[2, 6], DType::F32);
const Q: (&[usize], DType) = (&[2, 6], DType::I32);

#[test]
fn what_it_refuses() {
    let (one, zero): ((&[usize], _), (&[usize], _)) = ((&[1], DType::F32), (&[1], DType::I32));
    let to = Quantize::new(IntType::U8);
    assert!(refused(&[X, one], to).contains("inputs"));
    assert!(refused(&[X, one, one], to).contains("the elements of input 2: wanted i32, got f32"));
    assert!(refused(&[Q, one, zero], to).contains("the elements of input 0: wanted f32, got i32"));
    assert!(refused(&[X, one, zero], Dequantize::new()).contains("the elements of input 0: wanted i32, got f32"));
    let five = (&[5][..], DType::F32);
    assert!(refused(&[X, five, zero], to).contains("scale: wanted one, or [6], got [5]"));
    assert!(refused(&[X, five, zero], to.axis(2)).contains("axis: wanted a dimension of [2, 6], got 2"));
    assert!(refused(&[X, five, zero], to.block_size(4)).contains("scale: wanted one, or [2, 2], got [5]"));
    assert!(refused(&[X, five, zero], to.block_size(0)).contains("block_size: wanted 1 or more"));
    let two = (&[2][..], DType::I32);
    assert!(refused(&[X, (&[6], DType::F32), two], to).contains("zero_point: wanted one, or the scale's [6], got [2]"));
    let wide = packed(&whole(1, [2, 6], IntType::U16), IntType::U16);
    let wanted = "weight: wanted packed integers of 4 or 8 bits, got";
    assert!(refused(&[one, zero], Dequantize::for_weight(wide)).contains(&format!("{wanted} u16")));
    let integers = Constant::new("w", [2, 6], vec![0; 12]).unwrap();
    assert!(refused(&[one, zero], Dequantize::for_weight(integers)).contains(&format!("{wanted} i32")));
    assert!(
        refused(&[one, zero, zero], Dequantize::for_weight(packed(&whole(1, [6], IntType::I4), IntType::I4)))
            .contains("inputs")
    );
}

/// Packed weights as a constant have the numbers that the device computes of them.
#[test]
fn constants_of_packed_weights() {
    for (shape, axis, block, scales) in [
        ([5, 13], 1, None, vec![1]),
        ([5, 13], 1, None, vec![13]),
        ([7, 3], 0, None, vec![7]),
        ([3, 40], 1, Some(16), vec![3, 3]),
        ([9, 4], 0, Some(4), vec![3, 4]),
    ] {
        let weight = whole(1, shape, IntType::I4);
        let (scale, zero) = (random(2, scales.clone()), whole(3, scales, IntType::I4));
        let op = Dequantize::for_weight(packed(&weight, IntType::I4)).axis(axis);
        let op = block.map_or(op.clone(), |size| op.block_size(size));
        let values = op.constant(constant(&scale), Some(constant(&zero))).expect("its shapes fit");
        let wanted = dequantize(&weight, &scale, &zero, axis, block);
        assert_eq!((values.values(), &values.shape()[..]), (wanted.data, &shape[..]));
        let values = op.constant(constant(&scale), None).expect("its shapes fit");
        let zero = zero.map(|_| 0.0);
        assert_eq!(values.values(), dequantize(&weight, &scale, &zero, axis, block).data);
    }
    let weight = packed(&whole(1, [2, 6], IntType::I8), IntType::I8).into_parameter();
    let op = Dequantize::for_weight(weight).axis(0);
    let refused = |op: &Dequantize, scale: Constant, zero: Option<Constant>| {
        op.constant(scale, zero).expect_err("it should be refused").to_string()
    };
    let floats = |count: usize| Constant::new("scale", [count], vec![1.0; count]).unwrap();
    let integers = |count: usize| Constant::new("zero point", [count], vec![0; count]).unwrap();
    assert_eq!(op.constant(floats(2), None).unwrap().parameters(), 12);
    assert!(refused(&op, floats(3), None).contains("scale: wanted one, or [2], got [3]"));
    assert!(refused(&op, floats(2), Some(integers(3))).contains("zero_point: wanted one, or the scale's [2], got [3]"));
    assert!(refused(&op, integers(2), None).contains("wanted f32, got i32"));
    assert!(refused(&op, floats(2), Some(floats(1))).contains("wanted i32, got f32"));
    assert!(refused(&Dequantize::new(), floats(1), None).contains("weight: wanted packed integers, got an input"));
}

#[test]
fn costs() {
    let shapes = [Shape::from([2, 6]), Shape::from([1]), Shape::from([1])];
    let io = Io { inputs: &shapes, outputs: &shapes[..1], dtypes: &[] };
    assert_eq!(Quantize::new(IntType::I8).metrics(&io).cost, Cost { other: 60, activations: true, ..Cost::default() });
    let weight = packed(&whole(1, [2, 6], IntType::I4), IntType::I4);
    let io = Io { inputs: &shapes[1..], outputs: &shapes[..1], dtypes: &[] };
    // Six bytes of weights take two words.
    let cost = Dequantize::for_weight(weight).metrics(&io).cost;
    assert_eq!((cost.other, cost.parameters, cost.moves), (24, 12, Some(1 + 1 + 12 + 2)));
}
