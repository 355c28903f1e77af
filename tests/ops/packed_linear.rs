use crate::harness::{refused, tiers};
use crate::limits::limited;
use shadernet::kernel::Caps;
use shadernet::ops::PackedLinear;
use shadernet::plan::Plan;
use shadernet::plan::Resource;
use shadernet::selftest::cases::{constant, graph, packed, random, whole};
use shadernet::selftest::ops::packed_linear::Case;
use shadernet::selftest::reference;
use shadernet::{Constant, Context, Cost, Graph, IntType, Io, Model, Op, Shape};

const LAYER: Case = Case { out: 12, features: 64, of: IntType::I4, block: Some(32) };

#[test]
fn what_it_refuses() {
    let weight = |shape: &[usize]| packed(&whole(1, shape, IntType::I4), IntType::I4);
    let ones = |shape: &[usize]| Constant::new("scale", shape, vec![1.0; shape.iter().product()]).unwrap();
    let layer = |scale| PackedLinear::new(weight(&[12, 64]), ones(scale));
    let x: &[&[usize]] = &[&[3, 64]];
    assert!(refused(&[x[0], x[0]], layer(&[1])).contains("inputs: wanted 1, got 2"));
    assert!(refused(&[&[3, 63]], layer(&[1])).contains("input: wanted [.., 64], got [3, 63]"));
    assert!(refused(&[&[]], layer(&[1])).contains("input: wanted [.., 64], got []"));
    assert!(refused(&[&[3, 31]], LAYER.op()).contains("input: wanted [.., 64], got [3, 31]"));
    assert!(refused(x, PackedLinear::new(weight(&[12]), ones(&[1]))).contains("weight: wanted [out, in], got [12]"));
    let swapped = PackedLinear::new(weight(&[12]), ones(&[1])).transposed();
    assert!(refused(x, swapped).contains("weight: wanted [in, out], got [12]"));
    let floats = PackedLinear::new(ones(&[12, 64]), ones(&[1]));
    assert!(refused(x, floats).contains("weight: wanted packed integers of 4 or 8 bits, got f32"));
    let wide = PackedLinear::new(packed(&whole(1, [12, 64], IntType::I16), IntType::I16), ones(&[1]));
    assert!(refused(x, wide).contains("weight: wanted packed integers of 4 or 8 bits, got i16"));
    assert!(refused(x, layer(&[64])).contains("scale: wanted one, or [12], got [64]"));
    assert!(refused(x, layer(&[12]).block_size(32)).contains("scale: wanted one, or [12, 2], got [12]"));
    assert!(refused(x, layer(&[1]).block_size(12)).contains("block_size: wanted a multiple of 8, got 12"));
    assert!(refused(x, layer(&[1]).block_size(0)).contains("block_size: wanted a multiple of 8, got 0"));
    let integers = PackedLinear::new(weight(&[12, 64]), Constant::new("scale", [1], vec![1]).unwrap());
    assert!(refused(x, integers).contains("scale: wanted f32, got i32"));
    assert!(refused(x, layer(&[12]).zero_point(ones(&[12]))).contains("zero_point: wanted i32, got f32"));
    let zero = Constant::new("zero", [2], vec![0; 2]).unwrap();
    assert!(refused(x, layer(&[12]).zero_point(zero)).contains("zero_point: wanted one, or [12], got [2]"));
    assert!(refused(x, layer(&[12]).bias(ones(&[11]))).contains("bias: wanted [12], got [11]"));
}

/// Returns the bytes of each weight buffer of a layer's plan.
fn held(case: Case, zero: bool) -> Vec<u64> {
    let x = random(1, [3, case.features]);
    let op = if zero { case.op().zero_point(constant(&whole(5, case.shape(), case.of))) } else { case.op() };
    let graph = graph(&[&x], |graph, x| graph.packed_linear(x[0], op));
    let plan = Plan::new(&graph.fused(), 1, &Caps::portable()).expect("it is small");
    let held = plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources);
    held.filter_map(|held| if let Resource::Weight(w) = held { Some(w.bytes()) } else { None }).collect()
}

