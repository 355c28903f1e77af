//! Cases of recurrent layers, by ONNX's definitions.

use super::Attributes;
use shadernet::ops::RecurrentCell;
use shadernet::selftest::ops::quantize;
use shadernet::selftest::ops::recurrent::{Function, Layer};
use shadernet::selftest::reference::Tensor;

/// Returns the function of an ONNX name.
fn function(name: &str) -> Function {
    match name {
        "Relu" => |x, _| x.max(0.0),
        "Tanh" => |x, _| x.tanh(),
        "Sigmoid" => |x, _| 1.0 / (1.0 + (-x).exp()),
        "Softsign" => |x, _| x / (1.0 + x.abs()),
        "Softplus" => |x, _| x.exp().ln_1p(),
        "Affine" => |x, [a, b]| a * x + b,
        "LeakyRelu" => |x, [a, _]| if x < 0.0 { a * x } else { x },
        "ThresholdedRelu" => |x, [a, _]| if x > a { x } else { 0.0 },
        "ScaledTanh" => |x, [a, b]| a * (b * x).tanh(),
        "HardSigmoid" => |x, [a, b]| (a * x + b).clamp(0.0, 1.0),
        "Elu" => |x, [a, _]| if x < 0.0 { a * x.exp_m1() } else { x },
        _ => panic!("function {name}"),
    }
}

/// Returns the numbers of quantised weights, whose scales and zero points are at `at`, with their rows first.
fn dequantised(inputs: &[Tensor], weight: usize, at: usize) -> Tensor {
    let [directions, columns, rows] = inputs[weight].dims();
    let of = |numbers: &Tensor, d: usize, row: usize| {
        numbers.data[(d * rows + row) * numbers.data.len() / (directions * rows)]
    };
    Tensor::build([directions, rows, columns], |i| {
        let zero = f64::from(of(&inputs[at + 1], i[0], i[1]));
        (inputs[weight].at(&[i[0], i[2], i[1]]) - zero) * f64::from(of(&inputs[at], i[0], i[1]))
    })
}

/// Computes a recurrent layer. The result is all outputs, one after the other.
pub fn recurrent(op: &str, attributes: &mut Attributes, inputs: &[Tensor]) -> Option<Tensor> {
    let optional = |i: usize| inputs.get(i).filter(|input| !input.shape.is_empty());
    let cell = match op {
        "RNN" => RecurrentCell::Rnn,
        "GRU" if attributes.has("linear_before_reset") && attributes.size("linear_before_reset") == 1 => {
            RecurrentCell::GruResetAfter
        }
        "GRU" => RecurrentCell::Gru,
        "LSTM" | "DynamicQuantizeLSTM" => RecurrentCell::Lstm,
        _ => return None,
    };
    let quantised = op == "DynamicQuantizeLSTM";
    attributes.get("type");
    let hidden = attributes.size("hidden_size");
    let (w, r) = match quantised {
        true => (dequantised(inputs, 1, 8), dequantised(inputs, 2, 10)),
        false => (inputs[1].clone(), inputs[2].clone()),
    };
    let [directions, width, features] = w.dims();
    let x = if quantised {
        let [q, scale, zero] = quantize::dynamic_quantize(&inputs[0]);
        quantize::dequantize(&q, &scale, &zero, 1, None)
    } else {
        inputs[0].clone()
    };
    let [steps, batch, _] = x.dims();
    let after = cell == RecurrentCell::GruResetAfter;
    // The products with both biases, except for the one that the reset gate multiplies.
    let products = Tensor::build([steps, batch, directions * width], |i| {
        let (d, row) = (i[2] / width, i[2] % width);
        let both = |b: &Tensor| {
            let of_state = if after && row >= 2 * hidden { 0.0 } else { b.at(&[d, width + row]) };
            b.at(&[d, row]) + of_state
        };
        let sum: f64 = (0..features).map(|k| w.at(&[d, row, k]) * x.at(&[i[0], i[1], k])).sum();
        sum + optional(3).map_or(0.0, both)
    });
    let bias = optional(3)
        .filter(|_| after)
        .map(|b| Tensor::build([directions, 1, hidden], |i| b.at(&[i[0], width + 2 * hidden + i[2]])));
    let peepholes = optional(7).map(|p| Tensor::new([directions, 3, hidden], p.data.clone()));
    let initial = optional(5).map(|h| {
        let data = [Some(h), optional(6)].into_iter().flatten().flat_map(|state| state.data.clone()).collect();
        Tensor::new([cell.states(), directions, batch, hidden], data)
    });
    let mut layer = Layer {
        initial: initial.as_ref(),
        lengths: optional(4),
        extra: bias.as_ref().or(peepholes.as_ref()),
        clip: attributes.has("clip").then(|| attributes.number("clip")),
        coupled: attributes.has("input_forget") && attributes.size("input_forget") == 1,
        reverse: attributes.has("direction") && attributes.get("direction") == "reverse",
        quantised,
        ..Layer::new(cell, &r)
    };
    if attributes.has("activations") {
        let names: Vec<String> = attributes
            .get("activations")
            .as_array()
            .expect("a list")
            .iter()
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect();
        let mut number =
            |name: &str| if attributes.has(name) { attributes.get(name)[0].as_f64().expect("a number") } else { 0.0 };
        let numbers = [number("activation_alpha"), number("activation_beta")];
        let of = names.iter().map(|name| (function(name), numbers)).collect::<Vec<_>>();
        // A layer of one direction has half as many.
        layer.functions = if directions == 2 { of } else { of.repeat(2) };
    }
    let [y, state] = layer.run(&products);
    let all = [y.data, state.data].concat();
    Some(Tensor::new([all.len()], all))
}
