// The implicit GEMM of gemm.wgsl for Mesa's llvmpipe: y[p, o] = f(sum_k x[p, k] w[k, o] + bias[o] + residual[p, o]).
// Long because it is one kernel: its ways to address x and w share the loop over k and the epilogue.
//
// A workgroup is one subgroup of 8 lanes and computes PIXELS pixels x 32 channels: lane l owns channels 4l..4l+3 of the
// block and a sum for each pixel. Each lane loads another pixel's texel; shuffles with constant lanes distribute them.
// x, w, residual (and y, unless it is a buffer) are storage textures: a texel outside reads as 0, which replaces zero
// padding (`Context::probe` checks that on the device), and a store outside is dropped.
// ADDED: residual is a second image; its 1x1 convolution is added, with weights in further segments of each block.
// x: row (n*D + z)*H + y, column x*C/4 + c/4. w: row (block, tap row, segment), column k*32 + 8*(k within the texel) + lane, so
// that reads stream; or the rows of a second tensor (W_ROWS), [k][o/4] or [o][k/4] texels (W_COLUMNS). A tap row is
// read in `segments` runs of `run` texels: one run of kernel_w * C/4 neighbours if they are adjacent, one run a tap if
// dilation or groups separate them.
//
// Measured in ../docs/benchmarks.md (llvmpipe 22.3, 2 cores). Rejected on the same adapter: both operands in buffers and
// workgroup memory (slower), 32 pixels (same speed, longer compilation).

const PIXELS: u32 = 16u;
const GROUPS: u32 = (PIXELS + 7u) / 8u;
override W_ROWS: bool = false;
override W_COLUMNS: bool = false;
override RESIDUAL: u32 = 0u;
override ADDED: bool = false;
override DEEP: bool = false; // Volumes, whose planes are images.
override WIDE: bool = false; // x is in a buffer: it is too large for a texture.
override LINES: bool = false; // x is lines in a buffer, a pixel of y several outputs (src/ops/gemm/lines.rs).
// A block of w spans several groups: sums that aren't finite are computed again, without other groups' zero weights.
override GROUPED: bool = false;
override ACTIVATION: u32 = 0u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Texel>;
@group(0) @binding(5) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * ((params.samples + 3u) / 4u) + column]); }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(row: u32, column: u32) -> vec4<f32> { return from_texel(residual[row * params.row4 + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.row4 + column] = to_texel(value); }

// Returns a texel of x: 0 outside, as from a texture.
fn x_at(row: i32, column: i32) -> vec4<f32> {
    if !LINES && !WIDE { return load_x(u32(row), u32(column)); }
    let texel = load_x(u32(max(row, 0)), u32(clamp(column, 0, i32(params.samples - 1u) / 4)));
    return clip_channels(texel, u32(column), select(0u, params.samples, row >= 0));
}

// Returns four k of weights for the lane's channels, from `at` on in steps of `next`.
fn weights(at: vec2<i32>, next: vec2<i32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        textureLoad(w, at), textureLoad(w, at + next), textureLoad(w, at + 2 * next), textureLoad(w, at + 3 * next));
}

fn store_finished(sum: vec4<f32>, row: u32, column: u32, o: u32) {
    var added = vec4<f32>();
    if RESIDUAL > 0u { added = load_residual(row, column); }
    let value = finished(RESIDUAL, sum, added, ACTIVATION, params.lo, params.hi, params.alpha);
    store_y(row, column, clip_channels(value, select(o, column % ((params.out_c + 3u) / 4u), LINES), params.out_c));
}

// Adds w * v to all sums: lane p % 8 holds pixel p's v.
fn multiply(sums: ptr<function, array<vec4<f32>, PIXELS>>, v: ptr<function, array<vec4<f32>, GROUPS>>, w: mat4x4<f32>) {
    for (var p = 0u; p < PIXELS; p++) {
        let s = subgroupShuffle((*v)[p / 8u], p % 8u);
        (*sums)[p] = (*sums)[p] + w[0] * s.x + w[1] * s.y + w[2] * s.z + w[3] * s.w;
    }
}

// Returns the start of the window of a pixel in row y of image (or plane) n.
fn start(n: u32, y: u32) -> Start {
    let row = i32(y) * params.stride_y - params.pad_top;
    if !DEEP { return Start(i32(n) * params.in_h, 0, row); }
    let volume = divide(n, params.out_d);
    let z = i32((n - volume * params.out_d) * params.stride_z) - params.pad_front;
    return Start(i32(volume * params.in_d) * params.in_h, z, row);
}

// Returns the sum of a pixel and the lane's channels within their own groups. `first_c`: the channel texel at `base`.
fn of_own_groups(base: i32, window: Start, first_c: i32, block: u32, lane: u32) -> vec4<f32> {
    let start = group_start(32u * block + 4u * lane, params.groups);
    var sum = vec4<f32>();
    for (var tap = 0; tap < params.tap_rows; tap++) {
        let row = row_under(params, window, tap, DEEP);
        for (var segment = 0; segment < params.segments; segment++) {
            let w_row = (i32(block) * params.tap_rows + tap) * params.segments + segment;
            for (var k = 0; k < params.run; k++) {
                let along = segment * params.step + k;
                let c = 4u * u32(select((first_c + along) % params.in4, first_c + along, LINES));
                let at = vec2<i32>(32 * k + i32(lane), w_row);
                sum += of_own(x_at(row, base + along), weights(at, vec2<i32>(8, 0)), c, start, params.groups.w);
            }
        }
    }
    return sum;
}

