//! Operations' costs other than multiply-accumulates, computed by hand.

use shadernet::ops::{
    Activation, ArgReduce, BatchNorm2d, Binary, BinaryKind, Cast, Compare, Concat, Conv2d, CumSum, Expand, ExpandAs,
    Flatten, Gather, Glu, GluKind, GridSample, GroupNorm, IndexSelect, InstanceNorm2d, LayerNorm, Linear,
    LocalResponseNorm, LogSoftmax, Logical, MatMul, PRelu, Pad, Pad2d, PaddingMode, PixelShuffle, PixelUnshuffle,
    Pool1d, Pool2d, PoolKind, Reduce, ReduceKind, Reshape, Resize, ResizeMode, RmsNorm, RotaryEmbedding, Slice,
    Softmax, TopK, Transpose, Unary, Where,
};
use shadernet::{BATCH, Constant, Cost, DType, Graph, Io, Op, Shape, Value};

fn zeros<const D: usize>(shape: [usize; D]) -> Constant {
    Constant::lazy("zeros", shape, move || vec![0.0; shape.iter().product()])
}

/// Returns the cost of an operation with such inputs, and the bytes that it moves.
fn of(op: impl Op, inputs: &[(&[usize], DType)]) -> (Cost, u64) {
    let shapes: Vec<Shape> = inputs.iter().map(|&(shape, _)| shape.into()).collect();
    let dtypes: Vec<DType> = inputs.iter().map(|&(_, dtype)| dtype).collect();
    let outputs = op.output_shapes(&shapes).unwrap_or_else(|kind| panic!("{op:?}: {kind}"));
    let io = Io { inputs: &shapes, outputs: &outputs, dtypes: &dtypes };
    let cost = op.metrics(&io).cost;
    (cost, cost.bytes(&io))
}

/// Checks an operation of `f32`s: the arithmetic other than MACs, and the elements moved.
fn check(op: impl Op, inputs: &[&[usize]], other: u64, moved: u64) {
    let name = format!("{op:?}");
    let inputs: Vec<(&[usize], DType)> = inputs.iter().map(|&shape| (shape, DType::F32)).collect();
    let (cost, bytes) = of(op, &inputs);
    assert_eq!((cost.other, bytes), (other, 4 * moved), "{name}");
}

/// An image of 240 elements.
const IMAGE: &[usize] = &[2, 4, 5, 6];

#[test]
fn each_element_costs_its_formula() {
    use Activation::*;
    let formulas = [
        (Relu, 1),
        (Tanh, 1),
        (Relu6, 2),
        (LeakyRelu(0.1), 2),
        (Clamp(0.0, 1.0), 2),
        (Softsign, 3),
        (Sigmoid, 4),
        (Elu(1.0), 4),
        (Hardsigmoid, 4),
        (Silu, 5),
        (Hardswish, 5),
        (Gelu, 5),
        (Selu, 5),
        (Celu(1.0), 5),
        (Mish, 5),
        (Softplus(1.0), 5),
        (GeluTanh, 9),
    ];
    for (activation, operations) in formulas {
        check(activation, &[IMAGE], 240 * operations, 480);
    }
    check(Unary::Exp, &[IMAGE], 240, 480);
    check(Binary::new(BinaryKind::Add), &[IMAGE, IMAGE], 240, 720);
    check(Binary::new(BinaryKind::Mul), &[IMAGE, &[2, 4, 1, 1]], 240, 488);
    check(Compare::Lt, &[IMAGE, &[1]], 240, 481);
    check(Logical::And, &[IMAGE, IMAGE], 240, 720);
    check(Where, &[IMAGE, IMAGE, &[6]], 240, 726);
    check(PRelu::new(zeros([4])), &[IMAGE], 2 * 240, 484);
    check(LocalResponseNorm::new(5), &[IMAGE], 9 * 240, 480);
    check(Glu::new(GluKind::Glu, 1), &[IMAGE], 5 * 120, 360);
    check(Glu::pair(GluKind::ReGlu), &[IMAGE, IMAGE], 2 * 240, 720);
    // In heads of 8, 4 elements turn: 5 positions by 4 cosines and sines.
    check(RotaryEmbedding::new(9).dimension(4), &[&[2, 3, 5, 8]], 2 * 3 * 5 * 12, 480 + 5 * 4);
}

