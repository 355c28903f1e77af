//! Cases of convolutions, pools, resizing and sampling.

use super::{Attributes, padding_mode, pool_kind};
use shadernet::ops::{GridPadding, GridSampleMode, PaddingMode, PoolKind, ResizeMode};
use shadernet::selftest::ops::grid_sample::Sample;
use shadernet::selftest::ops::resize;
use shadernet::selftest::reference::{self, Conv, Pool, Tensor};

pub fn interpolate(attributes: &mut Attributes, x: &Tensor) -> Tensor {
    let mode = match attributes.get("mode").as_str() {
        Some("nearest") => ResizeMode::Nearest,
        Some("nearest-exact") => ResizeMode::NearestExact,
        Some("linear" | "bilinear") => ResizeMode::Linear,
        Some("bicubic") => ResizeMode::Cubic,
        other => panic!("mode {other:?}"),
    };
    let align_corners = attributes.get("align_corners").as_bool().unwrap_or(false);
    let recompute = attributes.get("recompute_scale_factor").as_bool().unwrap_or(false);
    let factors = attributes.get("scale_factor").as_array().cloned();
    if attributes.get("size").is_array() {
        return resize::resize(x, mode, &attributes.list("size"), None, align_corners);
    }
    let factors: Vec<f64> = factors.expect("either").iter().map(|v| v.as_f64().expect("a number")).collect();
    let sizes: Vec<usize> = factors.iter().zip(&x.shape[2..]).map(|(f, &size)| (f * size as f64) as usize).collect();
    // Two modes copy an axis that keeps its size.
    let copies = matches!(mode, ResizeMode::Nearest | ResizeMode::Linear);
    let own = |axis: usize| if copies && sizes[axis] == x.shape[2 + axis] { 1.0 } else { factors[axis] };
    let scales: Vec<f64> = (0..factors.len()).map(own).collect();
    resize::resize(x, mode, &sizes, (!recompute).then_some(&scales[..]), align_corners)
}

pub fn sample(attributes: &mut Attributes) -> Sample {
    Sample {
        mode: match attributes.get("mode").as_str() {
            Some("bilinear") => GridSampleMode::Bilinear,
            Some("nearest") => GridSampleMode::Nearest,
            Some("bicubic") => GridSampleMode::Bicubic,
            other => panic!("mode {other:?}"),
        },
        padding: match attributes.get("padding_mode").as_str() {
            Some("zeros") => GridPadding::Zeros,
            Some("border") => GridPadding::Border,
            Some("reflection") => GridPadding::Reflection,
            other => panic!("padding_mode {other:?}"),
        },
        align_corners: attributes.flag("align_corners"),
    }
}

pub fn conv<const D: usize>(op: &str, attributes: &mut Attributes, inputs: &[Tensor]) -> Tensor {
    let conv = Conv::<D> {
        stride: attributes.per_axis("stride", 1),
        padding: attributes.sides(),
        output_padding: attributes.per_axis("output_padding", 0),
        dilation: attributes.per_axis("dilation", 1),
        groups: attributes.size("groups"),
        mode: match attributes.has("padding_mode") {
            true => padding_mode(attributes.get("padding_mode")),
            false => PaddingMode::Zeros,
        },
    };
    let compute = if op.starts_with("conv_transpose") { reference::conv_transpose } else { reference::conv };
    compute(&inputs[0], &inputs[1], inputs.get(2), &conv)
}

pub fn pool<const D: usize>(op: &str, attributes: &mut Attributes, x: &Tensor) -> Tensor {
    let pool = Pool::<D> {
        kind: match op {
            _ if op.starts_with("max") => PoolKind::Max,
            _ if op.starts_with("avg") => PoolKind::Average,
            _ => PoolKind::Lp(attributes.number("norm_type") as f32),
        },
        size: attributes.per_axis("kernel_size", 1),
        stride: attributes.per_axis("stride", 1),
        padding: attributes.sides(),
        dilation: attributes.per_axis("dilation", 1),
        ceil_mode: attributes.flag("ceil_mode"),
        count_include_pad: attributes.has("count_include_pad") && attributes.flag("count_include_pad"),
    };
    if op.ends_with("with_indices") {
        return reference::max_pool_with_indices(x, &pool)[attributes.size("output")].clone();
    }
    reference::pool(x, &pool)
}

pub fn onnx_pool<const D: usize>(op: &str, attributes: &mut Attributes, x: &Tensor) -> Tensor {
    // ONNX lists all paddings before, then all paddings after.
    let pads = attributes.list("pads");
    let pool = Pool::<D> {
        kind: pool_kind(attributes),
        size: attributes.sizes("kernel_shape"),
        stride: attributes.sizes("strides"),
        dilation: attributes.sizes("dilations"),
        padding: std::array::from_fn(|axis| [pads[axis], pads[D + axis]]),
        ceil_mode: attributes.size("ceil_mode") == 1,
        count_include_pad: attributes.size("count_include_pad") == 1,
    };
    if op == "pool3d_places" {
        return reference::max_pool_with_indices(x, &pool)[1].clone();
    }
    reference::pool(x, &pool)
}
