// Softmax along one axis: y[i] = exp(x[i] - max) / sum_j exp(x[j] - max). LOG: its logarithm, without a division:
// y[i] = x[i] - max - log(sum_j exp(x[j] - max)), finite where the quotient underflows.
//
// One workgroup computes COLUMNS neighbouring lines along the axis. LANES / COLUMNS invocations stride over each line,
// KEEP times four elements at once, and join the elements' maximum and sum with their own; workgroup memory joins the
// invocations. If a line's elements lie apart, neighbouring lines are adjacent in memory. A line of at most 4 * KEEP
// elements an invocation is read once and kept; a longer line is read again for the result.
// llvmpipe: 8 lanes that keep 2 were faster than 64 lanes and three reads (commit f315fcd).
//
// x, y: row-major; a line's elements are `stride` apart. ALIGNED: a line is whole texels, and its elements are adjacent.

const KEEP: u32 = 4u; // the fours of a line that an invocation keeps
override ALIGNED: bool = true;
override LANES: u32 = 64u;
override COLUMNS: u32 = 1u;
override LOG: bool = false;

struct Params { lines: u32, length: u32, stride: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(i: u32) -> vec4<f32> { return from_texel(x[i]); }
fn load_x_element(i: u32) -> f32 { return from_scalar(x[i / 4u][i % 4u]); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }
fn store_y_element(i: u32, value: f32) { y[i / 4u][i % 4u] = value; }

const LEAST: f32 = -3.40282346e38;

var<workgroup> partial: array<f32, LANES>;

// Keeps the four elements i, i + step, ..; beyond the end the last ones. Loads together.
fn load(kept: ptr<function, array<vec4<f32>, KEEP>>, first: u32, i: u32, step: u32, length: u32) {
    for (var j = 0u; j < KEEP; j++) {
        if ALIGNED {
            (*kept)[j] = load_x((first + min(4u * (i + j * step), length - 4u)) / 4u);
        } else {
            let at = vec4<u32>(first) + four(i + j * step, length) * params.stride;
            (*kept)[j] = vec4<f32>(load_x_element(at.x), load_x_element(at.y), load_x_element(at.z), load_x_element(at.w));
        }
    }
}

// Returns four values, each replaced if its element is beyond the end of the line.
fn within(i: u32, length: u32, value: vec4<f32>, otherwise: f32) -> vec4<f32> {
    let there = vec4<u32>(4u * i) + select(vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(), ALIGNED) < vec4<u32>(length);
    return select(vec4<f32>(otherwise), value, there);
}

fn weight(x: f32) -> f32 { return exponential(vec4<f32>(x)).x; }

// Returns the logarithm of a line's sum. The sum is 0 if the line holds nothing but -inf: its softmax is 0 / 0.
fn log_sum(sum: f32) -> f32 { return select(logarithm(vec4<f32>(sum)).x, sum / sum, sum == 0.0); }

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let column = lane % COLUMNS;
    let slices = LANES / COLUMNS;
    let line = linear(group.id, group.count) * COLUMNS + column;
    // A line beyond the last is empty.
    let length = select(0u, params.length, line < params.lines);
    let first = line / params.stride * params.stride * params.length + line % params.stride;

    var kept: array<vec4<f32>, KEEP>;
    var own = LEAST;
    var sum = 0.0;
    for (var i = lane / COLUMNS; 4u * i < length; i += KEEP * slices) {
        load(&kept, first, i, slices, length);
        let before = own;
        for (var j = 0u; j < KEEP; j++) {
            let four = within(i + j * slices, length, kept[j], LEAST);
            own = max(max(own, max(four.x, four.y)), max(four.z, four.w));
        }
        // The sum is relative to the largest so far. Fewer additions to it round it less.
        var some = 0.0;
        for (var j = 0u; j < KEEP; j++) {
            some += dot(within(i + j * slices, length, exponential(kept[j] - vec4<f32>(own)), 0.0), vec4<f32>(1.0));
        }
        sum = sum * weight(before - own) + some;
    }

    partial[lane] = own;
    workgroupBarrier();
    for (var half = LANES / 2u; half >= COLUMNS; half /= 2u) {
        if lane < half { partial[lane] = max(partial[lane], partial[lane + half]); }
        workgroupBarrier();
    }
    let largest = partial[column];
    workgroupBarrier();

    partial[lane] = sum * weight(own - largest);
    workgroupBarrier();
    for (var half = LANES / 2u; half >= COLUMNS; half /= 2u) {
        if lane < half { partial[lane] += partial[lane + half]; }
        workgroupBarrier();
    }
    let total = partial[column];
    for (var i = lane / COLUMNS; 4u * i < length; i += KEEP * slices) {
        if params.length > 4u * KEEP * slices { load(&kept, first, i, slices, length); }
        for (var j = 0u; j < KEEP; j++) {
            let at = 4u * (i + j * slices);
            var value = kept[j] - vec4<f32>(largest);
            if LOG { value -= vec4<f32>(log_sum(total)); } else { value = exponential(value) / total; }
            if ALIGNED {
                if at < length { store_y((first + at) / 4u, value); }
            } else {
                for (var k = 0u; k < 4u; k++) {
                    if at + k < length { store_y_element(first + (at + k) * params.stride, value[k]); }
                }
            }
        }
    }
}
