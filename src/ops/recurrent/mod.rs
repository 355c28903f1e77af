//! Recurrent layers: LSTM, GRU and RNN of any number of steps.

// Long because the cells share their attributes, their weights and the division of the steps into dispatches.

mod cell;

pub use cell::{GateFunction, RecurrentCell};

use super::activation::Activation;
use super::image_storage;
use super::packing::buffer;
use super::part::ranges;
use crate::error::{ErrorKind, Result};
use crate::graph::Kept;
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{
    Binding, Caps, Dispatch, Iterations, Kernel, Layout, Prepacked, Storage, WeightKey, looped, plain,
};
use crate::{DType, Graph, Shape, Value};
use std::ops::Range;

/// The steps of `torch.nn.LSTM`, `GRU` or `RNN`, one layer: [`Graph::recurrent`]. All steps are computed by one dispatch,
/// or by a few where a device limits the length of loops.
///
/// The weight R is `[directions, gates * hidden, hidden]`: `f32`s, or [packed](Constant::packed) integers of 8 bits with
/// [scales](Recurrent::quantized). The first direction begins at the first step, the second one at the last.
#[derive(Clone, Debug)]
pub struct Recurrent {
    cell: RecurrentCell,
    directions: usize,
    weight: Option<Constant>,
    scale: Option<Constant>,
    zero_point: Option<Constant>,
    reverse: bool,
    functions: Vec<GateFunction>,
    clip: Option<f32>,
    coupled: bool,
    /// True for each input that there is: initial states, lengths, extra rows.
    inputs: [bool; 3],
}

/// The inputs of a [`Recurrent`] layer that may be absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecurrentInputs {
    /// The states before the first step, `[states, directions, batch, hidden]`: h, then c of an LSTM. Without, they are 0.
    pub initial: Option<Value>,
    /// The number of steps of each sequence, `i32`s `[batch]`. Later outputs are 0, and leave the states as they are.
    pub lengths: Option<Value>,
    /// An LSTM's peepholes of the gates i, o, f, `[directions, 3, hidden]`; the bias b of
    /// [`RecurrentCell::GruResetAfter`], `[directions, 1, hidden]`.
    pub extra: Option<Value>,
    /// The weight of a layer [without one](Recurrent::without_weight), in the kernel's order:
    /// `[directions, hidden / 4, gates * hidden, 4]`, the first hidden padded with zeros to a multiple of 16.
    pub weight: Option<Value>,
}

params! {
    struct Params {
        functions: [[f32; 4]; 6],
        steps: usize,
        first: usize,
        count: usize,
        batch: usize,
        directions: usize,
        hidden: usize,
        width: usize,
        gates: usize,
        blocks: usize,
        backward: u32,
        begins: u32,
    }
}

/// The sizes of a layer, of an input `[steps, batch, directions * gates * hidden]`.
#[derive(Clone, Copy)]
struct Sizes {
    steps: usize,
    batch: usize,
    hidden: usize,
    /// The rows of the weight in a direction.
    width: usize,
    /// The 16 neighbouring columns of the weight that are read together.
    blocks: usize,
}

/// The maximum number of turns of an invocation's loops in a dispatch: about a third of a second, after which operating
/// systems suspect that a GPU hangs.
const TURNS: u32 = 1 << 20;

/// The maximum number of dispatches of a layer.
const MOST_DISPATCHES: usize = 1 << 14;

/// The columns of the weight that are read together.
const BLOCK: usize = 16;

impl Recurrent {
    /// Creates a layer with weights `[directions, gates * hidden, hidden]`: one direction or two.
    pub fn new(cell: RecurrentCell, weight: Constant) -> Recurrent {
        let directions = weight.shape().first().copied().unwrap_or(0);
        Recurrent { weight: Some(weight), ..Recurrent::without_weight(cell, directions) }
    }

    /// Creates a layer whose weight is [computed](RecurrentInputs::weight).
    pub fn without_weight(cell: RecurrentCell, directions: usize) -> Recurrent {
        Recurrent {
            cell,
            directions,
            weight: None,
            scale: None,
            zero_point: None,
            reverse: false,
            functions: cell.functions(),
            clip: None,
            coupled: false,
            inputs: [false; 3],
        }
    }

    /// Sets the scale and the zero point of packed weights: one, one for each direction, or one for each row of a
    /// direction, `[directions * gates * hidden]`. An LSTM then quantises h to 8 bits of its range before each product,
    /// as ONNX Runtime's `DynamicQuantizeLSTM` does. The default zero point is 0.
    #[must_use]
    pub fn quantized(self, scale: Constant, zero_point: Option<Constant>) -> Recurrent {
        Recurrent { scale: Some(scale), zero_point, ..self }
    }

