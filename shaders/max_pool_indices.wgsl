// Max pooling with indices: the largest pixel in each window, and its index, (z * H + y) * W + x. Of equal pixels the
// first counts; NaN is larger than any number, and of several NaNs the last counts, as in PyTorch. One read of x, and a
// second read of the chosen pixels.
//
// A workgroup computes COLUMNS neighbouring output pixels. LANES invocations share a pixel's window: neighbours read
// neighbouring pixels of a large window, and workgroup memory joins them. x, values, places: row-major.

const BATCH: u32 = 4u; // The pixels of a window that an invocation loads before it uses them.
override DEEP: bool = false; // Windows over the planes of volumes.
override ADAPTIVE: bool = false;
override LANES: u32 = 1u;
override COLUMNS: u32 = 64u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> places: array<i32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn store_values(i: u32, value: f32) { values[i] = value; }
fn store_places(i: u32, value: i32) { places[i] = value; }

var<workgroup> partial: array<vec2<u32>, LANES * COLUMNS>;

@compute @workgroup_size(LANES * COLUMNS)
fn main(group: Group, @builtin(local_invocation_index) invocation: u32) {
    let lane = invocation % LANES;
    let output = linear(group.id, group.count) * COLUMNS + invocation / LANES;
    // Beyond the last output the last one is computed again, so that all invocations reach the barriers.
    let i = min(output, params.count - 1u);
    let row = i / params.output.z;
    let plane = row / params.output.y;

    let down = along(1u, row % params.output.y, ADAPTIVE);
    let across = along(2u, i % params.output.z, ADAPTIVE);
    var deep = vec3<u32>(0u, 1u, 1u);
    var first = plane * params.input.y * params.input.z;
    if DEEP {
        deep = along(0u, plane % params.output.x, ADAPTIVE);
        first = plane / params.output.x * params.input.x * params.input.y * params.input.z;
    }
    let size = window_size(across.y, down.y, deep.y, DEEP);
    var at = vec3<u32>();
    var advance = vec3<u32>(1u, 0u, 0u);
    if LANES > 1u {
        at = pixel_at(lane, size, DEEP);
        advance = pixel_at(LANES, size, DEEP);
    }
    var best = NO_PIXEL;
    while within(at, size, DEEP) {
        var pixels = array<vec2<u32>, BATCH>();
        for (var b = 0u; b < BATCH; b++) {
            // Behind the last pixel others are loaded again, which changes nothing.
            var under = down.x + min(at.y, size.y - 1u) * params.dilation.y;
            if DEEP { under += (deep.x + min(at.z, size.z - 1u) * params.dilation.x) * params.input.y; }
            let place = under * params.input.z + across.x + at.x * params.dilation.z;
            pixels[b] = vec2<u32>(bitcast<u32>(load_x(first + place)), place);
            at = walk(at, advance, size, DEEP);
        }
        for (var b = 0u; b < BATCH; b++) {
            let pixel = vec2<u32>(order(pixels[b].x, true), pixels[b].y);
            if larger(pixel, best) { best = pixel; }
        }
    }
    if LANES > 1u {
        partial[invocation] = best;
        workgroupBarrier();
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            if lane < half {
                let other = partial[invocation + half];
                if larger(other, best) { best = other; }
                partial[invocation] = best;
            }
            workgroupBarrier();
        }
    }
    if lane > 0u || output >= params.count { return; }

    store_places(output, i32(best.y));
    if best.x == NO_PIXEL.x {
        store_values(output, params.start);
    } else {
        store_values(output, load_x(first + best.y));
    }
}
