// Normalisation of lines of consecutive elements: y[i] = f((x[i] - mean) / sqrt(var + eps) * weight + bias), with the
// mean and the variance of the line; the mean is 0 if not CENTRED (RMS norm). Layer norm, RMS norm, group norm,
// instance norm.
//
// One workgroup computes one line. Each invocation strides over it, KEEP elements at once, and joins their mean and
// squared deviations with its own (Chan, Golub and LeVeque, 1979); workgroup memory joins the invocations. A line of at
// most KEEP * LANES elements is read once and kept; a longer line is read again for the result.
// llvmpipe: 8 lanes that keep 2 elements were faster than 64 lanes and three reads (commit f315fcd).
//
// x, y: row-major, `length` elements a line. affine: (weight, bias), one for each `spatial` consecutive elements,
// repeated after `groups` lines. shrink: a power of two. Deviations times `shrink` are squared, so that a sum of
// squares doesn't overflow; eps is the epsilon of these squares.

const KEEP: u32 = 4u; // the elements of a line that an invocation keeps
override LANES: u32 = 64u;
override CENTRED: bool = true;
override ACTIVATION: u32 = 0u;

struct Params { lines: u32, length: u32, groups: u32, spatial: u32, eps: f32, shrink: f32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> affine: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn load_affine(i: u32) -> vec2<f32> { return affine[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

var<workgroup> partial: array<f32, LANES>;

// Keeps every LANES-th element from i on, minus the origin; beyond the end the last one. Loads in an `if` would wait for
// one another.
fn load(kept: ptr<function, array<f32, KEEP>>, first: u32, i: u32, origin: f32) {
    for (var j = 0u; j < KEEP; j++) { (*kept)[j] = load_x(first + min(i + j * LANES, params.length - 1u)) - origin; }
}

fn square(deviation: f32) -> f32 {
    let small = deviation * params.shrink;
    return small * small;
}

// Returns the sum over the workgroup.
fn total(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half { partial[lane] += partial[lane + half]; }
        workgroupBarrier();
    }
    let sum = partial[0];
    // The next call overwrites what this one reads.
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let line = min(linear(group.id, group.count), params.lines - 1u);
    let first = line * params.length;

    // A mean far greater than the deviations would spoil them by its rounding. So an element of the line, which is
    // about as great, is subtracted from all elements.
    var origin = 0.0;
    if CENTRED { origin = load_x(first); }

    var kept: array<f32, KEEP>;
    var count = 0.0;
    var mean = 0.0;
    var squares = 0.0;
    for (var i = lane; i < params.length; i += KEEP * LANES) {
        load(&kept, first, i, origin);
        var middle = 0.0;
        var more = 0.0;
        if CENTRED {
            for (var j = 0u; j < KEEP; j++) {
                if i + j * LANES < params.length { middle += kept[j]; more += 1.0; }
            }
            middle /= more;
            let apart = middle - mean;
            let share = more / (count + more);
            squares += square(apart) * count * share;
            mean += apart * share;
            count += more;
        }
        for (var j = 0u; j < KEEP; j++) {
            if i + j * LANES < params.length { squares += square(kept[j] - middle); }
        }
    }
    if CENTRED {
        let own = mean;
        mean = total(lane, own * count) / f32(params.length);
        squares += square(own - mean) * count;
    }
    let scale = inverseSqrt(total(lane, squares) / f32(params.length) + params.eps) * params.shrink;

    let entry = line % params.groups * (params.length / params.spatial);
    for (var i = lane; i < params.length; i += KEEP * LANES) {
        if params.length > KEEP * LANES { load(&kept, first, i, origin); }
        var by = array<vec2<f32>, KEEP>();
        for (var j = 0u; j < KEEP; j++) {
            let at = min(i + j * LANES, params.length - 1u);
            // `divide` by 1 is inexact from quotients of 2^22 on (lib/index.wgsl), which long lines have.
            by[j] = load_affine(entry + select(divide(at, params.spatial), at, params.spatial == 1u));
        }
        for (var j = 0u; j < KEEP; j++) {
            let at = i + j * LANES;
            if at < params.length {
                let value = (kept[j] - mean) * scale * by[j].x + by[j].y;
                store_y(first + at, activate(ACTIVATION, vec4<f32>(value), params.lo, params.hi, params.alpha).x);
            }
        }
    }
}
