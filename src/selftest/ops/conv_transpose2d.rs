use crate::ops::{Activation, Conv2d, ConvTranspose2d};
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{as_image, constant, graph, outliers, random};
use crate::selftest::ops::conv2d::norm;
use crate::selftest::reference::{self, Tensor};
use crate::{Graph, Result, Value};

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes_about_the_tiles(t);
    windows(t);
    groups(t);
    too_large_for_a_texture(t);
    takes_in_batch_norm_residual_and_activation(t);
    between_convolutions(t);
    cut_by_side(t);
    long_loops(t);
    not_finite(t);
}

/// Checks padding per side against a slice of the uncropped image.
fn cut_by_side(t: &Suite) {
    let conv = Conv { stride: [2, 3], output_padding: [1, 0], ..ONE };
    let case = Case { name: "cut by side", x: [2, 5, 4, 3], out: 6, kernel: [3, 4], conv };
    let x = random(1, case.x);
    let all = case.reference(&x, true);
    let [n, c, h, w] = all.dims();
    for [[top, bottom], [left, right]] in [[[1, 0], [0, 2]], [[0, 3], [4, 1]]] {
        let expected = Tensor::build([n, c, h - top - bottom, w - left - right], |i| {
            all.at(&[i[0], i[1], i[2] + top, i[3] + left])
        });
        let op = case.op(true).pads([[top, bottom], [left, right]]);
        let graph = graph(&[&x], |graph, x| graph.conv_transpose2d(x[0], op));
        t.check(case.name, &graph, &[&x], &expected, Tolerance::Reduction(case.terms()));
    }
}

/// The attributes, `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub output_padding: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
}

pub const ONE: Conv = Conv { stride: [1; 2], padding: [0; 2], output_padding: [0; 2], dilation: [1; 2], groups: 1 };

/// Scatters each input pixel: adds it to all the output pixels under its taps.
pub fn conv_transpose2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv) -> Tensor {
    let ([n, inputs, h, w], [_, group_out, kh, kw]) = (x.dims(), weight.dims());
    let (out, group_in) = (group_out * conv.groups, inputs / conv.groups);
    let size = |a: usize, size: usize, k: usize| {
        (size - 1) * conv.stride[a] + conv.dilation[a] * (k - 1) + conv.output_padding[a] + 1 - 2 * conv.padding[a]
    };
    let [height, width] = [size(0, h, kh), size(1, w, kw)];
    let mut sums = vec![0.0; n * out * height * width];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = bias.map_or(0.0, |bias| bias.at(&[i / width / height % out]));
    }
    for i in 0..n * inputs * h * w {
        let [image, c, iy, ix] = [i / w / h / inputs, i / w / h % inputs, i / w % h, i % w];
        for j in 0..group_out * kh * kw {
            let [o, ky, kx] = [j / kw / kh, j / kw % kh, j % kw];
            let oy = (iy * conv.stride[0] + ky * conv.dilation[0]).wrapping_sub(conv.padding[0]);
            let ox = (ix * conv.stride[1] + kx * conv.dilation[1]).wrapping_sub(conv.padding[1]);
            if oy < height && ox < width {
                let to = ((image * out + c / group_in * group_out + o) * height + oy) * width + ox;
                sums[to] += x.at(&[image, c, iy, ix]) * weight.at(&[c, o, ky, kx]);
            }
        }
    }
    Tensor::new([n, out, height, width], sums.into_iter().map(|sum| sum as f32).collect())
}

#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub x: [usize; 4],
    pub out: usize,
    pub kernel: [usize; 2],
    pub conv: Conv,
}

const PLAIN: Case = Case { name: "", x: [1; 4], out: 1, kernel: [1; 2], conv: ONE };

/// A 4x4 kernel that doubles the image's size.
pub const DOUBLE: Case = Case { kernel: [4; 2], conv: Conv { stride: [2; 2], padding: [1; 2], ..ONE }, ..PLAIN };

impl Case {
    /// Returns the most products that a pixel sums.
    pub fn terms(&self) -> usize {
        self.x[1] / self.conv.groups * self.kernel[0] * self.kernel[1]
    }

    pub fn weight(&self) -> Tensor {
        random(2, [self.x[1], self.out / self.conv.groups, self.kernel[0], self.kernel[1]])
    }

    pub fn bias(&self) -> Tensor {
        random(3, [self.out])
    }

    pub fn op(&self, bias: bool) -> ConvTranspose2d {
        let Conv { stride, padding, output_padding, dilation, groups } = self.conv;
        let bias = bias.then(|| constant(&self.bias()));
        let conv = ConvTranspose2d::new(constant(&self.weight()), bias).strides(stride).paddings(padding);
        conv.output_paddings(output_padding).dilations(dilation).groups(groups)
    }

