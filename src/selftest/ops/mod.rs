//! The tables: each operation's cases, and the references that are not in `reference.rs`.

pub mod activation;
pub mod append;
pub mod batch_norm;
pub mod binary;
pub mod concat;
pub mod conv2d;
pub mod group_norm;
pub mod instance_norm;
pub mod layer_norm;
pub mod linear;
pub mod local_response_norm;
pub mod matmul;
pub mod pad;
pub mod pixel_shuffle;
pub mod pool;
pub mod reshape;
pub mod rms_norm;
pub mod softmax;
pub mod transpose;

use super::Table;

/// A table, from the module of its name.
macro_rules! table {
    ($op:ident, $layers:literal, $parameters:literal) => {
        Table { op: stringify!($op), layers: $layers, parameters: $parameters, cases: $op::cases }
    };
}

/// The cases of every operation.
pub const TABLES: &[Table] = &[
    table!(
        activation,
        "ReLU, ReLU6, LeakyReLU, ELU, SELU, CELU, Sigmoid, Hardsigmoid, Tanh, SiLU, Hardswish, GELU, Mish, Softplus, Softsign",
        "negative_slope, alpha, beta, approximate; any rank"
    ),
    table!(append, "a KV cache (state that outlives a frame)", "position, one or one for each sequence"),
    table!(batch_norm, "BatchNorm1d, BatchNorm2d", "weight, bias, running_mean, running_var, eps"),
    table!(binary, "add, sub, mul, div", "broadcasting, up to 8 dimensions"),
    table!(concat, "cat", "dim; any number of tensors"),
    table!(conv2d, "Conv2d", "stride, padding, dilation, groups, padding_mode, bias"),
    table!(group_norm, "GroupNorm", "num_groups, weight, bias, eps"),
    table!(instance_norm, "InstanceNorm1d, InstanceNorm2d", "weight, bias, eps"),
    table!(layer_norm, "LayerNorm", "normalized_shape, weight, bias, eps"),
    table!(linear, "Linear", "bias; any rank"),
    table!(local_response_norm, "LocalResponseNorm", "size, alpha, beta, k"),
    table!(matmul, "matmul", "broadcasting batches, rank 2 to 6"),
    table!(pad, "ZeroPad2d, ReflectionPad2d, ReplicationPad2d, CircularPad2d", "padding of each side"),
    table!(pixel_shuffle, "PixelShuffle", "upscale_factor"),
    table!(
        pool,
        "MaxPool2d, AvgPool2d, AdaptiveMaxPool2d, AdaptiveAvgPool2d",
        "kernel_size, stride, padding, dilation, ceil_mode, count_include_pad, output_size"
    ),
    table!(reshape, "reshape, Flatten", "shape"),
    table!(rms_norm, "RMSNorm", "normalized_shape, weight, eps"),
    table!(softmax, "Softmax, LogSoftmax", "dim"),
    table!(transpose, "permute", "dims"),
];
