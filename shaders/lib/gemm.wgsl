// The parameters of the implicit GEMM, the division of its work, and the addresses of its operands.

struct Params {
    pixels: u32, out_w: u32, out_hw: u32, out_c: u32,
    in_h: u32, in_w: u32, in_c: u32, in4: u32,
    stride_y: u32, stride_x: u32, pad_top: i32, pad_left: i32,
    dilation_y: u32, dilation_x: u32, kernel_w: u32, taps: u32,
    // Texels: of k under a tap, of all k, of a pixel of y, of a row of y.
    span4: u32, k4: u32, pixel4: u32, row4: u32,
    // Texels of o that this dispatch computes. Rows of k of a second operand. Shares of k, and texels of each share.
    first4: u32, wide4: u32, w_rows: u32, splits: u32,
    share4: u32, lo: f32, hi: f32, alpha: f32,
    // Volumes, whose planes are images: the planes of x and of y, and the window along them. Rows of a kernel's plane.
    in_d: u32, out_d: u32, stride_z: u32, pad_front: i32, dilation_z: u32, kernel_h: u32, zeros: vec2<u32>,
    groups: vec4<u32>,
    // Batched product: the sizes of the batch dimensions, and each operand's strides along them, in rows.
    batch: vec4<u32>, x_batch: vec4<u32>, w_batch: vec4<u32>,
    // The parts of x, in texels: the end of each among the channels, its pixel's width in memory, and what an index
    // among the channels lacks of the index in that pixel.
    ends: vec4<u32>, pitch: vec4<u32>, shift: vec4<u32>,
}

// Returns the texels of a pixel's output channels.
fn out4(params: Params) -> u32 {
    return (params.out_c + 3u) / 4u;
}

fn matrices(params: Params) -> u32 {
    return params.batch.x * params.batch.y * params.batch.z * params.batch.w;
}

// Returns the first row of a matrix in x, and in w.
fn first_rows(params: Params, matrix: u32) -> vec2<u32> {
    let yzw = vec3<u32>(params.batch.y * params.batch.z * params.batch.w, params.batch.z * params.batch.w, params.batch.w);
    let at = vec4<u32>(matrix / yzw, matrix) % params.batch;
    let x = at * params.x_batch;
    let w = at * params.w_batch;
    return vec2<u32>(x.x + x.y + x.z + x.w, w.x + w.y + w.z + w.w);
}

// A workgroup's share: the first channel texel and the first pixel of its tile, and the texels of k that it sums.
struct Share { tile4: u32, tile_p: u32, matrix: u32, split: u32, begin: u32, end: u32 }

// The rows of tiles that workgroups go through together, column by column: those that run at one time then read few
// pixels and few weights, which stay in the cache.
const BAND: u32 = 8u;

// Returns the share of workgroup `id`: `split` is beyond the last for a workgroup without work.
fn share(params: Params, id: u32, tile_m: u32, tile_n: u32) -> Share {
    let columns = (params.wide4 * 4u + tile_n - 1u) / tile_n;
    let rows = (params.pixels + tile_m - 1u) / tile_m;
    let part = id / (rows * columns); // A split of a product.
    let split = part / matrices(params);
    let tile = id - part * rows * columns;
    let band = tile / (BAND * columns);
    let within = tile - band * BAND * columns;
    let high = min(BAND, rows - band * BAND);
    let column = within / high;
    let row = band * BAND + within - column * high;
    let begin = min(split * params.share4, params.k4);
    let end = min(begin + params.share4, params.k4);
    return Share(column * (tile_n / 4u), row * tile_m, part - split * matrices(params), split, begin, end);
}

// The start of an output pixel's window; far outside for a pixel beyond the last. `corner`: its pixel, counted from the
// first of all images. `element`: its index in an image in rows, of the first channel. Both may be before the image.
struct Pixel { corner: u32, element: u32, z: i32, y: i32, x: i32 }

