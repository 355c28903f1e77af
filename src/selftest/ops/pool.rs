use crate::ops::{Activation, Conv2d, Pool1d, Pool2d, PoolKind};
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{as_image, constant, graph, outliers, random};
use crate::selftest::reference::{self, Pool, Tensor};

/// The cases.
pub fn cases(t: &Suite) {
    windows(t);
    the_edges_of_ceil_mode(t);
    sizes_by_axis(t);
    signals(t);
    adaptive_signals(t);
    norms(t);
    large_windows(t);
    global(t);
    what_pads_a_texel_stays_finite(t);
    adaptive(t);
    between_operations(t);
    too_large_for_a_texture(t);
}

/// What an operation on images makes of signals, `[N, C, L]`.
pub fn of_signals(x: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let [n, c, l] = x.dims();
    let y = f(&Tensor::new([n, c, 1, l], x.data.clone()));
    let [n, c, _, l] = y.dims();
    Tensor::new([n, c, l], y.data)
}

pub fn lp_pool2d(x: &Tensor, p: f64, size: [usize; 2], stride: [usize; 2], ceil_mode: bool) -> Tensor {
    let [n, c, h, w] = x.dims();
    let outputs = |axis: usize, length: usize| {
        let (room, stride) = (length - size[axis], stride[axis]);
        let ceil = room.div_ceil(stride) + 1;
        if ceil_mode && (ceil - 1) * stride < length { ceil } else { room / stride + 1 }
    };
    Tensor::build([n, c, outputs(0, h), outputs(1, w)], |i| {
        let [top, left] = [i[2] * stride[0], i[3] * stride[1]];
        let (mut sum, mut inside) = (0.0, 0);
        for y in top..h.min(top + size[0]) {
            for z in left..w.min(left + size[1]) {
                (sum, inside) = (sum + x.at(&[i[0], i[1], y, z]).powf(p), inside + 1);
            }
        }
        // PyTorch takes it for a mean times the window's size.
        (sum / f64::from(inside) * (size[0] * size[1]) as f64).powf(1.0 / p)
    })
}

pub const MAX: Pool = Pool {
    max: true,
    size: [3; 2],
    stride: [2; 2],
    padding: [0; 2],
    dilation: [1; 2],
    ceil_mode: false,
    count_include_pad: true,
};

const AVERAGE: Pool = Pool { max: false, ..MAX };

fn op(pool: &Pool) -> Pool2d {
    let kind = if pool.max { PoolKind::Max } else { PoolKind::Average };
    Pool2d::windows(kind, pool.size)
        .strides(pool.stride)
        .paddings(pool.padding)
        .dilations(pool.dilation)
        .ceil_mode(pool.ceil_mode)
        .count_include_pad(pool.count_include_pad)
}

/// Negative numbers, so that a padding of zero, where it shouldn't count, would show.
fn negative(shape: [usize; 4]) -> Tensor {
    let mut x = random(1, shape);
    x.data.iter_mut().for_each(|value| *value = -value.abs() - 0.1);
    x
}

pub fn windows(t: &Suite) {
    let sizes = |size, stride, padding| Pool { size: [size; 2], stride: [stride; 2], padding: [padding; 2], ..MAX };
    let cases = [
        ([1, 1, 1, 1], sizes(1, 1, 0)),
        ([2, 5, 9, 8], sizes(2, 2, 0)),
        ([2, 5, 9, 8], sizes(3, 2, 1)),
        ([1, 4, 5, 7], sizes(3, 1, 1)),
        ([1, 6, 7, 6], sizes(2, 3, 1)),
        ([1, 65, 4, 5], sizes(4, 4, 2)),
        ([1, 2, 3, 3], sizes(3, 5, 0)),
        ([2, 5, 9, 8], Pool { dilation: [2; 2], ..MAX }),
        ([2, 5, 9, 8], Pool { dilation: [2; 2], padding: [1; 2], ..MAX }),
    ];
    for (shape, pool) in cases {
        for ceil_mode in [false, true] {
            let x = negative(shape);
            for (pool, tolerance) in [
                (Pool { ceil_mode, ..pool }, Tolerance::Exact),
                (Pool { max: false, ceil_mode, ..pool }, Tolerance::Reduction(pool.size[0] * pool.size[1])),
                (
                    Pool { max: false, ceil_mode, count_include_pad: false, ..pool },
                    Tolerance::Reduction(pool.size[0] * pool.size[1]),
                ),
            ] {
                let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
                t.check(&format!("{shape:?} {pool:?}"), &graph, &[&x], &reference::pool2d(&x, &pool), tolerance);
            }
        }
    }
}

