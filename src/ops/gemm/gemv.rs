//! The portable matrix-vector product: a linear layer of few rows, which reads its weights once.

use super::{BLOCK, Gemm, Operand, chunks};
use crate::error::{ErrorKind, Result};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Storage};
use crate::ops::activation::ActivationParams;

params! {
    struct GemvParams {
        k4: usize,
        out_c: usize,
        first4: usize,
        wide4: usize,
        rows: usize,
        activation: ActivationParams,
    }
}

impl Gemm<'_> {
    /// Returns the kernels for a linear layer of up to eight rows: all rows in a workgroup, k in slices.
    pub(super) fn gemv(&self, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let Operand::Weight(w) = self.w else { return Ok(Vec::new()) };
        let whole_image =
            self.window.size == [self.x.h, self.x.w] && self.window.before == [0; 2] && self.y.h * self.y.w == 1;
        if !whole_image
            || self.deep()
            || self.lines.is_some()
            || self.groups != 1
            || self.y.n > 8
            || self.window.dilation != [1; 2]
        {
            return Ok(Vec::new());
        }
        let k4 = self.x.h * self.x.w * self.x.c4();
        let shader =
            shader!("gemv", "activation", "blocks", "index", "nan").tile("ROWS", self.y.n.next_power_of_two() as u32);
        let columns = columns(self.y.c4(), caps);
        let kernel = |columns: usize| {
            let shader = self.epilogue.specialize(shader.clone().tile("COLUMNS", columns as u32));
            let dispatches = chunks(caps, BLOCK, 4 * k4 * BLOCK * 4, self.y.c.div_ceil(BLOCK))?
                .map(|(first, count)| {
                    let (first4, wide4) = self.texels_of(first, count);
                    let params = GemvParams {
                        k4,
                        out_c: self.y.c,
                        first4,
                        wide4,
                        rows: self.y.n,
                        activation: ActivationParams::new(self.epilogue.activation),
                    };
                    let w = self.pack(w, BLOCK, self.x.c4(), first..first + count, Storage::Buffer, BLOCK * k4);
                    let bindings = self.bindings(Binding::Weight(w), self.bias());
                    Dispatch::new(shader.clone(), &params, bindings, wide4.div_ceil(columns))
                        .iterations((k4 * columns).div_ceil(256) + 16)
                })
                .collect();
            let writes = vec![(self.layout)(Storage::Buffer)];
            Ok(Kernel::several(self.reads(Storage::Buffer), writes, dispatches))
        };
        columns.map(kernel).into_iter().collect()
    }
}

/// Returns the columns of a workgroup of `gemv.wgsl`, best first: as many as leave no unit idle. Fewer columns shorten reads.
pub(super) fn columns(out4: usize, caps: &Caps) -> [usize; 2] {
    let enough = |columns: &usize| out4.div_ceil(*columns) >= 2 * caps.units as usize;
    match [16, 8, 4].into_iter().find(enough) {
        Some(16) => [16, 8],
        Some(columns) => [columns, columns / 2],
        None => [2, 4],
    }
}
