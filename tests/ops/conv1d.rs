use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::{Conv1d, PaddingMode};
use shadernet::selftest::cases::{graph, random};
use shadernet::selftest::ops::conv1d::{Case, FUSED, SAME, block};
use shadernet::{Constant, Cost, DType, Graph, Io, Op, Plan, Shape};

#[test]
fn steps() {
    for case in FUSED {
        let x = random(1, case.x);
        let residual = random(4, [case.x[0], case.out, case.x[2]]);
        assert_eq!(graph(&[&x, &residual], block(case)).fused().nodes().len(), 1, "{}", case.name);
    }
    // The dispatches and shaders are those of the 2-D convolution; the last one reorders at the network's end.
    let x = random(1, FUSED[0].x);
    let chain = graph(&[&x], |graph, x| {
        let y = graph.conv1d(x[0], Case { out: 6, ..FUSED[0] }.op(true))?;
        graph.conv1d(y, FUSED[1].op(true))
    });
    let plan = Plan::new(&chain.fused(), 1, &Caps::portable()).unwrap_or_else(|error| panic!("{error}"));
    let shaders: Vec<&str> =
        plan.steps.iter().flat_map(|step| &step.dispatches).map(|(dispatch, _)| dispatch.shader.name()).collect();
    assert_eq!(shaders, ["pack", "gemm", "depthwise", "unpack"], "{plan}");
}

#[test]
fn costs() {
    let case = Case { x: [2, 6, 9], out: 8, groups: 2, stride: 2, ..SAME };
    let (input, output) = ([Shape::from(case.x)], [Shape::from([2, 8, 5])]);
    let cost = case.op(true).cost(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] });
    let weights = 8 * 3 * 3;
    let (macs, other) = (weights * 5 * 2, 2 * 8 * 5);
    assert_eq!(cost, Cost { weights, parameters: weights + 8, macs, other, moves: None, activations: true });
}

#[test]
fn what_it_refuses() {
    let weight = |shape: [usize; 3]| Constant::new("w", shape, vec![0.0; shape.iter().product()]);
    let conv = |shape| Conv1d::new(weight(shape), None);
    let line: &[usize] = &[1, 4, 5];
    assert!(refused(&[&[1, 4, 5, 5]], conv([2, 4, 3])).contains("input: wanted 3 dimensions"));
    assert!(refused(&[line, line], conv([2, 4, 3])).contains("inputs"));
    let image = Constant::new("w", [2, 4, 1, 3], vec![0.0; 24]);
    assert!(refused(&[line], Conv1d::new(image, None)).contains("weight: wanted 3 dimensions"));
    assert!(refused(&[line], conv([2, 3, 3])).contains("[N, 3, L]"));
    assert!(refused(&[line], conv([3, 2, 3]).groups(2)).contains("divisor"));
    assert!(refused(&[line], conv([2, 4, 3]).groups(0)).contains("groups"));
    assert!(refused(&[line], conv([2, 4, 6])).contains("at least 6 pixels"));
    assert!(refused(&[line], conv([2, 4, 3]).stride(0)).contains("stride"));
    assert!(refused(&[line], conv([2, 4, 3]).dilation(0)).contains("dilation"));
    assert!(refused(&[line], conv([2, 4, 0])).contains("kernel_size"));
    assert!(refused(&[line], conv([2, 4, 3]).padding(1).padding_mode(PaddingMode::Reflect)).contains("padding_mode"));
    for huge in [1 << 40, usize::MAX] {
        assert!(refused(&[line], conv([2, 4, 3]).padding(huge)).contains("padding"));
    }
    let bias = Constant::new("b", [3], vec![0.0; 3]);
    assert!(refused(&[line], Conv1d::new(weight([2, 4, 3]), Some(bias))).contains("bias: wanted [2], got [3]"));
}

#[test]
fn padding_that_can_not_be_is_refused_by_the_graph() {
    let case = Case { x: [1, 2, 3], padding: [3, 0], mode: PaddingMode::Reflect, ..SAME };
    let mut graph = Graph::new();
    let [line, image] = [&case.x[..], &[1, 2, 3, 3]].map(|shape| graph.input("x", shape));
    assert!(graph.conv1d(line, case.op(true)).unwrap_err().to_string().contains("less than the image's size, 3"));
    assert!(graph.conv1d(image, case.op(true)).unwrap_err().to_string().contains("wanted 3 dimensions"));
}
