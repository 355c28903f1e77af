// From texels of four channels to row-major: channels last to NCHW, or the last dimension without padding (h = w = 1).
//
// One invocation scatters one texel; PIXELS: the texels of four neighbouring pixels, which are four texels of planes. If
// not ALIGNED, what it writes isn't whole texels of y. x: row n*H + y, column x*C/4 + c/4. y: row-major.

override PIXELS: bool = true;
override ALIGNED: bool = true;

struct Params { rows: u32, width: u32, c: u32, h: u32, w: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.width + column]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }
fn store_y_element(i: u32, value: f32) { y[i / 4u][i % 4u] = value; }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    let each = select(1u, 4u, PIXELS);
    if each * i >= params.rows * params.width { return; }
    let c4 = (params.c + 3u) / 4u;
    let texel = divide(i, c4);
    let c = i - texel * c4;
    let plane = params.h * params.w;
    let image = divide(each * texel, plane);
    let pixel = each * texel - image * plane;
    let first = (image * params.c + 4u * c) * plane + pixel;
    let channels = min(4u, params.c - 4u * c);
    var value = array<vec4<f32>, 4>();
    for (var j = 0u; j < 4u; j++) {
        if j < each {
            let at = pixel + j;
            let y = divide(at, params.w);
            value[j] = load_x(image * params.h + y, (at - y * params.w) * c4 + c);
        }
    }
    if PIXELS {
        for (var j = 0u; j < 4u; j++) {
            let four = vec4<f32>(value[0][j], value[1][j], value[2][j], value[3][j]);
            if j < channels { store_y((first + j * plane) / 4u, four); }
        }
    } else if ALIGNED {
        store_y(first / 4u, value[0]);
    } else {
        for (var j = 0u; j < 4u; j++) {
            if j < channels { store_y_element(first + j * plane, value[0][j]); }
        }
    }
}