fn the_edges_of_ceil_mode(t: &Suite) {
    // A window that only the ceiling admits; one that would begin in the far padding and is left out; none to admit.
    for (height, width) in [(5, 6), (6, 7), (7, 5), (8, 9), (3, 4)] {
        for (size, stride, padding) in [(2, 2, 0), (2, 2, 1), (3, 2, 1), (2, 3, 1), (3, 3, 1), (4, 3, 2)] {
            let x = negative([1, 3, height, width]);
            for pool in [MAX, AVERAGE, Pool { count_include_pad: false, ..AVERAGE }] {
                let pool =
                    Pool { size: [size; 2], stride: [stride; 2], padding: [padding; 2], ceil_mode: true, ..pool };
                let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
                let tolerance = if pool.max { Tolerance::Exact } else { Tolerance::Reduction(size * size) };
                let case = format!("{height}x{width} {pool:?}");
                t.check(&case, &graph, &[&x], &reference::pool2d(&x, &pool), tolerance);
            }
        }
    }
}

fn sizes_by_axis(t: &Suite) {
    let base = Pool { size: [2, 5], stride: [3, 1], padding: [1, 2], ..MAX };
    for pool in [base, Pool { dilation: [3, 1], ..base }, Pool { size: [1, 4], stride: [1, 3], padding: [0, 2], ..MAX }]
    {
        for pool in [pool, Pool { max: false, ..pool }, Pool { max: false, count_include_pad: false, ..pool }] {
            let x = negative([2, 5, 9, 8]);
            let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
            let expected = reference::pool2d(&x, &pool);
            t.check(&format!("{pool:?}"), &graph, &[&x], &expected, Tolerance::Reduction(10));
        }
    }
}

fn signals(t: &Suite) {
    for (shape, size, stride, padding) in [([1, 1, 1], 1, 1, 0), ([2, 5, 13], 3, 2, 1), ([1, 6, 70], 65, 3, 5)] {
        for (max, ceil_mode) in [(true, false), (true, true), (false, false), (false, true)] {
            let x = random(1, shape);
            let kind = if max { PoolKind::Max } else { PoolKind::Average };
            let op = Pool1d::new(kind, size).stride(stride).padding(padding).ceil_mode(ceil_mode);
            let graph = graph(&[&x], |graph, x| graph.pool1d(x[0], op));
            let (size, stride, padding) = ([1, size], [1, stride], [0, padding]);
            let pool = Pool { max, size, stride, padding, ceil_mode, ..MAX };
            let expected = of_signals(&x, |x| reference::pool2d(x, &pool));
            t.check(&format!("{shape:?} {pool:?}"), &graph, &[&x], &expected, Tolerance::Reduction(65));
        }
    }
}

fn adaptive_signals(t: &Suite) {
    for (shape, size) in [([2, 5, 13], 1), ([2, 5, 13], 4), ([1, 3, 3], 7), ([1, 4, 300], 2), ([1, 1, 1], 1)] {
        let x = outliers(1, shape);
        for (kind, max) in [(PoolKind::Max, true), (PoolKind::Average, false)] {
            let graph = graph(&[&x], |graph, x| graph.pool1d(x[0], Pool1d::adaptive(kind, [size])));
            let expected = of_signals(&x, |x| reference::adaptive_pool2d(x, max, [1, size]));
            let case = format!("{kind:?} of {shape:?} to {size}");
            t.check(&case, &graph, &[&x], &expected, Tolerance::Reduction(shape[2]));
        }
    }
}

fn norms(t: &Suite) {
    // A broken or an odd p wants positive numbers; an even one takes all.
    for (p, positive) in [(1.0, false), (2.0, false), (3.0, true), (4.0, false), (2.5, true), (0.5, true)] {
        for (shape, size, stride, ceil_mode) in [
            ([1, 1, 1, 1], [1, 1], [1, 1], false),
            ([2, 5, 7, 8], [3, 2], [3, 2], false),
            ([2, 5, 7, 8], [3, 2], [2, 3], true),
            ([1, 6, 9, 8], [8, 8], [1, 1], false),
        ] {
            let mut x = random(1, shape);
            x.data.iter_mut().filter(|_| positive).for_each(|value| *value = value.abs());
            x.data[0] = 0.0;
            let op = Pool2d::windows(PoolKind::Lp(p), size).strides(stride).ceil_mode(ceil_mode);
            let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op));
            let expected = lp_pool2d(&x, f64::from(p), size, stride, ceil_mode);
            let case = format!("p {p} of {shape:?}, {size:?} by {stride:?}");
            t.check(&case, &graph, &[&x], &expected, Tolerance::Transcendental);
        }
    }
    let x = random(1, [2, 3, 10]);
    let signal = graph(&[&x], |graph, x| graph.pool1d(x[0], Pool1d::new(PoolKind::Lp(2.0), 3).ceil_mode(true)));
    let expected = of_signals(&x, |x| lp_pool2d(x, 2.0, [1, 3], [1, 3], true));
    t.check("signal", &signal, &[&x], &expected, Tolerance::Transcendental);
    let global = graph(&[&x], |graph, x| graph.pool1d(x[0], Pool1d::global(PoolKind::Lp(4.0))));
    let expected = of_signals(&x, |x| lp_pool2d(x, 4.0, [1, 10], [1, 10], false));
    t.check("global", &global, &[&x], &expected, Tolerance::Transcendental);
}

