// Normalisation of lines of consecutive elements: y[i] = f((x[i] - mean) / sqrt(var + eps) * weight + bias), the mean and the
// variance those of the line. (RMS norm: not CENTRED, the mean is 0.) Layer norm, RMS norm, group norm, instance norm.
//
// One workgroup computes one line; each invocation strides over it, workgroup memory joins them.
// x, y: row-major, `length` elements a line. affine: (weight, bias), one for each `spatial` consecutive elements of `groups`
// lines; then it begins anew.

override LANES: u32 = 64u;
override CENTRED: bool = true;
override ACTIVATION: u32 = 0u;

struct Params { lines: u32, length: u32, groups: u32, spatial: u32, eps: f32, lo: f32, hi: f32, alpha: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> affine: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, LANES>;

// The sum over the workgroup.
fn total(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half { partial[lane] += partial[lane + half]; }
        workgroupBarrier();
    }
    let sum = partial[0];
    // The next sum is written where this one is read.
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let line = min(linear(group, groups), params.lines - 1u);
    let first = line * params.length;

    // Where the mean is far greater than the deviations, its own rounding would spoil them. So everything is measured from
    // an element of the line, which is about as far away.
    var origin = 0.0;
    var mean = 0.0;
    if CENTRED {
        origin = x[first];
        var sum = 0.0;
        for (var i = lane; i < params.length; i += LANES) { sum += x[first + i] - origin; }
        mean = total(lane, sum) / f32(params.length);
    }

    var squares = 0.0;
    for (var i = lane; i < params.length; i += LANES) {
        let deviation = x[first + i] - origin - mean;
        squares += deviation * deviation;
    }
    let scale = inverseSqrt(total(lane, squares) / f32(params.length) + params.eps);

    let entry = line % params.groups * (params.length / params.spatial);
    for (var i = lane; i < params.length; i += LANES) {
        // What `divide` gives for long lines is exact for greater divisors only.
        let by = affine[entry + select(divide(i, params.spatial), i, params.spatial == 1u)];
        let value = (x[first + i] - origin - mean) * scale * by.x + by.y;
        y[first + i] = activate(ACTIVATION, vec4<f32>(value), params.lo, params.hi, params.alpha).x;
    }
}
