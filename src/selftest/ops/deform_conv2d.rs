//! Cases of deformable convolution, and its reference.

use crate::ops::DeformConv2d;
use crate::selftest::cases::{constant, graph, outliers, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// The attributes, `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub stride: [usize; 2],
    /// The padding before and after.
    pub pads: [[usize; 2]; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
}

/// Sums bilinear samples over taps and channels, each sample at its own position.
pub fn deform_conv2d(
    x: &Tensor,
    offset: &Tensor,
    mask: Option<&Tensor>,
    weight: &Tensor,
    bias: Option<&Tensor>,
    conv: &Conv,
) -> Tensor {
    let ([n, channels, h, w], [out, group_in, kh, kw]) = (x.dims(), weight.dims());
    let [_, moves, out_h, out_w] = offset.dims();
    let each = channels / (moves / (2 * kh * kw));
    let pixel =
        |n: usize, c: usize, y: f64, x_: f64| match (0.0..h as f64).contains(&y) && (0.0..w as f64).contains(&x_) {
            true => x.at(&[n, c, y as usize, x_ as usize]),
            false => 0.0,
        };
    Tensor::build([n, out, out_h, out_w], |i| {
        let mut sum = bias.map_or(0.0, |bias| bias.at(&[i[1]]));
        for t in 0..group_in * kh * kw {
            let (c, tap) = (t / (kh * kw), t % (kh * kw));
            let from = i[1] / (out / conv.groups) * group_in + c;
            let of = from / each * kh * kw + tap;
            let at = [0, 1].map(|a| {
                let step = [tap / kw, tap % kw][a] * conv.dilation[a] + i[2 + a] * conv.stride[a];
                step as f64 - conv.pads[a][0] as f64 + offset.at(&[i[0], 2 * of + a, i[2], i[3]])
            });
            let (near, far) = (at.map(f64::floor), at.map(|at| at - at.floor()));
            let row =
                |y: f64| (1.0 - far[1]) * pixel(i[0], from, y, near[1]) + far[1] * pixel(i[0], from, y, near[1] + 1.0);
            let sample = (1.0 - far[0]) * row(near[0]) + far[0] * row(near[0] + 1.0);
            let scale = mask.map_or(1.0, |mask| mask.at(&[i[0], of, i[2], i[3]]));
            sum += sample * scale * weight.at(&[i[1], c, tap / kw, tap % kw]);
        }
        sum
    })
}

#[derive(Clone, Copy)]
struct Case {
    x: [usize; 4],
    out: usize,
    kernel: [usize; 2],
    offset_groups: usize,
    conv: Conv,
}

const ONE: Conv = Conv { stride: [1; 2], pads: [[0; 2]; 2], dilation: [1; 2], groups: 1 };
const PLAIN: Case = Case { x: [1; 4], out: 1, kernel: [1; 2], offset_groups: 1, conv: ONE };

impl Case {
    fn check(&self, t: &Suite, x: &Tensor, masked: bool) {
        let Conv { stride, pads, dilation, groups } = self.conv;
        let size = [0, 1].map(|a| {
            (self.x[2 + a] + pads[a][0] + pads[a][1] - dilation[a] * (self.kernel[a] - 1) - 1) / stride[a] + 1
        });
        let (taps, [kh, kw]) = (self.kernel[0] * self.kernel[1], self.kernel);
        // Offsets of up to three pixels leave small images.
        let offset = random(2, [self.x[0], 2 * self.offset_groups * taps, size[0], size[1]]).map(|x| 3.0 * x);
        let mask = masked.then(|| random(3, [self.x[0], self.offset_groups * taps, size[0], size[1]]));
        let (weight, bias) = (random(4, [self.out, self.x[1] / groups, kh, kw]), masked.then(|| random(5, [self.out])));
        let op = DeformConv2d::new(constant(&weight), bias.as_ref().map(constant));
        let op = op.stride(stride).padding_per_side(pads).dilation(dilation).groups(groups);
        let inputs: Vec<&Tensor> = [x, &offset].into_iter().chain(&mask).collect();
        let graph = graph(&inputs, |graph, x| graph.deform_conv2d(x[0], x[1], x.get(2).copied(), op));
        let expected = deform_conv2d(x, &offset, mask.as_ref(), &weight, bias.as_ref(), &self.conv);
        let name =
            format!("{:?} to {}, {:?}, {} offsets, {:?}", self.x, self.out, self.kernel, self.offset_groups, self.conv);
        // Bilinear weights are differences of positions, and the integer part of a position costs digits.
        t.check(&name, &graph, &inputs, &expected, Tolerance::Transcendental);
    }
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    let same = Conv { pads: [[1; 2]; 2], ..ONE };
    let cases = [
        PLAIN,
        Case { x: [2, 5, 7, 6], out: 7, kernel: [3; 2], conv: same, ..PLAIN },
        Case { x: [1, 4, 8, 9], out: 16, kernel: [3, 2], offset_groups: 2, conv: same },
        Case {
            x: [2, 6, 9, 7],
            out: 33,
            kernel: [2, 3],
            offset_groups: 3,
            conv: Conv { stride: [2, 1], pads: [[1, 0], [0, 2]], dilation: [1, 2], groups: 1 },
        },
        // The groups of channels and the groups of offsets divide each other, either way.
        Case { x: [1, 8, 5, 5], out: 12, kernel: [3; 2], offset_groups: 4, conv: Conv { groups: 2, ..same } },
        Case { x: [1, 8, 5, 5], out: 8, kernel: [3; 2], offset_groups: 2, conv: Conv { groups: 8, ..same } },
        Case { x: [1, 6, 4, 5], out: 4, kernel: [1, 3], offset_groups: 3, conv: Conv { groups: 2, ..ONE } },
        // More than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
        Case { x: [1, 8000, 3, 3], out: 2, kernel: [3; 2], offset_groups: 2, conv: same },
    ];
    for case in cases {
        case.check(t, &random(1, case.x), false);
        case.check(t, &random(1, case.x), true);
    }
    let case = cases[1];
    case.check(t, &outliers(1, case.x), true);
    not_finite(t);
}

/// Checks NaN and infinities in the image and the mask. A NaN position makes its samples NaN.
fn not_finite(t: &Suite) {
    let same = Conv { pads: [[1; 2]; 2], ..ONE };
    let (x, mask) = (random(1, [1, 5, 4, 3]), random(3, [1, 9, 4, 3]));
    let mut offset = random(2, [1, 18, 4, 3]).map(|x| 1.5 * x);
    let (weight, bias) = (random(4, [7, 5, 3, 3]), random(5, [7]));
    let op = DeformConv2d::new(constant(&weight), Some(constant(&bias))).padding_per_side(same.pads);
    let planted = graph(&[&x, &mask], |graph, v| {
        let offset = graph.constant(constant(&offset));
        graph.deform_conv2d(v[0], offset, Some(v[1]), op.clone())
    });
    let reference =
        |x: &[&Tensor], offset: &Tensor| deform_conv2d(x[0], offset, Some(x[1]), &weight, Some(&bias), &same);
    t.check_not_finite("planted", &planted, &[&x, &mask], |x| reference(x, &offset), Tolerance::Transcendental);
    offset.data[40] = f32::NAN;
    let inputs = [&x, &offset, &mask];
    let nowhere = graph(&inputs, |graph, v| graph.deform_conv2d(v[0], v[1], Some(v[2]), op));
    t.check("a place", &nowhere, &inputs, &reference(&[&x, &mask], &offset), Tolerance::Transcendental);
}
