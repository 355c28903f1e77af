// Elementwise arithmetic: y = f(a ∘ b), on tensors of one shape, or on broadcast images, such as a gate a channel.
//
// One invocation computes one texel (four elements); a, b and y share a layout of rows of texels. BROADCAST: they are
// channels last, row n*H + y, column x*C/4 + c/4. An operand with one image, row or pixel a row repeats it; all
// operands have the same channels. KIND: the kind of `combine`.

override KIND: u32 = 0u;
override BROADCAST: bool = false;
override ACTIVATION: u32 = 0u;

// An operand's strides, 0 if repeated: rows from image to image and from row to row, texels from pixel to pixel.
struct Params {
    rows: u32, width: u32, h: u32, c4: u32,
    a_image: u32, a_row: u32, a_pixel: u32, a_width: u32,
    b_image: u32, b_row: u32, b_pixel: u32, b_width: u32,
    lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Texel>;
@group(0) @binding(2) var<storage, read> b: array<Texel>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

fn load_a(row: u32, column: u32) -> vec4<f32> { return from_texel(a[row * params.a_width + column]); }
fn load_b(row: u32, column: u32) -> vec4<f32> { return from_texel(b[row * params.b_width + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.width + column] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.rows * params.width { return; }
    let row = divide(i, params.width);
    let column = i - row * params.width;
    var from_a = vec2<u32>(row, column);
    var from_b = from_a;
    if BROADCAST {
        let n = divide(row, params.h);
        let h = row - n * params.h;
        let w = divide(column, params.c4);
        let c = column - w * params.c4;
        from_a = vec2<u32>(n * params.a_image + h * params.a_row, w * params.a_pixel + c);
        from_b = vec2<u32>(n * params.b_image + h * params.b_row, w * params.b_pixel + c);
    }
    let value = combine(KIND, load_a(from_a.x, from_a.y), load_b(from_b.x, from_b.y));
    store_y(row, column, activate(ACTIVATION, value, params.lo, params.hi, params.alpha));
}