    /// Lets the only direction begin at the last step.
    #[must_use]
    pub fn reverse(self) -> Recurrent {
        Recurrent { reverse: true, ..self }
    }

    /// Sets the functions f, g and h, as many as the cell has.
    #[must_use]
    pub fn functions(self, functions: Vec<GateFunction>) -> Recurrent {
        Recurrent { functions, ..self }
    }

    /// Clamps what f and g are applied to between `-clip` and `clip`; as in ONNX Runtime, c isn't clamped.
    #[must_use]
    pub fn clip(self, clip: f32) -> Recurrent {
        Recurrent { clip: Some(clip), ..self }
    }

    /// Makes an LSTM's forget gate 1 - i: ONNX's `input_forget`.
    #[must_use]
    pub fn coupled(self) -> Recurrent {
        Recurrent { coupled: true, ..self }
    }

    fn sizes(&self, x: &Shape) -> Result<Sizes, ErrorKind> {
        let (gates, directions) = (self.cell.gates(), self.directions);
        let each = directions.saturating_mul(gates);
        let wanted = format_args!("[steps, batch, {directions} * {gates} * hidden]").to_string();
        match x[..] {
            [steps, batch, wide] if x.elements() > 0 && each > 0 && wide.is_multiple_of(each) => {
                let hidden = wide / each;
                Ok(Sizes { steps, batch, hidden, width: gates * hidden, blocks: hidden.div_ceil(BLOCK) })
            }
            _ => Err(ErrorKind::argument("input", wanted, x)),
        }
    }

    fn expect_weight(&self, sizes: Sizes) -> Result<(), ErrorKind> {
        let Some(weight) = &self.weight else { return Ok(()) };
        let wanted = Shape::from([self.directions, sizes.width, sizes.hidden]);
        if *weight.shape() != wanted {
            return Err(ErrorKind::argument("weight", wanted, weight.shape()));
        }
        let Some(scale) = &self.scale else {
            let float = weight.dtype() == DType::F32;
            return if float { Ok(()) } else { Err(ErrorKind::argument("weight", DType::F32, weight.dtype())) };
        };
        match weight.int_type() {
            Some(of) if of.bits() == 8 && self.cell == RecurrentCell::Lstm => {}
            _ => return Err(ErrorKind::argument("weight", "an LSTM's, integers of 8 bits", weight.dtype())),
        }
        let all = self.directions * sizes.width;
        for (argument, of, dtype) in
            [("scale", Some(scale), DType::F32), ("zero_point", self.zero_point.as_ref(), DType::I32)]
        {
            let Some(of) = of else { continue };
            if of.dtype() != dtype {
                return Err(ErrorKind::argument(argument, dtype, of.dtype()));
            }
            let count = of.shape().elements();
            if ![1, self.directions, all].contains(&count) {
                let wanted = format!("1, {} or {all} numbers", self.directions);
                return Err(ErrorKind::argument(argument, wanted, count));
            }
        }
        Ok(())
    }

    /// Returns the weight as texels `[directions, blocks * 4][gates * hidden]`.
    fn texels(&self, weight: &Constant, sizes: Sizes, storage: Storage) -> Prepacked {
        let Sizes { hidden, width, blocks, .. } = sizes;
        let rows = self.directions * blocks * 4;
        let (weight, key) = (weight.clone(), WeightKey::new("recurrent").constants([Some(weight.id())]));
        Prepacked::new(key, storage, (rows, width), move || {
            let numbers = weight.values();
            let mut texels = vec![0.0; rows * width * 4];
            for (i, of_row) in numbers.chunks(hidden).enumerate() {
                let (direction, row) = (i / width, i % width);
                for (k, &number) in of_row.iter().enumerate() {
                    texels[((direction * blocks * 4 + k / 4) * width + row) * 4 + k % 4] = number;
                }
            }
            texels
        })
    }

