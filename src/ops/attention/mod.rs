//! Scaled dot-product attention.

mod decode;
mod lanes;
mod lowering;
mod matrix;
mod tiled;
mod trial;

use super::append::expect_positions;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, expect_dtypes};
use crate::kernel::{Caps, Kernel};
use crate::shape::expect_rank;
use crate::{DType, Graph, Shape, Value};
use lowering::Lowering;

pub(crate) use trial::trials;

/// `torch.nn.functional.scaled_dot_product_attention`: `y = softmax(scale q kᵀ + mask) v`, without storing the scores.
///
/// Hq query heads share Hkv heads of keys and values, Hq / Hkv neighbours each (`enable_gqa=True`): multi-head,
/// grouped-query, multi-query attention. Heads have D elements, value heads Dv, at most 256. The inputs have three
/// forms:
///
/// | | query | key | value | output |
/// |---|---|---|---|---|
/// | [`Attention::new`] | `[N, Hq, Lq, D]` | `[N, Hkv, Lk, D]` | `[N, Hkv, Lk, Dv]` | `[N, Hq, Lq, Dv]` |
/// | [`heads`](Attention::heads) | `[N, Lq, Hq D]` | `[N, Lk, Hkv D]` | `[N, Lk, Hkv Dv]` | `[N, Lq, Hq Dv]` |
/// | [`packed`](Attention::packed) | `[N, L, (Hq + 2 Hkv) D]` | | | `[N, L, Hq D]` |
///
/// The mask is the next input of a [`masked`](Attention::masked) attention, the position the last input of a
/// [`cached`](Attention::cached) one. A query that sees no key gives 0, as in PyTorch.
///
/// ```
/// use shadernet::ops::Attention;
/// use shadernet::{BATCH, Graph};
/// let mut graph = Graph::new();
/// let q = graph.input("q", [BATCH, 10, 32 * 128]);
/// let [k, v] = ["k", "v"].map(|name| graph.input(name, [BATCH, 10, 8 * 128]));
/// let y = graph.attention(&[q, k, v], Attention::new().heads(32, 8).is_causal(true))?;
/// assert_eq!(graph.shape(y, 2)?.to_string(), "[2, 10, 4096]");
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attention {
    form: Form,
    scale: Option<f64>,
    causal: bool,
    window: Option<usize>,
    masked: bool,
    cached: bool,
    plain_softmax: bool,
}

/// The arrangement of the heads, with the number of query heads and the number of heads of keys and values.
#[derive(Clone, Copy, Debug, Default)]
enum Form {
    /// Heads in a dimension of their own.
    #[default]
    Outer,
    /// Heads side by side in the last dimension.
    Inner(usize, usize),
    /// All heads in one tensor: first those of the queries, then those of the keys, then those of the values.
    Qkv(usize, usize),
}

/// All sizes, independent of the form.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    /// Heads of keys and values.
    heads: usize,
    /// Query heads per head of keys and values.
    group: usize,
    queries: usize,
    keys: usize,
    d: usize,
    dv: usize,
}

/// The longest head, in elements: a limit of the kernels' workgroup memory.
const MOST: usize = 256;

impl Attention {
    /// Creates an attention over heads in a dimension of their own. A query sees all keys; the scale is `1 / sqrt(D)`.
    pub fn new() -> Attention {
        Attention::default()
    }

    /// Takes heads side by side in the last dimension, as linear layers produce them: `queries` query heads, `keys`
    /// heads of keys and values.
    #[must_use]
    pub fn heads(self, queries: usize, keys: usize) -> Attention {
        Attention { form: Form::Inner(queries, keys), ..self }
    }

    /// Takes queries, keys and values side by side in one input, as the one linear layer of
    /// `torch.nn.MultiheadAttention` produces them.
    #[must_use]
    pub fn packed(self, queries: usize, keys: usize) -> Attention {
        Attention { form: Form::Qkv(queries, keys), ..self }
    }

    /// Sets the scale.
    #[must_use]
    pub fn scale(self, scale: f64) -> Attention {
        Attention { scale: Some(scale), ..self }
    }

    /// Sets whether query i sees only the keys up to i, whatever the numbers of queries and keys, as in PyTorch.
    #[must_use]
    pub fn is_causal(self, causal: bool) -> Attention {
        Attention { causal, ..self }
    }

    /// Makes the attention causal and limits a query to the last `size` keys, the key at its own position included.
    #[must_use]
    pub fn window(self, size: usize) -> Attention {
        Attention { window: Some(size), ..self }
    }

    /// Adds an input, `attn_mask`: numbers that are added to the scores, of two to four dimensions that broadcast to
    /// `[N, Hq, Lq, Lk]`. -inf excludes a key.
    #[must_use]
    pub fn masked(self) -> Attention {
        Attention { masked: true, ..self }
    }

