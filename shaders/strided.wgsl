// Strided copy: y[y_first + sum_d i_d ys_d] = x[x_first + sum_d i_d xs_d]: transposition, slices, concatenation,
// repetition.
// One invocation copies four neighbouring elements, any four bytes each, in the order of the sizes (at most 8 dimensions,
// outermost first). ALIGNED: they are a texel of y. Negative strides wrap around.

override ALIGNED: bool = true;

struct Params {
    sizes: array<vec4<u32>, 2>, x: array<vec4<u32>, 2>, y: array<vec4<u32>, 2>,
    count: u32, x_first: u32, y_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<Bits>;

fn load_x(i: u32) -> u32 { return x[i]; }
fn store_y(i: u32, value: vec4<u32>) { y[i] = to_bits(value); }
fn store_y_element(i: u32, value: u32) { y[i / 4u][i % 4u] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if 4u * i >= params.count { return; }
    var rest = four(i, params.count);
    var source = vec4<u32>(params.x_first);
    var to = vec4<u32>(params.y_first);
    // Once `rest` is 0, the indices of all further dimensions are 0. Its last component is the greatest.
    for (var d = 7u; rest.w > 0u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        let next = divide4(rest, size);
        let at = rest - next * size;
        rest = next;
        source += at * params.x[d / 4u][d % 4u];
        to += at * params.y[d / 4u][d % 4u];
    }
    let value = vec4<u32>(load_x(source.x), load_x(source.y), load_x(source.z), load_x(source.w));
    if ALIGNED {
        store_y(to.x / 4u, value);
        return;
    }
    // Beyond the last element there are more of it.
    for (var j = 0u; j < 4u; j++) { store_y_element(to[j], value[j]); }
}
