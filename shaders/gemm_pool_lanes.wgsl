// A convolution and the max pooling after it, 3x3 with stride 2, for Mesa's llvmpipe: the beginning of ResNets.
//
// A workgroup is one subgroup of 8 lanes and computes `rows` rows of 7 pooled pixels x 32 channels, from 15 pixels a
// row of the convolution. It computes the convolution's rows once, from top to bottom, and keeps the maximum of the
// last rows: only the row that two strips share, and a column in sixteen, are computed twice. The convolution's output
// is never stored. Lane l owns channels 4l..4l+3 of the block; lanes load and distribute texels as in gemm_lanes.wgsl.
//
// x, y: channels last, as there. w: row (block, tap row), column k*32 + 8*(k within the texel) + lane, k over
// kernel_w * C/4. `nothing`: less than any number. The activation is a clamp: it commutes with the maximum.

struct Params {
    blocks: u32, strips_x: u32, strips_y: u32, rows: u32,
    pool_w: u32, pool_h: u32, pool_top: i32, pool_left: i32,
    out_w: i32, out_h: i32, out_c: u32, images: u32,
    in_h: i32, in4: i32, stride_y: i32, stride_x: i32,
    pad_top: i32, pad_left: i32, kernel_h: i32, run: i32,
    lo: f32, hi: f32, alpha: f32, nothing: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Texel>;

fn out4() -> u32 { return (params.out_c + 3u) / 4u; }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.pool_w * out4() + column] = to_texel(value); }

@compute @workgroup_size(8)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count);
    if id >= params.blocks * params.strips_x * params.strips_y * params.images { return; }
    let strip = divide(id, params.blocks);
    let block = id - strip * params.blocks;
    let down = divide(strip, params.strips_x);
    let first_x = 7u * (strip - down * params.strips_x);
    let n = divide(down, params.strips_y);
    let first_y = (down - n * params.strips_y) * params.rows;
    let o = block * 8u + lane;
    let b = load_bias(o);

    // The leftmost pixel of the convolution, and the starts of the windows of this lane's two pixels.
    let left = 2 * i32(first_x) - params.pool_left;
    let base = ((left + i32(lane)) * params.stride_x - params.pad_left) * params.in4;
    let next = 8 * params.stride_x * params.in4;
    let top = 2 * i32(first_y) - params.pool_top;

    var most: array<vec4<f32>, 7>;
    for (var r = 0; r < 2 * i32(params.rows) + 1; r++) {
        let row = top + r;
        var sums = array<vec4<f32>, 16>();
        for (var tap = 0; tap < params.kernel_h; tap++) {
            let iy = row * params.stride_y - params.pad_top + tap;
            // Row -1 is outside of every texture.
            let at_row = select(-1, i32(n) * params.in_h + iy, iy >= 0 && iy < params.in_h);
            let w_row = i32(block) * params.kernel_h + tap;
            for (var k = 0; k < params.run; k++) {
                let v0 = textureLoad(x, vec2<i32>(base + k, at_row));
                let v1 = textureLoad(x, vec2<i32>(base + next + k, at_row));
                let at = vec2<i32>(32 * k + i32(lane), w_row);
                let w0 = textureLoad(w, at);
                let w1 = textureLoad(w, at + vec2<i32>(8, 0));
                let w2 = textureLoad(w, at + vec2<i32>(16, 0));
                let w3 = textureLoad(w, at + vec2<i32>(24, 0));
                for (var p = 0u; p < 8u; p++) {
                    let s = subgroupShuffle(v0, p);
                    let t = subgroupShuffle(v1, p);
                    sums[p] = sums[p] + w0 * s.x + w1 * s.y + w2 * s.z + w3 * s.w;
                    sums[p + 8u] = sums[p + 8u] + w0 * t.x + w1 * t.y + w2 * t.z + w3 * t.w;
                }
            }
        }
        // Pixels beyond the edges don't count.
        let row_ok = row >= 0 && row < params.out_h;
        for (var p = 0u; p < 16u; p++) {
            let px = left + i32(p);
            sums[p] = select(vec4<f32>(params.nothing), sums[p], row_ok && px >= 0 && px < params.out_w);
        }
        for (var j = 0u; j < 7u; j++) {
            let line = maximum(maximum(sums[2u * j], sums[2u * j + 1u]), sums[2u * j + 2u]);
            if r % 2 == 1 || r == 0 {
                most[j] = select(maximum(most[j], line), line, r == 0);
            } else {
                let py = first_y + u32(r) / 2u - 1u;
                if o < out4() && py < params.pool_h && first_x + j < params.pool_w {
                    let value = activate(0u, maximum(most[j], line) + b, params.lo, params.hi, params.alpha);
                    store_y(n * params.pool_h + py, (first_x + j) * out4() + o, clip_channels(value, o, params.out_c));
                }
                // This row is the first row of the next window too.
                most[j] = line;
            }
        }
    }
}
