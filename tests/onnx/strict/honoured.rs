//! Details that the importer honours exactly, with numbers: others have silently computed them wrongly.

use crate::model::{
    BOOL, FLOAT, INT8, INT32, INT64, Message, Model, Size, UINT32, UINT64, float, floats, int, ints, list, longs, port,
    raw, string, tensor,
};
use crate::{graph, parameters, refusal};
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

#[test]
fn convolutions_have_groups_strides_dilations_and_pads_of_their_own() {
    let (image, w) = ([9, 11], numbers(6 * 2 * 6));
    let x = numbers(4 * 9 * 11);
    let window = Window { size: [3, 2], stride: [2, 3], dilation: [2, 1], pads: [1, 0, 2, 3] };
    let attributes = [
        int("group", 2),
        ints("strides", &[2, 3]),
        ints("dilations", &[2, 1]),
        ints("pads", &[1, 0, 2, 3]),
        ints("kernel_shape", &[3, 2]),
    ];
    let wanted = convolution(&x, image, &w, [6, 2, 2], window);
    check(11, "Conv", (&[1, 4, 9, 11], &x), &[floats("", &[6, 2, 3, 2], &w)], &attributes, &wanted);
    let other = floats("", &[6, 2, 3, 2], &w);
    let shape = [ints("kernel_shape", &[2, 3])];
    let model = Model::new(11)
        .input("x", &[1, 4, 9, 11])
        .output("y")
        .initialiser(&Message([other.0, Message::default().bytes(8, "w").0].concat()));
    assert!(
        refusal(&model.node("Conv", &["x", "w"], &["y"], &shape)).contains("attribute kernel_shape: wanted [3, 2]")
    );
}

/// Automatic padding differs per axis; its larger half is after or before.
#[test]
fn automatic_padding_is_computed_for_each_axis() {
    for (image, size, stride, dilation) in [
        ([7, 10], [3, 4], [2, 3], [1, 1]),
        ([5, 6], [2, 5], [1, 2], [1, 1]),
        ([8, 8], [1, 3], [3, 1], [1, 1]),
        ([9, 8], [3, 2], [1, 3], [2, 3]),
        ([7, 9], [2, 4], [2, 1], [3, 1]),
    ] {
        let x = numbers(image[0] * image[1]);
        let w = numbers(size[0] * size[1]);
        for auto in ["SAME_UPPER", "SAME_LOWER"] {
            let mut pads = [0; 4];
            for a in 0..2 {
                let outputs = image[a].div_ceil(stride[a]);
                let span = dilation[a] * (size[a] - 1) + 1;
                let all = ((outputs - 1) * stride[a] + span).saturating_sub(image[a]);
                let (less, more) = (all / 2, all - all / 2);
                (pads[a], pads[a + 2]) = if auto == "SAME_UPPER" { (less, more) } else { (more, less) };
            }
            let window = Window { size, stride, dilation, pads };
            let [k, s, d] = [size, stride, dilation].map(|pair| pair.map(|number| number as i64));
            let dims = [1, 1, image[0] as i64, image[1] as i64];
            let wanted = convolution(&x, image, &w, [1, 1, 1], window);
            let attributes = [string("auto_pad", auto), ints("strides", &s), ints("dilations", &d)];
            check(11, "Conv", (&dims, &x), &[floats("", &[1, 1, k[0], k[1]], &w)], &attributes, &wanted);
            let seen = |o| grid(size).filter_map(move |t| window.pixel(image, o, t)).map(|[r, c]| r * image[1] + c);
            let wanted: Vec<f32> =
                grid(window.outputs(image)).map(|o| seen(o).map(|at| x[at]).fold(f32::MIN, f32::max)).collect();
            let kernel = ints("kernel_shape", &k);
            let attributes = [string("auto_pad", auto), ints("strides", &s), ints("dilations", &d), kernel];
            check(11, "MaxPool", (&dims, &x), &[], &attributes, &wanted);
            let mean = |o| seen(o).map(|at| x[at]).sum::<f32>() / seen(o).count() as f32;
            let wanted: Vec<f32> = grid(window.outputs(image)).map(mean).collect();
            check(22, "AveragePool", (&dims, &x), &[], &attributes, &wanted);
        }
    }
}

/// An axis is cropped at one end and reflected at the other: the reflection shows remaining elements, if they suffice.
#[test]
fn a_reflection_beside_what_is_cut_off() {
    let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let reflect = [string("mode", "reflect")];
    check(18, "Pad", (&[6], &x), &[longs("", &[2], &[-3, 2])], &reflect, &[3.0, 4.0, 5.0, 4.0, 3.0]);
    check(18, "Pad", (&[6], &x), &[longs("", &[2], &[1, -4])], &reflect, &[1.0, 0.0, 1.0]);
    let model = |pads: &[i64]| {
        let model = Model::new(18).input("x", &[6]).initialiser(&longs("p", &[2], pads)).output("y");
        model.node("Pad", &["x", "p"], &["y"], &reflect)
    };
    let wanted = "pads: wanted less than the 3 elements that are left of axis 0, to reflect these, got 3";
    assert!(refusal(&model(&[-3, 3])).contains(wanted));
    assert!(refusal(&model(&[3, -3])).contains(wanted));
}

