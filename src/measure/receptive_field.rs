//! Receptive fields: the input pixels that a pixel of a value depends on.

// Long because its tests state the fields of known networks: they are more than half of it.

use crate::graph::op::{Reach, Taps};
use crate::{Graph, Io, Node, Value};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;

/// The pixels of a network's first input that a pixel of some value depends on. [`Display`](fmt::Display) gives size,
/// stride and offset: `7x7 /2 @-3`.
///
/// (Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019,
/// <https://distill.pub/2019/computing-receptive-fields>. As there, the field extends into the padding, and it holds
/// the pixels that can matter, not only those that do.)
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceptiveField {
    /// A window along each spatial axis.
    Window(Vec<Field>),
    /// All pixels. Branches whose windows have different strides also count as this.
    Everything,
}

/// A receptive field along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Field {
    /// The pixels from the first to the last one. If upsampling makes the number vary, the largest.
    pub size: u64,
    /// The distance between the fields of neighbouring pixels; the mean if it varies.
    pub stride: f64,
    /// The start of the first pixel's field; negative in the padding.
    pub offset: i64,
}

impl fmt::Display for ReceptiveField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReceptiveField::Window(fields) = self else { return f.pad("all") };
        // A stride or an offset that all axes share is written once.
        let joined = |texts: Vec<String>, separator: &str| match texts.iter().all(|text| *text == texts[0]) {
            true => texts.first().cloned().unwrap_or_default(),
            false => texts.join(separator),
        };
        let sizes: Vec<String> = fields.iter().map(|field| field.size.to_string()).collect();
        let strides = fields.iter().map(|field| ((field.stride * 1e3).round() / 1e3).to_string()).collect();
        let offsets = fields.iter().map(|field| field.offset.to_string()).collect();
        f.pad(&format!("{} /{} @{}", sizes.join("x"), joined(strides, "x"), joined(offsets, ",")))
    }
}

/// The fields of the pixels along an axis. They are periodic: the field of pixel `o + spans.len()` is the field of `o`,
/// shifted by `advance`. So they are exact even if upsampling makes a pixel's field depend on its position.
#[derive(Clone, Debug, PartialEq)]
struct Along {
    advance: i64,
    /// The first and the last pixel of each field; `None` in a gap of a transposed convolution.
    spans: Vec<Option<[i64; 2]>>,
}

/// The most pixels that are visited. A field that needs more counts as everything.
const MOST: i64 = 1 << 20;

impl Along {
    /// Returns the fields of the input: each pixel sees itself.
    fn pixel() -> Along {
        Along { advance: 1, spans: vec![Some([0, 0])] }
    }

    fn period(&self) -> i64 {
        self.spans.len() as i64
    }

    /// Returns the field of a pixel; the pixel may lie in the padding.
    fn at(&self, pixel: i64) -> Option<[i64; 2]> {
        let [turn, within] = [pixel.div_euclid(self.period()), pixel.rem_euclid(self.period())];
        let [from, to] = self.spans[within as usize]?;
        let shift = turn.saturating_mul(self.advance);
        Some([from.saturating_add(shift), to.saturating_add(shift)])
    }

    /// Returns the fields seen through taps on these; `None` if they can't be counted.
    fn through(&self, taps: &Taps) -> Option<Along> {
        let &Taps { up, down, first, step, count } = taps;
        if [up, down, step, count].iter().any(|&number| number < 1) {
            return None;
        }
        let turn = up.checked_mul(self.period())?;
        let turns = down / gcd(down, turn);
        let period = turn / gcd(down, turn);
        let width = step.checked_mul(count - 1)?;
        if period.checked_mul(width / up + 1)? > MOST {
            return None;
        }
        let sees = |o: i64| {
            let start = o * down + first;
            let pixels = start.div_euclid(up)..=(start + width).div_euclid(up);
            let seen = |i: &i64| i * up >= start && (i * up - start) % step == 0;
            pixels.filter(seen).filter_map(|i| self.at(i)).reduce(hull)
        };
        (period - 1).checked_mul(down)?.checked_add(first)?.checked_add(width)?;
        Some(Along { advance: self.advance.checked_mul(turns)?, spans: (0..period).map(sees).collect() })
    }

    /// Returns the union with other fields; `None` if their strides differ.
    fn or(&self, other: &Along) -> Option<Along> {
        let [a, b] = [self.period(), other.period()];
        let period = a / gcd(a, b) * b;
        let advance = self.advance.checked_mul(period / a)?;
        if period > MOST || advance != other.advance.checked_mul(period / b)? {
            return None;
        }
        let spans = (0..period).map(|o| [self.at(o), other.at(o)].into_iter().flatten().reduce(hull)).collect();
        Some(Along { advance, spans })
    }

