//! Cases of recurrent layers, and their reference: cells, directions, states, lengths, functions, packed weights.

use crate::ops::{Activation, GateFunction, Recurrent, RecurrentCell, RecurrentInputs};
use crate::selftest::cases::{constant, graph_of, packed, random, whole};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};
use crate::{DType, IntType};

/// A function of a gate.
pub type Function = fn(f64, [f64; 2]) -> f64;

/// A layer as its definition describes it, with products of the inputs and weights as in [`Recurrent`].
#[derive(Clone)]
pub struct Layer<'a> {
    pub cell: RecurrentCell,
    pub weight: &'a Tensor,
    pub initial: Option<&'a Tensor>,
    pub lengths: Option<&'a Tensor>,
    pub extra: Option<&'a Tensor>,
    pub reverse: bool,
    /// f, g and h of each direction, each with alpha and beta.
    pub functions: Vec<(Function, [f64; 2])>,
    pub clip: Option<f64>,
    pub coupled: bool,
    /// True if h is quantised before each product.
    pub quantised: bool,
}

impl Layer<'_> {
    pub fn new(cell: RecurrentCell, weight: &Tensor) -> Layer<'_> {
        let (sigmoid, tanh): (Function, Function) = (|x, _| 1.0 / (1.0 + (-x).exp()), |x, _| x.tanh());
        let usual = match cell {
            RecurrentCell::Rnn => vec![tanh],
            RecurrentCell::Gru | RecurrentCell::GruResetAfter => vec![sigmoid, tanh],
            RecurrentCell::Lstm => vec![sigmoid, tanh, tanh],
        };
        Layer {
            cell,
            weight,
            initial: None,
            lengths: None,
            extra: None,
            reverse: false,
            functions: usual.repeat(2).into_iter().map(|function| (function, [0.0; 2])).collect(),
            clip: None,
            coupled: false,
            quantised: false,
        }
    }

    fn applied(&self, direction: usize, function: usize, x: f64) -> f64 {
        let (of, numbers) = self.functions[direction * (self.functions.len() / 2) + function];
        // c isn't clipped.
        let clipped = self.clip.filter(|_| !x.is_nan() && function < 2).map_or(x, |clip| x.clamp(-clip, clip));
        of(clipped, numbers)
    }

    /// Returns the products of h with the rows of a gate.
    fn products(&self, direction: usize, gate: usize, h: &[f64]) -> Vec<f64> {
        let hidden = h.len();
        let row = |unit: usize| {
            let at = |k: usize| self.weight.at(&[direction, gate * hidden + unit, k]);
            (0..hidden).map(|k| at(k) * h[k]).sum()
        };
        (0..hidden).map(row).collect()
    }

    fn extra(&self, direction: usize, row: usize, unit: usize) -> f64 {
        self.extra.map_or(0.0, |extra| extra.at(&[direction, row, unit]))
    }

    /// Returns the next h and c of a sequence. `x` is the input of a gate and a unit.
    fn step(&self, direction: usize, x: impl Fn(usize, usize) -> f64, h: &[f64], c: &[f64]) -> [Vec<f64>; 2] {
        let seen = if self.quantised { quantised(h) } else { h.to_vec() };
        let units = 0..h.len();
        let sums: Vec<Vec<f64>> = (0..self.cell.gates()).map(|gate| self.products(direction, gate, &seen)).collect();
        let gate = |function: usize, gate: usize, unit: usize, more: f64| {
            self.applied(direction, function, x(gate, unit) + sums[gate][unit] + more)
        };
        match self.cell {
            RecurrentCell::Rnn => [units.map(|u| gate(0, 0, u, 0.0)).collect(), c.to_vec()],
            RecurrentCell::Gru | RecurrentCell::GruResetAfter => {
                let reset: Vec<f64> = units.clone().map(|u| gate(0, 1, u, 0.0)).collect();
                let inner: Vec<f64> = if self.cell == RecurrentCell::Gru {
                    self.products(direction, 2, &units.clone().map(|u| reset[u] * h[u]).collect::<Vec<_>>())
                } else {
                    units.clone().map(|u| reset[u] * (sums[2][u] + self.extra(direction, 0, u))).collect()
                };
                let next = units.map(|u| {
                    let z = gate(0, 0, u, 0.0);
                    (1.0 - z) * self.applied(direction, 1, x(2, u) + inner[u]) + z * h[u]
                });
                [next.collect(), c.to_vec()]
            }
            RecurrentCell::Lstm => {
                let peep = |row: usize, u: usize, c: f64| self.extra(direction, row, u) * c;
                let cell = |u: usize| {
                    let i = gate(0, 0, u, peep(0, u, c[u]));
                    let f = if self.coupled { 1.0 - i } else { gate(0, 2, u, peep(2, u, c[u])) };
                    f * c[u] + i * gate(1, 3, u, 0.0)
                };
                let cells: Vec<f64> = units.clone().map(cell).collect();
                let next = units.map(|u| gate(0, 1, u, peep(1, u, cells[u])) * self.applied(direction, 2, cells[u]));
                [next.collect(), cells]
            }
        }
    }

    /// Returns the outputs of all steps and the last states. `x` is `[steps, batch, directions * gates * hidden]`.
    pub fn run(&self, x: &Tensor) -> [Tensor; 2] {
        let [steps, batch, _] = x.dims();
        let [directions, width, hidden] = self.weight.dims();
        let mut y = Tensor::new([steps, directions, batch, hidden], vec![0.0; steps * directions * batch * hidden]);
        let states = self.cell.states();
        let mut state =
            Tensor::new([states, directions, batch, hidden], vec![0.0; states * directions * batch * hidden]);
        for (direction, n) in (0..directions).flat_map(|direction| (0..batch).map(move |n| (direction, n))) {
            let first = |s: usize| match self.initial {
                Some(initial) if s < states => (0..hidden).map(|u| initial.at(&[s, direction, n, u])).collect(),
                _ => vec![0.0; hidden],
            };
            let [mut h, mut c] = [first(0), first(1)];
            let length = self.lengths.map_or(steps, |lengths| lengths.data[n] as usize);
            for i in 0..steps {
                let t = if self.reverse || direction == 1 { steps - 1 - i } else { i };
                if t >= length {
                    continue;
                }
                let input = |gate: usize, unit: usize| x.at(&[t, n, direction * width + gate * hidden + unit]);
                [h, c] = self.step(direction, input, &h, &c);
                let at = ((t * directions + direction) * batch + n) * hidden;
                y.data[at..at + hidden].iter_mut().zip(&h).for_each(|(y, &h)| *y = h as f32);
            }
            for (s, values) in [h, c].iter().enumerate().take(states) {
                let at = ((s * directions + direction) * batch + n) * hidden;
                state.data[at..at + hidden].iter_mut().zip(values).for_each(|(to, &value)| *to = value as f32);
            }
        }
        [y, state]
    }
}

