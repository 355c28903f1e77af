//! Rotary position embedding.

use super::append::{Append, expect_positions};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Storage, WeightKey};
use crate::shape::expect_rank;
use crate::{DType, Graph, Shape, Value};

/// Rotary position embedding (Su et al., RoFormer, 2021, <https://arxiv.org/abs/2104.09864>): in each head's vector of
/// a token at position p, the i-th pair of elements rotates by the angle `p theta^(-2i / D)`.
///
/// The input is `[N, H, L, D]`, or `[N, L, H D]` with [`heads`](RotaryEmbedding::heads), as for
/// [`Attention`](super::Attention); the output has the same shape. Token i is at position i, unless the embedding is
/// [`cached`](RotaryEmbedding::cached). Angles are computed in f64, when weights are prepacked.
///
/// ```
/// use shadernet::ops::RotaryEmbedding;
/// let llama = RotaryEmbedding::new(8192).heads(32).theta(500_000.0);
/// let gpt_j = RotaryEmbedding::new(2048).heads(16).dimension(64).interleaved(true);
/// ```
#[derive(Clone, Debug)]
pub struct RotaryEmbedding {
    max_length: usize,
    heads: Option<usize>,
    theta: f64,
    dimension: Option<usize>,
    interleaved: bool,
    cached: bool,
}

params! {
    struct Params {
        count: usize,
        d: usize,
        /// The number of elements of a head that rotate.
        dimension: usize,
        /// The distance from a token to the next, and from a sequence to the next.
        row: usize,
        sequence: usize,
        length: usize,
        max_length: usize,
        positions: usize,
        /// The tokens that the cache holds to which the output is appended, and the number of places (`append.rs`).
        capacity: usize,
        places: usize,
    }
}

impl RotaryEmbedding {
    /// Creates an embedding of positions below `max_length`, with theta 10000. All elements of a head rotate, in the
    /// pairs `i` and `i + D / 2`, as in Llama.
    pub fn new(max_length: usize) -> RotaryEmbedding {
        RotaryEmbedding { max_length, heads: None, theta: 1e4, dimension: None, interleaved: false, cached: false }
    }

    /// Sets the number of heads, which lie side by side in the last dimension.
    #[must_use]
    pub fn heads(self, heads: usize) -> RotaryEmbedding {
        RotaryEmbedding { heads: Some(heads), ..self }
    }

    /// Sets the base of the angles.
    #[must_use]
    pub fn theta(self, theta: f64) -> RotaryEmbedding {
        RotaryEmbedding { theta, ..self }
    }

    /// Sets the number of elements of a head that rotate, the first ones: an even number, which takes the place of D.
    #[must_use]
    pub fn dimension(self, dimension: usize) -> RotaryEmbedding {
        RotaryEmbedding { dimension: Some(dimension), ..self }
    }

    /// Sets whether the pairs are neighbours, `2i` and `2i + 1`, as in the paper and GPT-J.
    #[must_use]
    pub fn interleaved(self, interleaved: bool) -> RotaryEmbedding {
        RotaryEmbedding { interleaved, ..self }
    }

    /// Adds an input `position`, `i32`s `[1]` or `[N]`: the number of earlier tokens. Token i is at `position + i`.
    #[must_use]
    pub fn cached(self) -> RotaryEmbedding {
        RotaryEmbedding { cached: true, ..self }
    }

    /// Returns D and the number of tokens.
    fn sizes(&self, x: &Shape) -> Result<[usize; 2], ErrorKind> {
        match self.heads {
            None => {
                expect_rank("input", x, 4)?;
                Ok([x[3], x[2]])
            }
            Some(heads) => {
                expect_rank("input", x, 3)?;
                if heads == 0 || !x[2].is_multiple_of(heads) {
                    return Err(ErrorKind::argument(
                        "heads",
                        format_args!("a divisor of the {} elements", x[2]),
                        heads,
                    ));
                }
                Ok([x[2] / heads, x[1]])
            }
        }
    }

    /// Returns the cosine and the sine of each angle: `[position][pair]`.
    fn table(&self, dimension: usize) -> Prepacked {
        let (theta, pairs) = (self.theta, dimension / 2);
        let texels = (self.max_length * pairs).div_ceil(2);
        let key = WeightKey::new("rotary").sizes([dimension, self.max_length]).number(theta);
        let max_length = self.max_length;
        let values = move || {
            let mut values = Vec::with_capacity(4 * texels);
            for position in 0..max_length {
                for i in 0..pairs {
                    let angle = position as f64 * theta.powf(-2.0 * i as f64 / dimension as f64);
                    values.extend([angle.cos() as f32, angle.sin() as f32]);
                }
            }
            values.resize(4 * texels, 0.0);
            values
        };
        Prepacked::new(key, Storage::Buffer, (1, texels), values)
    }