    fn field(&self) -> Field {
        let spans = || self.spans.iter().flatten();
        Field {
            size: spans().map(|[from, to]| to.abs_diff(*from) + 1).max().unwrap_or(0),
            stride: self.advance as f64 / self.period() as f64,
            offset: spans().next().map_or(0, |[from, _]| *from),
        }
    }
}

fn hull([from, to]: [i64; 2], other: [i64; 2]) -> [i64; 2] {
    [from.min(other[0]), to.max(other[1])]
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The fields of a graph's values, while its nodes are visited in order.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The fields of the values that depend on the input: one per axis, or `None` for everything.
    seen: HashMap<Value, Option<Vec<Along>>>,
}

impl Fields {
    /// Starts with the fields of the first input, if it has pixels: three dimensions or more.
    pub(super) fn new(graph: &Graph) -> Fields {
        let axes = |input: &crate::graph::Input| input.shape.len().saturating_sub(2);
        let input = graph.inputs().first().filter(|input| axes(input) > 0);
        Fields { seen: input.map(|input| (input.value, Some(vec![Along::pixel(); axes(input)]))).into_iter().collect() }
    }

    /// Returns the field of a node's outputs; `None` if they don't depend on the input.
    pub(super) fn visit(&mut self, node: &Node, io: &Io) -> Option<ReceptiveField> {
        let reach = node.op.metrics(io).reach;
        let of_inputs = node.inputs.iter().enumerate().filter_map(|(i, value)| {
            let axes = self.seen.get(value)?.as_ref();
            Some(axes.and_then(|axes| through(axes, &reach, i, io)))
        });
        let union = |a: Option<Vec<Along>>, b: Option<Vec<Along>>| {
            let (a, b) = (a?, b?);
            if a.len() == b.len() { a.iter().zip(&b).map(|(a, b)| a.or(b)).collect() } else { None }
        };
        let seen = of_inputs.reduce(union)?;
        let field = match &seen {
            Some(axes) => ReceptiveField::Window(axes.iter().map(Along::field).collect()),
            None => ReceptiveField::Everything,
        };
        self.seen.extend(node.outputs.iter().map(|&value| (value, seen.clone())));
        Some(field)
    }
}

