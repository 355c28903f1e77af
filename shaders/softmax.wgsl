// Softmax along one axis: y[i] = exp(x[i] - max) / sum_j exp(x[j] - max). LOG: its logarithm, without a division:
// y[i] = x[i] - max - log(sum_j exp(x[j] - max)), finite where the quotient underflows.
//
// One workgroup computes COLUMNS neighbouring lines along the axis. LANES / COLUMNS invocations stride over each line,
// KEEP elements at once, and join the elements' maximum and sum with their own; workgroup memory joins the invocations.
// If a line's elements lie apart, neighbouring lines are adjacent in memory. A line of at most KEEP elements an
// invocation is read once and kept; a longer line is read again for the result.
// llvmpipe: 8 lanes that keep 2 elements were faster than 64 lanes and three reads (commit f315fcd).
//
// x, y: row-major; a line's elements are `stride` apart.

const KEEP: u32 = 4u; // the elements of a line that an invocation keeps
override LANES: u32 = 64u;
override COLUMNS: u32 = 1u;
override LOG: bool = false;

struct Params { lines: u32, length: u32, stride: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

var<workgroup> partial: array<f32, LANES>;

// Keeps elements i, i + step, ..; beyond the end the last one. Loads together.
fn load(kept: ptr<function, array<f32, KEEP>>, first: u32, i: u32, step: u32, length: u32) {
    for (var j = 0u; j < KEEP; j++) { (*kept)[j] = load_x(first + min(i + j * step, length - 1u) * params.stride); }
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

    var kept: array<f32, KEEP>;
    var own = -3.40282346e38;
    var sum = 0.0;
    for (var i = lane / COLUMNS; i < length; i += KEEP * slices) {
        load(&kept, first, i, slices, length);
        let before = own;
        for (var j = 0u; j < KEEP; j++) {
            if i + j * slices < length { own = max(own, kept[j]); }
        }
        // The sum is relative to the largest so far. Fewer additions to it round it less.
        var some = 0.0;
        for (var j = 0u; j < KEEP; j++) {
            if i + j * slices < length { some += weight(kept[j] - own); }
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
    for (var i = lane / COLUMNS; i < length; i += KEEP * slices) {
        if params.length > KEEP * slices { load(&kept, first, i, slices, length); }
        for (var j = 0u; j < KEEP; j++) {
            let at = i + j * slices;
            if at < length {
                if LOG {
                    store_y(first + at * params.stride, kept[j] - largest - log_sum(total));
                } else {
                    store_y(first + at * params.stride, weight(kept[j] - largest) / total);
                }
            }
        }
    }
}
