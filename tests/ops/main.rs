//! Every operation: its table of the self-test, on the adapter that the environment names, and its refusals. All are
//! one binary, so that each shader is compiled once.

#![expect(unreachable_pub, reason = "in a test binary nothing is reachable: `pub` says what the other files use")]

mod activation;
mod append;
mod arg_reduce;
mod attention;
mod batch_norm;
mod binary;
mod cast;
mod concat;
mod conv;
mod conv_transpose;
mod costs;
mod cumsum;
mod deform_conv2d;
mod embedding;
mod expand;
mod fused;
mod gather;
mod gather_nd;
mod glu;
mod goldens;
mod grid_sample;
mod group_norm;
mod halves;
mod harness;
mod index_select;
mod instance_norm;
mod integer_conv2d;
mod integer_matmul;
mod integer_rewrite;
mod iterations;
mod layer_norm;
mod limits;
mod linear;
mod local_response_norm;
mod logic;
mod matmul;
mod nonfinite;
mod packed_linear;
mod pad;
mod phone;
mod pixel_shuffle;
mod pool;
mod prelu;
mod quantize;
mod recurrent;
mod reduce;
mod reduce_precision;
mod reshape;
mod resize;
mod rewrite;
mod rms_norm;
mod roi_align;
mod rotary;
mod scatter;
mod scatter_nd;
mod slice;
mod softmax;
mod top_k;
mod transpose;
mod unary;

/// Declares a test for each table: a failure has a name, and the tests use all processors.
macro_rules! tables {
    ($($op:ident)*) => {
        $(#[test]
        fn $op() {
            harness::table(stringify!($op));
        })*

        #[test]
        fn every_table_is_run() {
            let run: &[&str] = &[$(stringify!($op)),*];
            let tables: Vec<&str> = shadernet::selftest::TABLES.iter().map(|table| table.op).collect();
            assert_eq!(run, tables);
        }
    };
}

tables! {
    activation
    append
    arg_reduce
    attention
    batch_norm
    binary
    cast
    concat
    conv
    conv_transpose
    cumsum
    deform_conv2d
    embedding
    expand
    gather
    gather_nd
    glu
    grid_sample
    group_norm
    index_select
    instance_norm
    integer_conv2d
    integer_matmul
    layer_norm
    linear
    local_response_norm
    logic
    matmul
    nonfinite
    packed_linear
    pad
    pixel_shuffle
    pool
    prelu
    quantize
    recurrent
    reduce
    reduce_precision
    reshape
    resize
    rms_norm
    roi_align
    rotary
    scatter
    scatter_nd
    slice
    softmax
    top_k
    transpose
    unary
}
