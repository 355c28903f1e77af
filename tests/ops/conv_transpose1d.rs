use crate::conv_transpose2d::{Conv, conv_transpose2d};
use crate::conv2d::norm;
use crate::harness::{Tolerance, check, constant, graph, outliers, random, refused};
use crate::reference::{self, Tensor};
use shadernet::ops::ConvTranspose1d;
use shadernet::{Constant, Cost, Graph, Io, Op, Result, Shape, Value};

/// Over images one pixel high; the attributes are `[1 or 0, horizontal]`.
pub fn conv_transpose1d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv) -> Tensor {
    let high = |line: &Tensor| {
        let [a, b, length] = line.dims();
        Tensor::new([a, b, 1, length], line.data.clone())
    };
    let y = conv_transpose2d(&high(x), &high(weight), bias, conv);
    let [n, c, _, length] = y.dims();
    Tensor::new([n, c, length], y.data)
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    x: [usize; 3],
    out: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    output_padding: usize,
    dilation: usize,
    groups: usize,
}

const PLAIN: Case =
    Case { name: "", x: [1; 3], out: 1, kernel: 1, stride: 1, padding: 0, output_padding: 0, dilation: 1, groups: 1 };

impl Case {
    fn terms(&self) -> usize {
        self.x[1] / self.groups * self.kernel
    }

    fn weight(&self) -> Tensor {
        random(2, [self.x[1], self.out / self.groups, self.kernel])
    }

    fn bias(&self) -> Tensor {
        random(3, [self.out])
    }

    fn op(&self, bias: bool) -> ConvTranspose1d {
        let bias = bias.then(|| constant(&self.bias()));
        let conv = ConvTranspose1d::new(constant(&self.weight()), bias).stride(self.stride).padding(self.padding);
        conv.output_padding(self.output_padding).dilation(self.dilation).groups(self.groups)
    }

    fn reference(&self, x: &Tensor, bias: bool) -> Tensor {
        let conv = Conv {
            stride: [1, self.stride],
            padding: [0, self.padding],
            output_padding: [0, self.output_padding],
            dilation: [1, self.dilation],
            groups: self.groups,
        };
        conv_transpose1d(x, &self.weight(), bias.then(|| self.bias()).as_ref(), &conv)
    }

    fn check(&self) {
        for bias in [true, false] {
            let x = if bias { random(1, self.x) } else { outliers(1, self.x) };
            let graph = graph(&[&x], |graph, x| graph.conv_transpose1d(x[0], self.op(bias)));
            check(self.name, &graph, &[&x], &self.reference(&x, bias), Tolerance::Reduction(self.terms()));
        }
    }
}

/// HiFi-GAN's upsampling, smaller.
const BLOCK: Case = Case { name: "a vocoder's", x: [2, 10, 9], out: 6, kernel: 8, stride: 4, padding: 2, ..PLAIN };

#[test]
fn lines() {
    let x = [2, 5, 7];
    let cases = [
        Case { name: "one of everything", ..PLAIN },
        Case { name: "three taps", x, out: 6, kernel: 3, padding: 1, ..PLAIN },
        Case { name: "stride 2, output padding 1", x, out: 3, kernel: 3, stride: 2, output_padding: 1, ..PLAIN },
        Case { name: "dilation 3", x, out: 6, kernel: 3, dilation: 3, output_padding: 2, ..PLAIN },
        Case { name: "dilation 2, stride 3", x, out: 6, kernel: 3, dilation: 2, stride: 3, ..PLAIN },
        Case { name: "two groups", x: [1, 6, 5], out: 8, kernel: 4, stride: 2, groups: 2, ..PLAIN },
        Case { name: "depthwise", x, out: 5, kernel: 4, stride: 2, padding: 1, groups: 5, ..PLAIN },
        BLOCK,
    ];
    cases.iter().for_each(Case::check);
}

/// The transposed convolution, a batch norm, a residual and a ReLU.
fn block(graph: &mut Graph, x: &[Value]) -> Result<Value> {
    let y = graph.conv_transpose1d(x[0], BLOCK.op(true))?;
    let y = graph.batch_norm(y, norm(BLOCK.out).0)?;
    let y = graph.sum(x[1], y)?;
    graph.relu(y)
}

#[test]
fn takes_in_batch_norm_residual_and_activation() {
    let x = random(1, BLOCK.x);
    let y = norm(BLOCK.out).1(&BLOCK.reference(&x, true));
    let residual = random(4, y.shape.clone());
    let expected = reference::relu(&reference::add(&residual, &y));
    let graph = graph(&[&x, &residual], block);
    check(BLOCK.name, &graph, &[&x, &residual], &expected, Tolerance::Reduction(2 * BLOCK.terms()));
}

#[test]
fn steps() {
    let (x, residual) = (random(1, BLOCK.x), random(4, [2, 6, 36]));
    assert_eq!(graph(&[&x, &residual], block).fused().nodes().len(), 1);
}

#[test]
fn costs() {
    let (input, output) = ([Shape::from(BLOCK.x)], [Shape::from([2, 6, 36])]);
    let cost = BLOCK.op(false).cost(&Io { inputs: &input, outputs: &output });
    let weights = 10 * 6 * 8;
    assert_eq!(cost, Cost { weights, parameters: weights, macs: weights * 9 * 2, activations: true });
}

#[test]
fn what_it_refuses() {
    let weight = |shape: [usize; 3]| Constant::new("w", shape, vec![0.0; shape.iter().product()]);
    let conv = |shape| ConvTranspose1d::new(weight(shape), None);
    let line: &[usize] = &[1, 4, 5];
    assert!(refused(&[&[1, 4, 5, 5]], conv([4, 2, 3])).contains("input: wanted 3 dimensions"));
    assert!(refused(&[line], conv([3, 2, 3])).contains("[N, 3, L]"));
    assert!(refused(&[line], conv([4, 2, 3]).groups(3)).contains("divisor"));
    assert!(refused(&[line], conv([4, 2, 3]).stride(0)).contains("stride"));
    assert!(refused(&[line], conv([4, 2, 3]).dilation(0)).contains("dilation"));
    assert!(refused(&[line], conv([4, 2, 0])).contains("kernel_size"));
    assert!(refused(&[line], conv([4, 2, 3]).padding(4)).contains("padding"));
    assert!(refused(&[line], conv([4, 2, 3]).stride(2).output_padding(2)).contains("output_padding"));
    let image = Constant::new("w", [4, 2, 1, 3], vec![0.0; 24]);
    assert!(refused(&[line], ConvTranspose1d::new(image, None)).contains("weight: wanted 3 dimensions"));
    let bias = Constant::new("b", [3], vec![0.0; 3]);
    assert!(
        refused(&[line], ConvTranspose1d::new(weight([4, 2, 3]), Some(bias))).contains("bias: wanted [2], got [3]")
    );
}
