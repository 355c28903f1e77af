// Group and instance norm of channels-last images: norm.wgsl over texels, so that nothing is converted between
// convolutions. y = f((x - mean) / sqrt(var + eps) * weight + bias).
//
// One workgroup computes one unit of one image: `span` texels of channels, at all pixels. Their mean and variance are
// joint (group norm, of groups that are whole texels), or SEPARATE for each of a texel's four channels (instance norm).
// A unit of at most KEEP * LANES texels is read once, a larger one twice: see norm.wgsl, also for how means are joined.
// x, y: row n*H + y, column x*C/4 + c/4. affine: (weight, bias), one a channel or for all. eps, shrink: see norm.wgsl.

const KEEP: u32 = 4u; // the texels that an invocation keeps
override LANES: u32 = 64u;
override SEPARATE: bool = false;
override ACTIVATION: u32 = 0u;

struct Params {
    h: u32, w: u32, c: u32, c4: u32, span: u32, units: u32, count: u32, pairs: u32,
    eps: f32, shrink: f32, lo: f32, hi: f32, alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read> affine: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Texel>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.w * params.c4 + column]); }
fn load_affine(i: u32) -> vec2<f32> { return affine[i]; }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.w * params.c4 + column] = to_texel(value); }

var<workgroup> partial: array<vec4<f32>, LANES>;

// Returns the row, the column and the channel texel of a unit's i-th texel.
fn place(i: u32, image: u32, unit: u32) -> vec3<u32> {
    let pixel = divide(i, params.span);
    let row = divide(pixel, params.w);
    let c = unit * params.span + i - pixel * params.span;
    return vec3<u32>(image * params.h + row, (pixel - row * params.w) * params.c4 + c, c);
}

fn square(deviation: vec4<f32>) -> vec4<f32> {
    let small = deviation * params.shrink;
    return small * small;
}

// Returns the sum over the workgroup.
fn total(lane: u32, value: vec4<f32>) -> vec4<f32> {
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

// Returns the mean of the four channels if they are joint, otherwise each channel's value.
fn joint(value: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(dot(value, vec4<f32>(0.25))), value, SEPARATE);
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = min(linear(group.id, group.count), params.count - 1u);
    let image = divide(id, params.units);
    let unit = id - image * params.units;
    let texels = params.h * params.w * params.span;

    let first = place(0u, image, unit);
    var origin = load_x(first.x, first.y);
    origin = select(vec4<f32>(origin.x), origin, SEPARATE);

    var kept: array<vec4<f32>, KEEP>;
    var count = 0.0;
    var mean = vec4<f32>();
    var squares = vec4<f32>();
    for (var i = lane; i < texels; i += KEEP * LANES) {
        var middle = vec4<f32>();
        var more = 0.0;
        // Loads together.
        for (var j = 0u; j < KEEP; j++) {
            let at = place(min(i + j * LANES, texels - 1u), image, unit);
            kept[j] = load_x(at.x, at.y) - origin;
        }
        for (var j = 0u; j < KEEP; j++) {
            if i + j * LANES < texels { middle += kept[j]; more += 1.0; }
        }
        middle /= more;
        let apart = middle - mean;
        let share = more / (count + more);
        squares += square(apart) * count * share;
        mean += apart * share;
        count += more;
        for (var j = 0u; j < KEEP; j++) {
            if i + j * LANES < texels { squares += square(kept[j] - middle); }
        }
    }
    let own = mean;
    mean = joint(total(lane, own * count) / f32(texels));
    squares += square(own - mean) * count;
    let scale = inverseSqrt(joint(total(lane, squares) / f32(texels)) + params.eps) * params.shrink;

    for (var i = lane; i < texels; i += KEEP * LANES) {
        for (var j = 0u; j < KEEP; j++) {
            if i + j * LANES >= texels { continue; }
            let at = place(i + j * LANES, image, unit);
            if texels > KEEP * LANES { kept[j] = load_x(at.x, at.y) - origin; }
            var value = (kept[j] - mean) * scale;
            for (var k = 0u; k < 4u; k++) {
                let c = 4u * at.z + k;
                let by = load_affine(min(c, params.pairs - 1u));
                // Channels beyond the last may have no deviation: they are 0.
                value[k] = select(0.0, value[k] * by.x + by.y, c < params.c);
            }
            store_y(at.x, at.y, activate(ACTIVATION, value, params.lo, params.hi, params.alpha));
        }
    }
}
