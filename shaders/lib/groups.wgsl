// Products of a grouped convolution: texels of weights span several groups, with zeros for other groups' channels.

// Returns the products of four input channels, from `channel` on, with the weights of four outputs, whose groups are
// `own`. Other groups are left out: 0 times an infinity or NaN is NaN.
fn of_own(x: vec4<f32>, w: mat4x4<f32>, channel: u32, group_in: u32, own: vec4<u32>) -> vec4<f32> {
    let groups = (channel + vec4<u32>(0u, 1u, 2u, 3u)) / group_in;
    return select(vec4<f32>(), x.x * w[0], own == vec4<u32>(groups.x)) + select(vec4<f32>(), x.y * w[1], own == vec4<u32>(groups.y))
        + select(vec4<f32>(), x.z * w[2], own == vec4<u32>(groups.z)) + select(vec4<f32>(), x.w * w[3], own == vec4<u32>(groups.w));
}