#[test]
fn average_pooling_counts_what_it_says() {
    let (image, x) = ([4, 5], numbers(20));
    let window = Window { size: [3, 2], stride: [2, 2], dilation: [1, 1], pads: [1, 1, 1, 0] };
    for include in [false, true] {
        let wanted: Vec<f32> = grid(window.outputs(image))
            .map(|o| {
                let seen: Vec<f32> = grid(window.size)
                    .filter_map(|k| window.pixel(image, o, k))
                    .map(|[row, column]| x[row * 5 + column])
                    .collect();
                seen.iter().sum::<f32>() / if include { 6.0 } else { seen.len() as f32 }
            })
            .collect();
        let attributes = [
            ints("kernel_shape", &[3, 2]),
            ints("strides", &[2, 2]),
            ints("pads", &[1, 1, 1, 0]),
            int("count_include_pad", include.into()),
        ];
        check(11, "AveragePool", (&[1, 1, 4, 5], &x), &[], &attributes, &wanted);
    }
    // With ceil_mode, the last window extends beyond the end: its mean is that of the existing elements.
    let attributes = [ints("kernel_shape", &[2]), ints("strides", &[2]), int("ceil_mode", 1)];
    check(19, "AveragePool", (&[1, 1, 5], &[1.0, 2.0, 3.0, 5.0, 9.0]), &[], &attributes, &[1.5, 4.0, 9.0]);
    let attributes = [ints("kernel_shape", &[2]), ints("strides", &[2]), int("ceil_mode", 0)];
    check(19, "AveragePool", (&[1, 1, 5], &[1.0, 2.0, 3.0, 5.0, 9.0]), &[], &attributes, &[1.5, 4.0]);
}

#[test]
fn clip_has_bounds_as_attributes_constants_and_inputs() {
    let x = [-3.0, -0.5, 0.25, 2.0, 9.0];
    let at = (&[5][..], &x[..]);
    let wanted = [-0.75, -0.5, 0.25, 1.5, 1.5];
    check(6, "Clip", at, &[], &[float("min", -0.75), float("max", 1.5)], &wanted);
    check(6, "Clip", at, &[], &[float("max", 1.5)], &[-3.0, -0.5, 0.25, 1.5, 1.5]);
    check(6, "Clip", at, &[], &[float("min", 0.5)], &[0.5, 0.5, 0.5, 2.0, 9.0]);
    check(13, "Clip", at, &[floats("", &[], &[-0.75]), floats("", &[], &[1.5])], &[], &wanted);
    check(13, "Clip", at, &[], &[], &x);
    let model = Model::new(13).input("x", &[5]).input("lo", &[]).input("hi", &[]).output("y");
    let both = model.clone().node("Clip", &["x", "lo", "hi"], &["y"], &[]);
    let data = |values: &[f32]| Data::from(values.to_vec());
    let inputs = [data(&x), data(&[-0.75]), data(&[1.5])];
    same(&run(&both, &Bindings::new(), &inputs), &wanted);
    let upper =
        Model::new(13).input("x", &[5]).input("hi", &[]).output("y").node("Clip", &["x", "", "hi"], &["y"], &[]);
    same(&run(&upper, &Bindings::new(), &[data(&x), data(&[1.5])]), &[-3.0, -0.5, 0.25, 1.5, 1.5]);
    // Opset 6 had attributes that opset 11 lacks.
    let old = Model::new(13).input("x", &[5]).output("y").node("Clip", &["x"], &["y"], &[float("min", 0.0)]);
    assert!(refusal(&old).contains("got \"min\""), "{}", refusal(&old));
}

