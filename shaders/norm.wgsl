// Normalisation of lines of consecutive elements: y[i] = f((x[i] - mean) / sqrt(var + eps) * weight + bias), with the
// mean and the variance of the line; the mean is 0 if not CENTRED (RMS norm). Layer norm, RMS norm, group norm,
// instance norm.
//
// One workgroup computes one line. Each invocation strides over it, KEEP times four elements at once, and joins their mean
// and squared deviations with its own (Chan, Golub and LeVeque, 1979); workgroup memory joins the invocations. A line of
// at most 4 * KEEP * LANES elements is read once and kept; a longer line is read again for the result.
// llvmpipe: 8 lanes that keep 2 were faster than 64 lanes and three reads (commit f315fcd).
//
// x, y: row-major, `length` elements a line; ALIGNED: whole texels. affine: (weight, bias), one for each `spatial` consecutive elements,
// repeated after `groups` lines. shrink: a power of two. Deviations times `shrink` are squared, so that a sum of
// squares doesn't overflow; eps is the epsilon of these squares.

const KEEP: u32 = 4u; // the fours of a line that an invocation keeps
override LANES: u32 = 64u;
override ALIGNED: bool = true;
override CENTRED: bool = true;
override ACTIVATION: u32 = 0u;

struct Params { lines: u32, length: u32, groups: u32, spatial: u32, eps: f32, shrink: f32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> affine: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

fn load_x(i: u32) -> vec4<f32> { return from_texel(x[i]); }
fn load_x_element(i: u32) -> f32 { return from_scalar(x[i / 4u][i % 4u]); }
fn load_affine(i: u32) -> vec2<f32> { return affine[i]; }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }
fn store_y_element(i: u32, value: f32) { y[i / 4u][i % 4u] = value; }

var<workgroup> partial: array<f32, LANES>;

// Keeps every LANES-th four elements from i on, minus the origin; beyond the end the last ones. Loads in an `if` would
// wait for one another.
fn load(kept: ptr<function, array<vec4<f32>, KEEP>>, first: u32, i: u32, origin: f32) {
    for (var j = 0u; j < KEEP; j++) {
        if ALIGNED {
            (*kept)[j] = load_x((first + min(4u * (i + j * LANES), params.length - 4u)) / 4u);
        } else {
            let at = vec4<u32>(first) + four(i + j * LANES, params.length);
            (*kept)[j] = vec4<f32>(load_x_element(at.x), load_x_element(at.y), load_x_element(at.z), load_x_element(at.w));
        }
    }
    for (var j = 0u; j < KEEP; j++) { (*kept)[j] -= vec4<f32>(origin); }
}

// Returns the sum of those of four values that belong to elements of the line, from 4 * i on.
fn sum_within(i: u32, value: vec4<f32>) -> f32 {
    let there = vec4<u32>(4u * i) + select(vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(), ALIGNED) < vec4<u32>(params.length);
    return dot(select(vec4<f32>(), value, there), vec4<f32>(1.0));
}

fn square(deviation: vec4<f32>) -> vec4<f32> {
    let small = deviation * params.shrink;
    return small * small;
}

// Returns the index of an element's weight and bias in those of the line. `divide` by 1 is inexact from quotients of 2^22
// on (lib/index.wgsl), which long lines have.
fn parameter(at: u32) -> u32 { return select(divide(at, params.spatial), at, params.spatial == 1u); }

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
    if CENTRED { origin = load_x_element(first); }

    var kept: array<vec4<f32>, KEEP>;
    var count = 0.0;
    var mean = 0.0;
    var squares = 0.0;
    for (var i = lane; 4u * i < params.length; i += KEEP * LANES) {
        load(&kept, first, i, origin);
        var middle = 0.0;
        var more = 0.0;
        if CENTRED {
            for (var j = 0u; j < KEEP; j++) {
                middle += sum_within(i + j * LANES, kept[j]);
                more += sum_within(i + j * LANES, vec4<f32>(1.0));
            }
            middle /= more;
            let apart = middle - mean;
            let share = more / (count + more);
            squares += square(vec4<f32>(apart)).x * count * share;
            mean += apart * share;
            count += more;
        }
        for (var j = 0u; j < KEEP; j++) {
            squares += sum_within(i + j * LANES, square(kept[j] - vec4<f32>(middle)));
        }
    }
    if CENTRED {
        let own = mean;
        mean = total(lane, own * count) / f32(params.length);
        squares += square(vec4<f32>(own - mean)).x * count;
    }
    let scale = inverseSqrt(total(lane, squares) / f32(params.length) + params.eps) * params.shrink;

    let entry = line % params.groups * (params.length / params.spatial);
    for (var i = lane; 4u * i < params.length; i += KEEP * LANES) {
        if params.length > 4u * KEEP * LANES { load(&kept, first, i, origin); }
        for (var j = 0u; j < KEEP; j++) {
            let at = four(i + j * LANES, params.length);
            let a = load_affine(entry + parameter(at.x));
            let b = load_affine(entry + parameter(at.y));
            let c = load_affine(entry + parameter(at.z));
            let d = load_affine(entry + parameter(at.w));
            kept[j] = (kept[j] - vec4<f32>(mean)) * scale * vec4<f32>(a.x, b.x, c.x, d.x) + vec4<f32>(a.y, b.y, c.y, d.y);
        }
        for (var j = 0u; j < KEEP; j++) {
            let at = 4u * (i + j * LANES);
            let value = activate(ACTIVATION, kept[j], params.lo, params.hi, params.alpha);
            if ALIGNED {
                if at < params.length { store_y((first + at) / 4u, value); }
            } else {
                for (var k = 0u; k < 4u; k++) {
                    if at + k < params.length { store_y_element(first + at + k, value[k]); }
                }
            }
        }
    }
}
