// The parameters of a convolution of integers, what its kernels read but for the weights, and its pixels.

struct Params {
    in_h: u32, in_w: u32, in_c: u32, out_w: u32,
    out_hw: u32, out_c: u32, kernel_h: u32, kernel_w: u32,
    stride_y: u32, stride_x: u32, before_y: u32, before_x: u32,
    dilation_y: u32, dilation_x: u32, pixels: u32, group_in: u32,
    group_out: u32, group_blocks: u32, blocks: u32, w_zeros: u32,
    offset: i32, zero: i32, lo: i32, hi: i32,
    from_plane: u32, from_row: u32, from_channel: u32, to_plane: u32, to_row: u32, to_channel: u32, begins: u32, ends: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<i32>;
@group(0) @binding(3) var<storage, read> x_zero: array<i32>;
@group(0) @binding(4) var<storage, read> w_zero: array<i32>;
@group(0) @binding(5) var<storage, read> bias: array<i32>;
@group(0) @binding(6) var<storage, read> scale: array<f32>;

fn load_x(i: u32) -> i32 { return x[i]; }
fn load_x_zero(i: u32) -> i32 { return x_zero[i]; }
fn load_w_zero(i: u32) -> i32 { return w_zero[i]; }
fn load_bias(i: u32) -> i32 { return bias[i]; }
fn load_scale(i: u32) -> f32 { return scale[i]; }

// A pixel of the output: its image's first element in x, the place of the window's first tap, and its place in y.
struct Pixel { image: u32, corner: vec2<i32>, place: u32 }

// Returns pixel p, with the image from a channel on.
fn pixel(p: u32, channel: u32) -> Pixel {
    let n = divide(p, params.out_hw);
    let at = p - n * params.out_hw;
    let row = divide(at, params.out_w);
    let corner = vec2<u32>((at - row * params.out_w) * params.stride_x, row * params.stride_y);
    return Pixel(
        (n * params.in_c + channel) * params.in_h * params.in_w,
        vec2<i32>(corner) - vec2<i32>(vec2<u32>(params.before_x, params.before_y)),
        n * params.out_c * params.out_hw + at,
    );
}
