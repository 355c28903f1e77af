// Index arithmetic.

// The number of a workgroup in a dispatch that `Dispatch::new` has folded into two dimensions.
fn linear(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
