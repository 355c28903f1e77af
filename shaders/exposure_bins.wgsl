// The mean luminance of each bin of an image: the first dispatch of an exposure, before exposure.wgsl.
//
// A workgroup computes a bin, of 16x16 pixels at most. Along an axis of `size` pixels and n bins, bin i begins at pixel
// i size / n. Each invocation reads a pixel, and workgroup memory adds them. NaN and numbers below 0 count as 0.
// x: planes of red, green and blue, row-major. y: [rows][columns] bins.

struct Params { width: u32, height: u32, columns: u32, rows: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let bin = linear(group.id, group.count);
    if bin >= params.rows * params.columns { return; }
    let row = bin / params.columns;
    let column = bin - row * params.columns;
    let size = vec2<u32>(params.width, params.height);
    let bins = vec2<u32>(params.columns, params.rows);
    let begin = vec2<u32>(column, row) * size / bins;
    let end = vec2<u32>(column + 1u, row + 1u) * size / bins;

    let pixel = begin + vec2<u32>(lane % 16u, lane / 16u);
    let at = min(pixel.y, params.height - 1u) * params.width + min(pixel.x, params.width - 1u);
    let plane = params.width * params.height;
    let stored = vec4<f32>(load_x(at), load_x(at + plane), load_x(at + 2u * plane), 0.0);
    let luminance = dot(bounded(stored, 0.0, LARGEST), vec4<f32>(0.212671, 0.71516, 0.072169, 0.0));
    sums[lane] = select(0.0, luminance, all(pixel < end));
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half { sums[lane] += sums[lane + half]; }
        workgroupBarrier();
    }
    let pixels = (end - begin).x * (end - begin).y;
    if lane == 0u { store_y(bin, sums[0] / f32(pixels)); }
}
