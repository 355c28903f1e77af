// Elementwise functions, one after the other: y = f3(f2(f1(f0(x)))).
//
// One invocation computes one texel (four elements). All tensors have one layout, whichever that is: [rows][width]
// texels. Each `texels` of a row hold `elements` elements; the padding of the last of them stays 0, whatever f(0) is.
// LINK0..LINK3: below 32 an activation's code (0 with infinite bounds: x itself), from 32 on a kind of `unary`, from 64
// on a kind of `combine` with a number, from 128 on with x, from 192 on with x1, from 256 on with x2, each 32 higher if
// this operand is the first. x1 and x2 are read only by these. Values between the functions stay in registers. A loop
// over codes in memory would compute every function on drivers without jumps (llvmpipe).

override LINK0: u32 = 0u;
override LINK1: u32 = 0u;
override LINK2: u32 = 0u;
override LINK3: u32 = 0u;

// A component for each function: an activation's bounds and alpha, or the number.
struct Params { rows: u32, width: u32, texels: u32, elements: u32, lo: vec4<f32>, hi: vec4<f32>, alpha: vec4<f32> }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> x1: array<Texel>;
@group(0) @binding(3) var<storage, read> x2: array<Texel>;
@group(0) @binding(4) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.width + column]); }
fn load_x1(row: u32, column: u32) -> vec4<f32> { return from_texel(x1[row * params.width + column]); }
fn load_x2(row: u32, column: u32) -> vec4<f32> { return from_texel(x2[row * params.width + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = to_texel(value); }

fn link(code: u32, value: vec4<f32>, at: vec2<u32>, lo: f32, hi: f32, alpha: f32) -> vec4<f32> {
    if code < 32u { return activate(code, value, lo, hi, alpha); }
    if code < 64u { return unary(code - 32u, value); }
    var operand = vec4<f32>(alpha);
    switch code / 64u {
        case 2u: { operand = load_x(at.x, at.y); }
        case 3u: { operand = load_x1(at.x, at.y); }
        case 4u: { operand = load_x2(at.x, at.y); }
        default: {}
    }
    if code % 64u < 32u { return combine(code % 32u, value, operand); }
    return combine(code % 32u, operand, value);
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
    let element = (column - divide(column, params.texels) * params.texels) * 4u + vec4<u32>(0u, 1u, 2u, 3u);
    let at = vec2<u32>(row, column);
    var value = link(LINK0, load_x(row, column), at, params.lo.x, params.hi.x, params.alpha.x);
    value = link(LINK1, value, at, params.lo.y, params.hi.y, params.alpha.y);
    value = link(LINK2, value, at, params.lo.z, params.hi.z, params.alpha.z);
    value = link(LINK3, value, at, params.lo.w, params.hi.w, params.alpha.w);
    store_y(row, column, select(vec4<f32>(), value, element < vec4<u32>(params.elements)));
}
