//! 2-D convolution, with all that it takes in: batch norm, bias, residual addition, activation.

use super::depthwise::Depthwise;
use super::epilogue::Epilogue;
use super::gemm::{Gemm, Operand};
use super::window::Window;
use super::{BatchNorm2d, image_places};
use crate::error::{ErrorKind, Result, expect_rank};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout};
use crate::{Graph, Shape, Value};

/// What stands where a window reaches over the edge of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingMode {
    /// 0
    #[default]
    Zeros,
    /// The image mirrored at its edge pixel, which isn't repeated
    Reflect,
    /// The edge pixel
    Replicate,
    /// The opposite edge
    Circular,
}

/// `torch.nn.Conv2d`: `[N, C, H, W]` to `[N, O, H', W']`, with
/// `H' = floor((H + top + bottom - dilation (k - 1) - 1) / stride) + 1`.
///
/// ```
/// use shadernet::{Constant, ops::{Conv2d, PaddingMode}};
/// let weight = Constant::new("weight", [8, 3, 3, 3], vec![0.1; 216]);
/// let conv = Conv2d::new(weight, None).stride(2).padding(1).padding_mode(PaddingMode::Reflect);
/// ```
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Constant,
    bias: Option<Constant>,
    stride: [usize; 2],
    padding: [usize; 4],
    dilation: [usize; 2],
    groups: usize,
    padding_mode: PaddingMode,
    /// What came after and was taken in.
    epilogue: Epilogue,
}

