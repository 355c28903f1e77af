// The parameters of pooling of volumes.

struct Params {
    input: vec3<u32>, count: u32,
    output: vec3<u32>, parity: u32,
    size: vec3<u32>, p: f32,
    stride: vec3<u32>, start: f32,
    dilation: vec3<u32>, nan: f32,
    before: vec3<u32>, padding: u32,
    after: vec3<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