@compute @workgroup_size(8)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count);
    let per_matrix = params.blocks * params.tiles;
    let matrix = divide(id, per_matrix);
    if matrix >= params.batch.x * params.batch.y * params.batch.z * params.batch.w { return; }
    let within = id - matrix * per_matrix;
    // The faster index decides what stays in the cache: the weights of a block, or the pixels of a tile.
    let by_block = params.blocks_first != 0u;
    let runs = select(params.tiles, params.blocks, by_block);
    let slow = divide(within, runs);
    let fast = within - slow * runs;
    let block = select(slow, fast, by_block);
    let tile = select(fast, slow, by_block);
    var x_matrix = 0u;
    var w_matrix = 0u;
    if W_ROWS {
        var rest = matrix;
        for (var d = 4u; d > 0u; d--) {
            x_matrix += rest % params.batch[d - 1u] * params.x_batch[d - 1u];
            w_matrix += rest % params.batch[d - 1u] * params.w_batch[d - 1u];
            rest /= params.batch[d - 1u];
        }
    }

    let first_c = i32((params.groups.y + divide(block * 32u, params.groups.x) * params.groups.z) / 4u);
    var out_row: array<u32, GROUPS>;
    var out_x: array<u32, GROUPS>;
    var starts: array<Start, GROUPS>;
    var base: array<i32, GROUPS>;
    for (var g = 0u; g < GROUPS; g++) {
        let p = tile * PIXELS + 8u * g + lane;
        let n = divide(p, params.out_hw);
        let at = p - n * params.out_hw;
        let oy = divide(at, params.out_w);
        out_x[g] = at - oy * params.out_w;
        out_row[g] = divide(p, params.out_w);
        starts[g] = start(n + x_matrix, oy);
        if p >= params.pixels { starts[g].image = -1; }
        base[g] = (i32(out_x[g]) * params.stride_x - params.pad_left) * params.in4 + first_c;
    }

    var sums: array<vec4<f32>, PIXELS>;
    for (var tap = 0; tap < params.tap_rows; tap++) {
        var row = array<i32, GROUPS>();
        for (var g = 0u; g < GROUPS; g++) { row[g] = row_under(params, starts[g], tap, DEEP); }
        for (var segment = 0; segment < params.segments; segment++) {
            let start = segment * params.step;
            let w_row = (i32(block) * params.tap_rows + tap) * params.segments + segment + i32(block) * params.added.x;
            for (var k = 0; k < params.run; k++) {
                var v = array<vec4<f32>, GROUPS>();
                for (var g = 0u; g < GROUPS; g++) {
                    v[g] = x_at(row[g], base[g] + start + k);
                }
                var at = vec2<i32>(32 * k + i32(lane), w_row);
                var next = vec2<i32>(8, 0);
                if W_ROWS {
                    at = vec2<i32>(i32(block * 8u + lane), i32(w_matrix) + 4 * (start + k));
                    next = vec2<i32>(0, 1);
                }
                if W_COLUMNS { at = vec2<i32>(start + k, i32(w_matrix + 4u * (block * 8u + lane))); }
                var four = weights(at, next);
                if W_COLUMNS { four = transpose(four); }
                multiply(&sums, &v, four);
            }
        }
    }
    if ADDED {
        var row: array<i32, GROUPS>;
        var column: array<i32, GROUPS>;
        for (var g = 0u; g < GROUPS; g++) {
            let p = tile * PIXELS + 8u * g + lane;
            let n = divide(p, params.out_hw);
            let oy = out_row[g] - n * divide(params.out_hw, params.out_w);
            let iy = i32(oy) * params.added.w;
            row[g] = select(-1, i32(n) * params.added.y + iy, p < params.pixels && iy < params.added.y);
            column[g] = i32(out_x[g]) * params.added.w * params.added.z;
        }
        for (var segment = 0; segment < params.added.x; segment++) {
            let w_row = i32(block) * (params.segments + params.added.x) + params.segments + segment;
            for (var k = 0; k < params.run; k++) {
                var v = array<vec4<f32>, GROUPS>();
                for (var g = 0u; g < GROUPS; g++) {
                    v[g] = load_residual(u32(row[g]), u32(column[g] + segment * params.run + k));
                }
                multiply(&sums, &v, weights(vec2<i32>(32 * k + i32(lane), w_row), vec2<i32>(8, 0)));
            }
        }
    }

    let o = block * 8u + lane;
    let b = load_bias(o);
    var again = 0u;
    for (var p = 0u; p < PIXELS; p++) {
        let q = tile * PIXELS + p;
        let to_row = subgroupShuffle(out_row[p / 8u], p % 8u) + matrix * params.pixels;
        let column = subgroupShuffle(out_x[p / 8u], p % 8u) * params.pixel4 + o;
        if o < params.pixel4 && q < params.pixels && (!LINES || column < params.row4) {
            if GROUPED && !all(is_finite(sums[p])) { again |= 1u << p; } else { store_finished(sums[p] + b, to_row, column, o); }
        }
    }
    if GROUPED {
        for (; again != 0u; again &= again - 1u) {
            let q = tile * PIXELS + countTrailingZeros(again);
            let to_row = q / params.out_w;
            let n = q / params.out_hw;
            let window = start(n, to_row - n * (params.out_hw / params.out_w));
            let from_x = (i32(q % params.out_w) * params.stride_x - params.pad_left) * params.in4 + first_c;
            let sum = of_own_groups(from_x, window, first_c, block, lane);
            store_finished(sum + b, to_row, q % params.out_w * params.pixel4 + o, o);
        }
    }
}