#[test]
fn activations_have_their_parameters() {
    let x = [-4.0, -1.0, -0.25, 0.0, 0.5, 3.0];
    let at = (&[6][..], &x[..]);
    let of = |f: &dyn Fn(f32) -> f32| x.map(f);
    let elu = |alpha: f32| move |x: f32| if x < 0.0 { alpha * x.exp_m1() } else { x };
    check(6, "Elu", at, &[], &[float("alpha", 0.3)], &of(&elu(0.3)));
    check(6, "Elu", at, &[], &[], &of(&elu(1.0)));
    let leaky = |alpha: f32| move |x: f32| if x < 0.0 { alpha * x } else { x };
    check(6, "LeakyRelu", at, &[], &[float("alpha", 0.3)], &of(&leaky(0.3)));
    check(6, "LeakyRelu", at, &[], &[], &of(&leaky(0.01)));
    let hard = |alpha: f32, beta: f32| move |x: f32| (alpha * x + beta).clamp(0.0, 1.0);
    check(6, "HardSigmoid", at, &[], &[], &of(&hard(0.2, 0.5)));
    check(6, "HardSigmoid", at, &[], &[float("alpha", 0.1), float("beta", 0.3)], &of(&hard(0.1, 0.3)));
    check(6, "HardSigmoid", at, &[], &[float("alpha", 1.0 / 6.0)], &of(&hard(1.0 / 6.0, 0.5)));
    let selu = |alpha: f32, gamma: f32| move |x: f32| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x };
    check(6, "Selu", at, &[], &[], &of(&selu(1.673_263_2, 1.050_701)));
    check(6, "Selu", at, &[], &[float("alpha", 2.0), float("gamma", 0.5)], &of(&selu(2.0, 0.5)));
    check(10, "ThresholdedRelu", at, &[], &[float("alpha", 0.6)], &of(&|x| if x > 0.6 { x } else { 0.0 }));
}

/// Gemm computes `alpha a b + beta c` for all transpositions of the operands and all broadcasts of c.
#[test]
fn gemm_has_factors_transpositions_and_a_bias_of_any_shape() {
    let [m, k, n] = [3usize, 5, 4];
    let (a, w, c) = (numbers(m * k), numbers(k * n + 7)[7..].to_vec(), numbers(m * n));
    for (turned_a, turned_b, known) in
        [(0, 0, true), (0, 1, true), (1, 0, true), (1, 1, true), (1, 0, false), (0, 1, false)]
    {
        for (alpha, beta) in [(1.0, 1.0), (0.5, -2.0), (2.0, 0.0)] {
            for bias in [&[][..], &[1], &[4], &[1, 4], &[3, 1], &[3, 4]] {
                let of_c = |i: usize, j: usize| match *bias {
                    [3, 1] => c[i],
                    [3, 4] => c[i * n + j],
                    [4] | [1, 4] => c[j],
                    _ => c[0],
                };
                let mut wanted = Vec::new();
                for i in 0..m {
                    for j in 0..n {
                        let at_a = |p: usize| a[if turned_a == 1 { p * m + i } else { i * k + p }];
                        let at_b = |p: usize| w[if turned_b == 1 { j * k + p } else { p * n + j }];
                        let sum: f32 = (0..k).map(|p| at_a(p) * at_b(p)).sum();
                        wanted.push(alpha * sum + beta * of_c(i, j));
                    }
                }
                let attributes =
                    [float("alpha", alpha), float("beta", beta), int("transA", turned_a), int("transB", turned_b)];
                let of_a = if turned_a == 1 { [5, 3] } else { [3, 5] };
                let of_b = if turned_b == 1 { [4, 5] } else { [5, 4] };
                let count = bias.iter().product::<i64>() as usize;
                let model = Model::new(13).input("a", &of_a).initialiser(&floats("c", bias, &c[..count])).output("y");
                let model = model.node("Gemm", &["a", "b", "c"], &["y"], &attributes);
                let (model, mut inputs) = (model, vec![Data::from(a.clone())]);
                let model = match known {
                    true => model.initialiser(&floats("b", &of_b, &w)),
                    false => {
                        inputs.push(w.clone().into());
                        model.input("b", &of_b)
                    }
                };
                same(&run(&model, &Bindings::new(), &inputs), &wanted);
            }
        }
    }
}

#[test]
fn products_of_odd_sizes() {
    for [batch, m, k, n] in [[1, 1, 1, 1], [1, 7, 13, 5], [3, 5, 9, 17], [2, 1, 33, 3]] {
        let (a, w) = (numbers(batch * m * k), numbers(k * n));
        let mut wanted = Vec::new();
        for row in 0..batch * m {
            for j in 0..n {
                wanted.push((0..k).map(|p| a[row * k + p] * w[p * n + j]).sum());
            }
        }
        let dims = [batch, m, k].map(|size| size as i64);
        check(13, "MatMul", (&dims, &a), &[floats("", &[k as i64, n as i64], &w)], &[], &wanted);
    }
}

/// Since opset 13, softmax is along an axis; before, it is along all axes from that one on, as one.
#[test]
fn softmax_follows_the_rule_of_its_opset() {
    let x = numbers(2 * 3 * 4);
    let at = (&[2, 3, 4][..], &x[..]);
    let over = |groups: &[Vec<usize>]| {
        let mut y = vec![0.0; x.len()];
        for group in groups {
            let sum: f32 = group.iter().map(|&i| x[i].exp()).sum();
            group.iter().for_each(|&i| y[i] = x[i].exp() / sum);
        }
        y
    };
    let rows: Vec<Vec<usize>> = (0..6).map(|row| (row * 4..row * 4 + 4).collect()).collect();
    let middle: Vec<Vec<usize>> = (0..8).map(|i| (0..3).map(|j| i / 4 * 12 + j * 4 + i % 4).collect()).collect();
    let planes: Vec<Vec<usize>> = (0..2).map(|plane| (plane * 12..plane * 12 + 12).collect()).collect();
    check(13, "Softmax", at, &[], &[], &over(&rows));
    check(13, "Softmax", at, &[], &[int("axis", 1)], &over(&middle));
    check(13, "Softmax", at, &[], &[int("axis", -2)], &over(&middle));
    check(11, "Softmax", at, &[], &[], &over(&planes));
    check(11, "Softmax", at, &[], &[int("axis", 2)], &over(&rows));
    check(11, "Softmax", at, &[], &[int("axis", 0)], &over(&[(0..24).collect()]));
    let logs: Vec<f32> = over(&planes).iter().map(|y| y.ln()).collect();
    check(11, "LogSoftmax", at, &[], &[], &logs);
}

