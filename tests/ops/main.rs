//! Every operation against the reference, on every tier of kernels that the adapter has. One file an operation, one table of
//! cases a file; one binary, so that a shader is compiled once.

#![expect(unreachable_pub, reason = "in a test binary nothing is reachable: `pub` says what the other files use")]

mod goldens;
mod harness;
mod reference;

mod activation;
mod append;
mod attention;
mod batch_norm;
mod binary;
mod concat;
mod conv2d;
mod group_norm;
mod instance_norm;
mod layer_norm;
mod limits;
mod linear;
mod local_response_norm;
mod matmul;
mod pad;
mod pixel_shuffle;
mod pool;
mod reshape;
mod rms_norm;
mod rotary;
mod softmax;
mod transpose;
