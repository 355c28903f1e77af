// Regions of images, resampled: y[r, c, oy, ox] is the mean of the samples of x[batch[r], c] in part (oy, ox) of region
// r, each the bilinear sum of four pixels. MAX: the largest weighted pixel of all samples instead, as in ONNX.
//
// A workgroup computes COLUMNS elements. LANES invocations share an element's sample rows; workgroup memory joins them.
// x, y: row-major; rois: (x1, y1, x2, y2), in pixels once multiplied by `scale`. samples: a part's samples along each
// axis; 0: the part's length, rounded up, at most the image's. aligned: pixels are areas, and regions may be shorter
// than a pixel. start: the initial result, less than all samples if MAX. A region with NaN gives NaN.

override MAX: bool = false;
override LANES: u32 = 1u;
override COLUMNS: u32 = 64u;

struct Params {
    n: u32, c: u32, in_h: u32, in_w: u32, out_h: u32, out_w: u32, count: u32, samples: u32, scale: f32, aligned: u32,
    start: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rois: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> batch: array<i32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn load_rois(i: u32) -> vec4<f32> { return rois[i]; }
fn load_batch(i: u32) -> i32 { return batch[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }

// Returns the two pixels around a position along an axis, near and far, and the weight of the far one.
fn between(at: f32, size: u32) -> vec3<f32> {
    let last = f32(size - 1u);
    let near = min(floor(max(at, 0.0)), last);
    return vec3<f32>(near, min(near + 1.0, last), select(max(at, 0.0) - near, 0.0, near >= last));
}

var<workgroup> partial: array<f32, LANES * COLUMNS>;

fn join(a: f32, b: f32) -> f32 {
    if MAX { return maximum(vec4<f32>(a), vec4<f32>(b)).x; }
    return a + b;
}

@compute @workgroup_size(LANES * COLUMNS)
fn main(group: Group, @builtin(local_invocation_index) invocation: u32) {
    let lane = invocation % LANES;
    let element = linear(group.id, group.count) * COLUMNS + invocation / LANES;
    // Beyond the last output the last one is computed again, so that all invocations reach the barriers.
    let i = min(element, params.count - 1u);
    let row = i / params.out_w;
    let plane = row / params.out_h;
    let part = vec2<f32>(f32(i % params.out_w), f32(row % params.out_h));
    let region = plane / params.c;
    let image = u32(clamp(load_batch(region), 0, i32(params.n) - 1));
    let first = (image * params.c + plane % params.c) * params.in_h * params.in_w;

    let size = vec2<u32>(params.in_w, params.in_h);
    let corners = load_rois(region) * params.scale - select(0.0, 0.5, params.aligned == 1u);
    let whole = corners.zw - corners.xy;
    let length = select(max(whole, vec2<f32>(1.0)), whole, params.aligned == 1u);
    let each = length / vec2<f32>(f32(params.out_w), f32(params.out_h));
    var samples = vec2<u32>(params.samples);
    if params.samples == 0u { samples = vec2<u32>(clamp(ceil(each), vec2<f32>(), vec2<f32>(size))); }

    // NaN positions aren't sampled.
    let unknown = any(is_nan(corners));
    if unknown { samples = vec2<u32>(); }

    var result = params.start;
    for (var j = lane; j < samples.y; j += LANES) {
        for (var k = 0u; k < samples.x; k++) {
            let within = (vec2<f32>(f32(k), f32(j)) + 0.5) / vec2<f32>(samples);
            let at = corners.xy + (part + within) * each;
            var pixels = vec4<f32>();
            if all(at >= vec2<f32>(-1.0)) && all(at <= vec2<f32>(size)) {
                let across = between(at.x, size.x);
                let down = between(at.y, size.y);
                let above = first + u32(down.x) * size.x;
                let below = first + u32(down.y) * size.x;
                let upper = vec2<f32>(load_x(above + u32(across.x)), load_x(above + u32(across.y)));
                let lower = vec2<f32>(load_x(below + u32(across.x)), load_x(below + u32(across.y)));
                let weights = vec2<f32>(1.0 - across.z, across.z);
                pixels = vec4<f32>(upper * weights * (1.0 - down.z), lower * weights * down.z);
            }
            if MAX {
                result = join(result, join(join(pixels.x, pixels.y), join(pixels.z, pixels.w)));
            } else {
                result += pixels.x + pixels.y + pixels.z + pixels.w;
            }
        }
    }
    if LANES > 1u {
        partial[invocation] = result;
        workgroupBarrier();
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            if lane < half {
                result = join(result, partial[invocation + half]);
                partial[invocation] = result;
            }
            workgroupBarrier();
        }
    }
    if lane > 0u || element >= params.count { return; }
    // Without samples the result is 0.
    let count = samples.x * samples.y;
    if !MAX { result /= f32(max(count, 1u)); }
    store_y(element, select(select(result, 0.0, count == 0u), corners.x + corners.y + corners.z + corners.w, unknown));
}