/// Quantises numbers to 8 bits of their range, 0 included, and returns what these stand for.
fn quantised(h: &[f64]) -> Vec<f64> {
    let [lo, hi] = [h.iter().copied().fold(0.0, f64::min), h.iter().copied().fold(0.0, f64::max)];
    let scale = if hi > lo { (hi - lo) / 255.0 } else { 1.0 };
    let zero = (-lo / scale).round_ties_even();
    let value = |&h: &f64| (((h / scale).round_ties_even() + zero).clamp(0.0, 255.0) - zero) * scale;
    h.iter().map(value).collect()
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes(t);
    batches(t);
    directions_and_states(t);
    lengths(t);
    extras(t);
    functions(t);
    computed_weights(t);
    packed_weights(t);
    long(t);
    not_finite(t);
}

const CELLS: [RecurrentCell; 4] =
    [RecurrentCell::Rnn, RecurrentCell::Gru, RecurrentCell::GruResetAfter, RecurrentCell::Lstm];

/// The sizes of a case.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    steps: usize,
    batch: usize,
    directions: usize,
    hidden: usize,
}

impl Sizes {
    fn x(self, cell: RecurrentCell) -> Tensor {
        random(1, [self.steps, self.batch, self.directions * cell.gates() * self.hidden])
    }