    /// Makes the attention causal. Key and value are caches of Lk tokens, filled by [`Append`](super::Append). Adds an
    /// input, `position`, `i32`s `[1]` or `[N]`: the number of cached tokens before those of the queries, which are
    /// cached too. Query i is token `position + i` and sees the tokens up to itself.
    ///
    /// A session refuses a position that would put queries beyond the cache. A position in a buffer of the host isn't
    /// checked: it counts as one within the cache.
    #[must_use]
    pub fn cached(self) -> Attention {
        Attention { cached: true, ..self }
    }

    /// Makes a query that sees no key give NaN, as softmax does for scores that are all -inf.
    pub(crate) fn plain_softmax(self) -> Attention {
        Attention { plain_softmax: true, ..self }
    }

    /// Returns this attention over heads side by side, if its heads have a dimension of their own.
    pub(crate) fn as_heads(&self, queries: usize, keys: usize) -> Option<Attention> {
        matches!(self.form, Form::Outer).then(|| self.clone().heads(queries, keys))
    }

    /// Returns this attention over queries, keys and values in one tensor, if its heads have a dimension of their own.
    pub(crate) fn as_packed(&self, queries: usize, keys: usize) -> Option<Attention> {
        matches!(self.form, Form::Outer).then(|| self.clone().packed(queries, keys))
    }

    fn sees_the_past_only(&self) -> bool {
        self.causal || self.cached || self.window.is_some()
    }

    /// Returns the number of tensors that hold queries, keys and values.
    fn tensors(&self) -> usize {
        if matches!(self.form, Form::Qkv(..)) { 1 } else { 3 }
    }

    /// Checks everything but the output's size, and returns the sizes.
    fn sizes(&self, inputs: &[Shape]) -> Result<Sizes, ErrorKind> {
        let wanted = self.tensors() + usize::from(self.masked) + usize::from(self.cached);
        if inputs.len() != wanted {
            return Err(ErrorKind::argument("inputs", wanted, inputs.len()));
        }
        let sizes = match self.form {
            Form::Outer => outer(inputs)?,
            Form::Inner(heads, kv_heads) => inner(inputs, heads, grouped(heads, kv_heads)?, kv_heads)?,
            Form::Qkv(..) if self.cached => {
                return Err(ErrorKind::argument("cached", "query, key and value of their own", "packed"));
            }
            Form::Qkv(heads, kv_heads) => packed(&inputs[0], heads, grouped(heads, kv_heads)?, kv_heads)?,
        };
        if sizes.d.max(sizes.dv) > MOST {
            let size = sizes.d.max(sizes.dv);
            return Err(ErrorKind::Unsupported(format!("heads of {size} elements where {MOST} are the most")));
        }
        if let Some(scale) = self.scale.filter(|scale| !scale.is_finite()) {
            return Err(ErrorKind::argument("scale", "a finite number", scale));
        }
        if self.window == Some(0) {
            return Err(ErrorKind::argument("window", "1 or more", 0));
        }
        if self.masked {
            let (mask, scores) = (&inputs[self.tensors()], sizes.scores());
            if !(2..=4).contains(&mask.len()) || mask.broadcast(&scores).as_ref() != Some(&scores) {
                let wanted = format!("2 to 4 dimensions that broadcast to {scores}");
                return Err(ErrorKind::argument("attn_mask", wanted, mask));
            }
        }
        if self.cached {
            expect_positions(&inputs[inputs.len() - 1], sizes.batch)?;
            if sizes.queries > sizes.keys {
                let wanted = format!("a cache of {} tokens or more, for the queries", sizes.queries);
                return Err(ErrorKind::argument("key", wanted, sizes.keys));
            }
        }
        Ok(sizes)
    }
}

impl Sizes {
    fn scores(&self) -> Shape {
        [self.batch, self.heads * self.group, self.queries, self.keys].into()
    }

    /// Returns the number of pairs of a query and a query head that share a head of keys and values.
    fn pairs(&self) -> usize {
        self.group * self.queries
    }
}

/// Returns the number of query heads per head of keys and values.
fn grouped(heads: usize, kv_heads: usize) -> Result<usize, ErrorKind> {
    if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        let wanted = format!("a multiple of the {kv_heads} heads of keys and values");
        return Err(ErrorKind::argument("query heads", wanted, heads));
    }
    Ok(heads / kv_heads)
}

fn outer(inputs: &[Shape]) -> Result<Sizes, ErrorKind> {
    for (name, shape) in ["query", "key", "value"].into_iter().zip(inputs) {
        expect_rank(name, shape, 4)?;
    }
    let [q, k, v] = [&inputs[0], &inputs[1], &inputs[2]];
    if (k[0], k[3]) != (q[0], q[3]) {
        return Err(ErrorKind::argument("key", format_args!("[{}, Hkv, Lk, {}]", q[0], q[3]), k));
    }
    if v[..3] != k[..3] {
        return Err(ErrorKind::argument("value", format_args!("[{}, {}, {}, Dv]", k[0], k[1], k[2]), v));
    }
    let group = grouped(q[1], k[1])?;
    Ok(Sizes { batch: q[0], heads: k[1], group, queries: q[2], keys: k[2], d: q[3], dv: v[3] })
}

