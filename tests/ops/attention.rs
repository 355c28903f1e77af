use crate::harness::{Tolerance, check, graph, random, refused, tiers};
use crate::reference::{self, Tensor};
use shadernet::kernel::Caps;
use shadernet::ops::Attention;
use shadernet::{Constant, Cost, DType, Data, Graph, Io, Model, Op, Plan};

/// What a query sees.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub scale: Option<f64>,
    pub causal: bool,
    pub window: Option<usize>,
    /// Where the queries of each sequence begin among the keys, or of all.
    pub starts: Vec<usize>,
}

/// `softmax(q kᵀ scale + mask) v` for q `[N, Hq, Lq, D]`, k `[N, Hkv, Lk, D]`, v `[N, Hkv, Lk, Dv]`; 0 where nothing is seen.
pub fn attention([q, k, v]: [&Tensor; 3], mask: Option<&Tensor>, sight: &Sight) -> Tensor {
    let ([n, heads, rows, d], [_, kv_heads, keys, dv]) = (q.dims(), v.dims());
    let scale = sight.scale.unwrap_or(1.0 / (d as f64).sqrt());
    let bias = |i: [usize; 4]| {
        mask.map_or(0.0, |mask| {
            let own = i[4 - mask.shape.len()..].iter().zip(&mask.shape).map(|(&i, &size)| i.min(size - 1));
            mask.at(&own.collect::<Vec<_>>())
        })
    };
    let seen = |n: usize, row: usize, key: usize| {
        let at = row + if sight.starts.is_empty() { 0 } else { sight.starts[n % sight.starts.len()] };
        (!sight.causal || key <= at) && sight.window.is_none_or(|window| key <= at && at - key < window)
    };
    // A row of weights, computed once for all of dv.
    let mut weights = Vec::new();
    for (n, h, row) in (0..n * heads * rows).map(|i| (i / rows / heads, i / rows % heads, i % rows)) {
        let score = |key: usize| {
            let dot: f64 = (0..d).map(|c| q.at(&[n, h, row, c]) * k.at(&[n, h * kv_heads / heads, key, c])).sum();
            if seen(n, row, key) { dot * scale + bias([n, h, row, key]) } else { f64::NEG_INFINITY }
        };
        let scores: Vec<f64> = (0..keys).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<f64> =
            scores.iter().map(|s| if *s == f64::NEG_INFINITY { 0.0 } else { (s - largest).exp() }).collect();
        let sum: f64 = exps.iter().sum();
        weights.push(exps.iter().map(|exp| if sum > 0.0 { exp / sum } else { 0.0 }).collect::<Vec<f64>>());
    }
    Tensor::build([n, heads, rows, dv], |i| {
        let weights = &weights[(i[0] * heads + i[1]) * rows + i[2]];
        (0..keys).map(|key| weights[key] * v.at(&[i[0], i[1] * kv_heads / heads, key, i[3]])).sum()
    })
}

/// Heads side by side in the last dimension.
fn inner(x: &Tensor) -> Tensor {
    let [n, heads, rows, d] = x.dims();
    Tensor::new([n, rows, heads * d], reference::transpose(x, &[0, 2, 1, 3]).data)
}

/// The sizes of a case: N, heads of queries and of keys, Lq, Lk, D, Dv.
type Sizes = [usize; 7];

fn tensors([n, heads, kv_heads, rows, keys, d, dv]: Sizes) -> [Tensor; 3] {
    [random(1, [n, heads, rows, d]), random(2, [n, kv_heads, keys, d]), random(3, [n, kv_heads, keys, dv])]
}

/// What the operation that `sight` describes is called.
fn op(mask: bool, sight: &Sight) -> Attention {
    let mut op = Attention::new().is_causal(sight.causal && sight.starts.is_empty());
    if let Some(scale) = sight.scale {
        op = op.scale(scale);
    }
    if let Some(window) = sight.window {
        op = op.window(window);
    }
    if mask {
        op = op.masked();
    }
    if sight.starts.is_empty() { op } else { op.cached() }
}

