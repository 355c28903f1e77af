//! Recurrent layers, unrolled step by step. The inputs of all steps are multiplied at once.

// Long because RNN, GRU and LSTM share their attributes, their directions and the loop over steps.

use crate::Shape;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Activation, BinaryKind, Compare, Linear, MatMul};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "RNN" => |b, node| layer(b, node, Cell::Rnn),
        "GRU" => |b, node| layer(b, node, Cell::Gru),
        "LSTM" => |b, node| layer(b, node, Cell::Lstm),
        _ => return None,
    })
}

/// The maximum number of steps of all directions: steps become nodes of the graph.
const MOST_STEPS: usize = 4096;

#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Rnn,
    Gru,
    Lstm,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }

    fn functions(self) -> &'static [&'static str] {
        match self {
            Cell::Rnn => &["Tanh"],
            Cell::Gru => &["Sigmoid", "Tanh"],
            Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

/// An activation function with its parameters.
#[derive(Clone)]
struct Function {
    name: String,
    alpha: f32,
    beta: f32,
}

/// A layer as its node describes it.
struct Layer {
    cell: Cell,
    directions: usize,
    /// True if the only direction begins at the end.
    reverse: bool,
    batch_first: bool,
    /// True if the state is reset after its product.
    linear_first: bool,
    functions: Vec<Function>,
    clip: Option<f32>,
    steps: usize,
    batch: usize,
    hidden: usize,
    weight: Operand,
    recurrence: Operand,
    bias: Option<Operand>,
    peepholes: Option<Operand>,
    lengths: Option<Operand>,
    initial: Vec<Option<Operand>>,
}

/// The part of a layer that belongs to one direction.
struct Direction {
    /// The matrix `[gates * hidden, hidden]`, or two: the gates', and the one that multiplies the reset state.
    recurrence: Vec<Operand>,
    /// The bias of the hidden gate's recurrence, if the reset gate multiplies it.
    hidden_bias: Option<Operand>,
    /// The peepholes of input, output and forget gate.
    peepholes: Option<[Operand; 3]>,
    functions: Vec<Function>,
    /// The multiplied input of each step, `[steps, batch, gates * hidden]`.
    inputs: Operand,
}

fn layer(b: &mut Builder, node: &Node, cell: Cell) -> Result<Vec<Operand>> {
    let layer = Layer::read(b, node, cell)?;
    let x = node.input(0)?;
    let x = if layer.batch_first { b.transpose(x, &[1, 0, 2])? } else { x.clone() };
    let active = active(b, &layer)?;
    let (mut all, mut last) = (Vec::new(), vec![Vec::new(); layer.initial.len()]);
    for d in 0..layer.directions {
        let direction = direction(b, node, &layer, &x, d)?;
        let mut states = Vec::new();
        for initial in &layer.initial {
            states.push(match initial {
                None => Tensor::filled(x.element(), [layer.batch, layer.hidden].into(), 0.0)?.with_fixed(false).into(),
                Some(initial) => b.entry(initial, usize::from(layer.batch_first), d)?,
            });
        }
        let outputs = steps(b, &layer, &direction, &mut states, &active, layer.reverse || d == 1)?;
        all.push(b.concat(&outputs, 0)?);
        for (last, state) in last.iter_mut().zip(&states) {
            last.push(b.reshape(state, [1, layer.batch, layer.hidden])?);
        }
    }
    let mut results = vec![b.concat(&all, 1)?];
    for last in last {
        results.push(b.concat(&last, 0)?);
    }
    if layer.batch_first {
        results[0] = b.transpose(&results[0], &[2, 0, 1, 3])?;
        for last in &mut results[1..] {
            *last = b.transpose(last, &[1, 0, 2])?;
        }
    }
    Ok(results)
}

impl Layer {
    fn read(b: &Builder, node: &Node, cell: Cell) -> Result<Layer> {
        if node.opset < 7 {
            return Err(node.refused("opset", "7 or more", node.opset));
        }
        let batch_first = node.flag("layout", false)?;
        let (of, square) = (b.shape(node.input(0)?), b.shape(node.input(2)?));
        let &[first, second, input] = &of[..] else { return Err(node.refused("X", "3 dimensions", &of)) };
        let [steps, batch] = if batch_first { [second, first] } else { [first, second] };
        let direction = node.one_of("direction", &["forward", "reverse", "bidirectional"])?;
        let directions = if direction == "bidirectional" { 2 } else { 1 };
        let hidden = square.last().copied().unwrap_or(0);
        let stated = node.int("hidden_size", hidden as i64)?;
        if usize::try_from(stated) != Ok(hidden) || hidden == 0 {
            return Err(node.refused("attribute hidden_size", &format!("{hidden}, as R says"), stated));
        }
        if steps == 0 || steps.saturating_mul(directions) > MOST_STEPS {
            return Err(node.refused("X", &format!("1 to {} steps", MOST_STEPS / directions), steps));
        }
        let clip = node.float("clip", 0.0)?;
        let clip = node.has("clip").then_some(clip);
        if let Some(clip) = clip.filter(|&clip| clip.is_nan() || clip <= 0.0) {
            return Err(node.refused("attribute clip", "more than 0", clip));
        }
        let lstm = cell == Cell::Lstm;
        if lstm && node.flag("input_forget", false)? {
            return Err(node.refused("attribute input_forget", "0", 1));
        }
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
        let state = if batch_first { [batch, directions, hidden] } else { [directions, batch, hidden] };
        let mut initial = vec![optional(5, "initial_h", &state)?];
        if lstm {
            initial.push(optional(6, "initial_c", &state)?);
        }
        Ok(Layer {
            cell,
            directions,
            reverse: direction == "reverse",
            batch_first,
            linear_first: cell == Cell::Gru && node.flag("linear_before_reset", false)?,
            functions: functions(node, cell, directions)?,
            clip,
            steps,
            batch,
            hidden,
            weight: needed(1, "W", &[directions, rows, input])?,
            recurrence: needed(2, "R", &[directions, rows, hidden])?,
            bias: optional(3, "B", &[directions, 2 * rows])?,
            peepholes: if lstm { optional(7, "P", &[directions, 3 * hidden])? } else { None },
            lengths: optional(4, "sequence_lens", &[batch])?,
            initial,
        })
    }
}

/// Returns the functions of all directions. Functions with parameters take the attributes' numbers in order.
fn functions(node: &Node, cell: Cell, directions: usize) -> Result<Vec<Function>> {
    let usual: Vec<String> = cell.functions().repeat(directions).iter().map(|&name| name.to_owned()).collect();
    let names = node.strings("activations")?.unwrap_or_else(|| usual.clone());
    if names.len() != usual.len() {
        return Err(node.refused("attribute activations", &format!("{} functions", usual.len()), names.len()));
    }
    let given =
        [("activation_alpha", node.floats("activation_alpha")?), ("activation_beta", node.floats("activation_beta")?)];
    let mut all = Vec::new();
    let mut taken = [0, 0];
    for name in names.iter().map(|name| name.to_lowercase()) {
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
        all.push(Function { name, alpha, beta });
    }
    for ((name, given), taken) in given.iter().zip(taken) {
        if let Some(given) = given.as_ref().filter(|given| given.len() != taken) {
            let wanted = format!("{taken} numbers: one for each function that takes one");
            return Err(node.refused(&format!("attribute {name}"), &wanted, given.len()));
        }
    }
    Ok(all)
}

/// Returns for every step a mask of the sequences that have it; `None` if all do.
fn active(b: &mut Builder, layer: &Layer) -> Result<Vec<Option<Operand>>> {
    let Some(lengths) = &layer.lengths else { return Ok(vec![None; layer.steps]) };
    let lengths = b.reshape(lengths, [layer.batch, 1])?;
    let mut all = Vec::new();
    for step in 0..layer.steps {
        let step = Tensor::scalar(lengths.element(), step as f64).into();
        let mask = b.compare(&lengths, Compare::Gt, &step)?;
        let everywhere = mask.host().is_some_and(|mask| mask.numbers().iter().all(|&holds| holds != 0.0));
        all.push((!everywhere).then_some(mask));
    }
    Ok(all)
}

/// Computes `x weightᵀ`.
fn projected(b: &mut Builder, x: &Operand, weight: &Operand) -> Result<Operand> {
    match weight {
        Operand::Host(weight) => b.moved(Linear::new(weight.constant()?, None), &[x]),
        weight => b.moved(MatMul::new().transpose_b(), &[x, weight]),
    }
}

/// Prepares direction `d` of a layer: multiplies the input of all steps.
fn direction(b: &mut Builder, node: &Node, layer: &Layer, x: &Operand, d: usize) -> Result<Direction> {
    let (hidden, rows) = (layer.hidden, layer.cell.gates() * layer.hidden);
    let named = |part: &str| format!("{}, {part} of direction {d}", node.key());
    let weight = b.entry(&layer.weight, 0, d)?;
    let weight = b.kept(&named("W"), weight);
    let mut inputs = projected(b, x, &weight)?;
    let mut hidden_bias = None;
    if let Some(bias) = &layer.bias {
        let bias = b.entry(bias, 0, d)?;
        let (of_input, mut of_state) = (b.slice(&bias, 0, 0, rows, 1)?, b.slice(&bias, 0, rows, rows, 1)?);
        if layer.linear_first {
            hidden_bias = Some(b.slice(&of_state, 0, 2 * hidden, hidden, 1)?);
            let gates = b.slice(&of_state, 0, 0, 2 * hidden, 1)?;
            let zeros = Tensor::filled(x.element(), [hidden].into(), 0.0)?;
            of_state = b.concat(&[gates, zeros.into()], 0)?;
        }
        let bias = b.binary(BinaryKind::Add, &of_input, &of_state)?;
        inputs = b.binary(BinaryKind::Add, &inputs, &bias)?;
    }
    let peepholes = match &layer.peepholes {
        None => None,
        Some(all) => {
            let all = b.entry(all, 0, d)?;
            let [i, o, f] = [0, 1, 2].map(|part| b.slice(&all, 0, part * hidden, hidden, 1));
            Some([i?, o?, f?])
        }
    };
    let whole = b.entry(&layer.recurrence, 0, d)?;
    let recurrence = if layer.cell == Cell::Gru && !layer.linear_first {
        let gates = b.slice(&whole, 0, 0, 2 * hidden, 1)?;
        let new = b.slice(&whole, 0, 2 * hidden, hidden, 1)?;
        vec![b.kept(&named("R of the gates"), gates), b.kept(&named("R of the state"), new)]
    } else {
        vec![b.kept(&named("R"), whole)]
    };
    let count = layer.cell.functions().len();
    let functions = layer.functions[d * count..][..count].to_vec();
    Ok(Direction { recurrence, hidden_bias, peepholes, functions, inputs })
}

/// Adds all steps of a direction and updates `states`. Returns the outputs `[1, 1, batch, hidden]`, in input order.
fn steps(
    b: &mut Builder,
    layer: &Layer,
    direction: &Direction,
    states: &mut [Operand],
    active: &[Option<Operand>],
    reverse: bool,
) -> Result<Vec<Operand>> {
    let inputs = &direction.inputs;
    let zeros = inputs.number(0);
    let mut outputs = Vec::new();
    for step in 0..layer.steps {
        let step = if reverse { layer.steps - 1 - step } else { step };
        let input = b.entry(inputs, 0, step)?;
        let mut next = match layer.cell {
            Cell::Rnn => rnn(b, layer, direction, &input, states)?,
            Cell::Gru => gru(b, layer, direction, &input, states)?,
            Cell::Lstm => lstm(b, layer, direction, &input, states)?,
        };
        let mut output = next[0].clone();
        if let Some(active) = &active[step] {
            output = b.where_(active, &output, &zeros)?;
            for (next, state) in next.iter_mut().zip(states.iter()) {
                *next = b.where_(active, next, state)?;
            }
        }
        states.clone_from_slice(&next);
        outputs.push(b.reshape(&output, [1, 1, layer.batch, layer.hidden])?);
    }
    if reverse {
        outputs.reverse();
    }
    Ok(outputs)
}

fn gate_at(b: &mut Builder, of: &Operand, place: usize, hidden: usize) -> Result<Operand> {
    b.slice(of, 1, place * hidden, hidden, 1)
}

fn rnn(b: &mut Builder, layer: &Layer, d: &Direction, input: &Operand, states: &[Operand]) -> Result<Vec<Operand>> {
    let state = projected(b, &states[0], &d.recurrence[0])?;
    let sum = b.binary(BinaryKind::Add, input, &state)?;
    Ok(vec![applied(b, layer, d, 0, &sum)?])
}

/// Adds a step of a GRU. Its gates are update, reset, hidden.
fn gru(b: &mut Builder, layer: &Layer, d: &Direction, input: &Operand, states: &[Operand]) -> Result<Vec<Operand>> {
    let h = &states[0];
    let state = projected(b, h, &d.recurrence[0])?;
    let mut gates = Vec::new();
    for place in [0, 1] {
        let [input, state] = [gate_at(b, input, place, layer.hidden)?, gate_at(b, &state, place, layer.hidden)?];
        let sum = b.binary(BinaryKind::Add, &input, &state)?;
        gates.push(applied(b, layer, d, 0, &sum)?);
    }
    let (z, r) = (&gates[0], &gates[1]);
    let inner = if layer.linear_first {
        let mut inner = gate_at(b, &state, 2, layer.hidden)?;
        if let Some(bias) = &d.hidden_bias {
            inner = b.binary(BinaryKind::Add, &inner, bias)?;
        }
        b.binary(BinaryKind::Mul, r, &inner)?
    } else {
        let reset = b.binary(BinaryKind::Mul, r, h)?;
        projected(b, &reset, &d.recurrence[1])?
    };
    let input = gate_at(b, input, 2, layer.hidden)?;
    let sum = b.binary(BinaryKind::Add, &input, &inner)?;
    let new = applied(b, layer, d, 1, &sum)?;
    // (1 - z) new + z h
    let change = b.binary(BinaryKind::Sub, h, &new)?;
    let change = b.binary(BinaryKind::Mul, z, &change)?;
    Ok(vec![b.binary(BinaryKind::Add, &new, &change)?])
}

/// Adds a step of an LSTM. Its gates are input, output, forget, cell.
fn lstm(b: &mut Builder, layer: &Layer, d: &Direction, input: &Operand, states: &[Operand]) -> Result<Vec<Operand>> {
    let (h, c) = (&states[0], &states[1]);
    let state = projected(b, h, &d.recurrence[0])?;
    let sum = b.binary(BinaryKind::Add, input, &state)?;
    let mut gate = |place: usize, function: usize, seen: &Operand| -> Result<Operand> {
        let mut gate = gate_at(b, &sum, place, layer.hidden)?;
        if let Some(peephole) = d.peepholes.as_ref().and_then(|all| all.get(place)) {
            let seen = b.binary(BinaryKind::Mul, seen, peephole)?;
            gate = b.binary(BinaryKind::Add, &gate, &seen)?;
        }
        applied(b, layer, d, function, &gate)
    };
    let (i, f, new) = (gate(0, 0, c)?, gate(2, 0, c)?, gate(3, 1, c)?);
    let [kept, added] = [b.binary(BinaryKind::Mul, &f, c)?, b.binary(BinaryKind::Mul, &i, &new)?];
    let c = b.binary(BinaryKind::Add, &kept, &added)?;
    let mut o = gate_at(b, &sum, 1, layer.hidden)?;
    if let Some([_, peephole, _]) = &d.peepholes {
        let seen = b.binary(BinaryKind::Mul, &c, peephole)?;
        o = b.binary(BinaryKind::Add, &o, &seen)?;
    }
    let o = applied(b, layer, d, 0, &o)?;
    let shown = applied(b, layer, d, 2, &c)?;
    Ok(vec![b.binary(BinaryKind::Mul, &o, &shown)?, c])
}

/// Applies a function to a gate, which is clipped first.
fn applied(b: &mut Builder, layer: &Layer, d: &Direction, function: usize, x: &Operand) -> Result<Operand> {
    let x = match layer.clip {
        Some(clip) => b.activation(x, Activation::Clamp(-clip, clip))?,
        None => x.clone(),
    };
    let x = &x;
    let &Function { ref name, alpha, beta } = &d.functions[function];
    let activation = match &name[..] {
        "relu" => Activation::Relu,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus(1.0),
        "leakyrelu" => Activation::LeakyRelu(alpha),
        "elu" => Activation::Elu(alpha),
        "thresholdedrelu" => {
            let below = b.compare(x, Compare::Le, &x.number(alpha))?;
            return b.where_(&below, &x.number(0), x);
        }
        "scaledtanh" => {
            let x = b.scaled(x, beta)?;
            let x = b.activation(&x, Activation::Tanh)?;
            return b.scaled(&x, alpha);
        }
        _ => {
            let scaled = b.scaled(x, alpha)?;
            let y = b.binary(BinaryKind::Add, &scaled, &x.number(beta))?;
            return if name == "affine" { Ok(y) } else { b.activation(&y, Activation::Clamp(0.0, 1.0)) };
        }
    };
    b.activation(x, activation)
}
