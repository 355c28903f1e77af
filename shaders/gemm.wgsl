// Convolution and matrix product as one implicit GEMM: y[p, o] = f(sum_k x[p, k] w[k, o] + bias[o] + residual[p, o]).
// Long because it is one kernel: its ways to bring x and w share the loop over k and the epilogue.
//
// p counts the output pixels of the whole batch, k the kernel's taps and their input channels (four to a texel), o the
// output channels. A workgroup computes TILE_M pixels x TILE_N channels, an invocation 4 QUADS_M pixels x 4 QUADS_N
// channels; its quads lie apart so that neighbours read neighbours. TILE_K of k at a time go through workgroup memory: w as
// [k][o/4] texels, as it lies in memory, x as numbers, [k][p], so that only one k of an invocation's pixels is in
// registers. Drivers load four neighbours at once. Each invocation brings some texels of the next tile: they load during
// the arithmetic of this one, and what isn't there becomes 0 afterwards, so that nothing waits for them. But for the loop
// over k and sums computed again, loops have constant lengths: drivers unroll them, and the sums are registers. SLICES of
// the invocations share a tile's k. No im2col matrix.
// x: channels last, [n][y][x][c/4] texels, in one tensor or several (PARTS); or NCHW (X_ROWS; k is [channel][tap]). w:
// prepacked by `src/ops/gemm` in blocks of 64 channels, [block][k][16] texels, or [k][o/4] rows of a second tensor
// (W_ROWS). y, residual: [p][o/4]. A block reads only the input channels that its groups span. In a batched product
// strides select each operand's matrix. PARTIAL: `splits` workgroups sum a share of k each, [split][p][o/4], which
// gemm_join.wgsl adds.
//
// Not measured on a GPU yet. Indices are sums of what a lane keeps, what the lanes of a turn share, and constants:
// drivers don't see that in `(lane + j * LANES) / STEP`. Rejected, by what `make gpu-lab` tells: x as [p][k/4] texels, so
// that four k of all pixels were in registers (128 x 128 on NVK: 168 instead of 120, 12 subgroups instead of 16); patches
// of 4 k x 4 pixels transposed in registers, whose loads were waited for before the arithmetic; sums in matrices that the
// epilogue indexed, which NVK kept in memory in all variants; residuals loaded one by one.

const TILE_M: u32 = 64u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 16u;
const QUADS_M: u32 = 2u;
const QUADS_N: u32 = 1u;
const SLICES: u32 = 1u;
override POINT: bool = false; // A kernel of one tap with stride 1 and no padding; and matrices.
override X_ROWS: bool = false;
override PARTS: u32 = 0u; // The number of tensors that share the channels of x, if it isn't one (src/ops/gemm/parts.rs).
override DOUBLED: u32 = 0u; // A bit for each part that is half as high and wide as x: a pixel of it is four of x.
const POOL: u32 = 1u; // 4: y is pooled, the largest of each 2x2 pixels. p then counts the pixels window by window.
override LINES: bool = false; // x is lines of in_c samples, a pixel of y several outputs (src/ops/gemm/lines.rs).
override DEEP: bool = false; // Volumes, whose planes are images.
override W_ROWS: bool = false;
override X_COLUMNS: bool = false; // A transposed operand of a matrix product: x is [k][p/4] texels.
override W_COLUMNS: bool = false; // A transposed operand: w is [o][k/4] texels.
override PARTIAL: bool = false;
override GROUPED: bool = false; // A block of w spans several groups: sums that aren't finite are computed again, by group.
override RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> w: array<Texel>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Texel>;
@group(0) @binding(5) var<storage, read_write> y: array<Texel>;
@group(0) @binding(6) var<storage, read> x1: array<Texel>;
@group(0) @binding(7) var<storage, read> x2: array<Texel>;
@group(0) @binding(8) var<storage, read> x3: array<Texel>;