#[test]
fn batch_normalisation_has_an_epsilon() {
    let x = numbers(2 * 3);
    let [scale, bias, mean, var] = [[1.0, -2.0, 0.5], [0.1, 0.2, 0.3], [0.5, 0.0, -1.0], [0.01, 0.04, 0.0]];
    for (epsilon, attributes) in [(0.1f32, vec![float("epsilon", 0.1)]), (1e-5, vec![])] {
        let wanted: Vec<f32> =
            (0..6).map(|i| (x[i] - mean[i % 3]) / (var[i % 3] + epsilon).sqrt() * scale[i % 3] + bias[i % 3]).collect();
        let constants = [scale, bias, mean, var].map(|values| floats("", &[3], &values));
        check(9, "BatchNormalization", (&[2, 3, 1, 1], &x), &constants, &attributes, &wanted);
    }
}

#[test]
fn gather_and_slice_count_from_the_end() {
    let x = numbers(3 * 4);
    let at = (&[3, 4][..], &x[..]);
    let column = |j: usize| [x[j], x[4 + j], x[8 + j]];
    let pair = |a: [f32; 3], b: [f32; 3]| (0..3).flat_map(|i| [a[i], b[i]]).collect::<Vec<_>>();
    check(13, "Gather", at, &[list("", &[-1, 0])], &[int("axis", 1)], &pair(column(3), column(0)));
    check(13, "Gather", at, &[longs("", &[], &[-4])], &[int("axis", -1)], &column(0));
    let far = one("Gather", &[3, 4], &[list("", &[-4])]);
    assert!(refusal(&far).contains("indices: wanted places in 3, got -4"), "{}", refusal(&far));
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64], wanted: &[f32]| {
        check(13, "Slice", at, &[list("", starts), list("", ends), list("", axes), list("", steps)], &[], wanted);
    };
    slice(&[-1], &[i64::MIN], &[1], &[-1], &(0..12).map(|i| x[i / 4 * 4 + 3 - i % 4]).collect::<Vec<_>>());
    slice(&[i64::MAX], &[i64::MIN], &[0], &[-2], &[&x[8..], &x[..4]].concat());
    slice(&[1], &[i64::MAX], &[-1], &[2], &pair(column(1), column(3)));
    slice(&[-2, 1], &[i64::MAX, -1], &[0, 1], &[1, 1], &[x[5], x[6], x[9], x[10]]);
    slice(&[0], &[i64::MAX], &[1], &[i64::MAX], &column(0));
    slice(&[3], &[i64::MIN], &[1], &[i64::MIN], &column(3));
    check(
        9,
        "Slice",
        at,
        &[],
        &[ints("starts", &[-2]), ints("ends", &[i64::MAX]), ints("axes", &[1])],
        &pair(column(2), column(3)),
    );
}

fn one(op: &str, sizes: &[i64], constants: &[Message]) -> Model {
    let named = |constant: &Message| Message([&constant.0[..], &Message::default().bytes(8, "c").0].concat());
    let model = constants.iter().fold(Model::new(17), |model, constant| model.initialiser(&named(constant)));
    model.input("x", sizes).output("y").node(op, &["x", "c"], &["y"], &[])
}

#[test]
fn integers_that_32_bits_do_not_hold_are_an_error() {
    let add = |constant: &Message, element: i64| {
        let model = Model::new(13).typed("x", element, &[1]).initialiser(constant).output("y");
        model.node("Add", &["x", "c"], &["y"], &[])
    };
    let last = i64::from(i32::MAX);
    let x = Data::from(vec![-1]);
    let model = add(&list("c", &[last]), INT64);
    assert_eq!(run(&model, &Bindings::new(), &[x]), [(i32::MAX - 1) as f32]);
    for value in [last + 1, i64::from(i32::MIN) - 1, i64::MAX, i64::MIN] {
        let error = refusal(&add(&list("c", &[value]), INT64));
        assert!(error.contains(&format!("wanted integers of 32 bits, got {value}")), "{error}");
    }
    let error = refusal(&Model::new(13).initialiser(&raw("w", UINT64, &[1], &[255; 8])).output("w"));
    assert!(error.contains("wanted integers of 32 bits, got 18446744073709551615"), "{error}");
    // Shapes, axes and bounds keep 64 bits: they are never on the device.
    graph(&one("Reshape", &[2, 3], &[list("", &[-1])])).expect("a shape is never on the device");
}