impl Conv2d {
    /// A convolution with weights `[out, in / groups, kernel height, kernel width]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> Conv2d {
        Conv2d {
            weight,
            bias,
            stride: [1; 2],
            padding: [0; 4],
            dilation: [1; 2],
            groups: 1,
            padding_mode: PaddingMode::Zeros,
            epilogue: Epilogue::default(),
        }
    }

    /// The stride, vertical and horizontal.
    #[must_use]
    pub fn stride(self, stride: usize) -> Conv2d {
        Conv2d { stride: [stride; 2], ..self }
    }

    /// The stride, `[vertical, horizontal]`.
    #[must_use]
    pub fn strides(self, stride: [usize; 2]) -> Conv2d {
        Conv2d { stride, ..self }
    }

    /// The padding on all four sides.
    #[must_use]
    pub fn padding(self, padding: usize) -> Conv2d {
        Conv2d { padding: [padding; 4], ..self }
    }

    /// The padding, `[top, bottom, left, right]`.
    #[must_use]
    pub fn paddings(self, padding: [usize; 4]) -> Conv2d {
        Conv2d { padding, ..self }
    }

    /// What the padding is made of.
    #[must_use]
    pub fn padding_mode(self, padding_mode: PaddingMode) -> Conv2d {
        Conv2d { padding_mode, ..self }
    }

    /// The distance between taps, vertical and horizontal.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Conv2d {
        Conv2d { dilation: [dilation; 2], ..self }
    }

    /// The distance between taps, `[vertical, horizontal]`.
    #[must_use]
    pub fn dilations(self, dilation: [usize; 2]) -> Conv2d {
        Conv2d { dilation, ..self }
    }

    /// Groups of channels that don't mix; as many as channels make it depthwise.
    #[must_use]
    pub fn groups(self, groups: usize) -> Conv2d {
        Conv2d { groups, ..self }
    }

    pub(crate) fn with_epilogue(self, epilogue: Epilogue) -> Conv2d {
        Conv2d { epilogue, ..self }
    }

    fn window(&self) -> Window {
        let size = [self.weight.shape()[2], self.weight.shape()[3]];
        let before = [self.padding[0], self.padding[2]];
        Window { size, stride: self.stride, dilation: self.dilation, before }
    }

    /// With batch norm folded in: `w' = w * scale`, `b' = b * scale + shift`, computed in f64.
    fn normalised(&self, norm: &BatchNorm2d) -> Conv2d {
        let [outputs, ..] = self.weight.shape()[..] else { unreachable!("weights have four dimensions") };
        let (weight, bias) = (self.weight.clone(), self.bias.clone());
        let (for_weight, for_bias) = (norm.clone(), norm.clone());
        let scaled = move || {
            let mut values = weight.values();
            let each = values.len() / outputs;
            for (row, (scale, _)) in values.chunks_exact_mut(each).zip(for_weight.scale_shift()) {
                row.iter_mut().for_each(|v| *v = (f64::from(*v) * scale) as f32);
            }
            values
        };
        let shifted = move || {
            let bias = bias.as_ref().map_or_else(|| vec![0.0; outputs], Constant::values);
            let pairs = bias.iter().zip(for_bias.scale_shift());
            pairs.map(|(&b, (scale, shift))| (f64::from(b) * scale + shift) as f32).collect()
        };
        let name = self.weight.name().to_owned();
        Conv2d {
            weight: Constant::lazy(name.clone(), self.weight.shape().clone(), scaled),
            bias: Some(Constant::lazy(name, [outputs], shifted)),
            ..self.clone()
        }
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.epilogue.expect_inputs(inputs)?;
        if self.padding_mode != PaddingMode::Zeros && self.padding != [0; 4] {
            let wanted = "zeros (Graph::conv2d adds an operation that pads otherwise)";
            return Err(ErrorKind::argument("padding_mode", wanted, format_args!("{:?}", self.padding_mode)));
        }
        expect_rank("input", &inputs[0], 4)?;
        expect_rank("weight", self.weight.shape(), 4)?;
        let Image { n, c, h, w } = Image::of(&inputs[0]);
        let [out, per_group, ..] = self.weight.shape()[..] else { unreachable!("it was checked") };
        if self.groups == 0 || c != per_group * self.groups {
            let wanted =
                format!("[N, {}, H, W] ({} groups of {per_group} channels)", per_group * self.groups, self.groups);
            return Err(ErrorKind::argument("input", wanted, &inputs[0]));
        }
        if out % self.groups != 0 {
            return Err(ErrorKind::argument("groups", format!("a divisor of {out} output channels"), self.groups));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.shape()[..] != [out]) {
            return Err(ErrorKind::argument("bias", Shape::from([out]), bias.shape()));
        }
        let [top, bottom, left, right] = self.padding;
        let h = self.window().output(0, h, top + bottom)?;
        let w = self.window().output(1, w, left + right)?;
        self.epilogue.output(inputs, [n, out, h, w].into())
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        // The depthwise kernel holds all taps in registers.
        let few_taps = self.weight.shape()[2] * self.weight.shape()[3] <= 49;
        if self.groups == x.c && x.c == y.c && self.groups > 1 && few_taps {
            let depthwise = Depthwise {
                x,
                y,
                window: self.window(),
                weight: &self.weight,
                bias: self.bias.as_ref(),
                epilogue: self.epilogue,
            };
            return Ok(image_places(caps)
                .iter()
                .enumerate()
                .filter_map(|(rank, &place)| Some(depthwise.kernel(place, caps)?.rank(rank as u8)))
                .collect());
        }
        let gemm = Gemm {
            x,
            y,
            layout: Layout::channels,
            window: self.window(),
            groups: self.groups,
            w: Operand::Weight(&self.weight),
            bias: self.bias.as_ref(),
            epilogue: self.epilogue,
        };
        gemm.kernels(caps)
    }

    fn cost(&self, io: &Io) -> Cost {
        let weights = self.weight.shape().elements() as u64;
        let bias = self.bias.as_ref().map_or(0, |bias| bias.shape().elements() as u64);
        let positions = (io.outputs[0].elements() / self.weight.shape()[0]) as u64;
        Cost { weights, parameters: weights + bias, macs: weights * positions, activations: true }
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        if let Some(epilogue) = self.epilogue.with(next) {
            return Some(Box::new(Conv2d { epilogue, ..self.clone() }));
        }
        let unfinished = !self.epilogue.residual && self.epilogue.activation.is_none();
        let norm = next.downcast_ref::<BatchNorm2d>().filter(|_| unfinished)?;
        let epilogue = Epilogue { residual: false, activation: norm.activation() };
        Some(Box::new(self.normalised(norm).with_epilogue(epilogue)))
    }
}

impl Graph {
    /// Adds a [`Conv2d`]; padding that isn't zeros becomes a [`Pad2d`](super::Pad2d) of its own.
    pub fn conv2d(&mut self, x: Value, conv: Conv2d) -> Result<Value> {
        if conv.padding_mode == PaddingMode::Zeros || conv.padding == [0; 4] {
            return self.push(conv, &[x]);
        }
        let x = self.pad2d(x, conv.padding.map(|pixels| pixels as isize), conv.padding_mode)?;
        self.push(conv.padding(0), &[x])
    }
}