fn load_x(i: u32) -> vec4<f32> { return from_texel(x[i]); }
fn load_x1(i: u32) -> vec4<f32> { return from_texel(x1[i]); }
fn load_x2(i: u32) -> vec4<f32> { return from_texel(x2[i]); }
fn load_x3(i: u32) -> vec4<f32> { return from_texel(x3[i]); }
fn load_x_element(i: u32) -> f32 { return from_scalar(x[i / 4u][i % 4u]); }
fn load_w(i: u32) -> vec4<f32> { return from_texel(w[i]); }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn load_residual(i: u32) -> vec4<f32> { return from_texel(residual[i]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }

const PIXELS: u32 = 4u * QUADS_M;
const ROWS: u32 = TILE_M / PIXELS;
const COLUMNS: u32 = TILE_N / (4u * QUADS_N);
const LANES: u32 = ROWS * COLUMNS * SLICES;
const STEP: u32 = TILE_K / 4u;
// The texels of x and of w that an invocation brings.
const X_EACH: u32 = TILE_M * STEP / LANES;
const W_EACH: u32 = TILE_K * TILE_N / 4u / LANES;
const X_WIDTH: u32 = TILE_M / 4u;
const X_ROW: u32 = TILE_M + 4u; // Padded, so that the numbers of a texel lie in different banks.
const W_ROW: u32 = TILE_N / 4u;
var<workgroup> x_tile: array<f32, TILE_K * X_ROW>;
var<workgroup> w_tile: array<vec4<f32>, TILE_K * W_ROW>;

// Returns texel c under a tap of a pixel's window.
fn tapped(start: Pixel, tap: vec2<u32>, c: u32, there: bool) -> Four {
    let sight = seen(params, start, select(tap, vec2<u32>(c, tap.y), LINES), DEEP);
    if LINES {
        let held = sight.there && there;
        let sample = vec4<u32>(4u * (u32(start.x) + c)) + vec4<u32>(0u, 1u, 2u, 3u);
        return Four(load_x(select(0u, sight.pixel, held)), vec4<bool>(held) & (sample < vec4<u32>(params.in_c)));
    }
    let held = sight.there && c < select(0u, params.in4, there);
    return Four(channels_at(vec2<u32>(sight.pixel, halved(start, sight, tap)), c, held), vec4<bool>(held));
}

// Returns the texel of pixel p that the walk is at.
fn bring_x(start: Pixel, p: u32, walk: Walk, first_c: u32, rows: u32, end: u32) -> Four {
    let there = walk.k < end;
    if X_ROWS { return elements(start, 4u * walk.k, there); }
    if !POINT { return tapped(start, walk.tap, first_c + walk.c, there); }
    let held = p < params.pixels && first_c + walk.k < select(0u, params.in4, there);
    return Four(channels_at(vec2<u32>(rows + p), first_c + walk.k, held), vec4<bool>(held));
}
// Returns row k of four pixels of a transposed x.
fn bring_x_column(k: u32, p4: u32, rows: u32, end: u32) -> Four {
    let width = (params.pixels + 3u) / 4u;
    let held = k < min(4u * end, params.w_rows) && p4 < width;
    return Four(load_x(select(0u, (rows + k) * width + p4, held)), vec4<bool>(held));
}
// Returns row 4 at + row + below of four channels, texel o. `below` is a multiple of 4.
fn bring_w(at: u32, row: u32, below: u32, o: u32, rows: u32, end: u32) -> Four {
    if W_ROWS {
        let k = 4u * at + (row + below);
        let held = k < min(4u * end, params.w_rows) && o < out4(params);
        return Four(load_w(select(0u, (rows + k) * out4(params) + o, held)), vec4<bool>(held));
    }
    let held = at + (row / 4u + below / 4u) < end && o < params.wide4;
    let first = block_at(o, row / 4u, params.k4) + row % 4u * (BLOCK / 4u);
    return Four(load_w(select(0u, first + (at + below / 4u) * BLOCK, held)), vec4<bool>(held));
}
// Returns texel k of channel o of a transposed w.
fn bring_w_column(k: u32, o: u32, rows: u32, end: u32) -> Four {
    let held = k < end && o < params.groups.x;
    let rest = vec4<u32>(4u * k) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.w_rows); // A row's padding isn't zero.
    return Four(load_w(select(0u, (rows + o) * params.k4 + k, held)), vec4<bool>(held) & rest);
}