#[test]
fn four_bits_take_half_a_byte() {
    // The weight, the scales, the zero points and the bias.
    assert_eq!(held(LAYER, false), [12 * 64 / 2, 4 * 24, 16, 48]);
    assert_eq!(held(Case { of: IntType::U8, ..LAYER }, true), [12 * 64, 4 * 24, 32, 48]);
}

#[test]
fn weights_larger_than_a_binding_are_split() {
    // 50 outputs have 64 words each: four outputs take 1024 bytes.
    let case = Case { out: 50, features: 512, ..LAYER };
    let (x, zero) = (random(1, [3, 512]), constant(&whole(5, case.shape(), case.of)));
    let op = case.op().bias(constant(&random(4, [50]))).zero_point(zero);
    let layer = graph(&[&x], |graph, x| graph.packed_linear(x[0], op.clone()));
    let (input, output) = ([Shape::from([3, 512])], [Shape::from([3, 50])]);
    let io = Io { inputs: &input, outputs: &output, dtypes: &[] };
    let kernels = |max_binding| op.kernels(&io, &Caps { max_binding, ..Caps::portable() });
    assert_eq!(kernels(1024).unwrap()[0].dispatches.len(), 13);
    let error = kernels(1023).unwrap_err().to_string();
    assert!(error.contains("the weights of 4 outputs needs 1024 bytes"), "{error}");
    // Each part writes its own outputs.
    let session = |context: &Context| Model::new(context, &layer).and_then(|model| model.session(1));
    let [whole, split] = [&tiers()[0].context, &limited(8192)].map(|context| session(context).expect("it is small"));
    let parts = split.plan().steps.iter().flat_map(|step| &step.dispatches);
    assert_eq!(parts.filter(|(dispatch, _)| dispatch.shader.name() == "packed_linear").count(), 2);
    assert_eq!(split.run_blocking(&[&x.data]).expect("it runs"), whole.run_blocking(&[&x.data]).expect("it runs"));
}

#[test]
fn costs() {
    let (input, output) = ([Shape::from([3, 64])], [Shape::from([3, 12])]);
    let io = Io { inputs: &input, outputs: &output, dtypes: &[] };
    let cost = LAYER.op().bias(constant(&random(4, [12]))).metrics(&io).cost;
    let weights = 12 * 64;
    let moves = Some(3 * 64 + 3 * 12 + weights / 8 + 24 + 12);
    let expected = Cost { weights, parameters: weights + 12, macs: 3 * weights, other: 36, moves, activations: true };
    assert_eq!(cost, expected);
}

/// Each kind of layer pads an absent bias to its own size: 64 zeros and 256 zeros must not be one weight.
#[test]
fn layers_without_a_bias_share_no_weight_with_other_kinds() {
    let layer = Case { out: 256, features: 64, of: IntType::I8, block: None };
    let x = random(1, [1, 64]);
    let weight = random(2, [64, 64]);
    let expected = reference::linear(&x, &weight, None);
    for tier in tiers() {
        let mut graph = Graph::new();
        let input = graph.input("x", [1, 64]);
        let plain = graph.linear(input, constant(&weight), None).expect("its shapes fit");
        let packed = graph.packed_linear(input, layer.op()).expect("its shapes fit");
        graph.output("plain", plain);
        graph.output("packed", packed);
        let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1));
        let session = session.unwrap_or_else(|error| panic!("{}: {error}", tier.name));
        let got = session.run_blocking(&[&x.data]).unwrap_or_else(|error| panic!("{}: {error}", tier.name));
        for (i, (got, want)) in got[0].to_f32().iter().zip(&expected.data).enumerate() {
            assert!((got - want).abs() < 1e-4, "{}: {i}: {got}, not {want}", tier.name);
        }
    }
}
