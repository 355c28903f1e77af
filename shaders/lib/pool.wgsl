// The parameters of pooling of images.

struct Params {
    in_h: u32, in_w: u32, out_h: u32, out_w: u32, c: u32, count: u32,
    size_y: u32, size_x: u32, stride_y: u32, stride_x: u32, dilation_y: u32, dilation_x: u32, top: u32, left: u32,
    bottom: u32, right: u32, p: f32, parity: u32, start: f32, nan: f32,
}