#[test]
fn norms_cost_their_formula() {
    let norm = BatchNorm2d::new(zeros([4]), zeros([4]), zeros([4]), zeros([4]));
    check(norm, &[IMAGE], 2 * 240, 480 + 8);
    // Per element: mean, difference, square, variance and division. Per line: epsilon and root. Then weight and bias.
    check(LayerNorm::new([6], None, None), &[IMAGE], 5 * 240 + 2 * 40, 480);
    check(LayerNorm::new([5, 6], Some(zeros([5, 6])), Some(zeros([5, 6]))), &[IMAGE], 7 * 240 + 2 * 8, 480 + 60);
    check(GroupNorm::new(2, Some(zeros([4])), Some(zeros([4]))), &[IMAGE], 7 * 240 + 2 * 4, 488);
    check(InstanceNorm2d::new(None, None), &[IMAGE], 5 * 240 + 2 * 8, 480);
    // Square, mean and division; the weight.
    check(RmsNorm::new([6], Some(zeros([6]))), &[IMAGE], 4 * 240 + 2 * 40, 486);
    // A softmax of 6: 5 comparisons, 6 differences, 6 exponentials, 5 additions, 6 divisions; then the same and a log.
    check(Softmax::new(3), &[IMAGE], 40 * 28, 480);
    check(LogSoftmax::new(3), &[IMAGE], 40 * 29, 480);
}

#[test]
fn sums_cost_one_less_than_their_terms() {
    for (kind, each) in [
        (ReduceKind::Sum, 5),
        (ReduceKind::Mean, 6),
        (ReduceKind::Max, 5),
        (ReduceKind::Min, 5),
        (ReduceKind::Prod, 5),
        (ReduceKind::L1, 11),
        (ReduceKind::L2, 12),
        (ReduceKind::LogSumExp, 24),
    ] {
        check(Reduce::new(kind, [3]), &[IMAGE], 40 * each, 240 + 40);
    }
    check(ArgReduce::argmax(None), &[IMAGE], 239, 241);
    check(CumSum::new(2), &[IMAGE], 2 * 4 * 6 * 4, 480);
    // The insertion into 1 candidate takes one comparison, into 3 two, into 4 three.
    for (k, comparisons) in [(1, 1), (3, 2), (4, 3)] {
        check(TopK::new(k, 3), &[IMAGE], 240 * comparisons, 240 + 2 * 40 * k as u64);
    }
}

#[test]
fn windows() {
    let outputs = 2 * 4 * 2 * 3;
    check(Pool2d::new(PoolKind::Max, 2), &[IMAGE], 3 * outputs, 240 + outputs);
    check(Pool2d::new(PoolKind::Average, 2), &[IMAGE], 4 * outputs, 240 + outputs);
    check(Pool2d::new(PoolKind::Lp(2.0), 2), &[IMAGE], 8 * outputs, 240 + outputs);
    check(Pool2d::new(PoolKind::Max, 2).return_indices(true), &[IMAGE], 3 * outputs, 240 + 2 * outputs);
    check(Pool2d::global(PoolKind::Average), &[IMAGE], 240, 248);
    // From 5 pixels to 3: pixels 0..2, 1..4, 3..5.
    check(Pool2d::adaptive(PoolKind::Average, [3, 6]), &[IMAGE], 2 * 4 * 7 * 6, 240 + 2 * 4 * 18);
    // Windows of 2 pixels, 5 apart, skip pixels.
    check(Pool1d::new(PoolKind::Average, 2).stride(5), &[&[1, 1, 20]], 8, 8 + 4);
    let strided = Conv2d::new(zeros([8, 4, 1, 1]), None).stride(2);
    check(strided, &[IMAGE], 0, 2 * 4 * 9 + 32 + 2 * 8 * 9);
    // A window of 2 pixels, 2 apart, spans 3 pixels: none is surely skipped.
    let dilated = Conv2d::new(zeros([8, 4, 2, 2]), Some(zeros([8]))).stride(3).dilation(2);
    check(dilated, &[IMAGE], 16 * 2, 240 + 136 + 16 * 2);
    check(Resize::new(ResizeMode::Nearest, [10, 12]), &[IMAGE], 0, 240 + 960);
    check(Resize::new(ResizeMode::Nearest, [1, 2]), &[IMAGE], 0, 16 + 16);
    check(Resize::new(ResizeMode::Linear, [10, 12]), &[IMAGE], 7 * 960, 240 + 960);
    check(Resize::new(ResizeMode::Cubic, [10]), &[&[1, 1, 5]], 7 * 10, 15);
    check(GridSample::new(), &[IMAGE, &[2, 3, 3, 2]], 7 * 72, 240 + 36 + 72);
    check(GridSample::new(), &[&[2, 4, 5, 3, 2], &[2, 3, 3, 1, 3]], 15 * 72, 240 + 54 + 72);
}

