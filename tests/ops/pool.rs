use crate::harness::{check, refused, tiers};
use shadernet::ops::{Pool1d, Pool2d, Pool3d, PoolKind};
use shadernet::plan::Plan;
use shadernet::selftest::cases::{graph, graph_of, random};
use shadernet::selftest::reference::{self, Pool, Tensor};
use shadernet::selftest::{Tier, Tolerance};
use shadernet::{Model, Op};

/// Returns the output of each tier's plan.
fn outputs(x: &Tensor, op: &Pool2d) -> Vec<Vec<f32>> {
    let run = |tier: &Tier| {
        let graph = graph(&[x], |graph, x| graph.pool2d(x[0], op.clone()));
        let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).expect("it can be pooled");
        session.run_blocking(&[&x.data]).expect("it runs")[0].to_f32()
    };
    tiers().iter().map(run).collect()
}

#[test]
fn negative_terms_of_an_odd_norm() {
    // -1 + 8 - 0 and so on: negative terms are subtracted, as long as the sum is positive.
    let x = Tensor::new([1, 1, 2, 3], vec![-1.0, 2.0, 0.0, 3.5, -2.5, -1.5]);
    for p in [1.0, 3.0, 5.0] {
        let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], Pool2d::new(PoolKind::Lp(p), [2, 3])));
        let expected = reference::pool(&x, &Pool { kind: PoolKind::Lp(p), size: [2, 3], ..Pool::MAX });
        assert!(expected.data[0] > 0.0);
        check(&format!("p {p}"), &graph, &[&x], &expected, Tolerance::Transcendental);
    }
}

#[test]
fn nothing_but_padding_is_minus_infinity() {
    // The window's taps are at -1 and 1; the only pixel is at 0.
    let pool = Pool2d::new(PoolKind::Max, 2).stride(1).padding(1).dilation(2);
    for got in outputs(&random(1, [1, 5, 1, 1]), &pool) {
        assert_eq!(got, [f32::NEG_INFINITY; 5]);
    }
}

#[test]
fn what_is_no_real_number_is_nan() {
    let x = Tensor::new([1, 1, 1, 4], vec![-2.0, 1.0, 2.0, 1.0]);
    for p in [3.0, 2.5, 0.5] {
        for got in outputs(&x, &Pool2d::new(PoolKind::Lp(p), [1, 2])) {
            let want = (2f32.powf(p) + 1.0).powf(1.0 / p);
            assert!(got[0].is_nan() && (got[1] - want).abs() < 1e-4, "p {p}: {got:?}, wanted NaN and {want}");
        }
    }
}

#[test]
fn adaptive_windows_ignore_other_attributes() {
    let x = random(1, [1, 5, 7, 9]);
    for size in [[2, 3], [1, 1]] {
        let pool = Pool2d::adaptive(PoolKind::Average, size);
        let ignoring = pool.clone().stride(3).dilation(2).padding(1 << 40);
        assert_eq!(outputs(&x, &ignoring), outputs(&x, &pool));
    }
}

#[test]
fn names() {
    let names = [PoolKind::Max, PoolKind::Average, PoolKind::Lp(2.0)].map(|kind| {
        [
            Pool1d::new(kind, 2).name(),
            Pool2d::new(kind, 2).name(),
            Pool1d::global(kind).name(),
            Pool2d::global(kind).name(),
        ]
    });
    assert_eq!(names[0], ["max_pool1d", "max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"]);
    assert_eq!(names[1], ["avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d"]);
    assert_eq!(names[2], ["lp_pool1d", "lp_pool2d", "adaptive_lp_pool1d", "adaptive_lp_pool2d"]);
}

#[test]
fn values_and_indices_are_one_dispatch() {
    let x = random(1, [1, 5, 6, 6]);
    let graph =
        graph_of(&[&x], |graph, x| Ok(graph.max_pool2d_with_indices(x[0], Pool2d::new(PoolKind::Max, 2))?.into()));
    for tier in tiers() {
        let plan = Plan::new(&graph.fused(), 1, tier.context.caps()).expect("it can be planned");
        assert_eq!((plan.steps.len(), plan.dispatches()), (1, 1), "{plan}");
    }
}

#[test]
fn what_it_refuses() {
    let pool = |size| Pool2d::new(PoolKind::Max, size);
    let image: &[usize] = &[1, 3, 4, 4];
    assert!(refused(&[&[3, 4, 4]], pool(2)).contains("4 dimensions"));
    assert!(refused(&[image], pool(5)).contains("at least 5 pixels"));
    assert!(refused(&[image], pool(3).padding(2)).contains("at most half of 3"));
    assert!(refused(&[image], pool(0)).contains("kernel_size"));
    assert!(refused(&[image], pool(2).stride(0)).contains("stride"));
    assert!(refused(&[image], Pool2d::adaptive(PoolKind::Average, [0, 1])).contains("output_size"));
    assert!(refused(&[image], Pool2d::adaptive(PoolKind::Max, [1, 1 << 30])).contains("output_size"));
    assert!(refused(&[image], pool(2).padding(usize::MAX)).contains("at most half of 2"));
    assert!(refused(&[image], Pool2d::new(PoolKind::Average, 2).dilation(9).padding(6)).contains("at most half of 10"));
    assert!(refused(&[image], pool(usize::MAX)).contains("kernel_size"));
    assert!(refused(&[image], pool(2).dilation(usize::MAX)).contains("kernel_size"));
    assert!(refused(&[image], Pool1d::new(PoolKind::Max, 2)).contains("3 dimensions"));
    for p in [0.0, -1.0, f32::INFINITY, f32::NAN] {
        assert!(refused(&[image], Pool2d::new(PoolKind::Lp(p), 2)).contains("norm_type"), "{p}");
    }
    assert!(refused(&[image], Pool2d::new(PoolKind::Lp(2.0), 2).padding(1)).contains("0 for Lp pooling, got 1"));
    for kind in [PoolKind::Average, PoolKind::Lp(2.0)] {
        let error = refused(&[image], Pool2d::new(kind, 2).return_indices(true));
        assert!(error.contains("return_indices: wanted false for all but max pooling, got true"), "{error}");
    }
    let by_side = |kind, pads| Pool2d::new(kind, 3).dilation(2).padding_per_side(pads);
    assert!(refused(&[image], by_side(PoolKind::Max, [[0, 5], [0, 0]])).contains("padding: wanted less than 5, got 5"));
    assert!(refused(&[image], by_side(PoolKind::Average, [[5, 0], [0, 0]])).contains("less than 5, got 5"));
    assert!(refused(&[image], by_side(PoolKind::Lp(2.0), [[0, 1], [0, 0]])).contains("0 for Lp pooling, got 1"));
    assert!(refused(&[image], Pool2d::new(PoolKind::PNorm(0.0), 2)).contains("norm_type"));
    assert!(refused(&[image], Pool3d::new(PoolKind::Max, 2)).contains("5 dimensions"));
    assert!(refused(&[&[1, 1, 1, 4, 4]], Pool3d::new(PoolKind::Max, 2)).contains("input depth: wanted at least 2"));
    let error = refused(&[&[1, 1, 1 << 16, 1 << 15]], pool(2).return_indices(true));
    assert!(error.contains("less than 2^31 pixels"), "{error}");
}