/// Checks the tensors in each form that they can have.
fn check_tensors(case: &str, [q, k, v]: [&Tensor; 3], mask: Option<&Tensor>, sight: &Sight) {
    let (heads, kv_heads) = (q.shape[1], k.shape[1]);
    let expected = attention([q, k, v], mask, sight);
    let starts = sight.starts.iter().map(|&start| start as f32).collect::<Vec<f32>>();
    let starts = Tensor::new([starts.len()], starts).of(DType::I32);
    let others: Vec<&Tensor> = mask.into_iter().chain(Some(&starts).filter(|starts| !starts.data.is_empty())).collect();
    let form = |form: &str, op: Attention, inputs: &[&Tensor], expected: &Tensor| {
        let inputs = [inputs, &others].concat();
        let graph = graph(&inputs, |graph, x| graph.attention(x, op));
        check(&format!("{case}, {form}"), &graph, &inputs, expected, Tolerance::Transcendental);
    };
    let op = op(mask.is_some(), sight);
    form("heads outside", op.clone(), &[q, k, v], &expected);
    let (expected, [q, k, v]) = (inner(&expected), [q, k, v].map(inner));
    form("heads inside", op.clone().heads(heads, kv_heads), &[&q, &k, &v], &expected);
    if q.shape[1] == k.shape[1] && k.shape == v.shape && sight.starts.is_empty() {
        let packed = reference::concat(&[&q, &k, &v], 2);
        form("packed", op.packed(heads, kv_heads), &[&packed], &expected);
    }
}

fn check_sizes(sizes: Sizes, mask: Option<&[usize]>, sight: &Sight) {
    let [q, k, v] = tensors(sizes);
    let mask = mask.map(|shape| {
        let mut mask = random(4, shape);
        mask.data.iter_mut().step_by(3).for_each(|value| *value = f32::NEG_INFINITY);
        mask
    });
    check_tensors(&format!("{sizes:?}, {sight:?}"), [&q, &k, &v], mask.as_ref(), sight);
}

#[test]
fn few_queries() {
    for sizes in [
        [1, 1, 1, 1, 1, 1, 1],
        [2, 1, 1, 1, 2, 3, 3],
        [1, 4, 4, 2, 15, 8, 8],
        [2, 4, 1, 1, 16, 8, 4],
        [1, 6, 2, 2, 17, 3, 5],
        [1, 4, 1, 2, 63, 64, 64],
        [2, 4, 2, 1, 65, 80, 8],
        [1, 2, 1, 2, 9, 128, 127],
        [1, 2, 1, 2, 130, 129, 256],
    ] {
        check_sizes(sizes, None, &Sight::default());
    }
}

#[test]
fn many_queries() {
    for sizes in [
        [1, 4, 4, 15, 2, 1, 1],
        [2, 6, 2, 16, 16, 3, 3],
        [1, 4, 1, 17, 63, 8, 4],
        [1, 1, 1, 63, 65, 5, 12],
        [1, 2, 2, 65, 17, 64, 64],
        [1, 1, 1, 130, 130, 8, 8],
        [1, 1, 1, 9, 15, 80, 80],
        [1, 1, 1, 9, 33, 256, 250],
        // Enough keys for two workgroups.
        [1, 1, 1, 9, 600, 4, 6],
    ] {
        check_sizes(sizes, None, &Sight::default());
    }
}

#[test]
fn causal() {
    let causal = Sight { causal: true, ..Sight::default() };
    for sizes in [[2, 4, 2, 1, 1, 8, 8], [1, 6, 2, 2, 65, 8, 8], [1, 4, 1, 130, 130, 8, 8], [1, 1, 1, 65, 17, 3, 3]] {
        check_sizes(sizes, None, &causal);
    }
    for window in [1, 2, 33, 1000, usize::MAX] {
        let sight = Sight { window: Some(window), ..causal.clone() };
        for sizes in [[1, 2, 1, 3, 3, 8, 8], [1, 4, 2, 70, 70, 8, 8], [1, 1, 1, 70, 17, 8, 8]] {
            check_sizes(sizes, None, &sight);
        }
    }
}