#[test]
fn moves_cost_no_arithmetic() {
    check(Flatten, &[IMAGE], 0, 0);
    check(Reshape::new([2, -1]), &[IMAGE], 0, 0);
    check(Transpose::new([0, 2, 3, 1]), &[IMAGE], 0, 480);
    check(PixelShuffle::new(2), &[IMAGE], 0, 480);
    check(PixelUnshuffle::new(2), &[&[2, 4, 6, 6]], 0, 576);
    check(Concat::new(1), &[IMAGE, IMAGE], 0, 960);
    // The operation reads as many elements as it writes.
    check(Slice::new().along(2, 1, 3, 1), &[IMAGE], 0, 2 * 96);
    check(Expand::new([2, 4, 5, 6]), &[&[4, 1, 6]], 0, 24 + 240);
    check(ExpandAs, &[&[4, 1, 6], IMAGE], 0, 24 + 240);
    check(Pad::new([[1, 1]], 0.0), &[IMAGE], 0, 240 + 320);
    check(Pad::new([[0, -4], [0, 0]], 0.0), &[IMAGE], 0, 48 + 48);
    check(Pad2d::new([-1, 1, 0, -2], PaddingMode::Replicate), &[IMAGE], 0, 2 * 4 * 4 * 4 + 2 * 4 * 5 * 4);
    check(Gather::new(2), &[IMAGE, &[2, 4, 1, 6]], 0, 3 * 48);
    check(IndexSelect::new(1), &[IMAGE, &[3]], 0, 3 + 2 * 180);
    let cast = |from, to| of(Cast::new(to), &[(IMAGE, from)]);
    let bytes = [cast(DType::F32, DType::I32), cast(DType::I32, DType::I32), cast(DType::Bool, DType::I32)];
    assert_eq!(bytes.map(|(cost, bytes)| (cost.other, bytes)), [(240, 4 * 480), (0, 0), (0, 0)]);
}

/// An operation costs the same when it is fused.
#[test]
fn fused_operations() {
    let fused = |build: &dyn Fn(&mut Graph, [Value; 2]) -> shadernet::Result<Value>, shape: &[usize]| {
        let mut graph = Graph::new();
        let x = graph.input("x", [&[BATCH], &shape[1..]].concat());
        let residual = graph.input("residual", [BATCH, 8, 5, 6]);
        let y = build(&mut graph, [x, residual]).unwrap_or_else(|error| panic!("{error}"));
        graph.output("y", y);
        let (mut found, graph) = (Vec::new(), graph.fused());
        let each = graph.visit(2, |node, io| {
            found.push((node.op.metrics(io).cost, node.op.metrics(io).cost.bytes(io) / 4));
            Ok(())
        });
        each.expect("2 images");
        let [cost] = found[..] else { panic!("{found:?} isn't one operation") };
        cost
    };
    let conv = |graph: &mut Graph, x| graph.conv2d(x, Conv2d::new(zeros([8, 4, 3, 3]), None).padding(1));
    let norm = || BatchNorm2d::new(zeros([8]), zeros([8]), zeros([8]), zeros([8]));
    let (outputs, weights) = (2 * 8 * 5 * 6, 8 * 4 * 9);
    // Scale and shift became weights and a bias; the residual is one more input.
    let block = |graph: &mut Graph, [x, residual]: [Value; 2]| {
        let y = conv(graph, x)?;
        let y = graph.batch_norm(y, norm())?;
        let y = graph.add(y, residual)?;
        graph.activation(y, Activation::Silu)
    };
    let (cost, moved) = fused(&block, IMAGE);
    assert_eq!((cost.weights, cost.parameters, cost.macs), (weights, weights + 8, weights * 60));
    assert_eq!((cost.other, cost.flops()), (outputs * (1 + 1 + 5), 2 * weights * 60 + outputs * 7));
    assert_eq!(moved, 240 + weights + 8 + 2 * outputs);
    let alone = |graph: &mut Graph, [x, _]: [Value; 2]| {
        let y = graph.batch_norm(x, norm())?;
        graph.relu(y)
    };
    assert_eq!(fused(&alone, &[2, 8, 5, 6]).0.other, 3 * outputs);
    let normed = |graph: &mut Graph, [x, _]: [Value; 2]| {
        let y = graph.group_norm(x, GroupNorm::new(2, None, None))?;
        graph.relu(y)
    };
    assert_eq!(fused(&normed, &[2, 8, 5, 6]).0.other, 6 * outputs + 2 * 4);
    let joined = |graph: &mut Graph, [x, residual]: [Value; 2]| {
        let y = graph.mul(x, residual)?;
        graph.relu(y)
    };
    assert_eq!(fused(&joined, &[2, 8, 5, 6]).0.other, 2 * outputs);
    let flat = |graph: &mut Graph, [x, _]: [Value; 2]| {
        let y = graph.flatten(x)?;
        let y = graph.linear(y, zeros([10, 120]), Some(zeros([10])))?;
        graph.relu(y)
    };
    let (cost, moved) = fused(&flat, IMAGE);
    assert_eq!((cost.macs, cost.other, moved), (2 * 1200, 2 * 10 * 2, 240 + 1210 + 20));
    let multiplied = |graph: &mut Graph, [x, residual]: [Value; 2]| {
        let y = graph.push(MatMul::new().bias(zeros([6])), &[x, residual])?;
        graph.activation(y, Activation::Tanh)
    };
    assert_eq!(fused(&multiplied, &[2, 8, 7, 5]).0.other, 2 * 8 * 7 * 6 * 2);
    check(Linear::new(zeros([3, 6]), None), &[IMAGE], 0, 240 + 18 + 120);
}
