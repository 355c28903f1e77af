//! The rule that makes a convolution between `Dequantize` and `Quantize` one of integers: where it applies, and that it
//! gives the same numbers.

use crate::harness::tiers;
use shadernet::ops::{Activation, Cast, Conv2d, Dequantize, IntegerConv2d, Quantize};
use shadernet::selftest::cases::{constant, packed, random, whole};
use shadernet::{Constant, DType, Graph, IntType, Model, Value};

/// A network of a dequantisation, a convolution and a quantisation.
#[derive(Clone)]
struct Network {
    of: Option<IntType>,
    /// The scales along axis 1.
    x_scale: Vec<f32>,
    x_zero: i32,
    weight: [usize; 4],
    groups: usize,
    w_axis: usize,
    w_zero: Option<Vec<i32>>,
    /// The bias in units of the sums, plus 31 for each channel.
    bias: Option<f32>,
    activation: Option<Activation>,
    y_scale: f32,
    y_zero: i32,
    /// True if the scale of the end is an input.
    computed: bool,
    /// True if the floats are an output too.
    read: bool,
}

const NETWORK: Network = Network {
    of: Some(IntType::U8),
    x_scale: Vec::new(),
    x_zero: 117,
    weight: [6, 2, 3, 2],
    groups: 2,
    w_axis: 0,
    w_zero: None,
    bias: None,
    activation: None,
    y_scale: 0.731,
    y_zero: -9,
    computed: false,
    read: false,
};

const X_SCALE: f32 = 0.0517;

fn value<T>(graph: &mut Graph, values: Vec<T>) -> Value
where
    shadernet::Data: From<Vec<T>>,
{
    let shape = if values.len() == 1 { vec![] } else { vec![values.len()] };
    graph.constant(Constant::new("parameter", shape, values).expect("its shape fits"))
}

impl Network {
    fn channels(&self) -> usize {
        self.weight[1] * self.groups
    }

    fn graph(&self) -> shadernet::Result<Graph> {
        let out = self.weight[0];
        let scales: Vec<f32> = (0..self.weight[self.w_axis]).map(|i| 0.01 + 0.0031 * i as f32).collect();
        let w_scale = Constant::new("scale", [scales.len()], scales.clone())?;
        let zeros = self.w_zero.clone().map(|zeros| Constant::new("zero point", [zeros.len()], zeros)).transpose()?;
        let weight = packed(&whole(1, self.weight, IntType::I8), IntType::I8);
        let weight = Dequantize::for_weight(weight).axis(self.w_axis).constant(w_scale, zeros)?;
        let bias = |by: f32| {
            let bias = (0..out).map(|o| (31.0 * o as f32 + by) * X_SCALE * scales[o % scales.len()]);
            Constant::new("bias", [out], bias.collect::<Vec<_>>())
        };
        let conv = Conv2d::new(weight, self.bias.map(bias).transpose()?).groups(self.groups);
        let conv = conv.stride([2, 1]).padding_per_side([[1, 0], [0, 2]]).dilation([1, 2]);

        let mut graph = Graph::new();
        let x = graph.typed_input("x", DType::I32, [1, self.channels(), 7, 6]);
        let x_scale = if self.x_scale.is_empty() { vec![X_SCALE] } else { self.x_scale.clone() };
        let (x_scale, x_zero) = (value(&mut graph, x_scale), value(&mut graph, vec![self.x_zero]));
        let y_zero = value(&mut graph, vec![self.y_zero]);
        let y_scale = if self.computed { graph.input("scale", [1]) } else { value(&mut graph, vec![self.y_scale]) };
        let dequantize = self.of.map_or(Dequantize::new(), |of| Dequantize::new().int_type(of));
        let floats = graph.dequantize(x, x_scale, Some(x_zero), dequantize)?;
        let floats = graph.conv2d(floats, conv)?;
        let y = self.activation.map_or(Ok(floats), |activation| graph.activation(floats, activation))?;
        let y = graph.quantize(y, y_scale, Some(y_zero), Quantize::new(IntType::I8))?;
        graph.output("y", y);
        if self.read {
            graph.output("floats", floats);
        }
        Ok(graph)
    }

