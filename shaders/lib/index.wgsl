// Index arithmetic.

// A workgroup, and the workgroups of the dispatch. All members are uniform: by Tint's rule the structure is so, too.
struct Group { @builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) count: vec3<u32> }

// Returns the number of a workgroup in a dispatch that `Dispatch::new` has folded into two dimensions.
fn linear(group: vec3<u32>, groups: vec3<u32>) -> u32 { return group.y * groups.x + group.x; }

// Returns the indices of the elements of texel i; beyond the last of `count` elements, the last one.
fn four(i: u32, count: u32) -> vec4<u32> {
    return min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(count - 1u));
}

// Returns a / b, through the reciprocal: llvmpipe has no vector instruction for integer division. Exact for a < 2^24,
// and for a < 2^31 if the quotient is below 2^22.
fn divide(a: u32, b: u32) -> u32 {
    let guess = u32(f32(a) * (1.0 / f32(b)));
    let rest = i32(a) - i32(guess * b);
    return guess + select(0u, 1u, rest >= i32(b)) - select(0u, 1u, rest < 0);
}

// Returns a texel of channels with zeros for the channels beyond the last. The next kernel multiplies those by 0, which
// doesn't help against NaN and infinities.
fn clip_channels(value: vec4<f32>, texel: u32, channels: u32) -> vec4<f32> {
    return select(vec4<f32>(), value, vec4<u32>(4u * texel) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(channels));
}
