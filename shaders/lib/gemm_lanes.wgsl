// The parameters of the implicit GEMM for llvmpipe, and the rows of its input.

struct Params {
    pixels: u32, out_w: u32, out_hw: u32, out_c: u32,
    in_h: i32, in4: i32, stride_y: i32, stride_x: i32,
    pad_top: i32, pad_left: i32, dilation_y: i32,
    tap_rows: i32, // the rows of the kernel, of all its planes
    segments: i32, // the runs of a tap row
    step: i32, // the texels from one run to the next
    run: i32, // the texels of a run
    pixel4: u32, // the texels of a pixel of y
    row4: u32, // the texels of a row of y
    blocks: u32, // the blocks of 32 output channels
    tiles: u32, // the tiles of PIXELS pixels
    blocks_first: u32, // 1: neighbouring workgroups compute different blocks of one tile; 0: tiles of one block
    lo: f32, hi: f32, alpha: f32,
    samples: u32, // the samples of a line of x
    // Volumes, whose planes are images: the planes of x and of y, and the window along them. Rows of a kernel's plane.
    in_d: u32, out_d: u32, stride_z: u32, pad_front: i32, dilation_z: u32, kernel_h: u32, unused: vec2<u32>,
    groups: vec4<u32>,
    batch: vec4<u32>, x_batch: vec4<u32>, w_batch: vec4<u32>,
    // The added image: segments, height, texels of channels and stride.
    added: vec4<i32>,
}

// The start of an output pixel's window: the first row of its image (or volume) in x, -1 for a pixel beyond the last;
// its plane and row there.
struct Start { image: i32, z: i32, y: i32 }

// Returns the row of x under a row of the kernel; -1 outside.
fn row_under(params: Params, start: Start, tap: i32, deep: bool) -> i32 {
    var ty = tap;
    var z = 0;
    if deep {
        let tz = tap / i32(params.kernel_h);
        ty = tap - tz * i32(params.kernel_h);
        z = start.z + tz * i32(params.dilation_z);
    }
    let y = start.y + ty * params.dilation_y;
    let inside = start.image >= 0 && y >= 0 && y < params.in_h && (!deep || (z >= 0 && z < i32(params.in_d)));
    return select(-1, start.image + z * params.in_h + y, inside);
}
