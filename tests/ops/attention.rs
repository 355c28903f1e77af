use crate::harness::{refused, tiers};
use shadernet::kernel::Caps;
use shadernet::ops::Attention;
use shadernet::plan::Plan;
use shadernet::selftest::ops::attention::{Sight, attention, inner, tensors};
use shadernet::selftest::reference::Tensor;
use shadernet::selftest::{Suite, TABLES, Tier};
use shadernet::{Cost, DType, Data, Graph, Io, Model, Op};

/// Token-by-token decoding, as in a language model, equals a single pass over all tokens.
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

/// Devices with more workgroup memory than WebGPU promises have two sizes of tiles, the larger one for many queries.
#[test]
fn tiles_of_32_pairs() {
    let context = &tiers().last().expect("an adapter").context;
    let memory = context.device().limits().max_compute_workgroup_storage_size;
    assert!(memory >= 32 << 10, "this adapter has {memory} bytes of workgroup memory: test another");
    let max_loop_iterations = context.caps().max_loop_iterations;
    let caps = Caps { max_workgroup_memory: memory, max_loop_iterations, units: 1, ..Caps::portable() };
    let tiers = [Tier { name: "32 pairs", context: context.with_caps(caps.clone()), guarded: None }];
    let table = TABLES.iter().find(|table| table.op == "attention").expect("it has a table");
    let suite = Suite::new(&tiers);
    (table.cases)(&suite);
    let report = suite.report("attention");
    assert!(report.passed(), "{report}");
    for (units, wanted) in [(24, "PAIRS=32"), (25, "PAIRS=16")] {
        let caps = Caps { units, ..caps.clone() };
        let shapes = [(); 3].map(|()| [1, 12, 33, 64].into());
        let io = Io { inputs: &shapes, outputs: &shapes[..1], dtypes: &[DType::F32; 3] };
        let kernels = Attention::new().kernels(&io, &caps).expect("it fits");
        let all: Vec<String> = kernels.iter().flat_map(|k| &k.dispatches).map(|d| d.shader.to_string()).collect();
        assert!(all[0].contains(wanted) && all.len() == 2, "{units} units: {all:?}");
    }
}

#[test]
fn costs_all_scores() {
    let shapes = [[2, 6, 5, 8].into(), [2, 2, 7, 8].into(), [2, 2, 7, 4].into()];
    let io = Io { inputs: &shapes, outputs: &[[2, 6, 5, 4].into()], dtypes: &[DType::F32; 3] };
    // Each score is scaled; a softmax of 7 is 6 comparisons, 6 additions, 7 differences, 7 exponentials, 7 divisions.
    let (macs, other) = (2 * 6 * 5 * 7 * (8 + 4), 2 * 6 * 5 * (7 + 2 * 6 + 3 * 7));
    let wanted = Cost { macs, other, activations: true, ..Cost::default() };
    assert_eq!(Attention::new().is_causal(true).metrics(&io).cost, wanted);
}

#[test]
fn what_a_position_may_be() {
    let shapes = [[2, 3, 8].into(), [2, 10, 8].into(), [2, 10, 8].into(), [2].into()];
    let io = Io { inputs: &shapes, outputs: &shapes[..1], dtypes: &[DType::F32; 4] };
    let op = Attention::new().heads(2, 2).cached();
    let kernels = op.kernels(&io, &Caps::portable()).unwrap();
    assert!(kernels.iter().all(|kernel| kernel.ranges == [(3, [0, 7])]));
}

/// Any shape has enough workgroups to keep a GPU busy, and one workgroup reads a key for all heads that share the key.
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
    // The model's prompt: 4 heads by 1024 queries are 256 tiles of 16.
    let [q, k] = [[1, 1024, 32 * 128], [1, 1024, 8 * 128]];
    let prompt = dispatches(Attention::new().heads(32, 8).is_causal(true), &[&q, &k, &k]);
    assert_eq!(prompt, [("attention", 8 * 256)]);
    // 71 query heads that share one key head are five tiles.
    let [q, k] = [[1, 71, 1, 64], [1, 1, 2048, 64]];
    assert_eq!(dispatches(Attention::new(), &[&q, &k, &k]), [("attention", 5 * 8), ("attention_join", 71)]);
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
    // The sizes' products overflow a machine word.
    let most: usize = 1 << 19;
    assert!(refused(&[&[most, most, 1, 1][..]; 3], op()).contains("2^32 elements"));
}
