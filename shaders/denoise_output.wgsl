// The image that a denoising network gives, decoded: the inverse of denoise_input.wgsl.
//
// One invocation computes a pixel of y. x: channels last, one texel a pixel, in_w pixels a row; scale: the number by
// which the input was multiplied. y: planes of red, green and blue, or of x, y and z, row-major.
// most: the upper bound of the decoded numbers. NaN is 0. SIGNED: the image is in -1..1.

override TRANSFER: u32 = 0u;
override SIGNED: bool = false;

struct Params { width: u32, height: u32, in_w: u32, most: f32, largest: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<Texel>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn load_scale(i: u32) -> f32 { return scale[i]; }
fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.in_w + column]); }
fn store_y(i: u32, value: f32) { y[i] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    let plane = params.width * params.height;
    if i >= plane { return; }
    let row = i / params.width;
    let factor = load_scale(0u);
    let stored = load_x(row, i - row * params.width);

    var value = decoded(TRANSFER, bounded(stored, 0.0, LARGEST), params.largest);
    if SIGNED { value = max(value * 2.0 - 1.0, vec4<f32>(-1.0)); }
    // An image that was multiplied by 0 is 0.
    value = min(value, vec4<f32>(params.most)) * select(1.0 / factor, 0.0, factor == 0.0);
    store_y(i, value.x);
    store_y(i + plane, value.y);
    store_y(i + 2u * plane, value.z);
}
