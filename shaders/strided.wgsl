// Strided copy: y[y_first + sum_d i_d ys_d] = x[x_first + sum_d i_d xs_d]: transposition, slices, concatenation,
// repetition.
// One invocation copies one element, any four bytes, in the order of the sizes (at most 8 dimensions, outermost first).
// Negative strides wrap around.

struct Params {
    sizes: array<vec4<u32>, 2>, x: array<vec4<u32>, 2>, y: array<vec4<u32>, 2>,
    count: u32, x_first: u32, y_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

fn load_x(i: u32) -> u32 { return x[i]; }
fn store_y(i: u32, value: u32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.count { return; }
    var rest = i;
    var source = params.x_first;
    var to = params.y_first;
    // Once `rest` is 0, the indices of all further dimensions are 0.
    for (var d = 7u; rest > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        let at = rest % size;
        rest /= size;
        source += at * params.x[d / 4u][d % 4u];
        to += at * params.y[d / 4u][d % 4u];
    }
    store_y(to, load_x(source));
}