// Returns row k of four pixels of the tile.
fn x_of(quad: u32, k: u32) -> vec4<f32> {
    let at = k * X_ROW + 4u * quad;
    return vec4<f32>(x_tile[at], x_tile[at + 1u], x_tile[at + 2u], x_tile[at + 3u]);
}
// Returns row 4k + e of four channels of the tile. A transposed w lies as [o][k/4], rotated by o/4 to use all banks.
fn w_of(o: u32, k: u32, e: u32) -> vec4<f32> {
    if !W_COLUMNS { return w_tile[(4u * k + e) * W_ROW + o]; }
    let at = 4u * o * STEP + (k + o) % STEP;
    return vec4<f32>(w_tile[at][e], w_tile[at + STEP][e], w_tile[at + 2u * STEP][e], w_tile[at + 3u * STEP][e]);
}

// Adds the products of a tile's k.
fn multiply(sums: ptr<function, array<vec4<f32>, PIXELS * QUADS_N>>, row: u32, column: u32, slice: u32) {
    for (var i = 0u; i < STEP / SLICES; i++) {
        let k = slice * (STEP / SLICES) + i;
        for (var e = 0u; e < 4u; e++) {
            var pixels = array<vec4<f32>, QUADS_M>();
            for (var p = 0u; p < QUADS_M; p++) { pixels[p] = x_of(row + p * ROWS, 4u * k + e); }
            for (var q = 0u; q < QUADS_N; q++) {
                let weights = w_of(column + q * COLUMNS, k, e);
                for (var p = 0u; p < PIXELS; p++) {
                    (*sums)[q * PIXELS + p] += pixels[p / 4u][p % 4u] * weights;
                }
            }
        }
    }
}

// Returns the sums of a pixel and four channels (of this dispatch) over a share of k, within their own groups.
fn of_own_groups(p: u32, o: u32, begin: u32, end: u32) -> vec4<f32> {
    let start = group_start(4u * (params.first4 + o), params.groups);
    let first_c = group_start(4u * (params.first4 + o) / BLOCK * BLOCK, params.groups).x / 4u;
    var sum = vec4<f32>();
    for (var k = begin; k < end; k++) {
        let c = first_c + k % params.span4;
        let four = tapped(window_of(p), tap_of(params, k), c, true);
        let texel = select(vec4<f32>(), four.value, four.there);
        let at = block_at(o, k, params.k4);
        let weights = mat4x4<f32>(load_w(at), load_w(at + BLOCK / 4u), load_w(at + BLOCK / 2u), load_w(at + 3u * BLOCK / 4u));
        sum += of_own(texel, weights, 4u * c, start, params.groups.w);
    }
    return sum;
}

