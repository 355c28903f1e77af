// Pooling: the maximum, the mean or the p-norm of the pixels in a window, for each channel.
//
// A workgroup computes COLUMNS texels, four channels of an output pixel each; neighbours have neighbouring channels.
// The LANES / COLUMNS invocations of a column stride over the pixels of its window; workgroup memory joins them.
// x, y: channels last, row (n*D + z)*H + y, column x*C/4 + c/4. KIND: 0 max, 1 average, 2 Lp (PyTorch's), 3 the p-norm
// (ONNX's).

const BATCH: u32 = 4u; // The texels of a window that an invocation loads before it uses them.
override KIND: u32 = 0u;
override DEEP: bool = false; // Windows over the planes of volumes.
override ADAPTIVE: bool = false;
override COUNT_INCLUDE_PAD: bool = true;
override LANES: u32 = 64u;
override COLUMNS: u32 = 64u;

@group(0) @binding(1) var<storage, read> x: array<Texel>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

var<workgroup> partial: array<vec4<f32>, LANES>;

fn c4() -> u32 { return (params.c + 3u) / 4u; }
fn load_x(row: u32, column: u32) -> vec4<f32> { return from_texel(x[row * params.input.z * c4() + column]); }
fn store_y(row: u32, column: u32, value: vec4<f32>) { y[row * params.output.z * c4() + column] = to_texel(value); }

fn join(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    if KIND == 0u { return maximum(a, b); }
    return a + b;
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let texel = linear(group.id, group.count) * COLUMNS + lane % COLUMNS;
    // Beyond the last output the last one is computed again, so that all invocations reach the barriers.
    let i = min(texel, params.count - 1u);
    let c = i % c4();
    let pixel = i / c4();
    let row = divide(pixel, params.output.z);
    let ox = pixel - row * params.output.z;
    let plane = row / params.output.y;

    let down = along(1u, row % params.output.y, ADAPTIVE);
    let across = along(2u, ox, ADAPTIVE);
    var deep = vec3<u32>(0u, 1u, 1u);
    var first = plane;
    if DEEP {
        deep = along(0u, plane % params.output.x, ADAPTIVE);
        first = plane / params.output.x * params.input.x + deep.x;
    }
    let size = window_size(across.y, down.y, deep.y, DEEP);
    var at = vec3<u32>();
    var advance = vec3<u32>(1u, 0u, 0u);
    if LANES > COLUMNS {
        at = pixel_at(lane / COLUMNS, size, DEEP);
        advance = pixel_at(LANES / COLUMNS, size, DEEP);
    }
    // Sums of sums of 64 batches, so that rounding errors don't grow with the window. A maximum has none.
    var result = vec4<f32>(params.start);
    var part = result;
    var batches = 0u;
    while within(at, size, DEEP) {
        var values = array<vec4<f32>, BATCH>();
        var inside = array<bool, BATCH>();
        for (var b = 0u; b < BATCH; b++) {
            // Behind the last pixel others are loaded again, and count for nothing.
            inside[b] = within(at, size, DEEP);
            var under = first * params.input.y + down.x + min(at.y, size.y - 1u) * params.dilation.y;
            if DEEP { under += min(at.z, size.z - 1u) * params.dilation.x * params.input.y; }
            values[b] = load_x(under, (across.x + at.x * params.dilation.z) * c4() + c);
            at = walk(at, advance, size, DEEP);
        }
        for (var b = 0u; b < BATCH; b++) {
            var value = select(vec4<f32>(params.start), values[b], inside[b] || KIND == 0u);
            if KIND >= 2u { value = power(select(value, abs(value), KIND == 3u), params.p, params.parity, params.nan); }
            part = join(part, value);
        }
        batches++;
        if KIND != 0u && (batches & 63u) == 0u {
            result = join(result, part);
            part = vec4<f32>(params.start);
        }
    }
    result = join(result, part);
    if LANES > COLUMNS {
        partial[lane] = result;
        workgroupBarrier();
        for (var half = LANES / 2u; half >= COLUMNS; half /= 2u) {
            if lane < half { partial[lane] = join(partial[lane], partial[lane + half]); }
            workgroupBarrier();
        }
        result = partial[lane % COLUMNS];
    }
    if lane >= COLUMNS || texel >= params.count { return; }

    let counted = deep.z * down.z * across.z;
    switch KIND {
        case 1u: { result /= f32(select(max(deep.y * down.y * across.y, 1u), counted, COUNT_INCLUDE_PAD)); }
        case 2u: {
            // PyTorch's Lp pooling is a mean times the window's size.
            if !ADAPTIVE { result *= f32(params.size.x * params.size.y * params.size.z) / f32(counted); }
            result = root(result, params.p, params.nan);
        }
        case 3u: { result = root(result, params.p, params.nan); }
        default: {}
    }
    store_y(row, ox * c4() + c, clip_channels(result, c, params.c));
}
