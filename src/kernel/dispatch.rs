//! Dispatches and kernels: an operation is lowered to these.

use super::params::{Encoder, Member, Params, Unfit};
use super::{Caps, Layout, Rounding, Scalar, Shader, Storage};
use crate::error::ErrorKind;
use std::fmt;
use std::sync::Arc;

/// One dispatch of a compute shader, as plain data. Binding 0 is the uniform `params`, then come `bindings` in order.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The shader.
    pub shader: Shader,
    /// The bytes of the shader's `Params`.
    pub params: Vec<u8>,
    /// The bindings from 1 on.
    pub bindings: Vec<Binding>,
    /// The number of workgroups. Shaders number them linearly, so that no dimension limits a problem's size.
    pub workgroups: [u32; 3],
    /// The most iterations that all loops of one invocation make together: see [`Dispatch::iterations`].
    pub iterations: u64,
    /// The members of the shader's `Params`, if this crate declares them.
    members: Vec<Member>,
    /// The parameter that exceeds 32 bits, if there is one: no device gets such a dispatch.
    unfit: Option<Unfit>,
    /// The workgroup size that the number of workgroups was computed for.
    workgroup: Option<usize>,
}

/// The workgroup size of shaders without shared data: `@workgroup_size(64)` in those of [`Dispatch::for_each`].
pub(crate) const WORKGROUP: usize = 64;

impl Dispatch {
    /// Creates a dispatch of `workgroups` workgroups, folded into the dimensions that a device allows.
    pub fn new(shader: Shader, params: &impl Params, bindings: Vec<Binding>, workgroups: usize) -> Dispatch {
        // A row of half of WebGPU's default limit keeps both dimensions within that limit, up to 2^31 workgroups.
        const ROW: usize = 32_768;
        let grid = if workgroups <= 65_535 { [workgroups, 1] } else { [ROW, workgroups.div_ceil(ROW)] };
        let [x, y] = grid.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let mut encoder = Encoder::default();
        params.encode(&mut encoder);
        let Encoder { bytes: params, members, unfit } = encoder;
        Dispatch { shader, params, bindings, workgroups: [x, y, 1], iterations: 0, members, unfit, workgroup: None }
    }

    /// Creates a dispatch with one invocation for each of `count` results, in workgroups of [`WORKGROUP`] invocations.
    /// The shader ignores invocations beyond the count.
    pub(crate) fn for_each(shader: Shader, params: &impl Params, bindings: Vec<Binding>, count: usize) -> Dispatch {
        let dispatch = Dispatch::new(shader, params, bindings, count.div_ceil(WORKGROUP));
        Dispatch { workgroup: Some(WORKGROUP), ..dispatch }
    }

    /// Returns this dispatch with another variant of its shader.
    #[must_use]
    pub(crate) fn with_shader(self, shader: Shader) -> Dispatch {
        Dispatch { shader, ..self }
    }

    /// Returns the workgroup size that the number of workgroups was computed for, if this crate states it.
    #[doc(hidden)]
    pub fn workgroup(&self) -> Option<usize> {
        self.workgroup
    }

    /// Returns the members of `params`: none if it is plain data from outside of this crate.
    #[doc(hidden)]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns an error if a parameter is too large for the shader's 32 bits.
    pub(crate) fn check_params(&self) -> Result<(), ErrorKind> {
        let Some(Unfit { name, value }) = self.unfit else { return Ok(()) };
        let what = format!("the parameter `{name}` of {}", self.shader.name());
        Err(ErrorKind::argument(what, "a number of 32 bits", value))
    }

    /// States the most iterations of all loops of one invocation together. Devices with a lower limit
    /// ([`Caps::max_loop_iterations`]) can't use it. Loops over a few constants don't count: drivers unroll them.
    #[must_use]
    pub fn iterations(self, iterations: usize) -> Dispatch {
        Dispatch { iterations: iterations as u64, ..self }
    }
}

/// The iterations of loops as llvmpipe counts them. It also counts the iteration in which a loop ends, and in that
/// iteration one for each inner loop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Iterations {
    pub(crate) all: usize,
    /// The iterations that these loops add when an outer loop ends.
    idle: usize,
}

/// Returns the iterations of a loop that runs `turns` times, with these loops inside.
pub(crate) fn looped(turns: usize, inner: Iterations) -> Iterations {
    let idle = inner.idle + 1;
    Iterations { all: turns.saturating_mul(1 + inner.all).saturating_add(idle), idle }
}

