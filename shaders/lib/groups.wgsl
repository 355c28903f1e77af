// Products of a grouped convolution: texels of weights span several groups, with zeros for other groups' channels.

// Returns the first input channels of the groups of four output channels. groups: the output channels of a group, the
// first input channel of group 0, the distance between the first channels of two groups, the input channels of a group.
fn group_start(o: u32, groups: vec4<u32>) -> vec4<u32> {
    return groups.y + (o + vec4<u32>(0u, 1u, 2u, 3u)) / groups.x * groups.z;
}

// Returns the products of four input channels, from `channel` on, with the weights of four outputs, whose groups have
// `count` channels from `start` on. Other channels are left out: 0 times an infinity or NaN is NaN.
fn of_own(x: vec4<f32>, w: mat4x4<f32>, channel: u32, start: vec4<u32>, count: u32) -> vec4<f32> {
    let at = channel - start;
    let end = vec4<u32>(count);
    return select(vec4<f32>(), x.x * w[0], at < end) + select(vec4<f32>(), x.y * w[1], at + 1u < end)
        + select(vec4<f32>(), x.z * w[2], at + 2u < end) + select(vec4<f32>(), x.w * w[3], at + 3u < end);
}