    pub fn reference(&self, x: &Tensor, bias: bool) -> Tensor {
        conv_transpose2d(x, &self.weight(), bias.then(|| self.bias()).as_ref(), &self.conv)
    }

    pub fn check(&self, t: &Suite) {
        for bias in [true, false] {
            let x = if bias { random(1, self.x) } else { outliers(1, self.x) };
            let graph = graph(&[&x], |graph, x| graph.conv_transpose2d(x[0], self.op(bias)));
            t.check(self.name, &graph, &[&x], &self.reference(&x, bias), Tolerance::Reduction(self.terms()));
        }
    }
}

fn sizes_about_the_tiles(t: &Suite) {
    // An invocation computes four pixels of a row, one stride apart; four channels per texel.
    let cases = [
        Case { name: "one of everything", ..PLAIN },
        Case { name: "one pixel, doubled", x: [1, 3, 1, 1], out: 2, ..DOUBLE },
        Case { name: "primes", x: [2, 7, 5, 3], out: 5, ..DOUBLE },
        Case { name: "3 pixels wide", x: [1, 4, 2, 3], out: 4, ..PLAIN },
        Case { name: "4 pixels wide", x: [1, 5, 2, 4], out: 3, ..PLAIN },
        Case { name: "5 pixels wide", x: [1, 8, 2, 5], out: 8, ..PLAIN },
        Case { name: "7 pixels, doubled", x: [1, 3, 2, 7], out: 9, ..DOUBLE },
        Case { name: "8 pixels, doubled", x: [1, 2, 2, 8], out: 4, ..DOUBLE },
        Case { name: "9 pixels, doubled", x: [1, 2, 2, 9], out: 5, ..DOUBLE },
        Case { name: "many channels", x: [1, 66, 3, 4], out: 65, ..DOUBLE },
        Case { name: "several workgroups", x: [2, 3, 9, 10], out: 17, ..DOUBLE },
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn windows(t: &Suite) {
    let with = |name, kernel, conv| Case { name, x: [2, 5, 4, 6], out: 6, kernel, conv };
    let cases = [
        with("stride 1", [3; 2], Conv { padding: [1; 2], ..ONE }),
        with("2x2, stride 2", [2; 2], Conv { stride: [2; 2], ..ONE }),
        with("3x3, stride 2, output padding 1", [3; 2], Conv { output_padding: [1; 2], ..DOUBLE.conv }),
        with("stride 1x3", [3; 2], Conv { stride: [1, 3], ..ONE }),
        with("stride 3x2, 5x2", [5, 2], Conv { stride: [3, 2], padding: [2, 0], output_padding: [2, 1], ..ONE }),
        with("stride beyond the kernel", [2; 2], Conv { stride: [4, 5], output_padding: [3, 0], ..ONE }),
        with("stride beyond the output", [1; 2], Conv { stride: [7; 2], padding: [3, 16], ..ONE }),
        with("dilation 2", [3; 2], Conv { dilation: [2; 2], padding: [2; 2], ..ONE }),
        with("dilation 2, stride 2", [3; 2], Conv { dilation: [2; 2], stride: [2; 2], ..ONE }),
        with("dilation 3x2, stride 2x3", [3; 2], Conv { dilation: [3, 2], stride: [2, 3], ..ONE }),
        with("dilation 4x2, stride 6x4", [4, 3], Conv { dilation: [4, 2], stride: [6, 4], padding: [3, 1], ..ONE }),
        with("output padding below the dilation", [2; 2], Conv { dilation: [3; 2], output_padding: [2, 1], ..ONE }),
        with("1x5", [1, 5], Conv { stride: [1, 2], padding: [0, 2], ..ONE }),
        with("cut to one pixel", [1; 2], Conv { stride: [2, 2], padding: [3, 5], ..ONE }),
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn groups(t: &Suite) {
    let with = |name, channels, out, groups| {
        let conv = Conv { groups, ..DOUBLE.conv };
        Case { name, x: [2, channels, 3, 4], out, conv, ..DOUBLE }
    };
    let cases = [
        with("two", 6, 8, 2),
        with("three of two channels, five out", 6, 15, 3),
        with("five of three channels, two out", 15, 10, 5),
        with("two of nine channels, one out", 18, 2, 2),
        with("one channel in, two out", 5, 10, 5),
        with("two channels in, one out", 10, 5, 5),
        with("depthwise", 7, 7, 7),
        with("depthwise, whole texels", 8, 8, 8),
        Case { kernel: [3, 5], ..with("depthwise, 3x5", 5, 5, 5) },
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn too_large_for_a_texture(t: &Suite) {
    // llvmpipe's textures have at most 16,384 texels per side: larger values or weights are in buffers.
    let wide = Case { name: "17,000 texels wide", x: [1, 2, 1, 8500], out: 3, kernel: [1, 2], ..PLAIN };
    let wide = Case { conv: Conv { stride: [1, 2], ..ONE }, ..wide };
    let weights = Case { name: "weights of 16,400 columns", x: [1, 2, 1, 1], out: 16_400, ..PLAIN };
    [wide, weights].iter().for_each(|case| case.check(t));
}

pub const BLOCKS: [Case; 2] = [
    Case { name: "dense", x: [2, 6, 3, 4], out: 10, conv: Conv { groups: 2, ..DOUBLE.conv }, ..DOUBLE },
    Case { name: "depthwise", x: [2, 6, 3, 4], out: 6, conv: Conv { groups: 6, ..DOUBLE.conv }, ..DOUBLE },
];

/// Builds the transposed convolution, a batch norm, a residual and a ReLU.
pub fn block(case: Case) -> impl Fn(&mut Graph, &[Value]) -> Result<Value> {
    move |graph, x| {
        let y = graph.conv_transpose2d(x[0], case.op(true))?;
        let y = graph.batch_norm(y, norm(case.out).0)?;
        let y = graph.sum(x[1], y)?;
        graph.relu(y)
    }
}

fn takes_in_batch_norm_residual_and_activation(t: &Suite) {
    for case in BLOCKS {
        let x = random(1, case.x);
        let y = norm(case.out).1(&case.reference(&x, true));
        let residual = random(4, y.shape.clone());
        let expected = reference::relu(&reference::add(&residual, &y));
        let whole = graph(&[&x, &residual], block(case));
        t.check(case.name, &whole, &[&x, &residual], &expected, Tolerance::Reduction(2 * case.terms()));
        let tanh = graph(&[&x], |graph, x| {
            let y = graph.conv_transpose2d(x[0], case.op(false))?;
            graph.activation(y, Activation::Tanh)
        });
        let expected = reference::tanh(&case.reference(&x, false));
        t.check("tanh", &tanh, &[&x], &expected, Tolerance::Transcendental);
    }
}

/// Builds transposed convolutions between convolutions, as in an autoencoder.
pub fn autoencoder(graph: &mut Graph, x: Value) -> Result<Value> {
    let conv = |seed, shape: [usize; 4]| Conv2d::new(constant(&random(seed, shape)), None);
    let y = graph.conv2d(x, conv(5, [5, 3, 1, 1]))?;
    let y = graph.conv_transpose2d(y, Case { x: [2, 5, 3, 4], out: 6, ..DOUBLE }.op(true))?;
    graph.conv2d(y, conv(6, [7, 6, 1, 1]))
}

fn between_convolutions(t: &Suite) {
    let x = random(1, [2, 3, 3, 4]);
    let pointwise = |x: &Tensor, seed, shape: [usize; 4]| {
        let mode = crate::ops::PaddingMode::Zeros;
        let conv = reference::Conv { stride: [1; 2], padding: [0; 4], dilation: [1; 2], groups: 1, mode };
        reference::conv2d(x, &random(seed, shape), None, &conv)
    };
    let y = pointwise(&x, 5, [5, 3, 1, 1]);
    let y = Case { x: [2, 5, 3, 4], out: 6, ..DOUBLE }.reference(&y, true);
    let expected = pointwise(&y, 6, [7, 6, 1, 1]);
    let graph = graph(&[&x], |graph, x| {
        let y = autoencoder(graph, x[0])?;
        as_image(graph, y)
    });
    t.check("an autoencoder", &graph, &[&x], &expected, Tolerance::Reduction(200));
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let case = Case { name: "30,000 channels of 3x3", x: [1, 30_000, 3, 3], out: 2, kernel: [3; 2], ..PLAIN };
    case.check(t);
    let (x, residual) = (random(1, case.x), random(4, [1, 2, 5, 5]));
    let graph = graph(&[&x, &residual], |graph, x| {
        let y = graph.conv_transpose2d(x[0], case.op(true))?;
        let y = graph.sum(y, x[1])?;
        graph.relu(y)
    });
    let expected = reference::relu(&reference::add(&case.reference(&x, true), &residual));
    let tolerance = Tolerance::Reduction(case.terms());
    t.check("30,000 channels and what follows", &graph, &[&x, &residual], &expected, tolerance);
}

fn not_finite(t: &Suite) {
    let dense = Case { name: "dense", x: [2, 6, 3, 4], out: 10, ..DOUBLE };
    let groups = Case { name: "groups in one texel", conv: Conv { groups: 2, ..dense.conv }, ..dense };
    for case in [dense, groups, BLOCKS[1]] {
        let x = random(1, case.x);
        let graph = graph(&[&x], |graph, x| graph.conv_transpose2d(x[0], case.op(true)));
        let tolerance = Tolerance::Reduction(case.terms());
        t.check_not_finite(case.name, &graph, &[&x], |x| case.reference(x[0], true), tolerance);
    }
}
