// The index of the largest element (or, if SMALLEST, of the smallest) along one axis, or of all elements. Of equal
// elements the first counts; NaN is more extreme than any number. One read of x.
//
// A workgroup computes COLUMNS outputs. LANES invocations stride over an output's elements, four at once; workgroup
// memory joins them. If the axis is innermost (INNER), neighbours read neighbouring elements of one output, otherwise
// elements of neighbouring outputs.
// x, f32s or i32s, and y: row-major; the elements of an output are `stride` apart.

override SMALLEST: bool = false;
override FLOAT: bool = true;
override INNER: bool = true;
override LANES: u32 = 64u;
override COLUMNS: u32 = 1u;

struct Params { outputs: u32, length: u32, stride: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;

fn load_x(i: u32) -> u32 { return x[i]; }
fn store_y(i: u32, value: i32) { y[i] = value; }

// The best four elements so far: their order (`rank`) and their indices.
struct State { rank: vec4<u32>, at: vec4<u32> }

var<workgroup> partial: array<vec2<u32>, LANES * COLUMNS>;

fn join(a: State, b: State) -> State {
    let first = (a.rank > b.rank) | ((a.rank == b.rank) & (a.at < b.at));
    return State(select(b.rank, a.rank, first), select(b.at, a.at, first));
}

// Returns four elements; beyond the end, the last element again.
fn load(first: u32, i: u32) -> State {
    let at = min(vec4<u32>(i, i + LANES, i + 2u * LANES, i + 3u * LANES), vec4<u32>(params.length - 1u));
    var rank = vec4<u32>();
    for (var j = 0u; j < 4u; j++) {
        let value = order(load_x(first + at[j] * params.stride), FLOAT);
        rank[j] = select(value, ~value, SMALLEST && !(FLOAT && value == 0xffffffffu));
    }
    return State(rank, at);
}

@compute @workgroup_size(LANES * COLUMNS)
fn main(group: Group, @builtin(local_invocation_index) invocation: u32) {
    let lane = select(invocation / COLUMNS, invocation % LANES, INNER);
    let column = select(invocation % COLUMNS, invocation / LANES, INNER);
    let output = linear(group.id, group.count) * COLUMNS + column;
    let line = min(output, params.outputs - 1u);
    let first = line / params.stride * params.stride * params.length + line % params.stride;

    var best = load(first, lane);
    for (var i = lane + 4u * LANES; i < params.length; i += 4u * LANES) { best = join(best, load(first, i)); }
    best = join(best, State(best.rank.zwxy, best.at.zwxy));
    best = join(best, State(best.rank.yxwz, best.at.yxwz));

    partial[invocation] = vec2<u32>(best.rank.x, best.at.x);
    workgroupBarrier();
    let step = select(COLUMNS, 1u, INNER);
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            let other = partial[invocation + half * step];
            best = join(best, State(vec4<u32>(other.x), vec4<u32>(other.y)));
            partial[invocation] = vec2<u32>(best.rank.x, best.at.x);
        }
        workgroupBarrier();
    }
    if lane == 0u && output < params.outputs { store_y(output, i32(best.at.x)); }
}