    /// Returns weights so small that h doesn't become chaotic.
    fn weight(self, cell: RecurrentCell) -> Tensor {
        let scale = 1.0 / (self.hidden as f64).sqrt();
        random(2, [self.directions, cell.gates() * self.hidden, self.hidden]).map(|x| x * scale)
    }

    fn initial(self, cell: RecurrentCell) -> Tensor {
        random(3, [cell.states(), self.directions, self.batch, self.hidden])
    }
}

fn check(t: &Suite, case: &str, x: &Tensor, layer: &Layer, op: &Recurrent, tolerance: Tolerance) {
    let optional = [layer.initial, layer.lengths, layer.extra];
    let inputs: Vec<&Tensor> = [Some(x)].into_iter().chain(optional).flatten().collect();
    let graph = graph_of(&inputs, |graph, values| {
        let mut rest = values[1..].iter().copied();
        let [initial, lengths, extra] = optional.map(|there| there.and_then(|_| rest.next()));
        graph.recurrent(values[0], op.clone(), RecurrentInputs { initial, lengths, extra, weight: None }).map(Vec::from)
    });
    let [y, state] = layer.run(x);
    t.check_outputs(
        &format!("{case}, {:?} of {:?}", layer.cell, layer.weight.shape),
        &graph,
        &inputs,
        &[&y, &state],
        tolerance,
    );
}

fn check_usual(t: &Suite, case: &str, sizes: Sizes, cell: RecurrentCell) {
    let (x, weight) = (sizes.x(cell), sizes.weight(cell));
    let op = Recurrent::new(cell, constant(&weight));
    let case = format!("{case}, {} steps of {}", sizes.steps, sizes.batch);
    check(t, &case, &x, &Layer::new(cell, &weight), &op, Tolerance::Transcendental);
}

/// Checks numbers of units about 16, which are read together, and about a workgroup.
fn sizes(t: &Suite) {
    for cell in CELLS {
        for (hidden, steps) in [(1, 1), (1, 4), (15, 3), (16, 3), (17, 2), (65, 2)] {
            check_usual(t, "sizes", Sizes { steps, batch: 1, directions: 1, hidden }, cell);
        }
    }
    check_usual(t, "many units", Sizes { steps: 2, batch: 1, directions: 1, hidden: 259 }, RecurrentCell::Lstm);
    check_usual(t, "many units", Sizes { steps: 2, batch: 1, directions: 1, hidden: 300 }, RecurrentCell::Gru);
}

/// Checks batches about the sequences of a workgroup, and so many that GPUs share weights among sequences.
fn batches(t: &Suite) {
    for (i, batch) in [2, 3, 4, 5, 8, 99, 130].into_iter().enumerate() {
        let cell = CELLS[i % 4];
        check_usual(t, "batches", Sizes { steps: 3, batch, directions: 1 + i % 2, hidden: 6 }, cell);
    }
}

fn directions_and_states(t: &Suite) {
    for cell in CELLS {
        for (directions, reverse) in [(1, false), (1, true), (2, false)] {
            let sizes = Sizes { steps: 5, batch: 3, directions, hidden: 10 };
            let (x, weight, initial) = (sizes.x(cell), sizes.weight(cell), sizes.initial(cell));
            let op = Recurrent::new(cell, constant(&weight));
            let op = if reverse { op.reverse() } else { op };
            let layer = Layer { reverse, initial: Some(&initial), ..Layer::new(cell, &weight) };
            let case = format!("{directions} directions, reversed: {reverse}");
            check(t, &case, &x, &layer, &op, Tolerance::Transcendental);
        }
    }
}

fn lengths(t: &Suite) {
    let lengths = Tensor::new([5], vec![4.0, 0.0, 3.0, 1.0, 4.0]).with_dtype(DType::I32);
    for cell in CELLS {
        let sizes = Sizes { steps: 4, batch: 5, directions: 2, hidden: 9 };
        let (x, weight, initial) = (sizes.x(cell), sizes.weight(cell), sizes.initial(cell));
        let layer = Layer { initial: Some(&initial), lengths: Some(&lengths), ..Layer::new(cell, &weight) };
        check(t, "lengths", &x, &layer, &Recurrent::new(cell, constant(&weight)), Tolerance::Transcendental);
    }
}

