use crate::ops::{Activation, ConvTranspose3d};
use crate::selftest::cases::{constant, graph, outliers, random};
use crate::selftest::ops::conv2d::norm;
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// The attributes, `[depth, height, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub stride: [usize; 3],
    /// The pixels cut off before and after.
    pub pads: [[usize; 2]; 3],
    pub output_padding: [usize; 3],
    pub dilation: [usize; 3],
    pub groups: usize,
}

/// Scatters each input pixel: adds it to all the output pixels under its taps.
pub fn conv_transpose3d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv) -> Tensor {
    let ([n, inputs, d, h, w], [_, group_out, kd, kh, kw]) = (x.dims(), weight.dims());
    let (out, group_in) = (group_out * conv.groups, inputs / conv.groups);
    let (size, kernel) = ([d, h, w], [kd, kh, kw]);
    let to = [0, 1, 2].map(|a| {
        (size[a] - 1) * conv.stride[a] + conv.dilation[a] * (kernel[a] - 1) + conv.output_padding[a] + 1
            - conv.pads[a][0]
            - conv.pads[a][1]
    });
    let volume: usize = to.iter().product();
    let mut sums = vec![0.0; n * out * volume];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = bias.map_or(0.0, |bias| bias.at(&[i / volume % out]));
    }
    for i in 0..n * inputs * d * h * w {
        let (plane, q) = (i / w / h / d, [i / w / h % d, i / w % h, i % w]);
        let (image, c) = (plane / inputs, plane % inputs);
        for j in 0..group_out * kd * kh * kw {
            let (o, t) = (j / kw / kh / kd, [j / kw / kh % kd, j / kw % kh, j % kw]);
            let p = [0, 1, 2].map(|a| (q[a] * conv.stride[a] + t[a] * conv.dilation[a]).wrapping_sub(conv.pads[a][0]));
            if (0..3).all(|a| p[a] < to[a]) {
                let o_all = image * out + c / group_in * group_out + o;
                sums[((o_all * to[0] + p[0]) * to[1] + p[1]) * to[2] + p[2]] +=
                    x.at(&[image, c, q[0], q[1], q[2]]) * weight.at(&[c, o, t[0], t[1], t[2]]);
            }
        }
    }
    Tensor::new([n, out, to[0], to[1], to[2]], sums.into_iter().map(|sum| sum as f32).collect())
}

#[derive(Clone, Copy)]
struct Case {
    x: [usize; 5],
    out: usize,
    kernel: [usize; 3],
    conv: Conv,
}

const ONE: Conv = Conv { stride: [1; 3], pads: [[0; 2]; 3], output_padding: [0; 3], dilation: [1; 3], groups: 1 };
const PLAIN: Case = Case { x: [1; 5], out: 1, kernel: [1; 3], conv: ONE };

impl Case {
    fn weight(&self) -> Tensor {
        let [d, h, w] = self.kernel;
        random(2, [self.x[1], self.out / self.conv.groups, d, h, w])
    }

    fn bias(&self) -> Tensor {
        random(3, [self.out])
    }

    fn op(&self, bias: bool) -> ConvTranspose3d {
        let Conv { stride, pads, output_padding, dilation, groups } = self.conv;
        let conv = ConvTranspose3d::new(constant(&self.weight()), bias.then(|| constant(&self.bias())));
        conv.strides(stride).pads(pads).output_paddings(output_padding).dilations(dilation).groups(groups)
    }

    fn reference(&self, x: &Tensor, bias: bool) -> Tensor {
        conv_transpose3d(x, &self.weight(), bias.then(|| self.bias()).as_ref(), &self.conv)
    }

    fn tolerance(&self) -> Tolerance {
        Tolerance::Reduction(self.x[1] / self.conv.groups * self.kernel.iter().product::<usize>())
    }
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    let double = Conv { stride: [2; 3], ..ONE };
    let cases = [
        PLAIN,
        Case { x: [1, 3, 1, 1, 1], out: 2, kernel: [2; 3], conv: double },
        Case { x: [2, 7, 3, 2, 5], out: 5, kernel: [2; 3], conv: double },
        Case { x: [1, 4, 2, 3, 3], out: 9, kernel: [3; 3], conv: Conv { pads: [[1; 2]; 3], ..double } },
        Case {
            x: [1, 2, 3, 4, 3],
            out: 3,
            kernel: [3, 4, 2],
            conv: Conv { stride: [2, 3, 1], pads: [[1, 0], [0, 2], [1, 1]], output_padding: [1, 2, 0], ..ONE },
        },
        Case {
            x: [1, 2, 2, 3, 4],
            out: 4,
            kernel: [2, 3, 3],
            conv: Conv { stride: [4, 2, 6], dilation: [1, 3, 4], pads: [[0, 1], [2, 0], [0, 3]], ..ONE },
        },
        Case { x: [1, 6, 2, 2, 3], out: 9, kernel: [2; 3], conv: Conv { groups: 3, ..double } },
        Case { x: [2, 5, 2, 2, 3], out: 5, kernel: [3; 3], conv: Conv { groups: 5, ..double } },
        Case { x: [1, 4, 2, 2, 3], out: 20, kernel: [1, 2, 2], conv: Conv { groups: 2, ..double } },
        // More than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
        Case { x: [1, 9000, 2, 2, 2], out: 2, kernel: [2; 3], conv: ONE },
    ];
    for case in cases {
        for bias in [true, false] {
            let x = if bias { random(1, case.x) } else { outliers(1, case.x) };
            let graph = graph(&[&x], |graph, x| graph.conv_transpose3d(x[0], case.op(bias)));
            let name = format!("{:?} to {}, {:?}, {:?}", case.x, case.out, case.kernel, case.conv);
            t.check(&name, &graph, &[&x], &case.reference(&x, bias), case.tolerance());
        }
    }
    takes_in_batch_norm_residual_and_activation(t);
    not_finite(t);
}

fn takes_in_batch_norm_residual_and_activation(t: &Suite) {
    let case = Case { x: [2, 4, 2, 3, 3], out: 6, kernel: [2; 3], conv: Conv { stride: [2; 3], groups: 2, ..ONE } };
    let (x, residual) = (random(1, case.x), random(5, [2, 6, 4, 6, 6]));
    let (norm, normalised) = norm(6);
    let graph = graph(&[&x, &residual], |graph, x| {
        let y = graph.conv_transpose3d(x[0], case.op(true))?;
        let y = graph.batch_norm(y, norm)?;
        let y = graph.sum(y, x[1])?;
        graph.activation(y, Activation::Relu)
    });
    t.expect_fused(&graph, 1);
    let expected = reference::relu(&reference::add(&normalised(&case.reference(&x, true)), &residual));
    t.check("batch norm, residual, ReLU", &graph, &[&x, &residual], &expected, case.tolerance());
}

fn not_finite(t: &Suite) {
    let conv = Conv { stride: [2; 3], ..ONE };
    let case = Case { x: [1, 3, 2, 3, 2], out: 5, kernel: [3; 3], conv };
    let x = random(1, case.x);
    let graph = graph(&[&x], |graph, x| graph.conv_transpose3d(x[0], case.op(true)));
    t.check_not_finite("doubled", &graph, &[&x], |x| case.reference(x[0], true), case.tolerance());
}
