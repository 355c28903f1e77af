// Reduction over any set of axes: y[k] = the sum, mean, maximum, ... of x[k, r] over all r. One read of x.
//
// A workgroup computes COLUMNS outputs. LANES invocations stride over an output's elements, four at once; workgroup
// memory joins them. If the innermost dimension is reduced (INNER), neighbours read neighbouring elements of one
// output: few columns, or one. If it is kept, neighbours read elements of neighbouring outputs. One output, however
// long, is one workgroup: a reduction of a tensor to a single number doesn't fill a GPU.
//
// x, y: row-major. At most four kept and four reduced dimensions, after neighbours of a kind are merged: (size, stride
// in x), innermost last, missing ones (1, 0). `identity`: the neutral element.
// Elements are f32s (FLOAT) or i32s, which wrap around, have means rounded toward zero, no L2 norm and no log-sum-exp.
// KIND: 0 sum, 1 mean, 2 maximum, 3 minimum, 4 product, 5 L1 norm, 6 L2 norm, 7 log-sum-exp.

alias Element = f32;

override KIND: u32 = 0u;
override FLOAT: bool = true;
override INNER: bool = true;
override LANES: u32 = 64u;
override COLUMNS: u32 = 1u;
// The numbers of dimensions. The outermost dimension needs no division.
override KEPT: u32 = 4u;
override REDUCED: u32 = 4u;

struct Params {
    kept: vec4<u32>, kept_strides: vec4<u32>, reduced: vec4<u32>, reduced_strides: vec4<u32>,
    outputs: u32, length: u32, identity: Element,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;

fn load_x(i: u32) -> Element { return x[i]; }
fn store_y(i: u32, value: Element) { y[i] = value; }

// Four partial results. For log-sum-exp: the maxima of x, and the sums of exp(x - maximum).
struct State { value: vec4<Element>, sum: vec4<f32> }

struct Partial { value: Element, sum: f32 }
var<workgroup> partial: array<Partial, LANES * COLUMNS>;

fn offset(i: u32, sizes: vec4<u32>, strides: vec4<u32>, dimensions: u32) -> u32 {
    var rest = i;
    var at = 0u;
    for (var d = 3u; d > 4u - dimensions; d--) {
        let outer = rest / sizes[d];
        at += (rest - outer * sizes[d]) * strides[d];
        rest = outer;
    }
    return at + rest * strides[4u - dimensions];
}

fn nan_lanes(value: vec4<Element>) -> vec4<bool> {
    return vec4<bool>(FLOAT) & is_nan(bitcast<vec4<f32>>(value));
}

// Joins two states. NaN wins every comparison, so that it stays.
fn join(a: State, b: State) -> State {
    let wins = nan_lanes(a.value);
    let number = !nan_lanes(b.value);
    switch KIND {
        case 2u: { return State(select(b.value, a.value, ((a.value >= b.value) & number) | wins), a.sum); }
        case 3u: { return State(select(b.value, a.value, ((a.value <= b.value) & number) | wins), a.sum); }
        case 4u: { return State(a.value * b.value, a.sum); }
        case 7u: {
            let first = ((a.value >= b.value) & number) | wins;
            // exp(-87) is as good as 0 beside 1; equal infinities would have a NaN as difference.
            let apart = vec4<f32>(abs(a.value - b.value));
            let e = select(exp(-min(apart, vec4<f32>(87.0))), vec4<f32>(1.0), a.value == b.value);
            return State(select(b.value, a.value, first), select(a.sum * e + b.sum, a.sum + b.sum * e, first));
        }
        default: { return State(a.value + b.value, a.sum); }
    }
}

fn load(first: u32, i: u32) -> State {
    let at = vec4<u32>(i, i + LANES, i + 2u * LANES, i + 3u * LANES);
    let inside = at < vec4<u32>(params.length);
    var value = vec4<Element>();
    for (var j = 0u; j < 4u; j++) {
        let element = min(at[j], params.length - 1u);
        value[j] = load_x(first + offset(element, params.reduced, params.reduced_strides, REDUCED));
    }
    if KIND == 5u { value = abs(value); }
    if KIND == 6u { value *= value; }
    return State(select(vec4<Element>(params.identity), value, inside), select(vec4<f32>(), vec4<f32>(1.0), inside));
}

@compute @workgroup_size(LANES * COLUMNS)
fn main(group: Group, @builtin(local_invocation_index) invocation: u32) {
    let lane = select(invocation / COLUMNS, invocation % LANES, INNER);
    let column = select(invocation % COLUMNS, invocation / LANES, INNER);
    let output = linear(group.id, group.count) * COLUMNS + column;
    let first = offset(min(output, params.outputs - 1u), params.kept, params.kept_strides, KEPT);

    // Sums of sums of 64, so that rounding errors don't grow with the length.
    var state = State(vec4<Element>(params.identity), vec4<f32>());
    for (var block = lane; block < params.length; block += 256u * LANES) {
        var part = State(vec4<Element>(params.identity), vec4<f32>());
        let end = min(block + 256u * LANES, params.length);
        for (var i = block; i < end; i += 4u * LANES) { part = join(part, load(first, i)); }
        state = join(state, part);
    }
    state = join(state, State(state.value.zwxy, state.sum.zwxy));
    state = join(state, State(state.value.yxwz, state.sum.yxwz));

    partial[invocation] = Partial(state.value.x, state.sum.x);
    workgroupBarrier();
    let step = select(COLUMNS, 1u, INNER);
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            let other = partial[invocation + half * step];
            state = join(state, State(vec4<Element>(other.value), vec4<f32>(other.sum)));
            partial[invocation] = Partial(state.value.x, state.sum.x);
        }
        workgroupBarrier();
    }
    if lane > 0u || output >= params.outputs { return; }
    var result = state.value.x;
    switch KIND {
        case 1u: { result /= Element(params.length); }
        case 6u: { result = Element(sqrt(f32(result))); }
        case 7u: { result += Element(log(state.sum.x)); }
        default: {}
    }
    store_y(output, result);
}