fn extras(t: &Suite) {
    let sizes = Sizes { steps: 4, batch: 2, directions: 2, hidden: 7 };
    for (cell, rows) in [(RecurrentCell::Lstm, 3), (RecurrentCell::GruResetAfter, 1)] {
        let (x, weight, extra) = (sizes.x(cell), sizes.weight(cell), random(4, [2, rows, 7]));
        let layer = Layer { extra: Some(&extra), ..Layer::new(cell, &weight) };
        check(t, "extra rows", &x, &layer, &Recurrent::new(cell, constant(&weight)), Tolerance::Transcendental);
    }
    let cell = RecurrentCell::Lstm;
    let (x, weight, extra) = (sizes.x(cell), sizes.weight(cell), random(4, [2, 3, 7]));
    let layer = Layer { extra: Some(&extra), coupled: true, ..Layer::new(cell, &weight) };
    let op = Recurrent::new(cell, constant(&weight)).coupled();
    check(t, "coupled", &x, &layer, &op, Tolerance::Transcendental);
}

fn functions(t: &Suite) {
    let all: [(GateFunction, Function, [f64; 2]); 11] = [
        (Activation::Relu.into(), |x, _| x.max(0.0), [0.0; 2]),
        (Activation::Tanh.into(), |x, _| x.tanh(), [0.0; 2]),
        (Activation::Sigmoid.into(), |x, _| 1.0 / (1.0 + (-x).exp()), [0.0; 2]),
        (Activation::Softsign.into(), |x, _| x / (1.0 + x.abs()), [0.0; 2]),
        (Activation::Softplus(1.0).into(), |x, _| x.exp().ln_1p(), [0.0; 2]),
        (Activation::LeakyRelu(0.25).into(), |x, [a, _]| if x < 0.0 { a * x } else { x }, [0.25, 0.0]),
        (Activation::Elu(0.5).into(), |x, [a, _]| if x < 0.0 { a * x.exp_m1() } else { x }, [0.5, 0.0]),
        (GateFunction::affine(0.5, 0.125), |x, [a, b]| a * x + b, [0.5, 0.125]),
        (GateFunction::scaled_tanh(0.75, 0.5), |x, [a, b]| a * (b * x).tanh(), [0.75, 0.5]),
        (GateFunction::hard_sigmoid(0.25, 0.5), |x, [a, b]| (a * x + b).clamp(0.0, 1.0), [0.25, 0.5]),
        (GateFunction::thresholded_relu(0.25), |x, [a, _]| if x > a { x } else { 0.0 }, [0.25, 0.0]),
    ];
    let sizes = Sizes { steps: 3, batch: 2, directions: 1, hidden: 5 };
    for (i, (function, reference, numbers)) in all.into_iter().enumerate() {
        let cell = RecurrentCell::Rnn;
        let (x, weight) = (sizes.x(cell), sizes.weight(cell));
        let clip = (i % 2 == 0).then_some(0.5);
        let layer =
            Layer { functions: vec![(reference, numbers); 2], clip: clip.map(f64::from), ..Layer::new(cell, &weight) };
        let op = Recurrent::new(cell, constant(&weight)).functions(vec![function]);
        let op = clip.map_or(op.clone(), |clip| op.clip(clip));
        check(t, &format!("{function:?}, clip {clip:?}"), &x, &layer, &op, Tolerance::Transcendental);
    }
    let cell = RecurrentCell::Lstm;
    let (x, weight) = (sizes.x(cell), sizes.weight(cell));
    let three = [all[2], all[9], all[3]].map(|(_, reference, numbers)| (reference, numbers));
    let layer = Layer { functions: three.repeat(2), clip: Some(0.5), ..Layer::new(cell, &weight) };
    let op = Recurrent::new(cell, constant(&weight)).functions(vec![all[2].0, all[9].0, all[3].0]).clip(0.5);
    check(t, "three functions", &x, &layer, &op, Tolerance::Transcendental);
}

