//! Conversion between layouts, which the planner inserts before a kernel that needs its input in another layout.

use crate::Shape;
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Dispatch, Layout, Order, Scalar, Storage};

params! {
    struct Params {
        rows: usize,
        width: usize,
        c: usize,
        h: usize,
        w: usize,
    }
}

/// Returns a dispatch that copies input 0, of layout `from`, to output 0, of layout `to`. There is none between two
/// orders of `vec4`s, and none that writes parts of a texel of `f16`s: these conversions go through rows of `f32`s.
pub(crate) fn convert(shape: &Shape, from: Layout, to: Layout) -> Option<Dispatch> {
    let (shader, vec4s) = match (from.order, to.order) {
        _ if from.order == to.order => (shader!("copy", "index"), to),
        (Order::Rows, _) => (shader!("pack", "index"), to),
        (_, Order::Rows) => (shader!("unpack", "index"), from),
        _ => return None,
    };
    let (rows, width) = vec4s.texels(shape);
    let image = match vec4s.order {
        Order::Channels => Image::new(shape),
        _ => Image { n: rows, c: shape.last().copied().unwrap_or(1), h: 1, w: 1 },
    };
    let params = Params { rows, width, c: image.c, h: image.h, w: image.w };
    let (mut shader, mut count) = (shader, rows * width);
    if shader.name() == "unpack" {
        let pixels = (image.h * image.w).is_multiple_of(4);
        let aligned = pixels || (image.h * image.w == 1 && image.c.is_multiple_of(4));
        if !aligned && to.scalar == Scalar::F16 {
            return None;
        }
        count /= if pixels { 4 } else { 1 };
        shader = shader.set("PIXELS", pixels).set("ALIGNED", aligned);
    }
    let halves = [(1, from), (2, to)].into_iter().filter(|(_, of)| of.scalar == Scalar::F16).map(|(i, _)| i);
    let shader = shader.halves(halves.collect());
    let shader = shader.texture("x", from.storage == Storage::Texture).texture("y", to.storage == Storage::Texture);
    let bindings = vec![Binding::Input(0), Binding::Output(0)];
    Some(Dispatch::for_each(shader, &params, bindings, count))
}