#[test]
fn masks() {
    let few: [&[usize]; 4] = [&[2, 4, 2, 9], &[2, 1, 1, 9], &[4, 1, 9], &[1, 1]];
    for mask in few {
        check_sizes([2, 4, 2, 2, 9, 8, 8], Some(mask), &Sight::default());
    }
    let many: [&[usize]; 4] = [&[2, 4, 33, 40], &[4, 1, 40], &[33, 40], &[33, 1]];
    for mask in many {
        check_sizes([2, 4, 2, 33, 40, 8, 8], Some(mask), &Sight::default());
    }
    let sight = Sight { causal: true, scale: Some(-2.0), window: Some(5), ..Sight::default() };
    check_sizes([2, 4, 2, 33, 33, 8, 8], Some(&[33, 33]), &sight);
}

/// What a mask may hold at worst: rows that exclude all, and numbers that leave nothing of the scores.
#[test]
fn masks_that_exclude_all() {
    let lowest = f32::MIN;
    let rows: [&[f32]; 4] = [&[f32::NEG_INFINITY], &[lowest], &[lowest, 0.0], &[f32::NEG_INFINITY, lowest]];
    for queries in [2, 20] {
        for keys in [5, 70, 600] {
            let [q, k, v] = tensors([1, 2, 1, queries, keys, 4, 4]);
            let mask = Tensor::build([queries, keys], |i| {
                let row = rows[i[0] % rows.len()];
                f64::from(row[i[1] % row.len()])
            });
            check_tensors(&format!("{queries} by {keys}"), [&q, &k, &v], Some(&mask), &Sight::default());
        }
    }
}

/// Whole numbers, so that scores of ten thousand are exact.
#[test]
fn great_scores() {
    let sight = Sight { scale: Some(4.0), ..Sight::default() };
    for sizes in [[1, 2, 1, 2, 70, 8, 8], [1, 2, 1, 20, 70, 8, 8], [1, 1, 1, 9, 600, 8, 8]] {
        let [mut q, mut k, v] = tensors(sizes);
        q.data.iter_mut().for_each(|value| *value = (*value * 20.0).round());
        k.data.iter_mut().for_each(|value| *value = (*value * 20.0).round());
        check_tensors(&format!("{sizes:?}"), [&q, &k, &v], None, &sight);
        // And all alike.
        q.data.fill(25.0);
        k.data.fill(-12.0);
        check_tensors(&format!("{sizes:?}, all alike"), [&q, &k, &v], None, &sight);
    }
}

#[test]
fn caches() {
    let at = |starts: &[usize]| Sight { causal: true, starts: starts.to_vec(), ..Sight::default() };
    for start in [0, 1, 64, 129] {
        check_sizes([1, 4, 2, 1, 130, 8, 8], None, &at(&[start]));
    }
    check_sizes([3, 2, 1, 2, 40, 8, 4], None, &at(&[0, 38, 17]));
    check_sizes([2, 4, 2, 20, 70, 8, 8], None, &at(&[50]));
    check_sizes([2, 4, 2, 20, 70, 8, 8], Some(&[2, 1, 1, 70]), &at(&[0, 50]));
    check_sizes([2, 2, 2, 9, 600, 4, 4], None, &at(&[591, 3]));
    let sight = Sight { window: Some(40), ..at(&[100, 7]) };
    check_sizes([2, 4, 2, 1, 130, 8, 8], None, &sight);
    check_sizes([2, 4, 2, 30, 130, 8, 8], Some(&[30, 130]), &sight);
}

/// Nobody checks a position on the device: one beyond the cache counts as one within it.
#[test]
fn unchecked_positions() {
    let [q, k, v] = tensors([1, 2, 1, 1, 40, 8, 8]);
    for (position, sight) in
        [(-5, Sight { causal: true, ..Sight::default() }), (1000, Sight::default()), (i32::MAX, Sight::default())]
    {
        let graph = graph(&[&q, &k, &v], |graph, x| {
            let position = graph.constant(Constant::integers("position", [1], vec![position]));
            graph.attention(&[x[0], x[1], x[2], position], Attention::new().cached())
        });
        let expected = attention([&q, &k, &v], None, &sight);
        check(&format!("at {position}"), &graph, &[&q, &k, &v], &expected, Tolerance::Transcendental);
    }
}