/// Before opset 7, the second operand was broadcast only if the node said so, from an axis on.
#[test]
fn old_broadcasting_has_an_axis() {
    let (x, y) = (numbers(2 * 3 * 4), [10.0, 20.0, 30.0]);
    let wanted: Vec<f32> = (0..24).map(|i| x[i] + y[i / 4 % 3]).collect();
    let at = (&[2, 3, 4][..], &x[..]);
    check(6, "Add", at, &[floats("", &[3], &y)], &[int("broadcast", 1), int("axis", 1)], &wanted);
    let last: Vec<f32> = (0..24).map(|i| x[i] * [1.0, 2.0, 3.0, 4.0][i % 4]).collect();
    check(6, "Mul", at, &[floats("", &[4], &[1.0, 2.0, 3.0, 4.0])], &[int("broadcast", 1)], &last);
    let model = |attributes: &[Message]| {
        let model = Model::new(6).input("x", &[2, 3, 4]).input("z", &[3]).output("y");
        refusal(&model.node("Add", &["x", "z"], &["y"], attributes))
    };
    assert!(model(&[]).contains("without broadcast=1 before opset 7"), "{}", model(&[]));
    assert!(model(&[int("broadcast", 1), int("axis", 3)]).contains("attribute axis"));
    let new = Model::new(7).input("x", &[2, 3, 4]).input("z", &[4]).output("y");
    let new = refusal(&new.node("Add", &["x", "z"], &["y"], &[int("broadcast", 1)]));
    assert!(new.contains("got \"broadcast\""), "{new}");
}

#[test]
fn a_weight_that_two_nodes_read_is_one_constant() {
    let model = Model::new(13).input("x", &[2, 4]).initialiser(&floats("w", &[4, 4], &numbers(16))).output("y");
    let model = model.node("Gemm", &["x", "w"], &["a"], &[int("transB", 1)]);
    let model = model.node("Gemm", &["a", "w"], &["y"], &[int("transB", 1)]);
    let graph = graph(&model).expect("two layers");
    let ids = parameters(&graph);
    assert_eq!(ids.len(), 2, "{graph:?}");
    assert_eq!(ids[0], ids[1]);
}

/// Builds a network with an open batch and an open length.
fn open_network() -> Onnx {
    let model = Model::new(13).port("x", FLOAT, &[Size::Named("batch"), Size::Named("sequence"), Size::Of(3)]);
    let model = model.initialiser(&floats("w", &[3, 2], &numbers(6))).initialiser(&list("minus", &[-1]));
    let model = model.node("Shape", &["x"], &["s"], &[]).node("MatMul", &["x", "w"], &["a"], &[]);
    let model = model.node("Gather", &["s", "zero"], &["n"], &[]).initialiser(&list("zero", &[0]));
    let model = model.node("Concat", &["n", "minus"], &["shape"], &[int("axis", 0)]);
    let model = model.node("Reshape", &["a", "shape"], &["y"], &[]).output("y");
    Onnx::from_bytes(model.bytes()).expect("it is whole")
}

#[test]
fn open_sizes_are_bound_by_name() {
    let onnx = open_network();
    let missing = onnx.graph(&Bindings::new()).map(|_| ()).expect_err("the sequence is open").to_string();
    assert!(missing.contains("a size for \"sequence\""), "{missing}");
    for [batch, sequence] in [[1, 1], [2, 5], [3, 4]] {
        let graph = onnx.graph(&Bindings::new().batch(batch).size("sequence", sequence)).expect("all is said");
        let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it fits");
        assert_eq!(session.outputs()[0].shape[..], [batch, sequence * 2]);
        let (x, w) = (numbers(batch * sequence * 3), numbers(6));
        let got = session.run_blocking(&[&x]).expect("it runs")[0].to_f32();
        let wanted: Vec<f32> =
            (0..batch * sequence * 2).map(|i| (0..3).map(|k| x[i / 2 * 3 + k] * w[k * 2 + i % 2]).sum()).collect();
        same(&got, &wanted);
    }
    let named = onnx.graph(&Bindings::new().size("batch", 4).size("sequence", 2)).expect("by name too");
    assert_eq!(named.inputs()[0].shape[..], [4, 2, 3]);
}

