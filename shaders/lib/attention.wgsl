// The parameters, visible keys, scores and weights that the attention kernels share.

// Strides of batch, head and row, and an offset; for the mask strides of batch, head, query and key. heads: the heads
// of keys and values, each for `group` query heads. positions: none, one, or one a sequence. causal and masked are
// tested once a score: as parameters instead of constants they let one pipeline serve all.
struct Params {
    q: vec4<u32>, k: vec4<u32>, v: vec4<u32>, y: vec4<u32>, mask: vec4<u32>,
    batch: u32, heads: u32, group: u32, queries: u32, keys: u32, d: u32, dv: u32, window: u32,
    splits: u32, positions: u32, causal: u32, masked: u32, scale: f32,
    // The output of a query that sees no key: 0 or NaN.
    unseen: f32,
}

// Returns the offset of the row of a pair of a query and a query head. Heads that share a k/v head are neighbours.
fn row_of(strides: vec4<u32>, n: u32, head: u32, group: u32, pair: u32) -> u32 {
    return n * strides.x + (head * group + pair % group) * strides.y + pair / group * strides.z;
}

// The score of a key that a query doesn't see. All other scores are greater.
const EXCLUDED: f32 = -3.40282346e38;

// Returns the score plus its element of the mask. A sum of -inf, tested by its bits, excludes the key. The lowest
// finite f32 in a mask excludes a key only if a greater score exists, as in PyTorch. NaN stays.
fn masked(score: f32, mask: f32) -> f32 {
    let sum = vec4<f32>(score + mask);
    let seen = select(max(sum.x, -3.3e38), sum.x, is_nan(sum).x);
    return select(seen, EXCLUDED, bitcast<u32>(sum.x) == 0xff800000u);
}

// Returns exp(score - largest); 0 for excluded keys, even if all are. Below exp(-87), about the least normal f32, it is
// 0, so that 0 times an infinity is NaN. A NaN score makes the sum of weights NaN, even if `largest` lost it.
fn weight(score: vec4<f32>, largest: vec4<f32>) -> vec4<f32> {
    let apart = score - largest;
    let e = select(exp(max(apart, vec4<f32>(-87.0))), apart, is_nan(apart));
    return select(e, vec4<f32>(), (score == vec4<f32>(EXCLUDED)) | (apart < vec4<f32>(-87.0)));
}

// Returns the range of a split's keys: its share of the keys that queries at positions first..=last see.
fn visible(params: Params, first: u32, last: u32, split: u32) -> vec2<u32> {
    let causal = params.causal != 0u;
    let end = select(params.keys, min(params.keys, last + 1u), causal);
    let begin = select(0u, min(end, first + 1u - min(first + 1u, params.window)), causal);
    // Even shares, of 32 keys at least: a workgroup with fewer has next to nothing to do.
    let share = max((end - begin + params.splits - 1u) / params.splits, 32u);
    let start = min(begin + split * share, end);
    return vec2<u32>(start, min(start + share, end));
}

// Returns the first texel of a pair's partial result for a split of the keys: dv/4 texels of sums; one with the largest
// score and the sum of the weights.
fn partial_at(params: Params, n: u32, head: u32, pair: u32, split: u32) -> u32 {
    let row = ((n * params.heads + head) * params.group * params.queries + pair) * params.splits + split;
    return row * ((params.dv + 3u) / 4u + 1u);
}

// Returns the factor that normalises sums of weighted values, from the sum of their weights.
fn inverse(params: Params, total: f32) -> f32 {
    return select(params.unseen, 1.0 / total, total > 0.0);
}

// A workgroup's share: a tile of pairs from `first` on, of a head of keys and values, and a split of their keys.
struct Share { n: u32, head: u32, first: u32, split: u32 }

fn share_of(params: Params, number: u32, rows: u32) -> Share {
    let tiles = (params.group * params.queries + rows - 1u) / rows;
    let tile = number / params.splits;
    let head = tile / tiles;
    return Share(head / params.heads, head % params.heads, tile % tiles * rows, number % params.splits);
}