    fn left(&self) -> Vec<&'static str> {
        let graph = self.graph().unwrap_or_else(|error| panic!("{error}")).fused();
        graph.nodes().iter().map(|node| node.op.name()).collect()
    }
}

/// Returns networks that become integer ones.
fn integers() -> Vec<Network> {
    let zeros = Some((0..6).map(|o| o - 2).collect());
    let all = [None, Some(Activation::Relu), Some(Activation::Relu6), Some(Activation::Clamp(-0.3, 4.1))]
        .map(|activation| Network { w_zero: zeros.clone(), bias: Some(700.0), activation, ..NETWORK });
    let signed = Network { of: Some(IntType::I8), x_zero: -3, w_zero: Some(vec![5]), ..NETWORK };
    all.into_iter().chain([NETWORK, signed, Network { weight: [4, 1, 3, 3], groups: 4, ..NETWORK }]).collect()
}

#[test]
fn a_convolution_between_integers_is_one_of_integers() {
    for network in integers() {
        assert_eq!(network.left(), ["integer_conv2d"]);
        let both = Network { read: true, ..network }.left();
        assert!(["dequantize", "conv2d", "integer_conv2d"].iter().all(|op| both.contains(op)), "{both:?}");
        assert!(!both.contains(&"quantize"), "{both:?}");
    }
    let (_, log) = NETWORK.graph().expect("its shapes fit").rewritten();
    let wanted = "integer convolution: quantize_2 (dequantize + conv2d + quantize -> integer_conv2d)";
    assert_eq!(log.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
}

#[test]
fn it_gives_the_same_numbers() {
    for (i, network) in integers().into_iter().enumerate() {
        let x = whole(7, [1, network.channels(), 7, 6], network.of.expect("it is stated"));
        let x: Vec<i32> = x.data.iter().map(|&value| value as i32).collect();
        for tier in tiers() {
            let run = |network: &Network| {
                let model = network.graph().and_then(|graph| Model::new(&tier.context, &graph)?.session(1));
                let outputs = model.and_then(|session| session.run_blocking(&[&x]));
                outputs.unwrap_or_else(|error| panic!("{i}: {error}"))[0].data().clone()
            };
            let floats = Network { of: None, ..network.clone() };
            assert!(floats.left().contains(&"conv2d"));
            assert_eq!(run(&network), run(&floats), "{i} on {}", tier.name);
        }
    }
}

#[test]
fn floats_stay_where_integers_would_give_others() {
    let floats = [
        ("an unknown type", Network { of: None, ..NETWORK }),
        ("16 bits", Network { of: Some(IntType::U16), ..NETWORK }),
        ("several scales", Network { x_scale: vec![0.1, 0.2, 0.1, 0.3], ..NETWORK }),
        ("a negative scale", Network { x_scale: vec![-X_SCALE], ..NETWORK }),
        ("a scale that is computed", Network { computed: true, ..NETWORK }),
        ("a zero point outside of the type", Network { x_zero: 256, ..NETWORK }),
        ("a weight's zero point outside of the type", Network { w_zero: Some(vec![-129]), ..NETWORK }),
        ("a result's zero point outside of the type", Network { y_zero: 128, ..NETWORK }),
        ("scales along another axis", Network { w_axis: 1, ..NETWORK }),
        ("a bias between two integers", Network { bias: Some(0.4), ..NETWORK }),
        ("a bias beyond 32 bits", Network { bias: Some(2f32.powi(31)), ..NETWORK }),
        ("sums that wrap around", Network { weight: [2, 40_000, 1, 1], groups: 1, ..NETWORK }),
        ("factors that are no normal numbers", Network { y_scale: 1e36, ..NETWORK }),
        ("no clamp", Network { activation: Some(Activation::Tanh), ..NETWORK }),
    ];
    for (name, network) in floats {
        let left = network.left();
        assert_eq!(left.last(), Some(&"quantize"), "{name}: {left:?}");
        assert!(left.contains(&"conv2d"), "{name}: {left:?}");
    }
}

#[test]
fn weights_of_other_origin_stay_floats() {
    let mut graph = Graph::new();
    let x = graph.typed_input("x", DType::I32, [1, 4, 7, 6]);
    let scale = value(&mut graph, vec![0.5]);
    let dequantize = Dequantize::new().int_type(IntType::U8);
    let y = graph.dequantize(x, scale, None, dequantize).expect("its shapes fit");
    let y = graph.conv2d(y, Conv2d::new(constant(&random(1, [2, 4, 1, 1])), None)).expect("its shapes fit");
    let y = graph.quantize(y, scale, None, Quantize::new(IntType::U8)).expect("its shapes fit");
    graph.output("y", y);
    assert!(graph.fused().nodes().iter().any(|node| node.op.name() == "conv2d"));
}

/// Returns what ONNX Runtime's `quantize_dynamic` makes of a convolution with a ReLU. With the sums as another output the
/// rule doesn't apply.
fn dynamic(w_zero: Vec<i32>, read: bool) -> Graph {
    let build = || -> shadernet::Result<Graph> {
        let mut graph = Graph::new();
        let x = graph.input("x", [1, 4, 7, 6]);
        let [x, x_scale, x_zero] = graph.dynamic_quantize(x)?;
        let weight = packed(&whole(1, [6, 2, 3, 2], IntType::U8), IntType::U8);
        let conv = IntegerConv2d::new(weight, None).stride([2, 1]).padding_per_side([[1, 0], [0, 2]]);
        let w_zero = value(&mut graph, w_zero);
        let sums = graph.integer_conv2d(x, conv.dilation([1, 2]).groups(2), [Some(x_zero), Some(w_zero)])?;
        let y = graph.push(Cast::new(DType::F32), &[sums])?;
        let w_scale = value(&mut graph, vec![0.013]);
        let scale = graph.mul(x_scale, w_scale)?;
        let y = graph.mul(y, scale)?;
        let bias = constant(&random(5, [1, 6, 1, 1]));
        let bias = graph.constant(bias);
        let y = graph.add(y, bias)?;
        let y = graph.activation(y, Activation::Relu)?;
        graph.output("y", y);
        if read {
            graph.output("sums", sums);
        }
        Ok(graph)
    };
    build().expect("its shapes fit")
}

#[test]
fn sums_that_are_scaled_are_floats() {
    for w_zero in [vec![131], (0..6).map(|o| 120 + o).collect()] {
        let left = |read| -> Vec<&str> {
            dynamic(w_zero.clone(), read).fused().nodes().iter().map(|node| node.op.name()).collect()
        };
        let ops = ["amax", "amin", "quantize_range", "quantize", "mul", "dequantize", "conv2d"];
        assert_eq!(left(false), ops, "with the bias and the ReLU taken in");
        assert!(left(true).contains(&"integer_conv2d"));
        let x = random(7, [1, 4, 7, 6]).data;
        for tier in tiers() {
            let run = |read| {
                let model =
                    Model::new(&tier.context, &dynamic(w_zero.clone(), read)).and_then(|model| model.session(1));
                let outputs = model.and_then(|session| session.run_blocking(&[&x]));
                let y = outputs.unwrap_or_else(|error| panic!("{error}"))[0].data().clone();
                y.into_f32().expect("the output is of floats")
            };
            let (floats, integers) = (run(false), run(true));
            let greatest = integers.iter().fold(0.0f32, |most, y| most.max(*y));
            assert!(greatest > 1.0, "{integers:?}");
            for (a, b) in floats.iter().zip(&integers) {
                assert!((a - b).abs() <= 1e-5 * greatest, "{a} for {b} on {}", tier.name);
            }
        }
    }
}