    /// Returns packed weights as the bits of texels `[directions, blocks][gates * hidden]`, 16 bytes each, then the scales and
    /// zero points of each direction.
    fn words(&self, weight: &Constant, scale: &Constant, sizes: Sizes, storage: Storage) -> Prepacked {
        let Sizes { hidden, width, blocks, .. } = sizes;
        let (directions, offset) = (self.directions, weight.int_type().map_or(0, |of| of.offset()));
        let ids = [Some(weight.id()), Some(scale.id()), self.zero_point.as_ref().map(Constant::id)];
        let key = WeightKey::new("recurrent, packed").constants(ids);
        let (weight, scale, zero) = (weight.clone(), scale.clone(), self.zero_point.clone());
        let all = directions * width;
        Prepacked::new(key, storage, (directions * (blocks + 1), width), move || {
            let bytes = weight.counted();
            let mut words = vec![0; 4 * all * (blocks + 1)];
            for (i, of_row) in bytes.chunks(hidden).enumerate() {
                let (direction, row) = (i / width, i % width);
                for (k, &byte) in of_row.iter().enumerate() {
                    let texel = (direction * blocks + k / BLOCK) * width + row;
                    words[4 * texel + k % BLOCK / 4] |= u32::from(byte) << (8 * (k % 4));
                }
            }
            let scales = scale.values();
            let zeros = zero.as_ref().map_or_else(|| vec![0.0], Constant::values);
            for row in 0..all {
                let of = |numbers: &[f32]| numbers[row * numbers.len() / all];
                let at = 4 * (all * blocks + row);
                words[at] = of(&scales).to_bits();
                words[at + 1] = (of(&zeros) + offset as f32).to_bits();
            }
            words.into_iter().map(f32::from_bits).collect()
        })
    }

    /// Returns the most turns of an invocation's loops in so many steps.
    fn turns(&self, sizes: Sizes, [lanes, quads]: [usize; 2], count: usize) -> usize {
        let units = sizes.hidden.div_ceil(lanes);
        let products = looped(units, plain(sizes.blocks * (BLOCK / 4 / quads)));
        let twice = if self.cell == RecurrentCell::Gru { products } else { Iterations::default() };
        // Up to four rows are quantised.
        let quantised = (plain(sizes.blocks) + plain(units)).all * if self.scale.is_some() { 4 } else { 0 };
        let padded = plain((BLOCK * sizes.blocks).div_ceil(lanes)) + plain(units);
        (looped(count, products + twice) + padded).all.saturating_add(quantised.saturating_mul(count + 1))
    }
}

impl Op for Recurrent {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [initial, lengths, extra] = self.inputs;
        let optional = [initial, lengths, extra, self.weight.is_none()];
        let count = 1 + optional.into_iter().filter(|&there| there).count();
        if inputs.len() != count {
            return Err(ErrorKind::argument("inputs", count, inputs.len()));
        }
        if !(1..=2).contains(&self.directions) || (self.reverse && self.directions == 2) {
            let got = if self.reverse { "2, reversed".to_owned() } else { self.directions.to_string() };
            return Err(ErrorKind::argument("directions", "1, 1 reversed, or 2", got));
        }
        let wanted = self.cell.functions().len();
        if self.functions.len() != wanted {
            return Err(ErrorKind::argument("functions", wanted, self.functions.len()));
        }
        if let Some(clip) = self.clip.filter(|&clip| clip.is_nan() || clip <= 0.0) {
            return Err(ErrorKind::argument("clip", "more than 0", clip));
        }
        if self.coupled && self.cell != RecurrentCell::Lstm {
            return Err(ErrorKind::argument("coupled", "an LSTM", format_args!("{:?}", self.cell)));
        }
        let sizes = self.sizes(&inputs[0])?;
        self.expect_weight(sizes)?;
        let Sizes { steps, batch, hidden, width, blocks } = sizes;
        let directions = self.directions;
        let state = Shape::from([self.cell.states(), directions, batch, hidden]);
        let shapes = [
            ("initial", state.clone()),
            ("lengths", [batch].into()),
            ("extra", [directions, self.cell.extras(), hidden].into()),
            ("weight", [directions, 4 * blocks, width, 4].into()),
        ];
        let there = shapes.into_iter().zip(optional).filter(|(_, there)| *there);
        for (((argument, wanted), _), got) in there.zip(&inputs[1..]) {
            if *got != wanted {
                return Err(ErrorKind::argument(argument, wanted, got));
            }
        }
        Ok(vec![[steps, directions, batch, hidden].into(), state])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        let [initial, lengths, _] = self.inputs;
        let place = lengths.then_some(1 + usize::from(initial));
        crate::graph::op::expect_dtypes(inputs, |i| if Some(i) == place { DType::I32 } else { DType::F32 })?;
        Ok(vec![DType::F32; 2])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let sizes = self.sizes(&io.inputs[0])?;
        let Sizes { steps, batch, hidden, width, blocks } = sizes;
        let directions = self.directions;

