//! The kernel for llvmpipe.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel};

/// The longest head: Mesa unrolls loops of 32, and a head's 32 texels stay in registers. Of longer ones Mesa 22.3 computes some
/// wrongly (d = 129, dv = 256).
const MOST: usize = 128;

impl Lowering<'_> {
    /// A pair of a query and a query head in each lane.
    pub(super) fn lanes(&self, caps: &Caps) -> Option<Kernel> {
        let Sizes { batch, heads, d, dv, .. } = self.sizes;
        let lanes = caps.lanes.filter(|&lanes| lanes == 8 && d.max(dv) <= MOST)? as usize;
        let workgroups = batch * heads * self.sizes.pairs().div_ceil(lanes);
        let texels = |size: usize| size.div_ceil(4) as u32;
        let shader = shader!("attention_lanes", "attention", "index").tile("D4", texels(d)).tile("DV4", texels(dv));
        Some(self.kernel(shader, workgroups, 1))
    }
}