#[test]
fn graphs_for_two_batches_share_their_weights() {
    // The test has a context of its own, so that it counts only its own objects.
    let context = block_on(Context::with(&ContextOptions::from_env())).expect("there is one");
    let onnx = open_network();
    let build = move |batch: usize| onnx.graph(&Bindings::new().batch(batch).size("sequence", 5));
    let objects = |model: &shadernet::Model, batch: usize| {
        let start = context.created();
        let session = model.session(batch).expect("it fits");
        let outputs = session.run_blocking(&[vec![1.0; batch * 15]]).expect("it runs");
        assert_eq!(outputs[0].to_f32().len(), batch * 10);
        context.created() - start
    };
    let model = shadernet::Model::for_batches(&context, build.clone());
    objects(&model, 2);
    objects(&model, 3);
    let again = objects(&model, 3);
    let other = shadernet::Model::for_batches(&context, build);
    let (first, second) = (objects(&other, 2), objects(&other, 3));
    assert!(second < first, "the weights are uploaded once: {first} objects, then {second}");
    assert_eq!(second, again, "another batch shares them like the same one");
}

#[test]
fn constants_of_each_type_are_read() {
    let of = |attribute: Message| {
        let model = Model::new(13).input("x", &[2]).output("y").node("Constant", &[], &["c"], &[attribute]);
        let model = model.node("Cast", &["c"], &["f"], &[int("to", FLOAT)]).node("Add", &["x", "f"], &["y"], &[]);
        run(&model, &Bindings::new(), &[vec![0.0, 1.0].into()])
    };
    assert_eq!(of(int("value_int", -3)), [-3.0, -2.0]);
    assert_eq!(of(float("value_float", 2.5)), [2.5, 3.5]);
    assert_eq!(of(ints("value_ints", &[4, 5])), [4.0, 6.0]);
    assert_eq!(of(crate::model::float_list("value_floats", &[0.5, 0.25])), [0.5, 1.25]);
    assert_eq!(of(tensor("value", &raw("", INT8, &[2], &[255, 1]))), [-1.0, 2.0]);
    assert_eq!(of(tensor("value", &raw("", BOOL, &[2], &[0, 1]))), [0.0, 2.0]);
    assert_eq!(of(tensor("value", &raw("", INT32, &[], &[1, 0, 0, 128]))), [-2_147_483_647.0, -2_147_483_646.0]);
}

/// A decoder's cache before the first token is empty: nothing of it reaches the device.
#[test]
fn tensors_without_elements_are_known() {
    let model = Model::new(18)
        .port("past", FLOAT, &[Size::Of(1), Size::Named("past"), Size::Of(2)])
        .input("x", &[1, 2, 2])
        .node("Tanh", &["past"], &["before"], &[])
        .node("Concat", &["before", "x"], &["all"], &[int("axis", 1)])
        .node("Shape", &["past"], &["shape"], &[])
        .node("ReduceSum", &["shape"], &["sizes"], &[int("keepdims", 0)])
        .node("Cast", &["sizes"], &["number"], &[int("to", FLOAT)])
        .node("Add", &["all", "number"], &["y"], &[])
        .node("Less", &["before", "number"], &["less"], &[])
        .output("y")
        .output("before")
        .with(12, &port("less", BOOL, &[]));
    let onnx = Onnx::from_bytes(model.bytes()).expect("it is whole");
    let x = [0.5, -1.0, 2.0, 3.0];
    for (past, wanted) in [(0, &[3.5, 2.0, 5.0, 6.0][..]), (1, &[4.0, 4.0, 4.5, 3.0, 6.0, 7.0])] {
        let graph = onnx.graph(&Bindings::new().size("past", past)).unwrap_or_else(|error| panic!("{error}"));
        let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it fits");
        let inputs = [Data::from(vec![0.0; 2 * past]), x.to_vec().into()];
        // An input without elements isn't an input any more.
        assert_eq!(graph.inputs().len(), 1 + past);
        let outputs = session.run_blocking(&inputs[1 - past..]).unwrap_or_else(|error| panic!("{error}"));
        same(&outputs[0].to_f32(), wanted);
        assert_eq!((&session.outputs()[1].shape[..], outputs[1].to_f32().len()), (&[1, past, 2][..], 2 * past));
        assert_eq!((session.outputs()[2].dtype, outputs[2].to_f32().len()), (shadernet::DType::Bool, 2 * past));
    }
    let wrong = Model::new(18).input("x", &[1, 2, 2]).input("past", &[1, 0, 3]).output("y");
    let wrong = wrong.node("Concat", &["x", "past"], &["y"], &[int("axis", 1)]);
    assert!(refusal(&wrong).contains("[1, 0, 3]"), "{}", refusal(&wrong));
}

