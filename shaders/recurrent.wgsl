// The steps of a recurrent layer: each state follows from the one before and the products of its inputs. Formulas:
// `src/ops/recurrent/cell.rs`.
//
// One workgroup computes ROWS sequences in one direction, step by step; an invocation computes units, LANES apart, and
// workgroup memory holds the states. A dispatch makes `count` steps from `first` on; `state` is where the next one begins.
// x: [step][sequence][direction][gate][unit]. r: [direction][k/4][gate][unit] texels. q, if PACKED: 16 k's of four bytes a
// word, [direction][k/16][gate][unit], then the scale and zero point of each [direction][gate][unit].
// initial, state: [h, c][direction][sequence][unit]. y: [step][direction][sequence][unit], 0 after a sequence's length.
// extra: [direction][row][unit], an LSTM's peepholes (input, output, forget gate) or a bias that a GRU resets.

// Long because four kinds of cells share their products, their states and the loop over steps.

const ROWS: u32 = 1u;
// The gates whose products are summed together: all, but two for CELL 1.
const GATES: u32 = 4u;
// The texels of each row of r that are multiplied together: 4, or 2 of f32s.
const QUADS: u32 = 4u;

override LANES: u32 = 64u;
// 0 RNN, 1 GRU that resets the state before its product, 2 GRU that resets the product, 3 LSTM
override CELL: u32 = 3u;
// The units, padded to a multiple of 16. HALF is ROWS * SIZE, BOTH twice as much.
override SIZE: u32 = 64u;
override HALF: u32 = 64u;
override BOTH: u32 = 128u;
override PACKED: bool = false;
override INITIAL: bool = false;
override LENGTHS: bool = false;
override EXTRA: bool = false;
override CLIPPED: bool = false;
// True if an LSTM's forget gate is 1 - its input gate.
override COUPLED: bool = false;
// The codes of the functions for `activate`; 15 is ONNX's ThresholdedRelu.
override F: u32 = 2u;
override G: u32 = 3u;
override H: u32 = 3u;

