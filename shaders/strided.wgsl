// Strided copy: y[first + sum_d i_d ys_d] = x[sum_d i_d xs_d]: transposition and concatenation.
//
// One invocation copies one element, in the order of the given sizes (at most 8 dimensions, outermost first). The elements
// are any four bytes.

struct Params { sizes: array<vec4<u32>, 2>, x: array<vec4<u32>, 2>, y: array<vec4<u32>, 2>, count: u32, first: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups) * 64u + lane;
    if i >= params.count { return; }
    var rest = i;
    var source = 0u;
    var to = params.first;
    for (var d = 8u; d > 0u; d--) {
        let size = params.sizes[(d - 1u) / 4u][(d - 1u) % 4u];
        let at = rest % size;
        rest /= size;
        source += at * params.x[(d - 1u) / 4u][(d - 1u) % 4u];
        to += at * params.y[(d - 1u) / 4u][(d - 1u) % 4u];
    }
    y[to] = x[source];
}