fn inner(inputs: &[Shape], heads: usize, group: usize, kv_heads: usize) -> Result<Sizes, ErrorKind> {
    for (name, shape) in ["query", "key", "value"].into_iter().zip(inputs) {
        expect_rank(name, shape, 3)?;
    }
    let [q, k, v] = [&inputs[0], &inputs[1], &inputs[2]];
    if !q[2].is_multiple_of(heads) {
        return Err(ErrorKind::argument("query", format_args!("[N, Lq, a multiple of {heads} heads]"), q));
    }
    let d = q[2] / heads;
    if (k[0], k[2]) != (q[0], kv_heads * d) {
        return Err(ErrorKind::argument("key", format_args!("[{}, Lk, {}]", q[0], kv_heads * d), k));
    }
    if v[..2] != k[..2] || !v[2].is_multiple_of(kv_heads) {
        let wanted = format!("[{}, {}, a multiple of {kv_heads} heads]", k[0], k[1]);
        return Err(ErrorKind::argument("value", wanted, v));
    }
    Ok(Sizes { batch: q[0], heads: kv_heads, group, queries: q[1], keys: k[1], d, dv: v[2] / kv_heads })
}

fn packed(x: &Shape, heads: usize, group: usize, kv_heads: usize) -> Result<Sizes, ErrorKind> {
    expect_rank("input", x, 3)?;
    let all = kv_heads.saturating_mul(2).saturating_add(heads);
    if !x[2].is_multiple_of(all) {
        return Err(ErrorKind::argument("input", format_args!("[N, L, a multiple of {all} heads]"), x));
    }
    let d = x[2] / all;
    Ok(Sizes { batch: x[0], heads: kv_heads, group, queries: x[1], keys: x[1], d, dv: d })
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "scaled_dot_product_attention"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let Sizes { batch, heads, group, queries, dv, .. } = self.sizes(inputs)?;
        let heads = heads * group;
        let output: Shape = match self.form {
            Form::Outer => [batch, heads, queries, dv].into(),
            Form::Inner(..) | Form::Qkv(..) => [batch, queries, heads * dv].into(),
        };
        // The kernels count elements in 32 bits.
        let mut shapes = inputs.iter().chain(std::slice::from_ref(&output));
        if let Some(shape) = shapes.find(|shape| shape.elements() > u32::MAX as usize) {
            return Err(ErrorKind::Unsupported(format!("a tensor of 2^32 elements or more, {shape}")));
        }
        Ok(vec![output])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        let last = inputs.len().wrapping_sub(1);
        expect_dtypes(inputs, |i| if self.cached && i == last { DType::I32 } else { DType::F32 })?;
        Ok(vec![DType::F32])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let sizes = self.sizes(io.inputs)?;
        let last = i32::try_from(sizes.keys.saturating_sub(sizes.queries)).unwrap_or(i32::MAX);
        let lowering = Lowering::new(self, sizes, io.inputs);
        let decode = lowering.decode();
        // Few queries read each key once, whatever multiplies them.
        let matrix = if decode.is_none() { lowering.matrix(caps) } else { Vec::new() };
        let portable = decode.into_iter().chain(matrix).chain(lowering.tiled(caps));
        let mut kernels = lowering.lanes(caps);
        kernels.extend(portable.zip(2..).map(|(kernel, priority)| kernel.priority(priority)));
        if self.cached {
            let position = io.inputs.len() - 1;
            kernels = kernels.into_iter().map(|kernel| kernel.with_range(position, [0, last])).collect();
        }
        Ok(kernels)
    }

    /// Counts all scores, also those of unseen keys: each is scaled, possibly masked, and part of a softmax.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let Ok(sizes) = self.sizes(io.inputs) else { return Metrics::default() };
        let scores = sizes.scores().elements() as u64;
        let each = 1 + u64::from(self.masked) + 5;
        let other = scores.saturating_mul(each).saturating_sub((scores / sizes.keys as u64).saturating_mul(2));
        Metrics::new(Cost { macs: scores.saturating_mul((sizes.d + sizes.dv) as u64), ..Cost::held(other) })
    }
}

impl Graph {
    /// Adds an [`Attention`]. Its inputs are query, key and value (or the one packed input), then the mask and the
    /// position, if it has them.
    pub fn attention(&mut self, inputs: &[Value], attention: Attention) -> Result<Value> {
        self.push(attention, inputs)
    }
}
