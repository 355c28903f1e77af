// Transposed convolution: y[n, o, p] = f(sum_qtc x[n, c, q] w[t, c, o] + bias[o] + residual[n, o, p]), over all pixels
// q and taps t with q * stride + t * dilation - before = p.
//
// Outputs gather: along an axis, every `step`-th tap from a first one reaches p. The same taps reach pixels one stride
// apart, from neighbouring pixels of x. One invocation computes PIXELS such pixels of a row x four channels, so that
// each weight is read once for all. Neighbouring invocations have neighbouring channels, then pixels.
// x, y, residual: channels last, row (n*D + z)*H + y, column x*C/4 + c/4. w: row tap*SPAN + c/4, column (c%4)*WIDTH + o/4; the
// last row is the bias. DEPTHWISE: one weight a channel, column c/4. As in gemm.wgsl, SPAN texels hold the channels
// that the groups of four outputs read. A dispatch adds the products of its part (`src/ops/part.rs`).
// Not measured on a GPU yet.

const PIXELS: u32 = 4u;
override DEEP: bool = false; // Volumes, whose planes are images.
override DEPTHWISE: bool = false;
// Texels span several groups: products with the zeros for other groups' weights are left out.
override GROUPED: bool = false;
override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

struct Params {
    in_h: u32, in_w: u32, in4: u32, span4: u32,
    out_h: u32, out_w: u32, out_c: u32, count: u32,
    in_d: u32, out_d: u32, kernel_z: u32, kernel_y: u32, kernel_x: u32, stride_z: u32, stride_y: u32, stride_x: u32,
    before_z: u32, before_y: u32, before_x: u32, dilation_z: u32, dilation_y: u32, dilation_x: u32,
    step_z: u32, step_y: u32, step_x: u32, phases: u32, tiles: u32,
    group_in: u32, group_out: u32, first_o: u32, width: u32,
    lo: f32, hi: f32, alpha: f32,
    from_plane: u32, from_row: u32, from_channel: u32, to_plane: u32, to_row: u32, to_channel: u32, begins: u32, ends: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> w: array<Texel>;
@group(0) @binding(3) var<storage, read> residual: array<Texel>;
@group(0) @binding(4) var<storage, read_write> y: array<Texel>;

fn out4() -> u32 { return (params.out_c + 3u) / 4u; }
fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.in_w * params.in4 + column]); }
fn load_w(row: u32, column: u32) -> vec4<f32> { return from_texel(w[row * params.width * select(4u, 1u, DEPTHWISE) + column]); }
fn load_residual(row: u32, column: u32) -> vec4<f32> { return from_texel(residual[row * params.out_w * out4() + column]); }
fn load_y(row: u32, column: u32) -> vec4<f32> { return from_texel(y[row * params.out_w * out4() + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.out_w * out4() + column] = to_texel(value); }

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count) * 64u + lane;
    if id >= params.count { return; }
    let own = id % params.width;
    let o = params.first_o + own;
    let tile = id / params.width % params.tiles;
    let row = id / params.width / params.tiles;
    let n = row / params.out_h; // the image, or the plane
    let ox = tile / params.phases * (PIXELS * params.stride_x) + tile % params.phases;
    let at_y = row % params.out_h + params.before_y;
    let at_x = ox + params.before_x;
    let first_c = 4u * o / params.group_out * params.group_in / 4u;
    let span = min(params.span4, params.in4 - first_c);
    let own_start = group_start(4u * o, vec4<u32>(params.group_out, 0u, params.group_in, params.group_in));

    var bias = load_w(params.kernel_z * params.kernel_y * params.kernel_x * params.span4, own);
    if params.begins == 0u { bias = vec4<f32>(); }
    var sums: array<vec4<f32>, PIXELS>;
    for (var i = 0u; i < PIXELS; i++) { sums[i] = bias; }
    let first_x = first_tap(at_x, params.kernel_x, params.stride_x, params.dilation_x, params.step_x);
    let first_y = first_tap(at_y, params.kernel_y, params.stride_y, params.dilation_y, params.step_y);
    var plane = n;
    var at_z = 0u;
    var first_z = 0u;
    if DEEP {
        plane = n / params.out_d * params.in_d;
        at_z = n % params.out_d + params.before_z;
        first_z = first_tap(at_z, params.kernel_z, params.stride_z, params.dilation_z, params.step_z);
        first_z = next_tap(first_z, params.from_plane, params.step_z);
    }
    for (var tz = first_z; tz < select(1u, params.to_plane, DEEP); tz += params.step_z) {
        if tz * params.dilation_z > at_z { break; }
        let iz = (at_z - tz * params.dilation_z) / params.stride_z;
        if iz >= params.in_d { continue; }
        for (var ty = next_tap(first_y, params.from_row, params.step_y); ty < params.to_row; ty += params.step_y) {
            if ty * params.dilation_y > at_y { break; }
            let iy = (at_y - ty * params.dilation_y) / params.stride_y;
            if iy >= params.in_h { continue; }
            for (var tx = first_x; tx < params.kernel_x; tx += params.step_x) {
                let ix = (i32(at_x) - i32(tx * params.dilation_x)) / i32(params.stride_x);
                var inside = array<bool, PIXELS>();
                var column = array<u32, PIXELS>();
                for (var i = 0u; i < PIXELS; i++) {
                    let at = ix + i32(i);
                    inside[i] = at >= 0 && at < i32(params.in_w);
                    column[i] = select(0u, u32(at), inside[i]) * params.in4 + first_c;
                }
                for (var c = params.from_channel; c < min(span, params.to_channel); c++) {
                    let w_row = ((tz * params.kernel_y + ty) * params.kernel_x + tx) * params.span4 + c;
                    var w0 = load_w(w_row, own);
                    var w1 = vec4<f32>();
                    var w2 = vec4<f32>();
                    var w3 = vec4<f32>();
                    if !DEPTHWISE {
                        w1 = load_w(w_row, params.width + own);
                        w2 = load_w(w_row, 2u * params.width + own);
                        w3 = load_w(w_row, 3u * params.width + own);
                    }
                    // Loads among the products would wait for one another.
                    var values = array<vec4<f32>, PIXELS>();
                    for (var i = 0u; i < PIXELS; i++) {
                        values[i] = load_x((plane + iz) * params.in_h + iy, column[i] + c);
                    }
                    for (var i = 0u; i < PIXELS; i++) {
                        let v = select(vec4<f32>(), values[i], inside[i]);
                        if DEPTHWISE {
                            sums[i] += w0 * v;
                        } else if GROUPED {
                            sums[i] += of_own(v, mat4x4<f32>(w0, w1, w2, w3), 4u * (first_c + c), own_start, params.group_in);
                        } else {
                            sums[i] += w0 * v.x;
                            sums[i] += w1 * v.y;
                            sums[i] += w2 * v.z;
                            sums[i] += w3 * v.w;
                        }
                    }
                }
            }
        }
    }

    // These load together. Beyond a row's end its last pixel is read.
    var added = array<vec4<f32>, PIXELS>();
    var to = array<u32, PIXELS>();
    for (var i = 0u; i < PIXELS; i++) { to[i] = min(ox + i * params.stride_x, params.out_w - 1u) * out4() + o; }
    if params.begins == 0u {
        for (var i = 0u; i < PIXELS; i++) { added[i] = load_y(row, to[i]); }
        for (var i = 0u; i < PIXELS; i++) { sums[i] += added[i]; }
    }
    if RESIDUAL > 0u && params.ends == 1u {
        for (var i = 0u; i < PIXELS; i++) { added[i] = load_residual(row, to[i]); }
    }
    for (var i = 0u; i < PIXELS; i++) {
        if ox + i * params.stride_x < params.out_w {
            var sum = sums[i];
            if params.ends == 1u {
                sum = finished(RESIDUAL, sum, added[i], ACTIVATION, params.lo, params.hi, params.alpha);
            }
            store_y(row, to[i], clip_channels(sum, o, params.out_c));
        }
    }
}
