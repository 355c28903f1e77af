// Softmax along one axis: y[i] = exp(x[i] - max) / sum_j exp(x[j] - max); or, if LOG, its logarithm, with nothing divided:
// y[i] = x[i] - max - log(sum_j exp(x[j] - max)), finite where the quotient underflows.
//
// One workgroup computes COLUMNS neighbouring lines along the axis; LANES / COLUMNS invocations stride over each, workgroup
// memory joins them. Where a line's elements are apart, neighbouring lines are what lies together in memory.
// x, y: row-major; a line's elements are `stride` apart.

override LANES: u32 = 64u;
override COLUMNS: u32 = 1u;
override LOG: bool = false;

struct Params { lines: u32, length: u32, stride: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = lane % COLUMNS;
    let slices = LANES / COLUMNS;
    let line = linear(group, groups) * COLUMNS + column;
    // A line that isn't there is empty.
    let length = select(0u, params.length, line < params.lines);
    let first = line / params.stride * params.stride * params.length + line % params.stride;

    var largest = -3.4028235e38;
    for (var i = lane / COLUMNS; i < length; i += slices) { largest = max(largest, x[first + i * params.stride]); }
    partial[lane] = largest;
    workgroupBarrier();
    for (var half = LANES / 2u; half >= COLUMNS; half /= 2u) {
        if lane < half { partial[lane] = max(partial[lane], partial[lane + half]); }
        workgroupBarrier();
    }
    largest = partial[column];
    workgroupBarrier();

    var sum = 0.0;
    for (var i = lane / COLUMNS; i < length; i += slices) { sum += exp(x[first + i * params.stride] - largest); }
    partial[lane] = sum;
    workgroupBarrier();
    for (var half = LANES / 2u; half >= COLUMNS; half /= 2u) {
        if lane < half { partial[lane] += partial[lane + half]; }
        workgroupBarrier();
    }
    let total = partial[column];
    for (var i = lane / COLUMNS; i < length; i += slices) {
        let at = first + i * params.stride;
        if LOG {
            y[at] = x[at] - largest - log(total);
        } else {
            y[at] = exp(x[at] - largest) / total;
        }
    }
}
