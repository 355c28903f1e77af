//! Details that the importer honours exactly, with numbers: others have silently computed them wrongly.

mod integers;
mod operators;
mod sizes;
mod windows;

use crate::model::{Message, Model};
use pollster::block_on;
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::{Context, ContextOptions, Data};
use std::sync::OnceLock;

pub fn context() -> &'static Context {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    CONTEXT.get_or_init(|| {
        let context = block_on(Context::with(&ContextOptions::from_env()));
        context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
    })
}

/// Returns a model's first output for these inputs, whose values are unknown when its graph is built.
pub fn run(model: &Model, bindings: &Bindings, inputs: &[Data]) -> Vec<f32> {
    let graph = Onnx::from_bytes(model.bytes()).and_then(|onnx| onnx.graph(bindings));
    let graph = graph.unwrap_or_else(|error| panic!("{error}"));
    let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1));
    let session = session.unwrap_or_else(|error| panic!("{error}"));
    session.run_blocking(inputs).unwrap_or_else(|error| panic!("{error}"))[0].to_f32()
}

#[track_caller]
pub fn same(got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{got:?}, wanted {wanted:?}");
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() <= 1e-5 * wanted.abs().max(1.0), "element {i}: {got}, wanted {wanted}");
    }
}

/// Checks the output of one node; its inputs after the first are these constants.
#[track_caller]
fn check(opset: i64, op: &str, x: (&[i64], &[f32]), constants: &[Message], attributes: &[Message], wanted: &[f32]) {
    let (mut model, mut inputs) = (Model::new(opset).input("x", x.0).output("y"), vec!["x".to_owned()]);
    for constant in constants {
        let name = format!("c{}", inputs.len());
        // If a field occurs twice, the last one counts.
        model = model.initialiser(&Message([&constant.0[..], &Message::default().bytes(8, &name).0].concat()));
        inputs.push(name);
    }
    let model = model.with(1, &crate::model::node_of("", op, &inputs, &["y"], attributes));
    same(&run(&model, &Bindings::new(), &[x.1.to_vec().into()]), wanted);
}

/// Returns numbers without symmetry: their order and their signs matter.
pub fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + 11) % 29) as f32 / 8.0 - 1.5).collect()
}

/// A window over an image: sizes, strides, dilations and padding.
#[derive(Clone, Copy)]
pub struct Window {
    pub size: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Window {
    fn outputs(&self, image: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|a| {
            let span = self.dilation[a] * (self.size[a] - 1) + 1;
            (image[a] + self.pads[a] + self.pads[a + 2] - span) / self.stride[a] + 1
        })
    }

    /// Returns the pixel under tap `k` of output `o`, unless that is padding.
    fn pixel(&self, image: [usize; 2], o: [usize; 2], k: [usize; 2]) -> Option<[usize; 2]> {
        let at = |a: usize| {
            let place = o[a] * self.stride[a] + k[a] * self.dilation[a];
            place.checked_sub(self.pads[a]).filter(|&place| place < image[a])
        };
        Some([at(0)?, at(1)?])
    }
}

fn grid([h, w]: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    (0..h).flat_map(move |y| (0..w).map(move |x| [y, x]))
}

/// Convolves one image by loops: `x` is `[channels, ..]`, `w` is `[out, channels / groups, ..]`.
pub fn convolution(
    x: &[f32],
    image: [usize; 2],
    w: &[f32],
    [out, each, groups]: [usize; 3],
    window: Window,
) -> Vec<f32> {
    let taps = window.size[0] * window.size[1];
    let mut y = Vec::new();
    for o in 0..out {
        let group = o / (out / groups);
        for place in grid(window.outputs(image)) {
            let mut sum = 0.0;
            for c in 0..each {
                for (t, k) in grid(window.size).enumerate() {
                    if let Some([row, column]) = window.pixel(image, place, k) {
                        let pixel = x[((group * each + c) * image[0] + row) * image[1] + column];
                        sum += pixel * w[(o * each + c) * taps + t];
                    }
                }
            }
            y.push(sum);
        }
    }
    y
}

fn one(op: &str, sizes: &[i64], constants: &[Message]) -> Model {
    let named = |constant: &Message| Message([&constant.0[..], &Message::default().bytes(8, "c").0].concat());
    let model = constants.iter().fold(Model::new(17), |model, constant| model.initialiser(&named(constant)));
    model.input("x", sizes).output("y").node(op, &["x", "c"], &["y"], &[])
}