/// A reduction of no elements is the operation's neutral element.
#[test]
fn reductions_of_nothing_are_neutral() {
    let of = |op: &str, element: i64, cast: i64| {
        let model = Model::new(20)
            .typed("x", element, &[2, 0])
            .input("z", &[2])
            .output("y")
            .initialiser(&list("axes", &[1]))
            .node(op, &["x", "axes"], &["r"], &[int("keepdims", 0)])
            .node("Cast", &["r"], &["f"], &[int("to", cast)])
            .node("Cast", &["f"], &["g"], &[int("to", FLOAT)])
            .node("Add", &["g", "z"], &["y"], &[]);
        run(&model, &Bindings::new(), &[vec![0.0, 1.0].into()])
    };
    assert_eq!(of("ReduceProd", INT64, INT64), [1.0, 2.0]);
    assert_eq!(of("ReduceSum", FLOAT, FLOAT), [0.0, 1.0]);
    assert_eq!(of("ReduceMax", FLOAT, FLOAT), [f32::NEG_INFINITY; 2]);
    assert_eq!(of("ReduceMin", FLOAT, FLOAT), [f32::INFINITY; 2]);
    assert_eq!(of("ReduceMax", INT8, INT8), [-128.0, -127.0]);
    assert_eq!(of("ReduceMin", INT8, INT8), [127.0, 128.0]);
    assert_eq!(of("ReduceMax", UINT64, FLOAT), [0.0, 1.0]);
    assert_eq!(of("ReduceMax", INT32, INT32), [i32::MIN as f32; 2]);
}

/// Integers on the device are exact beyond an f32's range; those of 8 bits wrap around at their own ends.
#[test]
fn integers_are_summed_and_sorted_exactly() {
    let of = |op: &str, element: i64, second: Option<Message>, attributes: &[Message], x: &[i32]| {
        let mut model = Model::new(18).typed("x", element, &[x.len() as i64]).output("f");
        let mut inputs = vec!["x"];
        if let Some(second) = &second {
            model = model.initialiser(second);
            inputs.push("c");
        }
        let model = model.node(op, &inputs, &["y"], attributes).node("Cast", &["y"], &["f"], &[int("to", FLOAT)]);
        run(&model, &Bindings::new(), &[x.to_vec().into()])
    };
    let large = 1 << 30;
    assert_eq!(of("ReduceSum", INT64, Some(list("c", &[0])), &[], &[large, 3, -large]), [3.0]);
    assert_eq!(of("ReduceMean", INT8, None, &[], &[100, 120, -7, 1, 2]), [43.0]);
    assert_eq!(of("ReduceMax", INT32, None, &[], &[-large - 1, -large - 64]), [-1_073_741_824.0]);
    assert_eq!(
        of("CumSum", INT32, Some(longs("c", &[], &[0])), &[], &[large, 3, -large]),
        [large as f32, large as f32, 3.0]
    );
    assert_eq!(of("CumSum", INT8, Some(longs("c", &[], &[0])), &[], &[100, 50, -7]), [100.0, -106.0, -113.0]);
    assert_eq!(of("TopK", INT64, Some(list("c", &[2])), &[], &[-5, large, 7, -large]), [large as f32, 7.0]);
    assert_eq!(of("ArgMin", INT64, None, &[], &[large + 1, large, large + 2]), [1.0]);
    assert_eq!(of("Pow", INT32, Some(floats("c", &[], &[3.0])), &[], &[-9, 1001]), [-729.0, 1_003_003_001.0]);
    assert_eq!(of("Pow", INT8, Some(list("c", &[2])), &[], &[3, 12]), [9.0, -112.0]);
    let model = Model::new(18).typed("x", INT32, &[1]).initialiser(&floats("c", &[], &[0.5])).output("y");
    let root = model.node("Pow", &["x", "c"], &["y"], &[]);
    assert!(refusal(&root).contains("exponent: wanted whole numbers, as the base's are, got 0.5"));
}

/// The device holds uint32 and uint64 values within int32's range: only operations that keep them there are computed.
#[test]
fn integers_without_a_sign_stay_where_int32_holds_them() {
    let of = |op: &str, element: i64, attributes: &[Message]| {
        let model = Model::new(20).typed("a", element, &[3]).typed("b", element, &[3]).output("f");
        model.node(op, &["a", "b"], &["y"], attributes).node("Cast", &["y"], &["f"], &[int("to", FLOAT)])
    };
    let (a, b) = (vec![i32::MAX, 7, 12], vec![65_536, 9, 5]);
    let run = |op: &str, element: i64, attributes: &[Message]| {
        run(&of(op, element, attributes), &Bindings::new(), &[a.clone().into(), b.clone().into()])
    };
    for element in [UINT32, UINT64] {
        assert_eq!(run("Div", element, &[]), [32_767.0, 0.0, 2.0]);
        assert_eq!(run("Mod", element, &[]), [65_535.0, 7.0, 2.0]);
        assert_eq!(run("Max", element, &[]), [i32::MAX as f32, 9.0, 12.0]);
        assert_eq!(run("BitwiseXor", element, &[]), [(i32::MAX - 65_536) as f32, 14.0, 9.0]);
        assert_eq!(run("BitShift", element, &[string("direction", "RIGHT")]), [0.0, 0.0, 0.0]);
        assert_eq!(run("Greater", element, &[]), [1.0, 0.0, 1.0]);
        for op in ["Add", "Sub", "Mul"] {
            assert!(refusal(&of(op, element, &[])).contains("integers that int32 holds"), "{op}");
        }
        assert!(refusal(&of("BitShift", element, &[string("direction", "LEFT")])).contains("int32 holds"));
        // -1 would be the largest uint.
        let cast = Model::new(20).typed("a", INT32, &[3]).output("y");
        assert!(refusal(&cast.node("Cast", &["a"], &["y"], &[int("to", element)])).contains("int32 holds"));
    }
}