/// Returns the iterations of a loop that runs `turns` times, with no loop inside.
pub(crate) fn plain(turns: usize) -> Iterations {
    looped(turns, Iterations::default())
}

impl std::ops::Add for Iterations {
    type Output = Iterations;

    fn add(self, other: Iterations) -> Iterations {
        Iterations { all: self.all.saturating_add(other.all), idle: self.idle + other.idle }
    }
}

/// The memory that a binding of a shader is bound to.
#[derive(Clone, Debug)]
pub enum Binding {
    /// An input of the operation, read only.
    Input(usize),
    /// An input of the output's shape and layout. The shader uses an element only where it writes the same element of
    /// the output (it may read others and drop them), and has an [in-place form](Shader::in_place).
    Residual(usize),
    /// An output of the operation, written only.
    Output(usize),
    /// The first output in the memory of this input; both have one layout. The memory holds the input's values before
    /// the first such dispatch and the output's after the last. Elements that no dispatch writes keep their values.
    Update(usize),
    /// Prepacked weights.
    Weight(Prepacked),
    /// A buffer that one dispatch of a kernel writes and a later dispatch reads. It lives for this step only.
    Scratch {
        /// Its number among the kernel's scratch buffers.
        index: usize,
        /// Its size, in bytes.
        bytes: u64,
        /// True if the dispatch writes it; else an earlier dispatch has written it.
        write: bool,
    },
}

/// The key of prepacked weights: their form, their source constants, and sizes that their content depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WeightKey {
    form: &'static str,
    constants: Vec<Option<u64>>,
    numbers: Vec<u64>,
}

impl WeightKey {
    /// Returns a key for weights in a form. Each form has a name of its own.
    pub fn new(form: &'static str) -> WeightKey {
        WeightKey { form, constants: Vec::new(), numbers: Vec::new() }
    }

    /// Adds constants by their [id](crate::Constant::id), `None` for a missing one.
    #[must_use]
    pub fn constants(mut self, ids: impl IntoIterator<Item = Option<u64>>) -> WeightKey {
        self.constants.extend(ids);
        self
    }

    /// Adds sizes that the content depends on.
    #[must_use]
    pub fn sizes(mut self, sizes: impl IntoIterator<Item = usize>) -> WeightKey {
        self.numbers.extend(sizes.into_iter().map(|size| size as u64));
        self
    }

    /// Adds a number that the content depends on, by its bits.
    #[must_use]
    pub fn number(mut self, number: f64) -> WeightKey {
        self.numbers.push(number.to_bits());
        self
    }

    /// Adds the constants and sizes of another key.
    #[must_use]
    pub fn and(mut self, other: &WeightKey) -> WeightKey {
        self.constants.extend(&other.constants);
        self.numbers.extend(&other.numbers);
        self
    }
}

/// Weights in the form that a kernel reads. They are made once; all sessions of a model share them.
#[derive(Clone)]
pub struct Prepacked {
    /// The key of the content: two `Prepacked` with the same key, storage and texels hold the same bytes.
    pub key: WeightKey,
    /// Buffer or texture.
    pub storage: Storage,
    /// The stored form of each number: `F32` also for the bits of another type.
    pub scalar: Scalar,
    /// (rows, texels in a row) of `vec4`s.
    pub texels: (usize, usize),
    /// The function that makes the content, row by row: `f32`s, or the bits of another type.
    pub values: Arc<dyn Fn() -> Vec<f32> + Send + Sync>,
    /// The way in which the content becomes `f16`s.
    pub(crate) rounding: Rounding,
}

impl Prepacked {
    /// Returns weights whose content `values` makes, row by row: `f32`s, or the bits of another type.
    pub fn new(
        key: WeightKey,
        storage: Storage,
        texels: (usize, usize),
        values: impl Fn() -> Vec<f32> + Send + Sync + 'static,
    ) -> Prepacked {
        let (scalar, rounding) = (Scalar::F32, Rounding::default());
        Prepacked { key, storage, scalar, texels, values: Arc::new(values), rounding }
    }

    /// Returns weights that become `f16`s in another way.
    pub(crate) fn rounded(self, rounding: Rounding) -> Prepacked {
        Prepacked { rounding, ..self }
    }

    /// Returns the size on the device, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.texels.0 * self.texels.1) as u64 * 4 * self.scalar.bytes()
    }

    /// Returns the identity of these weights within a model.
    pub(crate) fn identity(&self) -> Identity {
        (self.key.clone(), self.storage, self.scalar, self.texels)
    }
}

