// What the attention kernels share: parameters, which keys are seen, scores and their weights.

// Strides of batch, head and row, and an offset; for the mask those of batch, head, query and key. heads: of keys and values,
// each for `group` of queries. positions: none, one, or as many as sequences. causal and masked are flags here rather than
// constants, so that one pipeline serves all: they are asked once a score.
struct Params {
    q: vec4<u32>, k: vec4<u32>, v: vec4<u32>, y: vec4<u32>, mask: vec4<u32>,
    batch: u32, heads: u32, group: u32, queries: u32, keys: u32, d: u32, dv: u32, window: u32,
    splits: u32, positions: u32, causal: u32, masked: u32, scale: f32,
    // What a query gives that sees no key: 0, or NaN.
    unseen: f32,
}

// Where the row of a pair of a query and a query head begins: the heads that share a k/v head are neighbours.
fn row_of(strides: vec4<u32>, n: u32, head: u32, group: u32, pair: u32) -> u32 {
    return n * strides.x + (head * group + pair % group) * strides.y + pair / group * strides.z;
}

// The score of a key that a query doesn't see. Scores that count are greater.
const EXCLUDED: f32 = -3.40282346e38;

// A score, and what the mask adds. A sum of -inf, by its bits, excludes. A mask's lowest finite number excludes only as long as
// there is something greater, as in PyTorch. NaN stays.
fn masked(score: f32, mask: f32) -> f32 {
    let sum = vec4<f32>(score + mask);
    let seen = select(max(sum.x, -3.3e38), sum.x, is_nan(sum).x);
    return select(seen, EXCLUDED, bitcast<u32>(sum.x) == 0xff800000u);
}

// exp(score - largest), and 0 for what is excluded, be everything so, and beyond exp(-87), about the smallest normal f32: 0 times an
// infinite value is NaN. What is NaN makes a sum of weights NaN, though a largest score may have lost it.
fn weight(score: vec4<f32>, largest: vec4<f32>) -> vec4<f32> {
    let apart = score - largest;
    let e = select(exp(max(apart, vec4<f32>(-87.0))), apart, is_nan(apart));
    return select(e, vec4<f32>(), (score == vec4<f32>(EXCLUDED)) | (apart < vec4<f32>(-87.0)));
}

// The first key and the one past the last of a split's share of those that queries at the positions first..last see.
fn visible(params: Params, first: u32, last: u32, split: u32) -> vec2<u32> {
    let causal = params.causal != 0u;
    let end = select(params.keys, min(params.keys, last + 1u), causal);
    let begin = select(0u, min(end, first + 1u - min(first + 1u, params.window)), causal);
    // As even as can be, but none with next to nothing to do.
    let share = max((end - begin + params.splits - 1u) / params.splits, 32u);
    let start = min(begin + split * share, end);
    return vec2<u32>(start, min(start + share, end));
}

// What sums of values are multiplied by, where their weights have this sum.
fn inverse(params: Params, total: f32) -> f32 {
    return select(params.unseen, 1.0 / total, total > 0.0);
}