        // The rows of a workgroup share the weights that it reads, if no unit is idle then. llvmpipe, where a workgroup is
        // one subgroup, has the units of a processor; it compiles products of fewer texels sooner, and they are as fast.
        let narrow = caps.shuffles_of_eight();
        let quads = if narrow && self.scale.is_none() { 2 } else { BLOCK / 4 };
        let enough = if narrow { 4 } else { caps.units as usize };
        let memory = |rows: usize| 3 * 4 * rows * blocks * BLOCK;
        let fits = |rows: &usize| memory(*rows) <= caps.max_workgroup_memory as usize;
        let shared = |rows: &usize| *rows <= batch && directions * batch.div_ceil(*rows) >= enough;
        let rows = [4, 2].into_iter().find(|rows| fits(rows) && shared(rows)).unwrap_or(1);
        if !fits(&rows) {
            let limit = "max_compute_workgroup_storage_size";
            let (need, have) = (memory(rows) as u64, caps.max_workgroup_memory.into());
            return Err(ErrorKind::Limit { what: format!("the state of {hidden} units"), limit, need, have });
        }
        let least = caps.one_subgroup().unwrap_or(hidden.next_power_of_two().clamp(32, 256) as u32) as usize;
        let most = caps.max_loop_iterations.min(TURNS) as usize;
        let all = std::iter::successors(Some(least), |lanes| Some(2 * lanes));
        let all: Vec<usize> = all.take_while(|&lanes| lanes <= caps.max_invocations as usize).collect();
        let lanes = all.iter().copied().find(|&lanes| self.turns(sizes, [lanes, quads], 1) <= most);
        let lanes = lanes.or(all.last().copied()).unwrap_or(1);
        // Each step makes the same number of turns.
        let [one, two] = [1, 2].map(|count| self.turns(sizes, [lanes, quads], count));
        let each = (1 + most.saturating_sub(one) / (two - one)).min(steps);

        let count = steps.div_ceil(each);
        if count > MOST_DISPATCHES {
            return Err(ErrorKind::argument(
                "steps",
                format_args!("at most {} of {hidden} units", MOST_DISPATCHES * each),
                steps,
            ));
        }

        let mut next = 1;
        let zero = || Binding::Weight(buffer(WeightKey::new("zero"), 1, || vec![0]));
        let mut optional = |there: bool| {
            next += usize::from(there);
            if there { Binding::Input(next - 1) } else { zero() }
        };
        let [initial, lengths, extra] = self.inputs.map(&mut optional);
        let mut texture = false;
        let mut storage = |rows: usize| {
            let large = width.max(rows) > caps.max_texture as usize;
            let storage = if large { Storage::Buffer } else { image_storage(caps)[0] };
            texture = storage == Storage::Texture;
            storage
        };
        let [r, q] = match (&self.weight, &self.scale) {
            (None, _) => [optional(true), zero()],
            (Some(weight), Some(scale)) => {
                let storage = storage(directions * (blocks + 1));
                [zero(), Binding::Weight(self.words(weight, scale, sizes, storage))]
            }
            (Some(weight), None) => {
                let storage = storage(directions * blocks * 4);
                [Binding::Weight(self.texels(weight, sizes, storage)), zero()]
            }
        };
        let bindings = vec![Binding::Input(0), r, q, initial, lengths, extra, Binding::Output(0), Binding::Output(1)];

