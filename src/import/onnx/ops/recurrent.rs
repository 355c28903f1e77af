//! Recurrent layers: the inputs of all steps are multiplied at once, then one operation makes the steps.

use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Activation, BinaryKind, Dequantize, GateFunction, Linear, MatMul, PackedLinear};
use crate::ops::{Recurrent, RecurrentCell, RecurrentInputs};
use crate::{Constant, IntType, Shape, Value};
use std::ops::Range;

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "RNN" => |b, node| layer(b, node, Kind::Rnn),
        "GRU" => |b, node| layer(b, node, Kind::Gru),
        "LSTM" => |b, node| layer(b, node, Kind::Lstm),
        _ => return None,
    })
}

/// Returns the importer of an operator that ONNX Runtime adds.
pub(super) fn contributed(op: &str) -> Option<Import> {
    match op {
        "DynamicQuantizeLSTM" => Some(|b, node| layer(b, node, Kind::QuantizedLstm)),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Rnn,
    Gru,
    Lstm,
    QuantizedLstm,
}

/// The scales and zero points of quantised weights, one of each for each row of each direction.
struct Scales {
    scale: Vec<f32>,
    zero: Vec<i32>,
    fixed: bool,
}

/// A layer as its node describes it.
struct Layer {
    cell: RecurrentCell,
    /// True if weights are packed integers, with their columns first.
    quantized: bool,
    directions: usize,
    /// True if the only direction begins at the end.
    reverse: bool,
    batch_first: bool,
    /// The functions of all directions.
    functions: Vec<GateFunction>,
    clip: Option<f32>,
    coupled: bool,
    batch: usize,
    hidden: usize,
    weight: Operand,
    recurrence: Operand,
    bias: Option<Operand>,
    peepholes: Option<Operand>,
    lengths: Option<Operand>,
    initial: Vec<Option<Operand>>,
    /// The scales and zero points of W and of R, if these are quantised.
    scales: Vec<Scales>,
}

fn layer(b: &mut Builder, node: &Node, kind: Kind) -> Result<Vec<Operand>> {
    let layer = Layer::read(b, node, kind)?;
    let element = node.input(0)?.element();
    let x = if layer.batch_first { b.transpose(node.input(0)?, &[1, 0, 2])? } else { node.input(0)?.clone() };
    let x = if layer.quantized { quantized(b, &x)? } else { x };
    // Directions with functions of their own are layers of their own.
    let (first, second) = layer.functions.split_at(layer.functions.len() / layer.directions);
    let apart = !second.is_empty() && first != second;
    let parts = if apart { [0..1, 1..2].to_vec() } else { std::iter::once(0..layer.directions).collect() };
    let (mut all, mut states) = (Vec::new(), Vec::new());
    for part in parts {
        let [y, state] = directions(b, node, &layer, &x, part)?;
        all.push(Operand::Device(y, element));
        states.push(Operand::Device(state, element));
    }
    let (y, state) = (b.concat(&all, 1)?, b.concat(&states, 1)?);
    let mut results = vec![if layer.batch_first { b.transpose(&y, &[2, 0, 1, 3])? } else { y }];
    for i in 0..layer.cell.states() {
        let last = b.entry(&state, 0, i)?;
        results.push(if layer.batch_first { b.transpose(&last, &[1, 0, 2])? } else { last });
    }
    Ok(results)
}

impl Layer {
    fn read(b: &Builder, node: &Node, kind: Kind) -> Result<Layer> {
        let quantized = kind == Kind::QuantizedLstm;
        if !quantized && node.opset < 7 {
            return Err(node.refused("opset", "7 or more", node.opset));
        }
        let cell = match kind {
            Kind::Rnn => RecurrentCell::Rnn,
            Kind::Gru if node.flag("linear_before_reset", false)? => RecurrentCell::GruResetAfter,
            Kind::Gru => RecurrentCell::Gru,
            Kind::Lstm | Kind::QuantizedLstm => RecurrentCell::Lstm,
        };
        let batch_first = !quantized && node.flag("layout", false)?;
        let (of, square) = (b.shape(node.input(0)?), b.shape(node.input(2)?));
        let &[first, second, input] = &of[..] else { return Err(node.refused("X", "3 dimensions", &of)) };
        let [steps, batch] = if batch_first { [second, first] } else { [first, second] };
        let direction = node.one_of("direction", &["forward", "reverse", "bidirectional"])?;
        let directions = if direction == "bidirectional" { 2 } else { 1 };
        let hidden = square.get(if quantized { 1 } else { 2 }).copied().unwrap_or(0);
        let stated = node.int("hidden_size", hidden as i64)?;
        if usize::try_from(stated) != Ok(hidden) || hidden == 0 {
            return Err(node.refused("attribute hidden_size", &format!("{hidden}, as R says"), stated));
        }
        if steps == 0 || batch == 0 {
            return Err(node.refused("X", "a step of a sequence, or more", &of));
        }
        let clip = node.float("clip", 0.0)?;
        let clip = node.has("clip").then_some(clip);
        if let Some(clip) = clip.filter(|&clip| clip.is_nan() || clip <= 0.0) {
            return Err(node.refused("attribute clip", "more than 0", clip));
        }
        let lstm = cell == RecurrentCell::Lstm;
        let coupled = lstm && node.flag("input_forget", false)?;
        let optional = |position: usize, name: &str, wanted: &[usize]| match node.optional(position) {
            Some(operand) if b.shape(operand)[..] != *wanted => {
                Err(node.refused(name, &Shape::from(wanted).to_string(), b.shape(operand)))
            }
            other => Ok(other.cloned()),
        };
        let needed = |position: usize, name: &str, wanted: &[usize]| {
            optional(position, name, wanted)?.ok_or_else(|| node.refused(name, "a tensor", "none"))
        };
        let rows = cell.gates() * hidden;
        let turned = |columns: usize| if quantized { [directions, columns, rows] } else { [directions, rows, columns] };
        let state = if batch_first { [batch, directions, hidden] } else { [directions, batch, hidden] };
        let mut initial = vec![optional(5, "initial_h", &state)?];
        if lstm {
            initial.push(optional(6, "initial_c", &state)?);
        }
        let mut scales = Vec::new();
        for (name, weight, at) in [("W", 1, 8), ("R", 2, 10)].into_iter().filter(|_| quantized) {
            scales.push(Scales::read(b, node, name, [weight, at], [directions, rows])?);
        }
        Ok(Layer {
            cell,
            quantized,
            directions,
            reverse: direction == "reverse",
            batch_first,
            functions: functions(node, cell, directions)?,
            clip,
            coupled,
            batch,
            hidden,
            weight: needed(1, "W", &turned(input))?,
            recurrence: needed(2, "R", &turned(hidden))?,
            bias: optional(3, "B", &[directions, 2 * rows])?,
            peepholes: if lstm { optional(7, "P", &[directions, 3 * hidden])? } else { None },
            lengths: optional(4, "sequence_lens", &[batch])?,
            initial,
            scales,
        })
    }
}

impl Scales {
    /// Reads the inputs at `at` and after: one number for each direction, or one for each row.
    fn read(
        b: &Builder,
        node: &Node,
        name: &str,
        [weight, at]: [usize; 2],
        [directions, rows]: [usize; 2],
    ) -> Result<Scales> {
        let element = node.input(weight)?.element();
        if !matches!(element, ElementType::U8 | ElementType::I8) {
            return Err(node.refused(name, "uint8 or int8", element));
        }
        let all = directions * rows;
        let spread = |argument: &str, of: &Tensor| {
            let numbers = of.numbers();
            if ![directions, all].contains(&numbers.len()) {
                return Err(node.refused(argument, &format!("{directions} or {all} numbers"), numbers.len()));
            }
            Ok((0..all).map(|row| numbers[row * numbers.len() / all]).collect::<Vec<f64>>())
        };
        let argument = format!("{name}_scale");
        let scale = b.known(&argument, node.input(at)?)?;
        let scales = spread(&argument, &scale)?.iter().map(|&scale| scale as f32).collect();
        let Some(zero) = node.optional(at + 1) else {
            return Ok(Scales { scale: scales, zero: vec![0; all], fixed: scale.fixed });
        };
        let argument = format!("{name}_zero_point");
        let zero = b.known(&argument, zero)?;
        if zero.element != element {
            return Err(node.refused(&argument, &element.to_string(), zero.element));
        }
        let zeros = spread(&argument, &zero)?.iter().map(|&zero| zero as i32).collect();
        Ok(Scales { scale: scales, zero: zeros, fixed: scale.fixed && zero.fixed })
    }

    /// Returns those of some rows as constants.
    fn constants(&self, b: &Builder, name: &str, rows: Range<usize>) -> [Constant; 2] {
        let of = |what: &str, constant: Constant| b.shared(&format!("{name}, {what}"), self.fixed, constant);
        let count = [rows.len()];
        [
            of("scale", Constant::known("", count, self.scale[rows.clone()].to_vec())),
            of("zero point", Constant::known("", count, self.zero[rows].to_vec())),
        ]
    }
}

/// Returns the functions of all directions. Functions with parameters take the attributes' numbers in order.
fn functions(node: &Node, cell: RecurrentCell, directions: usize) -> Result<Vec<GateFunction>> {
    let usual = cell.functions().repeat(directions);
    let given = node.strings("activations")?;
    if let Some(names) = given.as_ref().filter(|names| names.len() != usual.len()) {
        return Err(node.refused("attribute activations", &format!("{} functions", usual.len()), names.len()));
    }
    let names = given;
    let given =
        [("activation_alpha", node.floats("activation_alpha")?), ("activation_beta", node.floats("activation_beta")?)];
    let mut all = Vec::new();
    let mut taken = [0, 0];
    for name in names.iter().flatten().map(|name| name.to_lowercase()) {
        // The defaults of the parameters that a function takes.
        let takes: [Option<f32>; 2] = match &name[..] {
            "relu" | "tanh" | "sigmoid" | "softsign" | "softplus" => [None, None],
            "affine" => [Some(1.0), Some(0.0)],
            "leakyrelu" => [Some(0.01), None],
            "thresholdedrelu" | "elu" => [Some(1.0), None],
            "scaledtanh" => [Some(1.0), Some(1.0)],
            "hardsigmoid" => [Some(0.2), Some(0.5)],
            _ => return Err(node.refused("attribute activations", "ONNX's eleven functions", name)),
        };
        let mut number = |i: usize| match (takes[i], &given[i].1) {
            (Some(usual), None) => Some(usual),
            (Some(_), Some(given)) => {
                taken[i] += 1;
                given.get(taken[i] - 1).copied()
            }
            (None, _) => Some(0.0),
        };
        let numbers = (number(0), number(1));
        let (Some(alpha), Some(beta)) = numbers else {
            return Err(node.refused(
                "attributes activation_alpha, activation_beta",
                "a number for each function that takes one",
                "fewer",
            ));
        };
        all.push(match &name[..] {
            "relu" => Activation::Relu.into(),
            "tanh" => Activation::Tanh.into(),
            "sigmoid" => Activation::Sigmoid.into(),
            "softsign" => Activation::Softsign.into(),
            "softplus" => Activation::Softplus(1.0).into(),
            "leakyrelu" => Activation::LeakyRelu(alpha).into(),
            "elu" => Activation::Elu(alpha).into(),
            "thresholdedrelu" => GateFunction::thresholded_relu(alpha),
            "scaledtanh" => GateFunction::scaled_tanh(alpha, beta),
            "hardsigmoid" => GateFunction::hard_sigmoid(alpha, beta),
            _ => GateFunction::affine(alpha, beta),
        });
    }
    for ((name, given), taken) in given.iter().zip(taken) {
        if let Some(given) = given.as_ref().filter(|given| given.len() != taken) {
            let wanted = format!("{taken} numbers: one for each function that takes one");
            return Err(node.refused(&format!("attribute {name}"), &wanted, given.len()));
        }
    }
    Ok(if names.is_some() { all } else { usual })
}

/// Quantises a tensor to 8 bits of its range, and returns the numbers that these stand for.
fn quantized(b: &mut Builder, x: &Operand) -> Result<Operand> {
    let value = b.value(x)?;
    let [q, scale, zero] = b.graph.dynamic_quantize(value)?;
    let back = b.graph.dequantize(q, scale, Some(zero), Dequantize::new().int_type(IntType::U8))?;
    Ok(Operand::Device(back, x.element()))
}

/// Packs integers `[directions, columns, rows]` as weights `[directions, rows, columns]`.
fn packed(b: &mut Builder, name: &str, weight: &Operand) -> Result<Constant> {
    let turned = b.transpose(weight, &[0, 2, 1])?;
    let tensor = b.known("weight", &turned)?;
    let int =
        tensor.element.int_type().ok_or_else(|| ErrorKind::argument("weight", "uint8 or int8", tensor.element))?;
    let bytes: Vec<u8> = tensor.as_ints()?.iter().map(|&value| value as u8).collect();
    let constant = Constant::packed("", tensor.shape.clone(), int, move || bytes.clone()).into_parameter();
    Ok(b.shared(name, tensor.fixed, constant))
}

/// Adds some directions of a layer. Returns the output of all steps and the last states.
fn directions(b: &mut Builder, node: &Node, layer: &Layer, x: &Operand, part: Range<usize>) -> Result<[Value; 2]> {
    let &Layer { cell, batch, hidden, .. } = layer;
    let (count, rows) = (part.len(), cell.gates() * hidden);
    let named = |what: &str| format!("{}\n{what} of directions {part:?}", node.key());
    let weight = b.slice(&layer.weight, 0, part.start, count, 1)?;
    let recurrence = b.slice(&layer.recurrence, 0, part.start, count, 1)?;
    let of_rows = part.start * rows..part.end * rows;

    let mut products = if layer.quantized {
        let [scale, zero] = layer.scales[0].constants(b, &named("W"), of_rows.clone());
        let weight = packed(b, &named("W"), &weight)?;
        let columns = weight.shape()[2];
        b.moved(PackedLinear::new(weight.with_shape([count * rows, columns]), scale).zero_point(zero), &[x])?
    } else {
        let columns = b.shape(&weight)[2];
        let weight = b.reshape(&weight, [count * rows, columns])?;
        match b.kept(&named("W"), weight) {
            Operand::Host(weight) => b.moved(Linear::new(weight.constant()?, None), &[x])?,
            weight => b.moved(MatMul::new().transpose_b(), &[x, &weight])?,
        }
    };
    let mut extra = layer.peepholes.clone();
    if let Some(bias) = &layer.bias {
        let (of_input, of_state) = (b.slice(bias, 1, 0, rows, 1)?, b.slice(bias, 1, rows, rows, 1)?);
        let mut sum = b.binary(BinaryKind::Add, &of_input, &of_state)?;
        if cell == RecurrentCell::GruResetAfter {
            // The reset gate multiplies the last gate's bias, too.
            let gates = b.slice(&sum, 1, 0, 2 * hidden, 1)?;
            let last = b.slice(&of_input, 1, 2 * hidden, hidden, 1)?;
            sum = b.concat(&[gates, last], 1)?;
            extra = Some(b.slice(&of_state, 1, 2 * hidden, hidden, 1)?);
        }
        let sum = b.slice(&sum, 0, part.start, count, 1)?;
        let sum = b.reshape(&sum, [count * rows])?;
        products = b.binary(BinaryKind::Add, &products, &sum)?;
    }

    let mut with = RecurrentInputs::default();
    if let Some(extra) = &extra {
        let each = b.shape(extra)[1] / hidden;
        let extra = b.slice(extra, 0, part.start, count, 1)?;
        let extra = b.reshape(&extra, [count, each, hidden])?;
        with.extra = Some(b.value(&extra)?);
    }
    if layer.initial.iter().any(Option::is_some) {
        let mut states = Vec::new();
        for initial in &layer.initial {
            states.push(match initial {
                None => Tensor::filled(x.element(), [1, count, batch, hidden].into(), 0.0)?.with_fixed(false).into(),
                Some(initial) => {
                    let initial = if layer.batch_first { b.transpose(initial, &[1, 0, 2])? } else { initial.clone() };
                    let initial = b.slice(&initial, 0, part.start, count, 1)?;
                    b.reshape(&initial, [1, count, batch, hidden])?
                }
            });
        }
        let states = b.concat(&states, 0)?;
        with.initial = Some(b.value(&states)?);
    }
    with.lengths = layer.lengths.as_ref().map(|lengths| b.value(lengths)).transpose()?;

    let mut op = if layer.quantized {
        let [scale, zero] = layer.scales[1].constants(b, &named("R"), of_rows);
        Recurrent::new(cell, packed(b, &named("R"), &recurrence)?).quantized(scale, Some(zero))
    } else {
        match b.kept(&named("R"), recurrence) {
            Operand::Host(recurrence) => Recurrent::new(cell, recurrence.constant()?),
            recurrence => {
                // The order in which the kernel reads a weight that is computed.
                let padded = hidden.next_multiple_of(16);
                let after = (padded - hidden) as i64;
                let all = b.pad(&recurrence, &[[0, 0], [0, 0], [0, after]], "constant", 0.0)?;
                let all = b.reshape(&all, [count, rows, padded / 4, 4])?;
                let all = b.transpose(&all, &[0, 2, 1, 3])?;
                with.weight = Some(b.value(&all)?);
                Recurrent::without_weight(cell, count)
            }
        }
    };
    let each = layer.functions.len() / layer.directions;
    op = op.functions(layer.functions[part.start * each..][..each].to_vec());
    if layer.reverse || part.start == 1 {
        op = op.reverse();
    }
    if layer.coupled {
        op = op.coupled();
    }
    if let Some(clip) = layer.clip {
        op = op.clip(clip);
    }
    let products = b.value(&products)?;
    b.graph.recurrent(products, op, with)
}