#[test]
fn integers_that_are_known_are_exact() {
    let large = 1 << 62;
    for (op, element, [a, b], wanted) in [
        ("Mul", INT32, [1_234_567_891, 987_654_321], 316_124_131),
        ("Mul", INT64, [large + 1, large + 3], 3),
        ("Add", INT64, [i64::MAX, 1], i64::MIN),
        ("Sub", INT64, [large + 5, large], 5),
        ("Div", INT64, [-large - 12, 4], -(1 << 60) - 3),
        ("Mod", INT64, [large + 1, 7], 5),
        ("Max", INT64, [large + 1, large], large + 1),
        ("Pow", INT64, [3, 39], 4_052_555_153_018_976_267),
        ("Equal", INT64, [(1 << 53) + 1, 1 << 53], 0),
        ("Greater", UINT64, [i64::MIN + 5, 7], 1),
    ] {
        let constant = |name: &str, value: i64| match element {
            INT32 => raw(name, INT32, &[1], &(value as i32).to_le_bytes()),
            _ => raw(name, element, &[1], &value.to_le_bytes()),
        };
        let model = Model::new(13).initialiser(&constant("a", a)).initialiser(&constant("b", b));
        let model = model.node(op, &["a", "b"], &["c"], &[]).node("Cast", &["c"], &["d"], &[int("to", INT64)]);
        let model = model.initialiser(&longs("w", &[1], &[wanted])).node("Sub", &["d", "w"], &["y"], &[]);
        assert_eq!(run(&model.with(12, &port("y", INT64, &[])), &Bindings::new(), &[]), [0.0], "{op} {a} {b}");
    }
    let sum = Model::new(13).initialiser(&longs("a", &[3], &[large + 1, large + 2, 1 - large - large]));
    let sum = sum.node("ReduceSum", &["a"], &["y"], &[int("keepdims", 0)]).with(12, &port("y", INT64, &[]));
    assert_eq!(run(&sum, &Bindings::new(), &[]), [4.0]);
}

/// The loss of a row with an infinite score is NaN, as its log softmax is.
#[test]
fn cross_entropy_of_an_infinity() {
    let model = Model::new(17)
        .input("x", &[2, 3])
        .output("loss")
        .output("logs")
        .initialiser(&longs("target", &[2], &[1, 0]))
        .node("SoftmaxCrossEntropyLoss", &["x", "target"], &["loss", "logs"], &[string("reduction", "none")]);
    let x = vec![0.5, -1.0, 2.0, 0.0, f32::INFINITY, 1.0];
    let graph = graph(&model).expect("it is whole");
    let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it fits");
    let outputs = session.run_blocking(&[Data::F32(x.clone())]).expect("it runs");
    let (loss, logs) = (outputs[0].to_f32(), outputs[1].to_f32());
    let sum = x[..3].iter().map(|x| x.exp()).sum::<f32>().ln();
    same(&loss[..1], &[sum - x[1]]);
    same(&logs[..3], &[x[0] - sum, x[1] - sum, x[2] - sum]);
    assert!(loss[1].is_nan() && logs[3..].iter().all(|log| log.is_nan()), "{loss:?} {logs:?}");
}

/// A softmax of nothing but -inf is NaN, even if the nodes around it become one attention.
#[test]
fn attention_spelled_out_where_nothing_is_seen() {
    let hidden = f32::NEG_INFINITY;
    let model = Model::new(17)
        .input("x", &[1, 1, 2, 4])
        .output("y")
        .initialiser(&floats("mask", &[2, 2], &[0.0, hidden, hidden, hidden]))
        .node("Transpose", &["x"], &["k"], &[ints("perm", &[0, 1, 3, 2])])
        .node("MatMul", &["x", "k"], &["scores"], &[])
        .node("Add", &["scores", "mask"], &["masked"], &[])
        .node("Softmax", &["masked"], &["p"], &[int("axis", -1)])
        .node("MatMul", &["p", "x"], &["y"], &[]);
    let ops = graph(&model).expect("it is whole").nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>();
    assert!(ops.contains(&"scaled_dot_product_attention"), "{ops:?}");
    let x = numbers(8);
    let y = run(&model, &Bindings::new(), &[x.clone().into()]);
    same(&y[..4], &x[..4]);
    assert!(y[4..].iter().all(|y| y.is_nan()), "{y:?}");
}
