// Cumulative sums along one axis: y[i] = x[0] + .. + x[i] (EXCLUSIVE: without x[i]; REVERSE: from the other end).
//
// One workgroup computes one line, in chunks: each invocation sums four consecutive elements, and workgroup memory adds
// the sums of the invocations before it. COLUMNS, for short, many or adjacent lines: one invocation a line.
// x, y: row-major; a line's elements are `stride` apart.

// f32, or i32, which wraps around.
alias Element = f32;

override LANES: u32 = 64u;
override COLUMNS: bool = false;
override EXCLUSIVE: bool = false;
override REVERSE: bool = false;

struct Params { lines: u32, length: u32, stride: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;

fn load_x(i: u32) -> Element { return x[i]; }
fn store_y(i: u32, value: Element) { y[i] = value; }

var<workgroup> sums: array<Element, LANES>;

// Returns the index of element i of a line, in the order of summation.
fn at(line: u32, i: u32) -> u32 {
    let first = line / params.stride * params.stride * params.length + line % params.stride;
    return first + select(i, params.length - 1u - i, REVERSE) * params.stride;
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    if COLUMNS {
        let line = linear(group.id, group.count) * LANES + lane;
        if line < params.lines {
            var sum = Element();
            for (var i = 0u; i < params.length; i++) {
                let element = at(line, i);
                let before = sum;
                sum += load_x(element);
                store_y(element, select(sum, before, EXCLUSIVE));
            }
        }
        return;
    }

    let line = min(linear(group.id, group.count), params.lines - 1u);
    // The sum of the previous chunks.
    var before = Element();
    for (var chunk = 0u; chunk < params.length; chunk += 4u * LANES) {
        let first = chunk + 4u * lane;
        // The sums of the first 0 to 4 elements.
        var up_to = array<Element, 5>();
        for (var j = 0u; j < 4u; j++) {
            let i = min(first + j, params.length - 1u);
            up_to[j + 1u] = up_to[j] + select(Element(), load_x(at(line, i)), first + j < params.length);
        }
        // Hillis and Steele: after each step, a sum reaches twice as far back.
        sums[lane] = up_to[4];
        workgroupBarrier();
        for (var reach = 1u; reach < LANES; reach *= 2u) {
            var sum = sums[lane];
            if lane >= reach { sum += sums[lane - reach]; }
            workgroupBarrier();
            sums[lane] = sum;
            workgroupBarrier();
        }
        var start = before;
        if lane > 0u { start += sums[lane - 1u]; }
        for (var j = 0u; j < 4u; j++) {
            if first + j < params.length { store_y(at(line, first + j), start + select(up_to[j + 1u], up_to[j], EXCLUSIVE)); }
        }
        before += sums[LANES - 1u];
        // The next chunk overwrites these sums.
        workgroupBarrier();
    }
}