/// Token after token, as a language model does it: the same as all at once.
#[test]
fn decoding() {
    let (tokens, heads, kv_heads, d) = (5, 4, 2, 8);
    let [q, k, v] = tensors([1, heads, kv_heads, tokens, tokens, d, d]);
    let expected = inner(&attention([&q, &k, &v], None, &Sight { causal: true, ..Sight::default() }));
    let mut graph = Graph::new();
    let x = [(&q, "q"), (&k, "k"), (&v, "v")].map(|(x, name)| graph.input(name, [1, 1, x.shape[1] * d]));
    let position = graph.typed_input("position", DType::I32, [1]);
    let [keys, values] = ["keys", "values"].map(|name| graph.state(name, [1, 8, kv_heads * d]));
    let keys = graph.append(keys, x[1], position).expect("it fits");
    let values = graph.append(values, x[2], position).expect("it fits");
    let op = Attention::new().heads(heads, kv_heads).cached();
    let y = graph.attention(&[x[0], keys, values, position], op).expect("it fits");
    graph.output("y", y);
    for tier in tiers() {
        let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).expect("it is small");
        for token in 0..tokens {
            let of = |x: &Tensor| Data::F32(inner(x).data.chunks(x.shape[1] * d).nth(token).expect("a row").to_vec());
            let outputs = session.run_blocking(&[of(&q), of(&k), of(&v), Data::I32(vec![token as i32])]);
            let got = outputs.unwrap_or_else(|error| panic!("{error}"))[0].to_f32();
            let want = &expected.data[token * heads * d..][..heads * d];
            let near = got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-5);
            assert!(near, "token {token}, tier {}: got {got:?}, wanted {want:?}", tier.name);
        }
    }
}

#[test]
fn costs_all_scores() {
    let shapes = [[2, 6, 5, 8].into(), [2, 2, 7, 8].into(), [2, 2, 7, 4].into()];
    let io = Io { inputs: &shapes, outputs: &[[2, 6, 5, 4].into()], dtypes: &[DType::F32; 3] };
    let wanted = Cost { macs: 2 * 6 * 5 * 7 * (8 + 4), activations: true, ..Cost::default() };
    assert_eq!(Attention::new().is_causal(true).cost(&io), wanted);
}

#[test]
fn what_a_position_may_be() {
    let shapes = [[2, 3, 8].into(), [2, 10, 8].into(), [2, 10, 8].into(), [2].into()];
    let io = Io { inputs: &shapes, outputs: &shapes[..1], dtypes: &[DType::F32; 4] };
    let op = Attention::new().heads(2, 2).cached();
    assert_eq!([op.range(2, &io), op.range(3, &io)], [None, Some([0, 7])]);
}

/// As many workgroups as keep a GPU busy, whatever the shapes; and each key read by one of them for all heads that share it.
#[test]
fn dispatches() {
    let dispatches = |op: Attention, shapes: &[&[usize]]| {
        let mut graph = Graph::new();
        let inputs: Vec<_> = shapes.iter().map(|&shape| graph.input("x", shape)).collect();
        let y = graph.attention(&inputs, op).unwrap_or_else(|error| panic!("{error}"));
        graph.output("y", y);
        let plan = Plan::new(&graph, 1, &Caps::portable()).unwrap_or_else(|error| panic!("{error}"));
        let all = plan.steps.iter().flat_map(|step| &step.dispatches);
        all.map(|(dispatch, _)| (dispatch.shader.name(), dispatch.workgroups[0])).collect::<Vec<_>>()
    };
    // A token of a model with 32 heads: 8 heads of keys by 32 splits of 128 keys; 32 rows to join.
    let [q, k] = [[1, 1, 32 * 128], [1, 4096, 8 * 128]];
    let token = dispatches(Attention::new().heads(32, 8), &[&q, &k, &k]);
    assert_eq!(token, [("attention_decode", 8 * 32), ("attention_join", 32)]);
    // Its prompt: 4 heads by 1024 queries are 64 tiles of 64.
    let [q, k] = [[1, 1024, 32 * 128], [1, 1024, 8 * 128]];
    let prompt = dispatches(Attention::new().heads(32, 8).is_causal(true), &[&q, &k, &k]);
    assert_eq!(prompt, [("attention", 8 * 64)]);
    // 71 heads that share one are two tiles.
    let [q, k] = [[1, 71, 1, 64], [1, 1, 2048, 64]];
    assert_eq!(dispatches(Attention::new(), &[&q, &k, &k]), [("attention", 2 * 8), ("attention_join", 71)]);
    // A window of few keys isn't split.
    let [q, k] = [[1, 32, 1, 64], [1, 8, 2048, 64]];
    assert_eq!(dispatches(Attention::new().window(16), &[&q, &k, &k]), [("attention_decode", 8)]);
}