/// The identity of weights within a model.
pub(crate) type Identity = (WeightKey, Storage, Scalar, (usize, usize));

/// Returns the size on the device of the weights of an identity, in bytes.
pub(crate) fn weight_bytes((_, _, scalar, (rows, width)): &Identity) -> u64 {
    (rows * width) as u64 * 4 * scalar.bytes()
}

impl fmt::Debug for Prepacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepacked({:?}, {:?}, {:?}, {:?})", self.key, self.storage, self.scalar, self.texels)
    }
}

/// One way to compute an operation: the layouts that it reads and writes, and its dispatches.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The priority on this device, 0 first. Among kernels of one priority the fewest converted bytes decide.
    pub priority: u8,
    /// The layout that each input must have.
    pub reads: Vec<Layout>,
    /// The layout of each output.
    pub writes: Vec<Layout>,
    /// The dispatches, in order. Without any, the output is the first input under another shape.
    pub dispatches: Vec<Dispatch>,
    /// The inputs that hold indices, each with the least and the greatest index that it may hold. A session checks its
    /// inputs. The shaders check nothing: an index out of range reads or writes an existing element instead.
    pub ranges: Vec<(usize, [i32; 2])>,
    /// True if the kernel rounds to `f16` what it multiplies, whatever its inputs are stored as. A model whose precision
    /// is `F32` doesn't use it.
    pub rounds_operands: bool,
    /// True if the kernel's weights don't bear rounding to `f16`: Winograd's are transformed, and sums of them would err
    /// several times as much as the weights themselves.
    pub exact_weights: bool,
}

impl Kernel {
    /// Creates a kernel of one dispatch and one output.
    pub fn new(reads: Vec<Layout>, writes: Layout, dispatch: Dispatch) -> Kernel {
        Kernel::several(reads, vec![writes], vec![dispatch])
    }

    /// Creates a kernel of several dispatches, in order, or of several outputs.
    pub fn several(reads: Vec<Layout>, writes: Vec<Layout>, dispatches: Vec<Dispatch>) -> Kernel {
        Kernel {
            priority: 0,
            reads,
            writes,
            dispatches,
            ranges: Vec::new(),
            rounds_operands: false,
            exact_weights: false,
        }
    }

    /// Creates a kernel without a dispatch: the output has the input's bytes.
    pub fn view(reads: Layout, writes: Layout) -> Kernel {
        Kernel::several(vec![reads], vec![writes], Vec::new())
    }

    /// Returns this kernel with the least and the greatest index that an input of integers may hold. Only inputs of the
    /// graph are checked: a value that another operation computes, and a state, are not.
    #[must_use]
    pub fn with_range(mut self, input: usize, range: [i32; 2]) -> Kernel {
        self.ranges.push((input, range));
        self
    }

    /// Returns the kernel's name among those of its operation: its shaders, in order, repeated ones once.
    pub fn identity(&self) -> String {
        let mut shaders: Vec<String> = self.dispatches.iter().map(|dispatch| dispatch.shader.to_string()).collect();
        shaders.dedup();
        shaders.join(" + ")
    }

    /// Returns the most iterations that one invocation makes in any of the dispatches.
    pub fn iterations(&self) -> u64 {
        self.dispatches.iter().map(|dispatch| dispatch.iterations).max().unwrap_or(0)
    }

    /// Returns true if the device runs the kernel's loops to their end.
    pub(crate) fn ends_on(&self, caps: &Caps) -> bool {
        self.iterations() <= caps.max_loop_iterations.into()
    }

    /// Returns the weights of all dispatches.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Prepacked> {
        let bindings = self.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
        bindings.filter_map(|binding| if let Binding::Weight(packed) = binding { Some(packed) } else { None })
    }

    /// Returns the input that the output may overwrite.
    pub(crate) fn residual(&self) -> Option<usize> {
        let mut bindings = self.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
        bindings.find_map(|binding| if let &Binding::Residual(i) = binding { Some(i) } else { None })
    }

    /// Returns the input that the kernel updates in place.
    pub(crate) fn updated(&self) -> Option<usize> {
        let mut bindings = self.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
        bindings.find_map(|binding| if let &Binding::Update(i) = binding { Some(i) } else { None })
    }

    /// Returns the same kernel with another priority.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Kernel {
        self.priority = priority;
        self
    }
}
