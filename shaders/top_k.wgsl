// The k largest elements along an axis (or, if SMALLEST, the smallest), the best first, and their places. Of equal ones the
// first is better; NaN is larger than any number.
//
// One workgroup serves one line. It streams over the line and collects what is better than the worst that it would give;
// when it can take no more, it sorts (Batcher's bitonic network) and keeps the best. One pass gives BLOCK elements, and further
// passes, for a greater k, those that come after.
// x, values (f32s or i32s), places: row-major; a line's elements are `stride` apart.

override SMALLEST: bool = false;
override FLOAT: bool = true;
override LANES: u32 = 64u;
// As many as are kept, and as many as are collected: a power of two, LANES at least.
override BLOCK: u32 = 64u;

struct Params { lines: u32, length: u32, stride: u32, k: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> values: array<u32>;
@group(0) @binding(3) var<storage, read_write> places: array<i32>;

// (rank, place): the kept ones, then the collected ones. Nothing is worse than nothing.
const NOTHING: vec2<u32> = vec2<u32>(0u, 0xffffffffu);
var<workgroup> entries: array<vec2<u32>, 2u * BLOCK>;
var<workgroup> collected: atomic<u32>;
var<workgroup> collected_by_all: u32;

fn better(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x > b.x || (a.x == b.x && a.y < b.y);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let line = min(linear(group, groups), params.lines - 1u);
    let outer = line / params.stride * params.stride;
    let inner = line % params.stride;
    let first = outer * params.length + inner;

    // The last that an earlier pass gave.
    var last = NOTHING;
    for (var done = 0u; done < params.k; done += BLOCK) {
        let wanted = min(BLOCK, params.k - done);
        for (var i = lane; i < 2u * BLOCK; i += LANES) { entries[i] = NOTHING; }
        if lane == 0u { atomicStore(&collected, 0u); }
        workgroupBarrier();

        var worst = NOTHING;
        for (var chunk = 0u; chunk < params.length; chunk += LANES) {
            let i = chunk + lane;
            if i < params.length {
                let rank = order(x[first + i * params.stride], FLOAT);
                let entry = vec2<u32>(select(rank, ~rank, SMALLEST), i);
                if better(entry, worst) && (done == 0u || better(last, entry)) {
                    entries[BLOCK + atomicAdd(&collected, 1u)] = entry;
                }
            }
            workgroupBarrier();
            if lane == 0u { collected_by_all = atomicLoad(&collected); }
            let full = workgroupUniformLoad(&collected_by_all) > BLOCK - LANES;
            if full || chunk + LANES >= params.length {
                for (var size = 2u; size <= 2u * BLOCK; size *= 2u) {
                    for (var step = size / 2u; step > 0u; step /= 2u) {
                        for (var i = lane; i < BLOCK; i += LANES) {
                            let a = 2u * i - (i & (step - 1u));
                            let b = a + step;
                            // Every other run is sorted the other way round.
                            if better(entries[b], entries[a]) == ((a & size) == 0u) {
                                let entry = entries[a];
                                entries[a] = entries[b];
                                entries[b] = entry;
                            }
                        }
                        workgroupBarrier();
                    }
                }
                worst = entries[wanted - 1u];
                for (var i = BLOCK + lane; i < 2u * BLOCK; i += LANES) { entries[i] = NOTHING; }
                if lane == 0u { atomicStore(&collected, 0u); }
                workgroupBarrier();
            }
        }

        last = worst;
        for (var i = lane; i < wanted; i += LANES) {
            let place = entries[i].y;
            let to = outer * params.k + (done + i) * params.stride + inner;
            values[to] = x[first + min(place, params.length - 1u) * params.stride];
            places[to] = i32(place);
        }
        // The next pass clears what is read here.
        workgroupBarrier();
    }
}