#[test]
fn what_it_refuses() {
    let op = Attention::new;
    let outer: [&[usize]; 3] = [&[2, 4, 3, 8], &[2, 2, 5, 8], &[2, 2, 5, 6]];
    let with = |i: usize, shape: &'static [usize]| {
        let mut shapes = outer;
        shapes[i] = shape;
        refused(&shapes, op())
    };
    assert!(with(0, &[2, 3, 8]).contains("query: wanted 4 dimensions"));
    assert!(with(0, &[2, 3, 3, 8]).contains("query heads: wanted a multiple of the 2 heads of keys and values, got 3"));
    assert!(with(1, &[1, 2, 5, 8]).contains("key: wanted [2, Hkv, Lk, 8], got [1, 2, 5, 8]"));
    assert!(with(1, &[2, 2, 5, 7]).contains("key: wanted [2, Hkv, Lk, 8]"));
    assert!(with(2, &[2, 2, 4, 6]).contains("value: wanted [2, 2, 5, Dv], got [2, 2, 4, 6]"));
    assert!(refused(&[&[1, 1, 1, 257][..]; 3], op()).contains("heads of 257 elements where 256 are the most"));
    assert!(refused(&outer[..2], op()).contains("inputs: wanted 3, got 2"));
    assert!(refused(&outer, op().masked()).contains("inputs: wanted 4, got 3"));
    assert!(refused(&outer, op().window(0)).contains("window: wanted 1 or more, got 0"));
    assert!(refused(&outer, op().scale(f64::NAN)).contains("scale: wanted a finite number"));

    let inner: [&[usize]; 3] = [&[2, 3, 32], &[2, 5, 16], &[2, 5, 12]];
    assert!(refused(&outer, op().heads(4, 2)).contains("query: wanted 3 dimensions"));
    assert!(refused(&inner, op().heads(4, 3)).contains("query heads: wanted a multiple of the 3 heads"));
    assert!(refused(&inner, op().heads(0, 0)).contains("query heads"));
    assert!(refused(&inner, op().heads(5, 1)).contains("query: wanted [N, Lq, a multiple of 5 heads]"));
    assert!(refused(&inner, op().heads(4, 1)).contains("key: wanted [2, Lk, 8], got [2, 5, 16]"));
    assert!(refused(&[inner[0], inner[1], &[2, 5, 13]], op().heads(4, 2)).contains("value: wanted [2, 5, a multiple"));
    assert!(refused(&[&[2, 3, 30]], op().packed(4, 2)).contains("input: wanted [N, L, a multiple of 8 heads]"));
    assert!(refused(&[&[2, 3, 30]], op().packed(usize::MAX, usize::MAX)).contains("input"));
    assert!(refused(&[&[2, 3, 32], &[1]], op().packed(4, 2).cached()).contains("cached"));

    let masked = |mask: &[usize]| refused(&[outer[0], outer[1], outer[2], mask], op().masked());
    let wanted = "attn_mask: wanted 2 to 4 dimensions that broadcast to [2, 4, 3, 5]";
    for mask in [&[5][..], &[3, 4], &[2, 1, 5], &[1, 2, 4, 3, 5], &[2, 4, 6, 5]] {
        assert!(masked(mask).contains(wanted), "{mask:?}");
    }
    let cached = |inner: [&[usize]; 3], position: &[usize]| {
        refused(&[inner[0], inner[1], inner[2], position], op().heads(4, 2).cached())
    };
    assert!(cached(inner, &[3]).contains("position: wanted [1] or [2], got [3]"));
    assert!(cached(inner, &[1]).contains("the elements of input 3: wanted i32, got f32"));
    assert!(cached([&[2, 6, 32], inner[1], inner[2]], &[1]).contains("key: wanted a cache of 6 tokens or more"));
    // Sizes whose products no machine word holds.
    let most: usize = 1 << 40;
    assert!(refused(&[&[most, most, 1, 1][..]; 3], op()).contains("2^32 elements"));
}
