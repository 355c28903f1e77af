//! The common part of layer, RMS, group and instance norm: lines of consecutive elements, normalised one by one.

use super::activation::{Activation, ActivationParams, code};
use super::image_storage;
use crate::Shape;
use crate::error::ErrorKind;
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Shader, Storage, WeightKey};
use crate::shape::expect_inputs;

/// The normalisation of a line: `f((x - mean) / sqrt(var + eps) * weight + bias)`.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) weight: Option<Constant>,
    pub(crate) bias: Option<Constant>,
    pub(crate) eps: f64,
    /// True if the mean is subtracted; RMS norm takes the mean as 0.
    pub(crate) centred: bool,
    pub(crate) activation: Option<Activation>,
}

/// The arrangement of weight and bias: one of each per `spatial` consecutive elements, repeated every `groups` lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    pub(crate) length: usize,
    pub(crate) groups: usize,
    pub(crate) spatial: usize,
}

params! {
    struct Params {
        lines: usize,
        length: usize,
        groups: usize,
        spatial: usize,
        squares: Squares,
        activation: ActivationParams,
    }
}

params! {
    /// The epsilon for shrunk squares, and the power of two that shrinks deviations before they are squared.
    pub(crate) struct Squares {
        eps: f32,
        shrink: f32,
    }
}

impl Squares {
    /// Chooses the least power of two that keeps squares normal numbers if they count beside this epsilon (2^-24 of it
    /// or more). With an epsilon of 1e-5 that is 2^-43: the square of a deviation of 1.6e32 overflows, and so does the sum
    /// of 10^8 squares of deviations of 1.6e28. docs/layers.md therefore promises 1e28.
    pub(crate) fn new(eps: f64) -> Squares {
        let shrink = ((-101.0 - eps.log2()) / 2.0).floor().min(0.0).exp2();
        Squares { eps: (eps * shrink * shrink) as f32, shrink: shrink as f32 }
    }
}

/// More than the iterations of the two loops that join a workgroup's results (mean and squares, or maximum and sum): each
/// halves 256 invocations 8 times.
const JOINS: usize = 32;

/// Returns a shader whose workgroups read `texels` texels each, and the iterations of an invocation that reads them
/// twice. `LANES` invocations `KEEP` some texels in registers (on GPUs all: up to 4096, or 1024 unaligned ones).
pub(crate) fn keeping(shader: Shader, texels: usize, caps: &Caps) -> (Shader, usize) {
    let iterations = |lanes: u32, keep: u32| 2 * (texels.div_ceil((lanes * keep) as usize) + 1) + JOINS;
    // Each of the four numbers of an unaligned texel has a condition of its own, which takes registers too.
    let most = if shader.stores_elements() { 4 } else { 16 };
    let (lanes, keep) = match (caps.one_subgroup(), texels) {
        // Barriers cost nothing in a workgroup of one subgroup.
        (Some(lanes), _) if iterations(lanes, 2) <= caps.max_loop_iterations as usize => (lanes, 2),
        (None, 0..=64) => (64, 1),
        (None, 65..=256) => (64, 4),
        (None, 257..=1024) => (64 * 16 / most, most),
        _ => (256, most),
    };
    (shader.tile("KEEP", keep).set("LANES", lanes), iterations(lanes, keep))
}

params! {
    struct ImageParams {
        h: usize,
        w: usize,
        c: usize,
        c4: usize,
        span: usize,
        units: usize,
        count: usize,
        pairs: usize,
        squares: Squares,
        activation: ActivationParams,
    }
}

impl Lines {
    /// Returns lines of `normalized_shape`, with a weight and a bias for each element.
    pub(crate) fn trailing(normalized_shape: &Shape) -> Lines {
        Lines { length: normalized_shape.elements(), groups: 1, spatial: 1 }
    }

    /// Returns `groups` lines per image `[N, C, ..]`, with a weight and a bias for each channel.
    pub(crate) fn groups(x: &Shape, groups: usize) -> Lines {
        let spatial = x[2..].iter().product();
        Lines { length: x[1] / groups * spatial, groups, spatial }
    }
}

impl Norm {
    /// Creates a norm with PyTorch's epsilon, 1e-5.
    pub(crate) fn new(weight: Option<Constant>, bias: Option<Constant>) -> Norm {
        Norm { weight, bias, eps: 1e-5, centred: true, activation: None }
    }

