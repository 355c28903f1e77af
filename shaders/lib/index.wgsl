// Index arithmetic.

// A workgroup, and the workgroups of the dispatch. All members are uniform: by Tint's rule the structure is so, too.
struct Group { @builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) count: vec3<u32> }

// Returns the number of a workgroup in a dispatch that `Dispatch::new` has folded into two dimensions.
fn linear(group: vec3<u32>, groups: vec3<u32>) -> u32 { return group.y * groups.x + group.x; }

// Returns the indices of the elements of texel i; beyond the last of `count` elements, the last one.
fn four(i: u32, count: u32) -> vec4<u32> {
    return min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(count - 1u));
}

// Returns a / b of numbers below 2^31, through the reciprocal: neither llvmpipe nor GPUs have a vector instruction for integer
// division. The first guess is within 2^10 / b + 1 of the quotient, the second within 1.
fn divide4(a: vec4<u32>, b: u32) -> vec4<u32> {
    let inverse = 1.0 / f32(i32(b));
    let size = vec4<i32>(i32(b));
    var guess = vec4<i32>(vec4<f32>(vec4<i32>(a)) * inverse);
    guess += vec4<i32>(vec4<f32>(vec4<i32>(a) - guess * size) * inverse);
    let rest = vec4<i32>(a) - guess * size;
    guess += select(vec4<i32>(), vec4<i32>(1), rest >= size) - select(vec4<i32>(), vec4<i32>(1), rest < vec4<i32>());
    return vec4<u32>(guess);
}

fn divide(a: u32, b: u32) -> u32 { return divide4(vec4<u32>(a), b).x; }

// Returns a texel of channels with zeros for the channels beyond the last. The next kernel multiplies those by 0, which
// doesn't help against NaN and infinities.
fn clip_channels(value: vec4<f32>, texel: u32, channels: u32) -> vec4<f32> {
    return select(vec4<f32>(), value, vec4<u32>(4u * texel) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(channels));
}