fn pixel(params: Params, p: u32, deep: bool) -> Pixel {
    let at = p % params.out_hw;
    let y = i32(at / params.out_w * params.stride_y) - params.pad_top;
    let x = i32(at % params.out_w * params.stride_x) - params.pad_left;
    var image = p / params.out_hw;
    var z = 0;
    if deep {
        z = i32(image % params.out_d * params.stride_z) - params.pad_front;
        image = image / params.out_d * params.in_d;
    }
    let before = image * params.in_h * params.in_w;
    let within = u32((z * i32(params.in_h) + y) * i32(params.in_w) + x);
    return Pixel(before + within, before * params.in_c + within, z, select(-0x40000000, y, p < params.pixels), x);
}

// A texel of y: its index, its number among those of an output's channels; false beyond the end of a line.
struct Place { at: u32, c: u32, there: bool }

fn place(params: Params, lines: bool, p: u32, o: u32) -> Place {
    if !lines { return Place(p * params.pixel4 + o, o, true); }
    let column = p % params.out_w * params.pixel4 + o;
    return Place(p / params.out_w * params.row4 + column, column % out4(params), column < params.row4);
}

// Returns the tap (x, row) of a texel of k.
fn tap_of(params: Params, k: u32) -> vec2<u32> {
    return vec2<u32>(k / params.span4 % params.kernel_w, k / params.span4 / params.kernel_w);
}

// A texel of k: its number, its channels under a tap, and the tap (x, row).
struct Walk { k: u32, c: u32, tap: vec2<u32> }

// Returns the texel that lies `next` further, without a division.
fn advanced(params: Params, walk: Walk, next: Walk) -> Walk {
    var c = walk.c + next.c;
    var tap = walk.tap + next.tap;
    if c >= params.span4 {
        c -= params.span4;
        tap.x += 1u;
    }
    if tap.x >= params.kernel_w { tap += vec2<u32>(0u - params.kernel_w, 1u); }
    return Walk(walk.k + next.k, c, tap);
}

// The pixel that a tap sees, counted from the first of all images; false outside of the image.
struct Sight { pixel: u32, there: bool }

// Returns what a tap (x, row) sees. The rows of all planes of a kernel are counted together.
fn seen(params: Params, start: Pixel, tap: vec2<u32>, deep: bool) -> Sight {
    var row = tap.y;
    var z = 0u;
    if deep {
        row = tap.y % params.kernel_h;
        z = tap.y / params.kernel_h * params.dilation_z;
    }
    let y = row * params.dilation_y;
    let x = tap.x * params.dilation_x;
    let inside = u32(start.y) + y < params.in_h && u32(start.x) + x < params.in_w && (!deep || u32(start.z) + z < params.in_d);
    return Sight(start.corner + ((z * params.in_h + y) * params.in_w + x), inside);
}

// Four elements of an image in rows: their indices, and which of them are in the image.
struct Elements { at: vec4<u32>, there: vec4<bool> }

// Returns elements k..k+3 under a window, k counting [channel][tap].
fn elements_at(params: Params, start: Pixel, k: u32, deep: bool) -> Elements {
    let ks = k + vec4<u32>(0u, 1u, 2u, 3u);
    let tap = ks % params.taps;
    var row = tap / params.kernel_w;
    var plane = ks / params.taps;
    var inside = ks < vec4<u32>(params.in_c * params.taps);
    if deep {
        let z = row / params.kernel_h * params.dilation_z;
        inside &= u32(start.z) + z < vec4<u32>(params.in_d);
        plane = plane * params.in_d + z;
        row %= vec4<u32>(params.kernel_h);
    }
    let y = row * params.dilation_y;
    let x = tap % params.kernel_w * params.dilation_x;
    inside &= (u32(start.y) + y < vec4<u32>(params.in_h)) & (u32(start.x) + x < vec4<u32>(params.in_w));
    return Elements(start.element + ((plane * params.in_h + y) * params.in_w + x), inside);
}
