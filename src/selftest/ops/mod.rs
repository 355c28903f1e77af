//! The tables: each operation's cases, and the references that are not in `reference/`.

pub mod activation;
pub mod append;
pub mod arg_reduce;
pub mod attention;
pub mod batch_norm;
pub mod binary;
pub mod cast;
pub mod concat;
pub mod conv;
pub mod conv_transpose;
pub mod cumsum;
pub mod deform_conv2d;
pub mod embedding;
pub mod expand;
pub mod gather;
pub mod gather_nd;
pub mod glu;
pub mod grid_sample;
pub mod group_norm;
pub mod index_select;
pub mod instance_norm;
pub mod integer_conv2d;
pub mod integer_matmul;
pub mod layer_norm;
pub mod linear;
pub mod local_response_norm;
pub mod logic;
pub mod matmul;
pub mod nonfinite;
pub mod packed_linear;
pub mod pad;
pub mod pixel_shuffle;
pub mod pool;
pub mod prelu;
pub mod quantize;
pub mod recurrent;
pub mod reduce;
pub mod reduce_precision;
pub mod reshape;
pub mod resize;
pub mod rms_norm;
pub mod roi_align;
pub mod rotary;
pub mod scatter;
pub mod scatter_nd;
pub mod slice;
pub mod softmax;
pub mod top_k;
pub mod transpose;
pub mod unary;

use super::Table;

/// Builds a table from the module of its name.
macro_rules! table {
    ($op:ident, $layers:literal, $parameters:literal, $goldens:literal) => {
        Table { op: stringify!($op), layers: $layers, parameters: $parameters, goldens: $goldens, cases: $op::cases }
    };
}