// Stores the finished values of four pixels and four channels. The residuals load together.
fn store_finished(sums: ptr<function, array<vec4<f32>, PIXELS * QUADS_N>>, first: u32, own: Share, row: u32, column: u32) {
    let within = own.tile4 + column + first / PIXELS * COLUMNS;
    let o = params.first4 + within;
    if within >= params.wide4 || o >= params.pixel4 { return; }
    var bias = vec4<f32>();
    if !PARTIAL { bias = load_bias(o); }
    let p = own.tile_p + 4u * row + first % PIXELS * ROWS;
    var places = array<Place, 4>();
    var residuals = array<vec4<f32>, 4>();
    for (var i = 0u; i < 4u; i++) {
        places[i] = place_of(own, p + i, o);
        residuals[i] = residual_at(places[i]);
    }
    if POOL == 4u {
        var most = finished_channels((*sums)[first] + bias, residuals[0], places[0].c);
        for (var i = 1u; i < 4u; i++) {
            most = maximum(most, finished_channels((*sums)[first + i] + bias, residuals[i], places[0].c));
        }
        if places[0].there { store_y(places[0].at, most); }
        return;
    }
    var again = 0u;
    for (var i = 0u; i < 4u; i++) {
        if GROUPED && !all(is_finite((*sums)[first + i])) {
            again |= 1u << i;
        } else if places[i].there {
            store_y(places[i].at, finished_channels((*sums)[first + i] + bias, residuals[i], places[i].c));
        }
    }
    for (; GROUPED && again != 0u; again &= again - 1u) {
        let one = p + countTrailingZeros(again);
        let to = place_of(own, one, o);
        let sum = of_own_groups(one, within, own.begin, own.end);
        if to.there { store_y(to.at, finished_channels(sum + bias, residual_at(to), to.c)); }
    }
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let own = share(params, linear(group.id, group.count), TILE_M, TILE_N);
    if own.split >= params.splits { return; }
    let rows = first_rows(params, own.matrix);
    let first_c = group_start(4u * (params.first4 + own.tile4) / BLOCK * BLOCK, params.groups).x / 4u;

    var starts: array<Pixel, X_EACH>;
    let x_p = lane / STEP;
    for (var j = 0u; j < X_EACH; j++) { starts[j] = window_of(own.tile_p + x_p + j * (LANES / STEP)); }
    let k = own.begin + lane % STEP;
    var walk = Walk(k, k % params.span4, tap_of(params, k));
    let next = Walk(STEP, STEP % params.span4, tap_of(params, STEP));
    let slice = lane / (ROWS * COLUMNS);
    let row = lane / COLUMNS % ROWS;
    let column = lane % COLUMNS;
    var sums: array<vec4<f32>, PIXELS * QUADS_N>;
    var xs: array<Four, X_EACH>;
    var ws: array<Four, W_EACH>;
    for (var at = own.begin; ; at += STEP) {
        for (var j = 0u; j < X_EACH; j++) {
            if X_COLUMNS {
                let x_k = lane / X_WIDTH + j * (LANES / X_WIDTH);
                xs[j] = bring_x_column(4u * at + x_k, own.tile_p / 4u + lane % X_WIDTH, rows.x, own.end);
            } else {
                xs[j] = bring_x(starts[j], own.tile_p + x_p + j * (LANES / STEP), walk, first_c, rows.x, own.end);
            }
        }
        for (var j = 0u; j < W_EACH; j++) {
            if W_COLUMNS {
                ws[j] = bring_w_column(at + lane % STEP, 4u * own.tile4 + lane / STEP + j * (LANES / STEP), rows.y, own.end);
            } else {
                ws[j] = bring_w(at, lane / W_ROW, j * (LANES / W_ROW), own.tile4 + lane % W_ROW, rows.y, own.end);
            }
        }
        walk = advanced(params, walk, next);
        // Multiplies the tile in workgroup memory while the next one is loading.
        if at > own.begin { multiply(&sums, row, column, slice); }
        if at >= own.end { break; }
        workgroupBarrier();
        for (var j = 0u; j < X_EACH; j++) {
            let value = select(vec4<f32>(), xs[j].value, xs[j].there);
            let column = lane % X_WIDTH * 4u + (lane / X_WIDTH + j * (LANES / X_WIDTH)) * X_ROW;
            let texel = lane % STEP * 4u * X_ROW + x_p + j * (LANES / STEP);
            for (var e = 0u; e < 4u; e++) { x_tile[select(texel + e * X_ROW, column + e, X_COLUMNS)] = value[e]; }
        }
        for (var j = 0u; j < W_EACH; j++) {
            let value = select(vec4<f32>(), ws[j].value, ws[j].there);
            let o = lane / STEP + j * (LANES / STEP);
            w_tile[select(lane + j * LANES, o * STEP + (lane + o / 4u) % STEP, W_COLUMNS)] = value;
        }
        workgroupBarrier();
    }

    // Adds the sums of the slices, always in the same order. The first slice writes.
    for (var other = 1u; other < SLICES; other++) {
        let spot = lane % (ROWS * COLUMNS);
        workgroupBarrier();
        if slice == other {
            for (var i = 0u; i < PIXELS * QUADS_N; i++) { w_tile[i * ROWS * COLUMNS + spot] = sums[i]; }
        }
        workgroupBarrier();
        if slice == 0u {
            for (var i = 0u; i < PIXELS * QUADS_N; i++) { sums[i] += w_tile[i * ROWS * COLUMNS + spot]; }
        }
    }
    if slice > 0u { return; }
    store_finished(&sums, 0u, own, row, column);
    if QUADS_M > 1u { store_finished(&sums, 4u, own, row, column); }
    if QUADS_N > 1u { store_finished(&sums, PIXELS, own, row, column); }
    if QUADS_M * QUADS_N > 3u { store_finished(&sums, PIXELS + 4u, own, row, column); }
}
