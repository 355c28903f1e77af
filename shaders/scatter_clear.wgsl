// Makes all chains empty, for scatter_link.wgsl: `head` holds what another share or frame left.

struct Params { count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> head: array<u32>;

fn store_head(i: u32, value: u32) { head[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i < params.count { store_head(i, NONE); }
}