    /// Returns the output shapes of a norm over the last dimensions of its input.
    pub(crate) fn trailing(&self, inputs: &[Shape], normalized_shape: &Shape) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        let wrong = |wanted: &str| ErrorKind::argument("normalized_shape", wanted, normalized_shape);
        if normalized_shape.is_empty() {
            return Err(wrong("1 dimension or more"));
        }
        if !x.ends_with(normalized_shape) {
            return Err(wrong(&format!("the last dimensions of {x}")));
        }
        self.expect_affine(normalized_shape)?;
        Ok(vec![x.clone()])
    }

    /// Checks the shape of weight and bias.
    pub(crate) fn expect_affine(&self, shape: &Shape) -> Result<(), ErrorKind> {
        for (name, constant) in [("weight", &self.weight), ("bias", &self.bias)] {
            if let Some(constant) = constant.as_ref().filter(|constant| constant.shape() != shape) {
                return Err(ErrorKind::argument(name, shape, constant.shape()));
            }
        }
        Ok(())
    }

    pub(crate) fn affine(&self) -> impl Iterator<Item = &Constant> {
        self.weight.iter().chain(&self.bias)
    }

    /// Packs pairs of a weight and a bias; without both, a single pair that changes nothing.
    pub(crate) fn pack(&self) -> Prepacked {
        let count = self.affine().next().map_or(1, |constant| constant.shape().elements());
        let norm = self.clone();
        let values = move || {
            let mut values = vec![0.0; count.div_ceil(2) * 4];
            let all = |constant: &Option<Constant>, otherwise| {
                constant.as_ref().map_or_else(|| vec![otherwise; count], Constant::values)
            };
            let pairs = all(&norm.weight, 1.0).into_iter().zip(all(&norm.bias, 0.0));
            for (to, (weight, bias)) in values.chunks_exact_mut(2).zip(pairs) {
                to.copy_from_slice(&[weight, bias]);
            }
            values
        };
        let ids = [&self.weight, &self.bias].map(|constant| constant.as_ref().map(Constant::id));
        let key = WeightKey::new("norm").constants(ids);
        Prepacked::new(key, Storage::Buffer, (1, count.div_ceil(2)), values)
    }

    pub(crate) fn kernels(&self, io: &Io, lines: Lines, caps: &Caps) -> Vec<Kernel> {
        let count = io.inputs[0].elements() / lines.length;
        // Without weight and bias, the single pair serves whole lines.
        let plain = Lines { groups: 1, spatial: lines.length, ..lines };
        let Lines { length, groups, spatial } = if self.affine().next().is_some() { lines } else { plain };
        let params = Params {
            lines: count,
            length,
            groups,
            spatial,
            squares: Squares::new(self.eps),
            activation: ActivationParams::new(self.activation),
        };
        let shader = shader!("norm", "activation", "index", "nan").set("ALIGNED", length.is_multiple_of(4));
        let (shader, iterations) = keeping(shader, length.div_ceil(4), caps);
        let shader = shader.set("CENTRED", self.centred).set("ACTIVATION", code(self.activation));
        let bindings = vec![Binding::Input(0), Binding::Weight(self.pack()), Binding::Output(0)];
        vec![Kernel::new(
            vec![Layout::ROWS],
            Layout::ROWS,
            Dispatch::new(shader, &params, bindings, count).iterations(iterations),
        )]
    }

    /// Returns the kernels for `groups` groups of channels: row-major, and channels last if a group is a single channel
    /// or whole texels.
    pub(crate) fn group_kernels(&self, io: &Io, groups: usize, caps: &Caps) -> Vec<Kernel> {
        let x = &io.inputs[0];
        let mut kernels = self.kernels(io, Lines::groups(x, groups), caps);
        let image = Image::new(x);
        let of = x[1] / groups;
        if !(3..=5).contains(&x.len()) || (of != 1 && !of.is_multiple_of(4)) {
            return kernels;
        }
        let span = of.div_ceil(4);
        let units = image.c4() / span;
        let params = ImageParams {
            h: image.h,
            w: image.w,
            c: image.c,
            c4: image.c4(),
            span,
            units,
            count: image.n * units,
            pairs: self.affine().next().map_or(1, |constant| constant.shape().elements()),
            squares: Squares::new(self.eps),
            activation: ActivationParams::new(self.activation),
        };
        kernels.extend(image_storage(caps).iter().map(|&storage| {
            let texture = storage == Storage::Texture;
            let shader = shader!("norm_image", "activation", "index", "nan");
            let (shader, iterations) = keeping(shader, image.h * image.w * span, caps);
            let shader = shader
                .set("SEPARATE", of == 1)
                .set("ACTIVATION", code(self.activation))
                .texture("x", texture)
                .texture("y", texture);
            let bindings = vec![Binding::Input(0), Binding::Weight(self.pack()), Binding::Output(0)];
            let dispatch = Dispatch::new(shader, &params, bindings, image.n * units).iterations(iterations);
            Kernel::new(vec![Layout::channels(storage)], Layout::channels(storage), dispatch)
        }));
        kernels
    }

    /// Returns the figures of `lines` lines. An element is squared, part of a mean and divided; a subtracted mean adds two
    /// operations, weight, bias and activation add theirs. A line adds its epsilon and takes a root.
    pub(crate) fn metrics(&self, io: &Io, lines: usize) -> Metrics<'_> {
        let parameters = self.affine().map(|constant| constant.shape().elements() as u64).sum();
        let centred = if self.centred { 2 } else { 0 };
        let each = 3 + centred + self.affine().count() as u64 + self.activation.map_or(0, Activation::operations);
        let other = io.written().saturating_mul(each).saturating_add((lines as u64).saturating_mul(2));
        Metrics::new(Cost { parameters, ..Cost::in_place(other) }).parameters(self.affine().collect())
    }

    /// Returns this norm with the next operation fused, if that is an activation.
    pub(crate) fn with(&self, next: &dyn Op) -> Option<Norm> {
        let &activation = next.downcast_ref::<Activation>().filter(|_| self.activation.is_none())?;
        Some(Norm { activation: Some(activation), ..self.clone() })
    }
}
