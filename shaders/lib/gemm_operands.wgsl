// What products read and write: numbers of x, places in y. They call the kernel's loads, and ask for its constants.

// Four numbers that an invocation brings, and which of them are there.
struct Four { value: vec4<f32>, there: vec4<bool> }

// Returns texel c of a pixel's channels, from the part that holds it; another texel if it isn't there.
// The pixel is its number in x, and in an image half as high and wide.
fn channels_at(pixel: vec2<u32>, c: u32, there: bool) -> vec4<f32> {
    if PARTS == 0u { return load_x(select(0u, pixel.x * params.in4 + c, there)); }
    let doubled = (vec4<u32>(DOUBLED) & vec4<u32>(1u, 2u, 4u, 8u)) != vec4<u32>();
    let pixels = select(vec4<u32>(pixel.x), vec4<u32>(pixel.y), doubled);
    let at = select(vec4<u32>(), pixels * params.pitch + c + params.shift, vec4<bool>(there));
    if PARTS == 1u || c < params.ends.x { return load_x(at.x); }
    if PARTS == 2u || c < params.ends.y { return load_x1(at.y); }
    if PARTS == 3u || c < params.ends.z { return load_x2(at.z); }
    return load_x3(at.w);
}
// Returns the number of the pixel that a tap (x, row) sees in an image half as high and wide.
fn halved(start: Pixel, sight: Sight, tap: vec2<u32>) -> u32 {
    if DOUBLED == 0u { return 0u; }
    let y = u32(start.y) + tap.y * params.dilation_y;
    let x = u32(start.x) + tap.x * params.dilation_x;
    // Of the pixels of the images before this one, a quarter.
    let before = (sight.pixel - y * params.in_w - x) / 4u;
    return before + y / 2u * (params.in_w / 2u) + x / 2u;
}

// Returns four elements under a window of an image in rows.
fn elements(start: Pixel, k: u32, there: bool) -> Four {
    let found = elements_at(params, start, k, DEEP);
    let held = found.there & vec4<bool>(there);
    let at = select(vec4<u32>(), found.at, held);
    return Four(vec4<f32>(load_x_element(at.x), load_x_element(at.y), load_x_element(at.z), load_x_element(at.w)), held);
}

// Returns the number, row by row, of pixel p that is counted window by window, of 2x2 pixels. The height and width are even.
fn unwound(p: u32) -> u32 {
    let across = params.out_w / 2u;
    let row = p / 4u / across;
    return (2u * row + p % 4u / 2u) * params.out_w + 2u * (p / 4u - row * across) + p % 2u;
}

// Returns the start of the window of output pixel p.
fn window_of(p: u32) -> Pixel {
    if POOL == 1u { return pixel(params, p, DEEP); }
    return pixel(params, unwound(p), DEEP);
}

// Returns the place of output pixel p of the matrix and channels o.
fn place_of(own: Share, p: u32, o: u32) -> Place {
    let to = place(params, LINES, (own.split * matrices(params) + own.matrix) * params.pixels + p / POOL, o);
    return Place(to.at, to.c, to.there && p < params.pixels);
}

// Returns the finished values of a pixel's channels; 0 beyond the last channel.
fn finished_channels(sum: vec4<f32>, added: vec4<f32>, c: u32) -> vec4<f32> {
    let value = finished(RESIDUAL, sum, added, ACTIVATION, params.lo, params.hi, params.alpha);
    return clip_channels(value, c, params.out_c);
}

// Returns a loaded value, and that it must be loaded here: no compiler knows that the bits are 0.
fn here(value: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(value) | vec4<u32>(params.zeros.x));
}

fn residual_at(to: Place) -> vec4<f32> {
    if RESIDUAL == 0u { return vec4<f32>(); }
    return load_residual(select(0u, to.at, to.there));
}