    /// Returns the kernel; if `append` follows, the one that appends the output to its cache, with the inputs of both.
    pub(super) fn kernel(&self, io: &Io, append: Option<&Io>) -> Result<Kernel, ErrorKind> {
        let x = &io.inputs[0];
        let [d, length] = self.sizes(x)?;
        let dimension = self.dimension.unwrap_or(d);
        let params = Params {
            count: x.elements(),
            d,
            dimension,
            row: x.strides()[x.len() - 2],
            sequence: x.strides()[0],
            length,
            max_length: self.max_length,
            positions: io.inputs.get(1).map_or(1, Shape::elements),
            capacity: append.map_or(0, |append| append.inputs[0][1]),
            places: append.map_or(0, |append| append.inputs[2].elements()),
        };
        let shader = shader!("rotary", "index").set("INTERLEAVED", self.interleaved).set("CACHED", self.cached);
        // Without a position, the input takes its binding: something must be bound.
        let position = Binding::Input(usize::from(self.cached));
        let own = io.inputs.len();
        let (shader, inputs, place, y) = match append {
            None => (shader, own, position.clone(), Binding::Output(0)),
            Some(_) => (shader.set("APPENDED", true), own + 2, Binding::Input(own + 1), Binding::Update(own)),
        };
        let bindings = vec![Binding::Input(0), Binding::Weight(self.table(dimension)), position, place, y];
        let dispatch = Dispatch::for_each(shader, &params, bindings, x.elements());
        let mut kernel = Kernel::new(vec![Layout::ROWS; inputs], Layout::ROWS, dispatch);
        if self.cached {
            kernel = kernel.with_range(1, [0, i32::try_from(self.max_length - length).unwrap_or(i32::MAX)]);
        }
        Ok(match append {
            None => kernel,
            Some(append) => kernel.with_range(own + 1, Append::places(append)),
        })
    }
}

impl Op for RotaryEmbedding {
    fn name(&self) -> &'static str {
        "rotary_embedding"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let wanted = 1 + usize::from(self.cached);
        if inputs.len() != wanted {
            return Err(ErrorKind::argument("inputs", wanted, inputs.len()));
        }
        let [d, length] = self.sizes(&inputs[0])?;
        let dimension = self.dimension.unwrap_or(d);
        if dimension == 0 || !dimension.is_multiple_of(2) || dimension > d {
            return Err(ErrorKind::argument("dimension", format_args!("an even number up to {d}"), dimension));
        }
        if length > self.max_length {
            return Err(ErrorKind::argument("max_length", format_args!("{length} tokens or more"), self.max_length));
        }
        // Shaders count the elements of the table and of the input in 32 bits.
        let table = self.max_length.saturating_mul(dimension);
        if table.max(inputs[0].elements()) > u32::MAX as usize {
            return Err(ErrorKind::Unsupported(format!("a table of {table} angles for {}", inputs[0])));
        }
        if !(self.theta.is_finite() && self.theta > 0.0) {
            return Err(ErrorKind::argument("theta", "a positive number", self.theta));
        }
        if self.cached {
            expect_positions(&inputs[1], inputs[0][0])?;
        }
        Ok(vec![inputs[0].clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |i| if i == 1 { DType::I32 } else { DType::F32 })?;
        Ok(vec![DType::F32])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(vec![self.kernel(io, None)?])
    }

    /// Counts four multiplications and two additions a pair. Each pair of a token reads a cosine and a sine.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let Ok([d, length]) = self.sizes(&io.inputs[0]) else { return Metrics::default() };
        let turned = self.dimension.unwrap_or(d) as u64;
        let moves = io.read().saturating_add(io.written()).saturating_add(turned.saturating_mul(length as u64));
        let heads = io.written() / d as u64;
        Metrics::new(Cost { moves: Some(moves), ..Cost::in_place(heads.saturating_mul(turned).saturating_mul(3)) })
    }
}

impl Graph {
    /// Adds a [`RotaryEmbedding`] of a tensor, and its position if it is [`cached`](RotaryEmbedding::cached).
    pub fn rotary_embedding(&mut self, inputs: &[Value], rotary: RotaryEmbedding) -> Result<Value> {
        self.push(rotary, inputs)
    }
}