/// Returns the fields that a node sees through its input `position`; `None` for everything.
fn through(axes: &[Along], reach: &Reach, position: usize, io: &Io) -> Option<Vec<Along>> {
    let (x, y) = (io.inputs[position].get(2..)?, io.outputs.first()?.get(2..)?);
    match reach {
        Reach::Window(taps) if position == 0 => {
            let fits = [axes.len(), x.len(), y.len()] == [taps.len(); 3];
            fits.then(|| axes.iter().zip(taps).map(|(along, taps)| along.through(taps)).collect())?
        }
        Reach::Pixel | Reach::Window(_) => (x == y).then(|| axes.to_vec()),
        Reach::Everything => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Summary;
    use crate::ops::{Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Pad1d, PaddingMode, Pool1d, Pool2d, PoolKind};
    use crate::ops::{Resize, ResizeMode, Slice};
    use crate::{BATCH, Constant, Result, Weights, models};

    fn zeros<const D: usize>(shape: [usize; D]) -> Constant {
        Constant::lazy("zeros", shape, move || vec![0.0; shape.iter().product()])
    }

    fn conv(kernel: usize) -> Conv2d {
        Conv2d::new(zeros([1, 1, kernel, kernel]), None)
    }

    /// Returns the printed field of the last layer.
    fn last(build: impl Fn(&mut Graph, Value) -> Result<Value>) -> String {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 1, 64, 64]);
        build(&mut graph, x).unwrap();
        field(&graph, |_| true)
    }

    /// Returns the printed field of the last layer whose name fits.
    fn field(graph: &Graph, named: impl Fn(&str) -> bool) -> String {
        let layers = Summary::new(graph, 1).unwrap().layers;
        layers.iter().rfind(|layer| named(&layer.name)).unwrap().receptive_field.as_ref().unwrap().to_string()
    }

    fn chain(convs: &[Conv2d]) -> String {
        last(|graph, x| convs.iter().try_fold(x, |x, conv| graph.conv2d(x, conv.clone())))
    }

    #[test]
    fn windows_grow() {
        assert_eq!(chain(&[conv(3), conv(3), conv(3)]), "7x7 /1 @0");
        assert_eq!(chain(&[conv(3).stride(2).padding(1), conv(3).padding(1)]), "7x7 /2 @-3");
        assert_eq!(chain(&[conv(3).dilation(2), conv(3).dilation(4)]), "13x13 /1 @0");
        let wide = Conv2d::new(zeros([1, 1, 1, 7]), None).stride([1, 2]).padding([0, 3]);
        assert_eq!(chain(&[wide]), "1x7 /1x2 @0,-3");
        let pooled =
            |pool: Pool2d| last(|graph, x| graph.conv2d(x, conv(5)).and_then(|x| graph.pool2d(x, pool.clone())));
        assert_eq!(pooled(Pool2d::new(PoolKind::Max, 3).stride(2)), "7x7 /2 @0");
        assert_eq!(pooled(Pool2d::new(PoolKind::Max, 3).stride(2).padding(1)), "7x7 /2 @-1");
        // From 60 pixels to 15 the windows are 4 pixels wide; from 60 to 7 they are uneven.
        assert_eq!(pooled(Pool2d::adaptive(PoolKind::Average, [15, 30])), "8x6 /4x2 @0");
        assert_eq!(pooled(Pool2d::adaptive(PoolKind::Average, [7, 7])), "all");
        assert_eq!(pooled(Pool2d::global(PoolKind::Average)), "all");
    }

    #[test]
    fn images_grow() {
        let transposed = |kernel| ConvTranspose2d::new(zeros([1, 1, kernel, kernel]), None).stride(2);
        // Each output meets 2 taps of a kernel of 4; with a kernel of 1 every second output is in a gap.
        assert_eq!(last(|graph, x| graph.conv_transpose2d(x, transposed(4).padding(1))), "2x2 /0.5 @-1");
        assert_eq!(last(|graph, x| graph.conv_transpose2d(x, transposed(1))), "1x1 /0.5 @0");
        let shuffled = |graph: &mut Graph, x: Value| {
            let x = graph.conv2d(x, Conv2d::new(zeros([9, 1, 3, 3]), None).padding(1))?;
            graph.pixel_shuffle(x, 3)
        };
        assert_eq!(last(shuffled), "3x3 /0.333 @-1");
        // The unshuffle restores the size.
        assert_eq!(last(|graph, x| shuffled(graph, x).and_then(|x| graph.pixel_unshuffle(x, 3))), "3x3 /1 @-1");
        let enlarged = |mode| last(|graph, x| graph.upsample(x, 2.0, mode));
        assert_eq!(enlarged(ResizeMode::Nearest), "1x1 /0.5 @0");
        assert_eq!(enlarged(ResizeMode::Linear), "2x2 /0.5 @-1");
        assert_eq!(enlarged(ResizeMode::Cubic), "4x4 /0.5 @-2");
    }

    #[test]
    fn branches_join() {
        // A residual block; an inception block, whose branches differ; a gate of the whole image.
        let block = |graph: &mut Graph, x: Value| {
            let y = graph.conv2d(x, conv(3).padding(1))?;
            graph.add(y, x)
        };
        assert_eq!(last(|graph, x| block(graph, x).and_then(|x| block(graph, x))), "5x5 /1 @-2");
        let inception = |graph: &mut Graph, x: Value| {
            let x = graph.conv2d(x, conv(3).stride(2).padding(1))?;
            let branches = [1, 3, 5].map(|kernel| graph.conv2d(x, conv(kernel).padding(kernel / 2)));
            let branches: Vec<Value> = branches.into_iter().collect::<Result<_>>()?;
            graph.concat(&branches, 1)
        };
        assert_eq!(last(inception), "11x11 /2 @-5");
        let gated = |graph: &mut Graph, x: Value| {
            let gate = graph.pool2d(x, Pool2d::global(PoolKind::Average))?;
            graph.mul(x, gate)
        };
        assert_eq!(last(gated), "all");
        // One path skips every second pixel: the windows have different strides.
        let apart = |graph: &mut Graph, x: Value| {
            let far = graph.conv2d(x, conv(1).stride(2))?;
            let near = graph.slice(x, 2, 0, 32).and_then(|x| graph.slice(x, 3, 0, 32))?;
            graph.add(far, near)
        };
        assert_eq!(last(apart), "all");
        // An operand that doesn't depend on the input doesn't matter.
        let shifted = |graph: &mut Graph, x: Value| {
            let constant = graph.constant(zeros([1, 1, 1, 1]));
            graph.add(x, constant)
        };
        assert_eq!(last(shifted), "1x1 /1 @0");
        let flat = |graph: &mut Graph, x: Value| graph.flatten(x);
        assert_eq!(last(flat), "all");
    }

    #[test]
    fn fields_of_networks() {
        let field_of = |name: &str, layer: &str| {
            field(&models::find(name).unwrap().graph(&Weights::seeded(0), None).unwrap(), |name| name == layer)
        };
        // conv 11/4: 11 pixels; pool 3/2: + 2 * 4; conv 5 at stride 8: + 4 * 8; pool 3/2: + 2 * 8; three convs 3 at
        // stride 16: + 3 * 2 * 16. (After the last pooling 195, as in the paper's table.)
        assert_eq!(field_of("alexnet", "features.10"), "163x163 /16 @-66");
        // Conv 7/2, pool 3/2: 7 + 2 * 2 at stride 4. Each block has one kernel of 3; the first of stages 2 to 4
        // strides by 2. Blocks: 3 add 2 * 4; 1 adds 2 * 4, 3 add 2 * 8; 1 adds 2 * 8, 5 add 2 * 16; 1 adds 2 * 16,
        // 2 add 2 * 32. (The paper's table has 483 for the variant that strides at the end of a stage.)
        let wanted = 11 + 3 * 8 + (8 + 3 * 16) + (16 + 5 * 32) + (32 + 2 * 64);
        assert_eq!(field_of("resnet50", "layer4.2.conv3"), format!("{wanted}x{wanted} /32 @-213"));
        // The paper's figure for VGG-16 is 212, after the last pooling.
        assert_eq!(field_of("vgg16", "features.28"), "196x196 /16 @-90");
        assert_eq!(field_of("resnet50", "fc"), "all");
        assert_eq!(field_of("mobilenet_v3_large", "features.1.block.0.0"), "7x7 /2 @-3");
        assert_eq!(field_of("vit_b_16", "conv_proj"), "16x16 /16 @0");
    }

    /// A layer over a line of pixels: as an operation of a graph, and as plain loops over its dependencies.
    #[derive(Clone, Copy, Debug)]
    enum Layer {
        Conv { kernel: usize, stride: usize, dilation: usize, padding: usize },
        Transposed { kernel: usize, stride: usize, dilation: usize, padding: usize },
        Pool { kernel: usize, stride: usize },
        Pad(isize, isize),
        Slice { start: usize, step: usize },
        Nearest(usize),
        Linear(usize, usize),
    }

    impl Layer {
        fn random(random: &mut impl FnMut(usize) -> usize) -> Layer {
            let [kernel, stride, dilation] = [1 + random(4), 1 + random(3), 1 + random(3)];
            let padding = random(1 + dilation * (kernel - 1) / 2);
            match random(7) {
                0 | 1 => Layer::Conv { kernel, stride, dilation, padding },
                2 => Layer::Transposed { kernel, stride, dilation, padding },
                3 => Layer::Pool { kernel, stride },
                4 => Layer::Pad(random(5) as isize - 2, random(5) as isize - 2),
                5 => Layer::Slice { start: random(4), step: stride },
                _ if random(2) == 0 => Layer::Nearest(stride),
                _ => Layer::Linear(1 + random(4), 1 + random(3)),
            }
        }

        fn add(self, graph: &mut Graph, x: Value) -> Result<Value> {
            let length = graph.shape(x, 1)?[2];
            match self {
                Layer::Conv { kernel, stride, dilation, padding } => {
                    let conv = Conv1d::new(zeros([1, 1, kernel]), None).stride(stride);
                    graph.conv1d(x, conv.dilation(dilation).padding(padding))
                }
                Layer::Transposed { kernel, stride, dilation, padding } => {
                    let conv = ConvTranspose1d::new(zeros([1, 1, kernel]), None).stride(stride);
                    graph.conv_transpose1d(x, conv.dilation(dilation).padding(padding))
                }
                Layer::Pool { kernel, stride } => {
                    graph.pool1d(x, Pool1d::new(PoolKind::Average, kernel).stride(stride))
                }
                Layer::Pad(left, right) => graph.push(Pad1d::new([left, right], PaddingMode::Zeros), &[x]),
                Layer::Slice { start, step } => {
                    graph.push(Slice::new().along(2, start as isize, isize::MAX, step as isize), &[x])
                }
                Layer::Nearest(factor) => graph.push(Resize::new(ResizeMode::Nearest, [length * factor]), &[x]),
                Layer::Linear(by, of) => graph.push(Resize::new(ResizeMode::Linear, [length * by / of]), &[x]),
            }
        }

        /// Returns for each output whether it depends on one of the marked inputs.
        fn spread(self, x: &[bool], outputs: usize) -> Vec<bool> {
            let at = |i: isize| usize::try_from(i).is_ok_and(|i| i < x.len() && x[i]);
            let window = |o: usize, kernel, stride, dilation, before| {
                (0..kernel).any(|tap: usize| at((o * stride + tap * dilation) as isize - before))
            };
            let each = |f: &dyn Fn(usize) -> bool| (0..outputs).map(f).collect::<Vec<bool>>();
            match self {
                Layer::Conv { kernel, stride, dilation, padding } => {
                    each(&|o| window(o, kernel, stride, dilation, padding as isize))
                }
                Layer::Pool { kernel, stride } => each(&|o| window(o, kernel, stride, 1, 0)),
                Layer::Pad(left, _) => each(&|o| window(o, 1, 1, 1, left)),
                Layer::Slice { start, step } => each(&|o| at((start + o * step) as isize)),
                Layer::Nearest(factor) => each(&|o| at((o / factor) as isize)),
                Layer::Linear(..) => each(&|o| {
                    let source = (o as f64 + 0.5) * x.len() as f64 / outputs as f64 - 0.5;
                    at(source.floor() as isize) || (source.fract() > 1e-9 && at(source.floor() as isize + 1))
                }),
                Layer::Transposed { kernel, stride, dilation, padding } => {
                    let mut y = vec![false; outputs];
                    for (i, tap) in
                        (0..x.len()).flat_map(|i| (0..kernel).map(move |tap| (i, tap))).filter(|(i, _)| x[*i])
                    {
                        let o = (i * stride + tap * dilation).checked_sub(padding);
                        if let Some(y) = o.and_then(|o| y.get_mut(o)) {
                            *y = true;
                        }
                    }
                    y
                }
            }
        }
    }

    /// Compares the middle pixels' fields with plain loops that follow each input pixel through a chain of layers.
    #[test]
    fn fields_are_what_outputs_depend_on() {
        const LENGTH: usize = 360;
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut compared = 0;
        for _ in 0..150 {
            let layers: Vec<Layer> = (0..1 + random(5)).map(|_| Layer::random(&mut random)).collect();
            let mut graph = Graph::new();
            let x = graph.input("x", [BATCH, 1, LENGTH]);
            let mut lengths = Vec::new();
            let mut y = x;
            for layer in &layers {
                y = layer.add(&mut graph, y).unwrap_or_else(|error| panic!("{layers:?}: {error}"));
                lengths.push(graph.shape(y, 1).unwrap()[2]);
            }
            let mut fields = Fields::new(&graph);
            let visit = |node: &Node, io: &Io| {
                fields.visit(node, io);
                Ok(())
            };
            graph.visit(1, visit).unwrap();
            let Some(along) = &fields.seen[&y] else { continue };
            let outputs = lengths[lengths.len() - 1];
            let mut seen: Vec<Option<[i64; 2]>> = vec![None; outputs];
            for pixel in 0..LENGTH {
                let mut touched: Vec<bool> = (0..LENGTH).map(|i| i == pixel).collect();
                for (layer, &outputs) in layers.iter().zip(&lengths) {
                    touched = layer.spread(&touched, outputs);
                }
                for (seen, _) in seen.iter_mut().zip(touched).filter(|(_, touched)| *touched) {
                    let pixel = [pixel as i64; 2];
                    *seen = Some(seen.map_or(pixel, |seen| hull(seen, pixel)));
                }
            }
            for (o, &seen) in seen.iter().enumerate().take(outputs * 3 / 5).skip(outputs * 2 / 5) {
                assert_eq!(along[0].at(o as i64), seen, "pixel {o} of {layers:?}");
                compared += 1;
            }
        }
        assert!(compared > 2000, "{compared} pixels");
    }

    #[test]
    fn what_cannot_be_counted_is_everything() {
        let far = |stride| Taps { up: 1, down: stride, first: 0, step: 1, count: 1 };
        let once = Along::pixel().through(&far(i64::MAX)).unwrap();
        assert_eq!(once.through(&far(2)), None);
        assert_eq!(Along::pixel().through(&Taps::window(3, 1, usize::MAX, 0)), None);
        assert_eq!(Along::pixel().through(&Taps::window(1 << 40, 1, 1, 0)), None);
    }
}
