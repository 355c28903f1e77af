//! NaN and infinities in pooling: NaN wins, and the index is that of the last NaN.

use super::volumes::{Windows, pool};
use super::{MAX, lp_pool2d, max_pool2d_with_indices, op};
use crate::ops::{Pool, Pool2d, PoolKind};
use crate::selftest::cases::{graph, graph_of, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

pub(super) fn cases(t: &Suite) {
    windows(t);
    norms(t);
    volumes(t);
}

fn windows(t: &Suite) {
    let shared = reference::Pool { size: [9; 2], stride: [1; 2], ..MAX };
    let padded = reference::Pool { padding: [1; 2], ..MAX };
    for (shape, pool) in [([1, 5, 7, 6], MAX), ([1, 5, 7, 6], padded), ([1, 3, 9, 10], shared)] {
        let x = random(1, shape);
        for pool in [pool, reference::Pool { max: false, ..pool }] {
            let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
            let tolerance = Tolerance::Reduction(pool.size[0] * pool.size[1]);
            let reference = |x: &[&Tensor]| reference::pool2d(x[0], &pool);
            t.check_not_finite(&format!("{shape:?} {pool:?}"), &graph, &[&x], reference, tolerance);
        }
        for output in 0..2 {
            let graph = graph_of(&[&x], |graph, x| Ok(vec![graph.max_pool2d_with_indices(x[0], op(&pool))?[output]]));
            let reference = |x: &[&Tensor]| max_pool2d_with_indices(x[0], &pool)[output].clone();
            t.check_not_finite(&format!("{shape:?}, output {output}"), &graph, &[&x], reference, Tolerance::Exact);
        }
    }
    let all = Tensor::new([1, 3, 2, 2], vec![f32::NEG_INFINITY; 12]);
    let graph = graph(&[&all], |graph, x| graph.pool2d(x[0], Pool2d::global(PoolKind::Max)));
    t.check("minus infinity", &graph, &[&all], &reference::adaptive_pool2d(&all, true, [1; 2]), Tolerance::Exact);
}

fn norms(t: &Suite) {
    let x = random(1, [1, 5, 4, 6]).map(f64::abs);
    for p in [1.0, 2.0, 3.0, 2.5] {
        let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], Pool2d::new(PoolKind::Lp(p), 2)));
        // Minus infinity to an odd or a fractional power has no root.
        let reference = |x: &[&Tensor]| {
            let x = x[0].map(|x| if x == f64::NEG_INFINITY && p != 1.0 && p != 2.0 { f64::NAN } else { x });
            lp_pool2d(&x, f64::from(p), [2; 2], [2; 2], false)
        };
        t.check_not_finite(&format!("p {p}"), &graph, &[&x], reference, Tolerance::Transcendental);
    }
}

fn volumes(t: &Suite) {
    let windows = Windows {
        size: [2; 3],
        stride: [2, 1, 1],
        dilation: [1; 3],
        pads: [[0, 1]; 3],
        ceil_mode: false,
        count_include_pad: true,
    };
    let x = random(1, [1, 2, 4, 3, 3]);
    let op = |kind| {
        let pool = Pool::<3>::windows(kind, windows.size).strides(windows.stride).pads(windows.pads);
        pool.return_indices(kind == PoolKind::Max)
    };
    for (kind, tolerance) in [
        (PoolKind::Max, Tolerance::Exact),
        (PoolKind::Average, Tolerance::Reduction(8)),
        (PoolKind::PNorm(2.0), Tolerance::Transcendental),
    ] {
        let plain = graph(&[&x], |graph, x| graph.push(op(kind).return_indices(false), x));
        t.check_not_finite(&format!("{kind:?}"), &plain, &[&x], |x| pool(x[0], kind, &windows)[0].clone(), tolerance);
    }
    for output in 0..2 {
        let graph =
            graph_of(&[&x], |graph, x| Ok(vec![graph.max_pool3d_with_indices(x[0], op(PoolKind::Max))?[output]]));
        let reference = |x: &[&Tensor]| pool(x[0], PoolKind::Max, &windows)[output].clone();
        t.check_not_finite(&format!("output {output}"), &graph, &[&x], reference, Tolerance::Exact);
    }
}