fn large_windows(t: &Suite) {
    // A workgroup shares a window from 64 pixels on: few texels and many, windows narrower than its slices and wider.
    for (shape, size, stride) in [
        ([1, 4, 8, 8], [8, 8], [1, 1]),
        ([1, 3, 63, 1], [63, 1], [1, 1]),
        ([2, 5, 17, 9], [17, 9], [1, 1]),
        ([1, 70, 9, 9], [8, 9], [1, 1]),
        ([1, 1, 40, 60], [37, 2], [3, 7]),
        ([3, 2, 2, 301], [1, 300], [1, 1]),
        ([1, 65, 9, 10], [8, 8], [1, 2]),
    ] {
        let x = outliers(1, shape);
        let pool = Pool { size, stride, ..MAX };
        for pool in [pool, Pool { max: false, ..pool }] {
            let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
            let tolerance = if pool.max { Tolerance::Exact } else { Tolerance::Reduction(size[0] * size[1]) };
            t.check(&format!("{shape:?} {pool:?}"), &graph, &[&x], &reference::pool2d(&x, &pool), tolerance);
        }
    }
    let pool = Pool { size: [8; 2], stride: [3; 2], padding: [4; 2], dilation: [2; 2], ceil_mode: true, ..MAX };
    let x = negative([1, 5, 16, 19]);
    let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
    t.check("dilated and padded", &graph, &[&x], &reference::pool2d(&x, &pool), Tolerance::Exact);
}

pub fn global(t: &Suite) {
    for shape in [[1, 1, 1, 1], [2, 5, 3, 3], [1, 3, 40, 41], [2, 67, 8, 8]] {
        let x = outliers(1, shape);
        for (kind, max) in [(PoolKind::Max, true), (PoolKind::Average, false)] {
            let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], Pool2d::global(kind)));
            let expected = reference::adaptive_pool2d(&x, max, [1, 1]);
            t.check(
                &format!("{kind:?} of {shape:?}"),
                &graph,
                &[&x],
                &expected,
                Tolerance::Reduction(shape[2] * shape[3]),
            );
        }
    }
}

fn what_pads_a_texel_stays_finite(t: &Suite) {
    // Beyond the only channel x - sigmoid(x) is -0.5, whose broken power is NaN; and even 0 times NaN is NaN.
    let mut x = random(1, [1, 1, 4, 4]);
    x.data.iter_mut().for_each(|value| *value = value.abs() + 2.0);
    let weight = Tensor::new([1, 1, 1, 1], vec![2.0]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let gate = graph.activation(x, Activation::Sigmoid)?;
        let y = graph.difference(x, gate)?;
        let y = graph.pool2d(y, Pool2d::new(PoolKind::Lp(2.5), 2))?;
        graph.conv2d(y, Conv2d::new(constant(&weight), None))
    });
    let y = lp_pool2d(&reference::sub(&x, &reference::sigmoid(&x)), 2.5, [2; 2], [2; 2], false);
    t.check("after a norm", &graph, &[&x], &reference::add(&y, &y), Tolerance::Transcendental);
}

pub fn adaptive(t: &Suite) {
    let cases = [
        ([2, 5, 7, 7], [1, 1]),
        ([2, 5, 5, 9], [3, 2]),
        ([1, 6, 5, 9], [7, 7]),
        ([1, 3, 1, 1], [7, 7]),
        ([1, 4, 6, 6], [6, 6]),
        ([1, 65, 13, 4], [5, 3]),
        ([3, 8, 8, 8], [1, 4]),
    ];
    for (shape, size) in cases {
        let x = outliers(1, shape);
        for (kind, max, tolerance) in [
            (PoolKind::Max, true, Tolerance::Exact),
            (PoolKind::Average, false, Tolerance::Reduction(shape[2] * shape[3])),
        ] {
            let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], Pool2d::adaptive(kind, size)));
            let case = format!("{kind:?} of {shape:?} to {size:?}");
            t.check(&case, &graph, &[&x], &reference::adaptive_pool2d(&x, max, size), tolerance);
        }
    }
}

fn between_operations(t: &Suite) {
    let x = negative([2, 6, 9, 8]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.pool2d(x, op(&MAX))?;
        as_image(graph, y)
    });
    t.check("between images", &graph, &[&x], &reference::pool2d(&x, &MAX), Tolerance::Exact);
}

fn too_large_for_a_texture(t: &Suite) {
    // llvmpipe's textures have at most 16,384 texels a side: such images are pooled in buffers.
    for shape in [[1, 6, 2, 8500], [2, 3, 8500, 2]] {
        let x = negative(shape);
        let pool = Pool { size: [2; 2], ..MAX };
        let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
        t.check(&format!("{shape:?}"), &graph, &[&x], &reference::pool2d(&x, &pool), Tolerance::Exact);
    }
}
