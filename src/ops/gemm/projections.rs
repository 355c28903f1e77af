//! Linear layers of one input of few rows in one dispatch, with the norm before them, or the gate after two of them.

use super::{BLOCK, Gemm, Operand, chunks, gemv};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Prepacked, Storage, WeightKey};
use crate::ops::activation::{Activation, ActivationParams, code};
use crate::ops::norm::{Norm, Squares};

/// The most rows: the sums of a norm have one in each component of a `vec4`.
const ROWS: usize = 4;

/// The most layers: their weights and outputs, the input and the terms are as many storage buffers as WebGPU promises.
pub(crate) const MOST_PROJECTED: usize = 3;

params! {
    struct Params {
        out_c: [usize; 4],
        first: [usize; 4],
        bias: [usize; 4],
        k4: usize,
        rows: usize,
        squares: Squares,
        activation: ActivationParams,
    }
}

/// The layers that read one input, and the operations around them.
pub(crate) struct Projections<'a> {
    /// The norm of the input.
    pub(crate) norm: Option<&'a Norm>,
    /// The layers. Their products read the input, or its norm.
    pub(crate) layers: Vec<Gemm<'a>>,
    /// The activation of a gated unit of two layers; true if it is the second layer's.
    pub(crate) gate: Option<(Activation, bool)>,
}

impl Projections<'_> {
    /// Returns the kernel, if it pays on the device: where `gemv.wgsl` would serve each layer. The kernel reads the
    /// input of the norm, or that of each layer, and writes the output of the gate, or that of each layer.
    pub(crate) fn kernel(&self, caps: &Caps) -> Option<Kernel> {
        let (norm, layers) = (self.norm, &self.layers[..]);
        let first = layers.first()?;
        let (rows, k4) = (first.x.n, first.x.c4());
        let alike = |layer: &Gemm| layer.epilogue == first.epilogue && layer.lanes(caps).is_empty();
        let fits = rows <= ROWS
            && first.x.c.is_multiple_of(4)
            && first.epilogue.residual.is_none()
            && layers.iter().all(alike);
        let several = norm.is_some() || layers.len() > 1;
        // The kernel reads a weight and a bias of the norm for each k, and applies no activation of it.
        let serves = several && norm.is_none_or(|norm| norm.affine().next().is_some() && norm.activation.is_none());
        if !fits
            || !serves
            || layers.len() > MOST_PROJECTED
            || (self.gate.is_some() && first.epilogue.activation.is_some())
        {
            return None;
        }

        let products = if self.gate.is_some() { layers.len() } else { 1 };
        let outputs = layers.len() / products;
        let wide4: usize = layers[..outputs].iter().map(|layer| layer.y.c4()).sum();
        let [columns, _] = gemv::columns(wide4, caps);
        let mut workgroups = 0;
        // A layer that isn't there begins beyond every workgroup.
        let (mut out_c, mut starts, mut bias) = ([0; 4], [u32::MAX as usize; 4], [0; 4]);
        let mut texel = norm.map_or(0, |_| 2 * k4);
        for (i, layer) in layers.iter().enumerate() {
            (out_c[i], bias[i]) = (layer.y.c, texel);
            texel += layer.y.c.div_ceil(BLOCK) * BLOCK / 4;
            if i < outputs {
                starts[i] = workgroups;
                workgroups += layer.y.c4().div_ceil(columns);
            }
        }
        let activation = self.gate.map_or(first.epilogue.activation, |(activation, _)| Some(activation));
        let params = Params {
            out_c,
            first: starts,
            bias,
            k4,
            rows,
            squares: Squares::new(norm.map_or(1.0, |norm| norm.eps)),
            activation: ActivationParams::new(activation),
        };

        let mut weights = layers.iter().map(|layer| layer.whole(caps)).collect::<Option<Vec<Prepacked>>>()?;
        weights.resize(MOST_PROJECTED, weights[0].clone());
        let mut bindings = vec![Binding::Input(0), Binding::Weight(self.terms())];
        bindings.extend(weights.into_iter().map(Binding::Weight));
        // Something must be bound in place of a missing output, too.
        let nothing = |index| Binding::Scratch { index, bytes: 16, write: true };
        bindings.extend((0..MOST_PROJECTED).map(|i| if i < outputs { Binding::Output(i) } else { nothing(i) }));

        let power = rows.next_power_of_two();
        let mut shader = shader!("projections", "activation", "blocks", "index", "nan")
            .tile("ROWS", power as u32)
            .tile("COLUMNS", columns as u32);
        if let Some(norm) = norm {
            shader = shader.set("NORMALISED", true).set("CENTRED", norm.centred);
        }
        if let Some((_, second)) = self.gate {
            shader = shader.tile("PRODUCTS", products as u32).set("SECOND", second);
        }
        let shader = shader.set("ACTIVATION", code(activation));
        let iterations = (k4 * columns).div_ceil(256) + 2 * k4.div_ceil(256) + 16 * (2 + power * products);
        let dispatch = Dispatch::new(shader, &params, bindings, workgroups).iterations(iterations);
        let layout = (first.layout)(Storage::Buffer);
        let inputs = if norm.is_some() { 1 } else { layers.len() };
        Some(Kernel::several(vec![layout; inputs], vec![layout; outputs], vec![dispatch]))
    }

    /// Packs the weight and the bias of the norm, then the biases of the layers.
    fn terms(&self) -> Prepacked {
        let parts: Vec<Prepacked> =
            self.norm.map(Norm::pack).into_iter().chain(self.layers.iter().map(Gemm::bias)).collect();
        let key = parts.iter().fold(WeightKey::new("terms of projections"), |key, part| key.and(&part.key));
        let texels = parts.iter().map(|part| part.texels.1).sum();
        let values = move || parts.iter().flat_map(|part| (part.values)()).collect();
        Prepacked::new(key, Storage::Buffer, (1, texels), values)
    }
}

impl Gemm<'_> {
    /// Returns the weights as the kernels of `gemv.wgsl` read them, if they fit into one binding.
    fn whole(&self, caps: &Caps) -> Option<Prepacked> {
        let Operand::Weight(w) = self.w else { return None };
        let (k4, blocks) = (self.x.c4(), self.y.c.div_ceil(BLOCK));
        let mut chunks = chunks(caps, BLOCK, 4 * k4 * BLOCK * 4, blocks).ok()?;
        (chunks.next()? == (0, blocks)).then(|| self.pack(w, BLOCK, k4, 0..blocks, Storage::Buffer, BLOCK * k4))
    }
}
