// The input of a denoising network: the image to denoise, scaled, cleaned and encoded, then albedo and normals, cleaned.
// y is larger than the images: 0 below and to the right of them.
//
// One invocation computes a pixel of y. color, albedo, normal: planes of red, green and blue, or of x, y and z,
// row-major; scale: one number. y: channels last, in GUIDES + 1 texels.
// lo, hi: the bounds of the scaled image, in which NaN is 0. SIGNED: it is in -1..1, as normals always are.

override TRANSFER: u32 = 0u;
override GUIDES: u32 = 0u;
override SIGNED: bool = false;

struct Params { width: u32, height: u32, out_w: u32, out_h: u32, lo: f32, hi: f32, largest: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> color: array<f32>;
@group(0) @binding(3) var<storage, read> albedo: array<f32>;
@group(0) @binding(4) var<storage, read> normal: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<Texel>;

fn load_scale(i: u32) -> f32 { return scale[i]; }
fn load_color(i: u32) -> f32 { return color[i]; }
fn load_albedo(i: u32) -> f32 { return albedo[i]; }
fn load_normal(i: u32) -> f32 { return normal[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * (GUIDES + 1u) + column] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    if i >= params.out_w * params.out_h { return; }
    let row = i / params.out_w;
    let column = i - row * params.out_w;
    let at = min(row, params.height - 1u) * params.width + min(column, params.width - 1u);
    let plane = params.width * params.height;

    let factor = load_scale(0u);
    var c = vec4<f32>(load_color(at), load_color(at + plane), load_color(at + 2u * plane), 0.0);
    var a = vec4<f32>();
    var n = vec4<f32>();
    if GUIDES > 0u { a = vec4<f32>(load_albedo(at), load_albedo(at + plane), load_albedo(at + 2u * plane), 0.0); }
    if GUIDES > 1u { n = vec4<f32>(load_normal(at), load_normal(at + plane), load_normal(at + 2u * plane), 0.0); }

    c = bounded(c * factor, params.lo, params.hi);
    if SIGNED { c = c * 0.5 + 0.5; }
    c = encoded(TRANSFER, c, params.largest);
    a = bounded(a, 0.0, 1.0);
    n = bounded(n, -1.0, 1.0) * 0.5 + 0.5;
    if row >= params.height || column >= params.width {
        c = vec4<f32>();
        a = vec4<f32>();
        n = vec4<f32>();
    }
    let first = column * (GUIDES + 1u);
    store_y(row, first, vec4<f32>(c.xyz, a.x));
    if GUIDES == 1u { store_y(row, first + 1u, vec4<f32>(a.yz, 0.0, 0.0)); }
    if GUIDES > 1u {
        store_y(row, first + 1u, vec4<f32>(a.yz, n.xy));
        store_y(row, first + 2u, vec4<f32>(n.z, 0.0, 0.0, 0.0));
    }
}