/// The cases of every operation.
pub const TABLES: &[Table] = &[
    table!(
        activation,
        "ReLU, ReLU6, LeakyReLU, ELU, SELU, CELU, Sigmoid, Hardsigmoid, Tanh, SiLU, Hardswish, GELU, Mish, Softplus, Softsign, Hardtanh, clamp",
        "negative_slope, alpha, beta, approximate, min, max; any rank",
        "relu relu6 leaky_relu sigmoid tanh silu hardswish gelu elu selu celu hardsigmoid mish softplus softsign clamp"
    ),
    table!(append, "a KV cache (state that outlives a frame)", "position, one or one for each sequence", "append"),
    table!(arg_reduce, "argmax, argmin", "dim, keepdim; f32 and i32", "argmax argmin"),
    table!(
        attention,
        "scaled_dot_product_attention: multi-head, grouped-query, multi-query, cross",
        "heads, scale, is_causal, window, attn_mask, a cache with positions; heads apart, side by side or packed",
        "scaled_dot_product_attention windowed_attention"
    ),
    table!(
        batch_norm,
        "BatchNorm1d, BatchNorm2d, BatchNorm3d",
        "weight, bias, running_mean, running_var, eps",
        "batch_norm"
    ),
    table!(
        binary,
        "add, sub, mul, div, maximum, minimum, pow, remainder, fmod, bitwise_and, bitwise_or, bitwise_xor, bitwise shifts",
        "broadcasting, up to 8 dimensions; f32 and i32",
        "add sub mul div maximum minimum pow div_trunc remainder fmod bitwise_and bitwise_or bitwise_xor bitwise_left_shift"
    ),
    table!(cast, "Tensor.to, Tensor.view(dtype) (ONNX BitCast)", "dtype", "cast"),
    table!(concat, "cat", "dim; any number of tensors", "cat"),
    table!(
        conv,
        "Conv1d, Conv2d, Conv3d",
        "stride, padding (of each side), dilation, groups, padding_mode (Conv1d, Conv2d), bias",
        "conv1d conv2d conv3d"
    ),
    table!(
        conv_transpose,
        "ConvTranspose1d, ConvTranspose2d, ConvTranspose3d",
        "stride, padding (of each side), output_padding, dilation, groups, bias",
        "conv_transpose1d conv_transpose2d conv_transpose3d"
    ),
    table!(cumsum, "cumsum (ONNX CumSum)", "dim, exclusive, reverse; f32 and i32", "cumsum"),
    table!(
        deform_conv2d,
        "deform_conv2d, DeformConv2d (ONNX DeformConv)",
        "stride, padding (of each side), dilation, groups, offset groups, mask, bias",
        "deform_conv2d"
    ),
    table!(embedding, "Embedding", "num_embeddings, embedding_dim; indices of any rank", "embedding"),
    table!(expand, "expand, expand_as, broadcast_to", "sizes", "expand"),
    table!(gather, "gather, GatherElements", "dim; elements of any type", "gather"),
    table!(gather_nd, "GatherND", "batch_dims; elements of any type", "gather_nd"),
    table!(glu, "glu, SwiGLU (of one tensor in halves, or of two)", "dim", "glu swiglu"),
    table!(grid_sample, "grid_sample of images and volumes", "mode, padding_mode, align_corners", "grid_sample"),
    table!(group_norm, "GroupNorm", "num_groups, weight, bias, eps", "group_norm"),
    table!(
        index_select,
        "index_select, Gather",
        "dim; indices of any rank, elements of any type",
        "index_select indexed"
    ),
    table!(instance_norm, "InstanceNorm1d, InstanceNorm2d", "weight, bias, eps", "instance_norm"),
    table!(
        integer_conv2d,
        "ConvInteger, QLinearConv",
        "strides, pads, dilations, group, bias; zero points, one or for each channel; packed weights; requantisation",
        "integer_conv2d qlinear_conv2d"
    ),
    table!(
        integer_matmul,
        "MatMulInteger, QLinearMatMul",
        "broadcasting batches, any rank; zero points, one, for each row, for each column; packed weights; requantisation",
        "integer_matmul qlinear_matmul"
    ),
    table!(layer_norm, "LayerNorm", "normalized_shape, weight, bias, eps", "layer_norm"),
    table!(linear, "Linear", "bias; any rank", "linear"),
    table!(local_response_norm, "LocalResponseNorm", "size, alpha, beta, k", "local_response_norm"),
    table!(
        logic,
        "eq, ne, lt, le, gt, ge, logical_and, logical_or, logical_xor, logical_not, where",
        "broadcasting; elements of any type",
        "eq ne lt le gt ge logical_and logical_or logical_xor logical_not where"
    ),
    table!(matmul, "matmul", "broadcasting batches, any rank, transposed operands, bias", "matmul product"),
    table!(nonfinite, "isnan, isinf (ONNX IsNaN, IsInf)", "detect_positive, detect_negative", "isnan isinf"),
    table!(
        packed_linear,
        "Linear with packed weights, MatMulNBits",
        "4 and 8 bits; scales and zero points, one, for each output or for blocks of inputs; bias; any rank",
        "matmul_nbits"
    ),
    table!(
        pad,
        "ZeroPad, ConstantPad, ReflectionPad, ReplicationPad, CircularPad, 1d and 2d; pad of any rank",
        "padding of each side, negative too; value",
        "pad"
    ),
    table!(
        pixel_shuffle,
        "PixelShuffle, PixelUnshuffle (ONNX DepthToSpace, SpaceToDepth)",
        "upscale_factor, downscale_factor, mode",
        "pixel_shuffle pixel_unshuffle depth_to_space space_to_depth"
    ),
    table!(
        pool,
        "MaxPool, AvgPool, LPPool, AdaptiveMaxPool, AdaptiveAvgPool, global pooling, 1d, 2d and 3d; ONNX's LpPool",
        "kernel_size, stride, padding (of each side), dilation, ceil_mode, count_include_pad, output_size, return_indices",
        "max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d lp_pool2d max_pool1d avg_pool1d adaptive_avg_pool1d adaptive_max_pool1d lp_pool1d max_pool1d_with_indices max_pool2d_with_indices adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices pool3d pool3d_places adaptive_pool3d pool_by_side"
    ),
    table!(prelu, "PReLU", "one weight, or one for each channel", "prelu"),
    table!(
        quantize,
        "QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear",
        "axis, block_size; one scale or several, zero points; 4, 8 and 16 bits; weights that stay packed",
        "quantize dequantize dynamic_quantize"
    ),
    table!(
        recurrent,
        "LSTM, GRU, RNN (ONNX's too, DynamicQuantizeLSTM)",
        "directions, hx, cx, lengths, activations, clip, peepholes, linear_before_reset; weights that stay packed",
        "LSTM GRU RNN DynamicQuantizeLSTM"
    ),
    table!(
        reduce,
        "sum, mean, amax, amin, prod, norm of order 1 and 2, logsumexp",
        "dim (any axes), keepdim; f32, and i32 but for norm of order 2 and logsumexp",
        "sum mean amax amin prod norm logsumexp"
    ),
    table!(
        reduce_precision,
        "rounding to float16, bfloat16, float8, float4 (ONNX Cast)",
        "format, saturate",
        "reduce_precision"
    ),
    table!(reshape, "reshape, Flatten, squeeze, unsqueeze", "shape", "reshape flatten"),
    table!(resize, "interpolate, Upsample (ONNX Resize)", "size or scale_factor, mode, align_corners", "interpolate"),
    table!(rms_norm, "RMSNorm", "normalized_shape, weight, eps", "rms_norm"),
    table!(
        roi_align,
        "roi_align (ONNX RoiAlign)",
        "output_size, spatial_scale, sampling_ratio, aligned, mode",
        "roi_align"
    ),
    table!(rotary, "rotary position embedding", "heads, theta, dimension, interleaved, positions", "rotary_embedding"),
    table!(
        scatter,
        "scatter, scatter_reduce (ONNX ScatterElements)",
        "dim, reduce; elements of any type, indices from either end",
        "scatter"
    ),
    table!(scatter_nd, "ScatterND", "reduction; elements of any type, indices from either end", "scatter_nd"),
    table!(
        slice,
        "x[.., start:end:step], select, narrow, flip, split, chunk",
        "negative steps too; elements of any type",
        "slice split"
    ),
    table!(softmax, "Softmax, LogSoftmax", "dim", "softmax log_softmax"),
    table!(top_k, "topk", "k, dim, largest; f32 and i32", "topk"),
    table!(transpose, "permute", "dims", "permute"),
    table!(
        unary,
        "abs, neg, sign, floor, ceil, round, sqrt, rsqrt, reciprocal, exp, log, erf, sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh, bitwise_not",
        "any rank; abs, neg, sign, bitwise_not of i32",
        "abs neg sign floor ceil round sin cos erf exp sqrt rsqrt reciprocal log tan sinh cosh asin acos atan asinh acosh atanh bitwise_not"
    ),
];