        let gates = self.cell.gates();
        let mut functions = self.functions.clone();
        functions.resize(3, Activation::Tanh.into());
        let [there_initial, there_lengths, there_extra] = self.inputs;
        let half = rows * blocks * BLOCK;
        let portable = shader!("recurrent", "hidden", "activation", "index", "nan");
        let shuffles = shader!("recurrent", "hidden_lanes", "activation", "index", "nan");
        let shader = if narrow { shuffles } else { portable };
        let packed = self.scale.is_some();
        let shader = shader
            .tile("ROWS", rows as u32)
            .tile("GATES", if self.cell == RecurrentCell::Gru { 2 } else { gates as u32 })
            .tile("QUADS", quads as u32)
            .set("LANES", lanes as u32)
            .set("CELL", self.cell as u32)
            .set("SIZE", (blocks * BLOCK) as u32)
            .set("HALF", half as u32)
            .set("BOTH", 2 * half as u32)
            .set("PACKED", packed)
            .set("INITIAL", there_initial)
            .set("LENGTHS", there_lengths)
            .set("EXTRA", there_extra)
            .set("CLIPPED", self.clip.is_some())
            .set("COUPLED", self.coupled)
            .set("F", functions[0].code())
            .set("G", functions[1].code())
            .set("H", functions[2].code())
            .texture(if packed { "q" } else { "r" }, texture);
        let numbers: Vec<[f32; 4]> = functions.iter().flat_map(|function| function.numbers(self.clip)).collect();
        let numbers: [[f32; 4]; 6] = numbers.try_into().expect("three functions have two vectors each");
        let params = |part: Range<usize>| Params {
            functions: numbers,
            steps,
            first: part.start,
            count: part.len(),
            batch,
            directions,
            hidden,
            width,
            gates,
            blocks,
            backward: if self.reverse { 1 } else { 2 },
            begins: u32::from(part.start == 0),
        };
        let workgroups = directions * batch.div_ceil(rows);
        let dispatches = ranges(steps, each).map(|part| {
            let turns = self.turns(sizes, [lanes, quads], part.len());
            Dispatch::new(shader.clone(), &params(part), bindings.clone(), workgroups).iterations(turns)
        });
        let mut reads = vec![Layout::ROWS; io.inputs.len()];
        if self.weight.is_none() {
            reads[io.inputs.len() - 1] = Layout::rows_vec4(Storage::Buffer);
        }
        Ok(vec![Kernel::several(reads, vec![Layout::ROWS; 2], dispatches.collect())])
    }

    /// Counts the products of h; an operation for each sum of two numbers, each product of gates, and each function.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let (x, units) = (io.inputs[0].elements() as u64, io.outputs[0].elements() as u64);
        let hidden = io.outputs[0].last().copied().unwrap_or(1) as u64;
        let weights = self.weight.as_ref().map_or(0, |weight| weight.shape().elements() as u64);
        let functions: u64 = match self.cell {
            RecurrentCell::Rnn => 0,
            RecurrentCell::Gru | RecurrentCell::GruResetAfter => 8,
            RecurrentCell::Lstm => 12,
        };
        let peepholes = if self.inputs[2] { 2 * self.cell.extras() as u64 } else { 0 };
        let other = x.saturating_mul(2).saturating_add(units.saturating_mul(functions + peepholes));
        let cost = Cost { weights, parameters: weights, macs: x.saturating_mul(hidden), ..Cost::held(other) };
        Metrics::new(cost).parameters(self.weight.iter().collect())
    }
}

impl Graph {
    /// Adds the steps of a recurrent layer, [`Recurrent`]. `x`, `[steps, batch, directions * gates * hidden]`, holds the
    /// inputs of all steps multiplied by their weights, biases added: a [`Linear`](super::Linear) layer whose rows are
    /// the gates of one direction, then those of the other. Returns the output of all steps,
    /// `[steps, directions, batch, hidden]`, and the last states, `[states, directions, batch, hidden]`.
    ///
    /// ```
    /// use shadernet::ops::{Recurrent, RecurrentCell, RecurrentInputs};
    /// use shadernet::{Constant, Graph};
    /// let (features, hidden) = (6, 4);
    /// let w = Constant::new("w", [4 * hidden, features], vec![0.1; 4 * hidden * features])?;
    /// let b = Constant::new("b", [4 * hidden], vec![0.0; 4 * hidden])?;
    /// let r = Constant::new("r", [1, 4 * hidden, hidden], vec![0.1; 4 * hidden * hidden])?;
    /// let mut graph = Graph::new();
    /// let x = graph.input("x", [50, 1, features]);
    /// let products = graph.linear(x, w, Some(b))?;
    /// let lstm = Recurrent::new(RecurrentCell::Lstm, r);
    /// let [y, state] = graph.recurrent(products, lstm, RecurrentInputs::default())?;
    /// assert_eq!(graph.shape(y, 1)?, [50, 1, 1, hidden].into());
    /// assert_eq!(graph.shape(state, 1)?, [2, 1, 1, hidden].into());
    /// # Ok::<(), shadernet::Error>(())
    /// ```
    pub fn recurrent(&mut self, x: Value, layer: Recurrent, with: RecurrentInputs) -> Result<[Value; 2]> {
        let RecurrentInputs { initial, lengths, extra, weight } = with;
        let inputs: Vec<Value> = [Some(x), initial, lengths, extra, weight].into_iter().flatten().collect();
        let layer = Recurrent { inputs: [initial, lengths, extra].map(|input| input.is_some()), ..layer };
        // The sums of all steps add up what these lose.
        self.keep_f32(x, Kept::Value);
        let name = format!("{}_{}", layer.name(), self.nodes().len());
        let outputs = self.add_node(name, layer, &inputs)?;
        Ok([outputs[0], outputs[1]])
    }
}