/// Checks weights that another operation could compute.
fn computed_weights(t: &Suite) {
    for (cell, hidden) in [(RecurrentCell::Lstm, 16), (RecurrentCell::Gru, 5), (RecurrentCell::Rnn, 33)] {
        let sizes = Sizes { steps: 3, batch: 2, directions: 2, hidden };
        let (x, weight) = (sizes.x(cell), sizes.weight(cell));
        let (padded, width) = (hidden.next_multiple_of(16), cell.gates() * hidden);
        let ordered = Tensor::build([2, padded / 4, width, 4], |i| {
            let k = 4 * i[1] + i[3];
            if k < hidden { weight.at(&[i[0], i[2], k]) } else { 0.0 }
        });
        let graph = graph_of(&[&x, &ordered], |graph, values| {
            let with = RecurrentInputs { weight: Some(values[1]), ..RecurrentInputs::default() };
            graph.recurrent(values[0], Recurrent::without_weight(cell, 2), with).map(Vec::from)
        });
        let [y, state] = Layer::new(cell, &weight).run(&x);
        let case = format!("computed weights, {cell:?} of {hidden}");
        t.check_outputs(&case, &graph, &[&x, &ordered], &[&y, &state], Tolerance::Transcendental);
    }
}

/// Checks packed weights with scales of each kind. The first h is chosen so that no rounding is close to a tie.
fn packed_weights(t: &Suite) {
    let cell = RecurrentCell::Lstm;
    let types = [IntType::U8, IntType::I8];
    for (i, (hidden, batch, scales)) in [(4, 1, 1), (16, 2, 2), (20, 5, 2 * 80), (65, 1, 1)].into_iter().enumerate() {
        let (of, sizes) = (types[i % 2], Sizes { steps: 2, batch, directions: 2, hidden });
        let (x, q) = (sizes.x(cell), whole(2, [2, 4 * hidden, hidden], of));
        let scale = random(5, [scales]).map(|x| (1.5 + x) / (200.0 * (hidden as f64).sqrt()));
        let zero =
            random(6, [scales]).map(|x| (x * 9.0 + 100.0 - f64::from(of.offset())).round()).with_dtype(DType::I32);
        let weight = Tensor::build(q.shape.clone(), |at| {
            let row = (at[0] * 4 * hidden + at[1]) * scales / (8 * hidden);
            (q.at(at) - f64::from(zero.data[row])) * f64::from(scale.data[row])
        });
        let lengths = Tensor::new([batch], (0..batch).map(|n| (2 - n % 2) as f32).collect()).with_dtype(DType::I32);
        let layer = Layer { quantised: true, lengths: Some(&lengths), ..Layer::new(cell, &weight) };
        let op = Recurrent::new(cell, packed(&q, of)).quantized(constant(&scale), Some(constant(&zero)));
        check(t, &format!("packed {of}, {scales} scales"), &x, &layer, &op, Tolerance::Transcendental);
    }
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long(t: &Suite) {
    check_usual(t, "long", Sizes { steps: 20_000, batch: 1, directions: 1, hidden: 2 }, RecurrentCell::Lstm);
    check_usual(t, "long", Sizes { steps: 16_000, batch: 1, directions: 1, hidden: 3 }, RecurrentCell::Gru);
    check_usual(t, "long", Sizes { steps: 200, batch: 1, directions: 2, hidden: 130 }, RecurrentCell::GruResetAfter);
}

fn not_finite(t: &Suite) {
    for cell in CELLS {
        let sizes = Sizes { steps: 3, batch: 2, directions: 1, hidden: 5 };
        let (x, weight) = (sizes.x(cell), sizes.weight(cell));
        let inputs: [&Tensor; 1] = [&x];
        let graph = crate::selftest::cases::graph(&inputs, |graph, values| {
            let op = Recurrent::new(cell, constant(&weight)).clip(20.0);
            graph.recurrent(values[0], op, RecurrentInputs::default()).map(|[y, _]| y)
        });
        let layer = Layer { clip: Some(20.0), ..Layer::new(cell, &weight) };
        let reference = |x: &[&Tensor]| layer.run(x[0])[0].clone();
        t.check_not_finite(&format!("{cell:?}"), &graph, &inputs, reference, Tolerance::Transcendental);
    }
}