struct Params {
    // Of each function: scale, shift, factor, alpha; lo, hi, clip.
    functions: array<vec4<f32>, 6>,
    steps: u32, first: u32, count: u32, batch: u32, directions: u32, hidden: u32, width: u32, gates: u32, blocks: u32,
    backward: u32, begins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> r: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> q: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> initial: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<i32>;
@group(0) @binding(6) var<storage, read> extra: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<storage, read_write> state: array<f32>;

fn load_x(i: u32) -> f32 { return x[i]; }
fn load_r(row: u32, column: u32) -> vec4<f32> { return r[row * params.width + column]; }
fn load_q(row: u32, column: u32) -> vec4<u32> { return q[row * params.width + column]; }
fn load_initial(i: u32) -> f32 { return initial[i]; }
fn load_lengths(i: u32) -> i32 { return lengths[i]; }
fn load_extra(i: u32) -> f32 { return extra[i]; }
fn store_y(i: u32, value: f32) { y[i] = value; }
fn load_state(i: u32) -> f32 { return state[i]; }
fn store_state(i: u32, value: f32) { state[i] = value; }

// h before and after a step, each [row][unit]. If PACKED it becomes integers: its codes less their zero point.
var<workgroup> hidden: array<f32, BOTH>;
// What only a unit's own invocation uses: c, or the update gate of CELL 1.
var<workgroup> own: array<f32, HALF>;

// Applies function 0, 1 or 2 to a number.
fn applied(function: u32, code: u32, number: f32) -> f32 {
    let a = params.functions[2u * function];
    let b = params.functions[2u * function + 1u];
    var v = vec4<f32>(number);
    // ONNX Runtime doesn't clip c.
    if CLIPPED && function < 2u { v = select(clamp(v, vec4<f32>(-b.z), vec4<f32>(b.z)), v, is_nan(v)); }
    v = a.x * v + a.y;
    if code == 15u { v = select(vec4<f32>(), v, (v > vec4<f32>(a.w)) | is_nan(v)); }
    return a.z * activate(code, v, b.x, b.y, a.w).x;
}

// Returns the products of h with the rows of a unit's gates, from one on.
fn products(direction: u32, unit: u32, gate: u32, before: u32, lane: u32) -> array<vec4<f32>, ROWS> {
    var rows: array<u32, GATES>;
    for (var g = 0u; g < GATES; g++) { rows[g] = min(gate + g, params.gates - 1u) * params.hidden + unit; }
    var sums = array<vec4<f32>, ROWS>();
    var totals = array<f32, ROWS>();
    for (var block = 0u; block < params.blocks * (4u / QUADS); block++) {
        let at = direction * params.blocks * (4u / QUADS) + block;
        var w = array<vec4<f32>, QUADS * GATES>();
        if PACKED {
            var words = array<vec4<u32>, GATES>();
            for (var g = 0u; g < GATES; g++) { words[g] = load_q(at, rows[g]); }
            for (var i = 0u; i < QUADS * GATES; i++) {
                let bytes = (vec4<u32>(words[i / QUADS][i % QUADS]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
                w[i] = vec4<f32>(vec4<i32>(bytes));
            }
        } else {
            for (var i = 0u; i < QUADS * GATES; i++) { w[i] = load_r(QUADS * at + i % QUADS, rows[i / QUADS]); }
        }
        for (var row = 0u; row < ROWS; row++) {
            let h = hidden_texels(before + row * SIZE + 4u * QUADS * block, lane);
            for (var j = 0u; j < QUADS; j++) {
                for (var g = 0u; g < GATES; g++) { sums[row][g] += dot(w[QUADS * g + j], h[j]); }
                if PACKED { totals[row] += dot(vec4<f32>(1.0), h[j]); }
            }
        }
    }
    // The sum of (w - zero) h: the products and their sums are integers, exact up to 2^24.
    for (var g = 0u; PACKED && g < GATES; g++) {
        let end = bitcast<vec2<f32>>(load_q(params.directions * params.blocks + direction, rows[g]).xy);
        for (var row = 0u; row < ROWS; row++) { sums[row][g] = (sums[row][g] - end.y * totals[row]) * end.x; }
    }
    return sums;
}

// Quantises h of the rows that `moved`, as ONNX Runtime does before each product: to 8 bits of its range, with 0. Returns the
// scale of each row.
fn quantize(half: u32, lane: u32, moved: array<bool, ROWS>, before: array<f32, ROWS>) -> array<f32, ROWS> {
    var scales = before;
    for (var row = 0u; row < ROWS; row++) {
        var least = vec4<f32>();
        var greatest = vec4<f32>();
        for (var i = 0u; i < SIZE; i += 4u * QUADS) {
            let h = hidden_texels(half + row * SIZE + i, lane);
            for (var j = 0u; j < QUADS; j++) {
                least = min(least, h[j]);
                greatest = max(greatest, h[j]);
            }
        }
        let lo = min(min(least.x, least.y), min(least.z, least.w));
        let hi = max(max(greatest.x, greatest.y), max(greatest.z, greatest.w));
        let scale = select(1.0, (hi - lo) / 255.0, hi > lo);
        let zero = round(-lo / scale);
        if moved[row] { scales[row] = scale; }
        workgroupBarrier();
        for (var unit = lane; unit < params.hidden && moved[row]; unit += LANES) {
            let at = half + row * SIZE + unit;
            let h = vec4<f32>(hidden[at]);
            let code = clamp(round(h / scale) + zero, vec4<f32>(), vec4<f32>(255.0)) - zero;
            hidden[at] = select(code, h, is_nan(h)).x;
        }
        workgroupBarrier();
    }
    return scales;
}

// Writes h of a step, if its sequence is `there` and has `moved`; later outputs are 0.
fn give(at: u32, step: u32, h: f32, moved: bool, there: bool) {
    if moved { store_state(at, h); }
    if there { store_y(step + at, select(0.0, h, moved)); }
}

@compute @workgroup_size(LANES)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(group.id, group.count);
    let groups = (params.batch + ROWS - 1u) / ROWS;
    let direction = id / groups;
    if direction >= params.directions { return; }
    let top = id % groups * ROWS;
    let backward = (params.backward >> direction) & 1u;
    // The states of c follow those of h.
    let plane = params.directions * params.batch * params.hidden;

    // Of each row: its first place in [direction][sequence][unit], and its length; rows beyond the last have none.
    var place: array<u32, ROWS>;
    var length: array<u32, ROWS>;
    var moved: array<bool, ROWS>;
    var scales: array<f32, ROWS>;
    for (var row = 0u; row < ROWS; row++) {
        let sequence = min(top + row, params.batch - 1u);
        place[row] = (direction * params.batch + sequence) * params.hidden;
        length[row] = select(0u, params.steps, top + row < params.batch);
        if LENGTHS { length[row] = u32(clamp(load_lengths(sequence), 0, i32(length[row]))); }
        moved[row] = true;
    }
    for (var unit = lane; unit < SIZE; unit += LANES) {
        for (var row = 0u; row < ROWS; row++) {
            let there = unit < params.hidden;
            let at = place[row] + min(unit, params.hidden - 1u);
            var h = 0.0;
            var c = 0.0;
            if params.begins == 0u {
                h = load_state(at);
                if CELL == 3u { c = load_state(plane + at); }
            } else if INITIAL {
                h = load_initial(at);
                if CELL == 3u { c = load_initial(plane + at); }
            }
            hidden[row * SIZE + unit] = select(0.0, h, there);
            hidden[HALF + row * SIZE + unit] = 0.0;
            own[row * SIZE + unit] = c;
            if there && top + row < params.batch { store_state(at, h); }
        }
    }
    workgroupBarrier();
    if PACKED { scales = quantize(0u, lane, moved, scales); }

    var before = 0u;
    for (var i = params.first; i < params.first + params.count; i++) {
        let step = select(i, params.steps - 1u - i, backward == 1u);
        let after = HALF - before;
        for (var row = 0u; row < ROWS; row++) { moved[row] = step < length[row]; }
        // All invocations take part in the products; those beyond the last unit repeat it and write nothing.
        for (var first = 0u; first < params.hidden; first += LANES) {
            let unit = min(first + lane, params.hidden - 1u);
            let input = (step * params.batch * params.directions + direction) * params.width + unit;
            var given = array<vec4<f32>, ROWS>();
            for (var j = 0u; j < ROWS * GATES; j++) {
                let sequence = min(top + j / GATES, params.batch - 1u) * params.directions;
                given[j / GATES][j % GATES] = load_x(input + sequence * params.width + j % GATES * params.hidden);
            }
            // The extra rows of the unit.
            var more = vec3<f32>();
            if EXTRA && CELL == 2u { more.x = load_extra(direction * params.hidden + unit); }
            for (var j = 0u; EXTRA && CELL == 3u && j < 3u; j++) {
                more[j] = load_extra((3u * direction + j) * params.hidden + unit);
            }
            let sums = products(direction, unit, 0u, before, lane);
            if first + lane == unit {
                for (var row = 0u; row < ROWS; row++) {
                    let at = row * SIZE + unit;
                    let h = hidden[before + at];
                    var sum = given[row] + sums[row];
                    if PACKED { sum = given[row] + sums[row] * scales[row]; }
                    var next = 0.0;
                    if CELL == 0u {
                        next = applied(0u, F, sum.x);
                    } else if CELL == 1u {
                        own[at] = applied(0u, F, sum.x);
                        hidden[after + at] = applied(0u, F, sum.y) * h;
                    } else if CELL == 2u {
                        let fresh = applied(1u, G, given[row].z + applied(0u, F, sum.y) * (sums[row].z + more.x));
                        let kept = applied(0u, F, sum.x);
                        next = (1.0 - kept) * fresh + kept * h;
                    } else {
                        let c = own[at];
                        let enters = applied(0u, F, sum.x + more.x * c);
                        var kept = 1.0 - enters;
                        if !COUPLED { kept = applied(0u, F, sum.z + more.z * c); }
                        let cell = kept * c + enters * applied(1u, G, sum.w);
                        next = applied(0u, F, sum.y + more.y * cell) * applied(2u, H, cell);
                        own[at] = select(c, cell, moved[row]);
                    }
                    if CELL != 1u {
                        hidden[after + at] = select(h, next, moved[row]);
                        give(place[row] + unit, step * plane, next, moved[row], top + row < params.batch);
                    }
                }
            }
        }
        workgroupBarrier();
        if CELL == 1u {
            for (var first = 0u; first < params.hidden; first += LANES) {
                let unit = min(first + lane, params.hidden - 1u);
                let input = (step * params.batch * params.directions + direction) * params.width + unit;
                var given = array<f32, ROWS>();
                for (var row = 0u; row < ROWS; row++) {
                    let sequence = min(top + row, params.batch - 1u) * params.directions;
                    given[row] = load_x(input + sequence * params.width + 2u * params.hidden);
                }
                let sums = products(direction, unit, 2u, after, lane);
                if first + lane == unit {
                    for (var row = 0u; row < ROWS; row++) {
                        let at = row * SIZE + unit;
                        let h = hidden[before + at];
                        let fresh = applied(1u, G, given[row] + sums[row].x);
                        let next = (1.0 - own[at]) * fresh + own[at] * h;
                        hidden[before + at] = select(h, next, moved[row]);
                        give(place[row] + unit, step * plane, next, moved[row], top + row < params.batch);
                    }
                }
            }
            workgroupBarrier();
        } else {
            before = after;
        }
        if PACKED { scales = quantize(before, lane, moved, scales); }
    }
    for (var unit = lane; CELL == 3u && unit < params.hidden; unit += LANES) {
        for (var row = 0u; row < ROWS; row++) {
            if top + row < params.batch { store_state(plane + place[row] + unit, own[row * SIZE + unit]); }
        }
    }
}
