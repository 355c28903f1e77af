// The k largest elements along an axis (or, if SMALLEST, the smallest), the best first, and their indices. Of equal
// elements the first is better; NaN is larger than any number.
//
// One workgroup serves one line. It streams over the line and collects the elements that are better than its worst
// result. When the buffer is full, it sorts (Batcher's bitonic network) and keeps the best. One pass gives BLOCK
// elements; for a greater k, further passes give the next ones. A dispatch gives results `first` to `end`.
// PARTIAL: a line has `segments` of `segment` elements; each has a workgroup, which gives indices only,
// [line][segment][k], -1 if missing. JOIN: the elements are those at such indices, `candidates` a line.
// x, values (f32s or i32s), places: row-major; a line's elements are `stride` apart.

override SMALLEST: bool = false;
override FLOAT: bool = true;
override PARTIAL: bool = false;
override JOIN: bool = false;
override LANES: u32 = 64u;
// The number of kept entries, and of collected entries: a power of two, LANES at least.
override BLOCK: u32 = 64u;

struct Params {
    lines: u32, length: u32, stride: u32, candidates: u32, k: u32, first: u32, end: u32, segments: u32, segment: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> chosen: array<i32>;
@group(0) @binding(3) var<storage, read_write> values: array<u32>;
@group(0) @binding(4) var<storage, read_write> places: array<i32>;

fn load_x(i: u32) -> u32 { return x[i]; }
fn load_chosen(i: u32) -> i32 { return chosen[i]; }
fn store_values(i: u32, value: u32) { values[i] = value; }
fn load_places(i: u32) -> i32 { return places[i]; }
fn store_places(i: u32, value: i32) { places[i] = value; }

// (order, index): the kept entries, then the collected ones. NOTHING is the worst.
const NOTHING: vec2<u32> = vec2<u32>(0u, 0xffffffffu);
var<workgroup> entries: array<vec2<u32>, 2u * BLOCK>;
var<workgroup> collected: atomic<u32>;
var<workgroup> collected_by_all: u32;

fn better(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x > b.x || (a.x == b.x && a.y < b.y);
}

// Returns the entry of an element of the line that begins at `first`.
fn entry_of(first: u32, place: u32) -> vec2<u32> {
    let rank = order(load_x(first + place * params.stride), FLOAT);
    return vec2<u32>(select(rank, ~rank, SMALLEST), place);
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = min(linear(group.id, group.count), params.lines * params.segments - 1u);
    let line = id / params.segments;
    let outer = line / params.stride * params.stride;
    let inner = line % params.stride;
    let first = outer * params.length + inner;
    let begin = id % params.segments * params.segment;
    let end = min(begin + params.segment, params.candidates);
    // The first result, and the distance between results.
    let to = select(outer * params.k + inner, id * params.k, PARTIAL);
    let apart = select(params.stride, 1u, PARTIAL);

    // The last result of the earlier passes.
    var last = NOTHING;
    if params.first > 0u {
        let place = u32(load_places(to + (params.first - 1u) * apart));
        if place < params.length { last = entry_of(first, place); }
    }
    for (var done = params.first; done < params.end; done += BLOCK) {
        let wanted = min(BLOCK, params.end - done);
        for (var i = lane; i < 2u * BLOCK; i += LANES) { entries[i] = NOTHING; }
        if lane == 0u { atomicStore(&collected, 0u); }
        workgroupBarrier();

        var worst = NOTHING;
        for (var chunk = begin; chunk < end; chunk += LANES) {
            let i = chunk + lane;
            if i < end {
                var place = i;
                if JOIN { place = u32(load_chosen(line * params.candidates + i)); }
                if place < params.length {
                    let entry = entry_of(first, place);
                    if better(entry, worst) && (done == 0u || better(last, entry)) {
                        entries[BLOCK + atomicAdd(&collected, 1u)] = entry;
                    }
                }
            }
            workgroupBarrier();
            if lane == 0u { collected_by_all = atomicLoad(&collected); }
            let full = workgroupUniformLoad(&collected_by_all) > BLOCK - LANES;
            if full || chunk + LANES >= end {
                for (var size = 2u; size <= 2u * BLOCK; size *= 2u) {
                    for (var step = size / 2u; step > 0u; step /= 2u) {
                        for (var i = lane; i < BLOCK; i += LANES) {
                            let a = 2u * i - (i & (step - 1u));
                            let b = a + step;
                            // Every other run is sorted in reverse.
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
            let at = to + (done + i) * apart;
            store_places(at, i32(place));
            if !PARTIAL { store_values(at, load_x(first + min(place, params.length - 1u) * params.stride)); }
        }
        // The next pass overwrites `entries`.
        workgroupBarrier();
    }
}
