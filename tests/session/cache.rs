//! Sessions for sizes that change from call to call.

use super::{alone, context, portable, run};
use shadernet::ops::{BatchNorm2d, Conv2d, Pool2d, PoolKind};
use shadernet::plan::{Plan, Resource};
use shadernet::{Graph, Model, Session, SessionCache, Weights, seeded_input};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Builds the first layers of a network that reads a line of text, for a picture of this width.
fn reader(weights: &Weights, width: usize) -> shadernet::Result<Graph> {
    let mut graph = Graph::new();
    let mut x = graph.input("line", [1, 1, 16, width]);
    for (layer, [from, to]) in [[1, 8], [8, 16]].into_iter().enumerate() {
        let get = |what: &str, shape: &[usize]| weights.get(&format!("{layer}.{what}"), shape);
        x = graph.conv2d(x, Conv2d::new(get("weight", &[to, from, 3, 3])?, None).padding(1))?;
        let [weight, bias] = [get("norm.weight", &[to])?, get("norm.bias", &[to])?];
        let [mean, var] = [get("norm.running_mean", &[to])?, get("norm.running_var", &[to])?];
        x = graph.batch_norm(x, BatchNorm2d::new(weight, bias, mean, var))?;
        x = graph.relu(x)?;
        x = graph.pool2d(x, Pool2d::new(PoolKind::Max, 2))?;
    }
    graph.output("features", x);
    Ok(graph)
}

fn picture(width: usize) -> Vec<f32> {
    seeded_input(width as u64, &[1, 1, 16, width].into())
}

fn cache(context: &shadernet::Context, bytes: u64) -> SessionCache<usize> {
    let weights = Weights::seeded(3);
    SessionCache::new(context, bytes, move |&width: &usize| reader(&weights, width))
}

fn weights(plan: &Plan) -> BTreeSet<String> {
    let resources = plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources);
    let weights = resources.filter_map(|resource| match resource {
        Resource::Weight(packed) => Some(format!("{packed:?}")),
        _ => None,
    });
    weights.collect()
}

#[test]
fn another_width_compiles_nothing_and_uploads_no_weights() {
    let _alone = alone();
    for context in [context(), portable()] {
        let (lines, weights_of) = (cache(&context, 1 << 30), |session: &Session| weights(session.plan()));
        let first = lines.session(&160).expect("it fits");
        let compiled = context.compilation().wanted();
        assert_eq!(context.compilation().ready(), compiled);
        let bytes = lines.bytes();
        for width in [320, 192, 256] {
            let session = lines.session(&width).expect("it fits");
            let alone = Model::new(&context, &reader(&Weights::seeded(3), width).expect("it has two layers"));
            let alone = alone.and_then(|model| model.session(1)).expect("it fits");
            assert_eq!(run(&session, &[picture(width)]), run(&alone, &[picture(width)]), "{width}");
            // The second model has read the weights anew, so that these are other constants.
            assert_eq!(weights_of(&session), weights_of(&first), "the folded norms are the same weights");
            assert!(weights_of(&alone).is_disjoint(&weights_of(&first)));
        }
        assert_eq!(context.compilation().wanted(), compiled, "all widths have the same pipelines");
        assert!(lines.bytes() < 8 * bytes, "four sessions, with pictures up to twice as large");
        assert!(Arc::ptr_eq(&first, &lines.session(&160).expect("it is there")));
    }
}

#[test]
fn the_least_recently_used_sessions_are_dropped_beyond_the_bound() {
    let _alone = alone();
    let context = context();
    let all = cache(&context, u64::MAX);
    let session = |lines: &SessionCache<usize>, width| drop(lines.session(&width).expect("it fits"));
    [160, 192, 224].into_iter().for_each(|width| session(&all, width));
    let bound = all.bytes();
    let lines = cache(&context, bound);
    [160, 192, 224].into_iter().for_each(|width| session(&lines, width));
    assert_eq!((lines.sizes(), lines.bytes()), (vec![160, 192, 224], bound));
    // The narrowest was used last when a wider one comes.
    session(&lines, 160);
    assert_eq!(lines.sizes(), [192, 224, 160]);
    for width in [256, 320, 288, 352, 160] {
        session(&lines, width);
        assert!(lines.bytes() <= bound, "{} of {bound} bytes", lines.bytes());
        assert_eq!(lines.sizes().last(), Some(&width));
    }
    // A session that the caller holds goes on after the cache has dropped it.
    let held = lines.session(&160).expect("it fits");
    let wanted = run(&held, &[picture(160)]);
    let small = cache(&context, 0);
    let held = [small.session(&160).expect("it fits"), held];
    session(&small, 192);
    assert_eq!(small.sizes(), [192], "the last one is kept, however large it is");
    held.iter().for_each(|held| assert_eq!(run(held, &[picture(160)]), wanted));
    let error = SessionCache::new(&context, 0, |&width: &usize| reader(&Weights::seeded(0), width)).session(&1);
    assert!(error.is_err(), "no picture is that narrow");
}
