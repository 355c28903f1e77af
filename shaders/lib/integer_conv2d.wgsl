// The parameters of a convolution of integers.

struct Params {
    in_h: u32, in_w: u32, in_c: u32, out_w: u32,
    out_hw: u32, out_c: u32, kernel_h: u32, kernel_w: u32,
    stride_y: u32, stride_x: u32, before_y: u32, before_x: u32,
    dilation_y: u32, dilation_x: u32, pixels: u32, group_in: u32,
    group_out: u32, group_blocks: u32, blocks: u32, w_zeros: u32,
    offset: i32, zero: i32, lo: i32, hi: i32,
    from_plane: u32, from_row: u32, from_channel: u32, to_plane: u32, to_row: u32, to_channel: u32, begins: u32, ends: u32,
}
