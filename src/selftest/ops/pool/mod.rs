mod not_finite;
pub mod volumes;

use crate::DType;
use crate::ops::{Activation, Conv2d, Pool1d, Pool2d, PoolKind};
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{as_image, constant, graph, graph_of, halves, outliers, random};
use crate::selftest::reference::{self, Pool, Tensor};

/// Runs the cases.
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
    indices(t);
    indices_of_signals(t);
    indices_of_adaptive_windows(t);
    indices_in_large_windows(t);
    of_equal_ones_the_first(t);
    indices_of_an_image(t);
    volumes::cases(t);
    long_loops(t);
    not_finite::cases(t);
    t.in_halves(stored_as_halves);
}

/// Applies an operation on images to signals `[N, C, L]`.
pub fn of_signals(x: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let [n, c, l] = x.dims();
    let y = f(&Tensor::new([n, c, 1, l], x.data.clone()));
    let [n, c, _, l] = y.dims();
    Tensor::new([n, c, l], y.data).of(y.dtype)
}

/// Applies an operation on images with two outputs to signals `[N, C, L]`.
pub fn signals_with_indices(x: &Tensor, f: impl Fn(&Tensor) -> [Tensor; 2]) -> [Tensor; 2] {
    [0, 1].map(|output| of_signals(x, |x| f(x)[output].clone()))
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
        // PyTorch computes the mean, then multiplies by the window's size.
        (sum / f64::from(inside) * (size[0] * size[1]) as f64).powf(1.0 / p)
    })
}

/// Returns the largest pixel where the rows and the columns of a window meet, and its index in the plane: the first of
/// equal ones, the last NaN, -1 if the window is empty.
fn largest(x: &Tensor, rows: &[Vec<usize>], columns: &[Vec<usize>]) -> [Tensor; 2] {
    let [n, c, _, w] = x.dims();
    let best = |i: &[usize]| {
        let mut best = (f64::NEG_INFINITY, -1.0);
        for &y in &rows[i[2]] {
            for &z in &columns[i[3]] {
                let value = x.at(&[i[0], i[1], y, z]);
                if best.1 < 0.0 || value > best.0 || value.is_nan() {
                    best = (value, (y * w + z) as f64);
                }
            }
        }
        best
    };
    let shape = [n, c, rows.len(), columns.len()];
    [Tensor::build(shape, |i| best(i).0), Tensor::build(shape, |i| best(i).1).of(DType::I32)]
}

pub fn max_pool2d_with_indices(x: &Tensor, pool: &Pool) -> [Tensor; 2] {
    let [_, _, rows, columns] = reference::pool2d(x, pool).dims();
    let windows = |axis: usize, outputs: usize| -> Vec<Vec<usize>> {
        let pixel =
            |o: usize, k: usize| (o * pool.stride[axis] + k * pool.dilation[axis]).checked_sub(pool.padding[axis]);
        let inside = |&pixel: &usize| pixel < x.shape[2 + axis];
        (0..outputs).map(|o| (0..pool.size[axis]).filter_map(|k| pixel(o, k)).filter(inside).collect()).collect()
    };
    largest(x, &windows(0, rows), &windows(1, columns))
}

pub fn adaptive_max_pool2d_with_indices(x: &Tensor, size: [usize; 2]) -> [Tensor; 2] {
    let windows = |axis: usize| -> Vec<Vec<usize>> {
        let (from, to) = (x.shape[2 + axis], size[axis]);
        (0..to).map(|o| (o * from / to..((o + 1) * from).div_ceil(to)).collect()).collect()
    };
    largest(x, &windows(0), &windows(1))
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

fn stored_as_halves(t: &Suite) {
    for pool in [MAX, Pool { padding: [1; 2], ..MAX }, AVERAGE] {
        let x = halves(&random(1, [2, 5, 9, 7]));
        let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
        t.check("halves", &graph, &[&x], &reference::pool2d(&x, &pool), Tolerance::Reduction(9));
    }
}

/// Returns negative numbers: zeros from the padding would show in a maximum.
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
    // Cases: the ceiling admits a last window; that window begins in the far padding and is left out; there is none.
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
    // A fractional or an odd p needs positive numbers; an even p takes all numbers.
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
    // A workgroup shares windows of 64 pixels or more: few texels and many, windows narrower than its slices and wider.
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
    // The padding of one channel holds x - sigmoid(x) = -0.5: its fractional power is NaN, and 0 times NaN is NaN.
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
    // llvmpipe's textures have at most 16,384 texels per side: larger images are pooled in buffers.
    for shape in [[1, 6, 2, 8500], [2, 3, 8500, 2]] {
        let x = negative(shape);
        let pool = Pool { size: [2; 2], ..MAX };
        let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
        t.check(&format!("{shape:?}"), &graph, &[&x], &reference::pool2d(&x, &pool), Tolerance::Exact);
    }
}

fn check_indices(t: &Suite, case: &str, x: &Tensor, pool: &Pool) {
    let graph = graph_of(&[x], |graph, x| Ok(graph.max_pool2d_with_indices(x[0], op(pool))?.to_vec()));
    let [values, places] = &max_pool2d_with_indices(x, pool);
    t.check_outputs(&format!("{case}, {:?} {pool:?}", x.shape), &graph, &[x], &[values, places], Tolerance::Exact);
}

fn indices(t: &Suite) {
    let by_axis = Pool { size: [2, 5], stride: [3, 1], padding: [1, 2], ..MAX };
    for (shape, pool) in [
        ([1, 1, 1, 1], Pool { size: [1; 2], stride: [1; 2], ..MAX }),
        ([2, 5, 9, 8], MAX),
        ([2, 5, 9, 8], Pool { size: [2; 2], ..MAX }),
        ([2, 5, 9, 8], Pool { padding: [1; 2], ..MAX }),
        ([1, 65, 4, 5], Pool { size: [4; 2], stride: [4; 2], padding: [2; 2], ..MAX }),
        ([2, 5, 9, 8], Pool { dilation: [2; 2], padding: [1; 2], ..MAX }),
        ([2, 5, 9, 8], by_axis),
        ([2, 5, 9, 8], Pool { dilation: [3, 1], ..by_axis }),
        // Some windows hold nothing but padding.
        ([2, 3, 1, 2], Pool { size: [2; 2], stride: [1; 2], padding: [1; 2], dilation: [2; 2], ..MAX }),
    ] {
        for ceil_mode in [false, true] {
            check_indices(t, "places", &negative(shape), &Pool { ceil_mode, ..pool });
        }
    }
}

fn indices_of_signals(t: &Suite) {
    for (shape, size, stride, padding) in [([2, 5, 13], 3, 2, 1), ([1, 6, 70], 65, 3, 5), ([3, 1, 64], 1, 1, 0)] {
        let x = random(1, shape);
        let op = Pool1d::new(PoolKind::Max, size).stride(stride).padding(padding).ceil_mode(true);
        let graph = graph_of(&[&x], |graph, x| Ok(graph.max_pool1d_with_indices(x[0], op)?.to_vec()));
        let (size, stride, padding) = ([1, size], [1, stride], [0, padding]);
        let pool = Pool { size, stride, padding, ceil_mode: true, ..MAX };
        let [values, places] = &signals_with_indices(&x, |x| max_pool2d_with_indices(x, &pool));
        let case = format!("places in signals, {shape:?} {pool:?}");
        t.check_outputs(&case, &graph, &[&x], &[values, places], Tolerance::Exact);
    }
}

fn indices_of_adaptive_windows(t: &Suite) {
    for (shape, size) in
        [([2, 5, 7, 7], [1, 1]), ([2, 5, 5, 9], [3, 2]), ([1, 6, 5, 9], [7, 7]), ([1, 3, 40, 41], [2, 3])]
    {
        let x = random(1, shape);
        let pool = Pool2d::adaptive(PoolKind::Max, size);
        let graph = graph_of(&[&x], |graph, x| Ok(graph.max_pool2d_with_indices(x[0], pool)?.to_vec()));
        let [values, places] = &adaptive_max_pool2d_with_indices(&x, size);
        let case = format!("places of {shape:?} to {size:?}");
        t.check_outputs(&case, &graph, &[&x], &[values, places], Tolerance::Exact);
    }
    let x = random(1, [2, 5, 13]);
    let pool = Pool1d::adaptive(PoolKind::Max, [4]);
    let graph = graph_of(&[&x], |graph, x| Ok(graph.max_pool1d_with_indices(x[0], pool)?.to_vec()));
    let [values, places] = &signals_with_indices(&x, |x| adaptive_max_pool2d_with_indices(x, [1, 4]));
    t.check_outputs("places in a signal to 4", &graph, &[&x], &[values, places], Tolerance::Exact);
}

/// Checks windows that several invocations share: few outputs and many, windows narrower and wider than that number.
fn indices_in_large_windows(t: &Suite) {
    let padded = Pool { size: [8; 2], stride: [3; 2], padding: [4; 2], dilation: [2; 2], ceil_mode: true, ..MAX };
    for (shape, pool) in [
        ([1, 4, 8, 8], Pool { size: [8; 2], ..MAX }),
        ([1, 70, 9, 9], Pool { size: [8, 9], stride: [1; 2], ..MAX }),
        ([3, 2, 2, 301], Pool { size: [1, 300], stride: [1; 2], ..MAX }),
        ([2, 1, 301, 2], Pool { size: [301, 1], stride: [1; 2], ..MAX }),
        ([1, 3, 40, 60], Pool { size: [37, 41], stride: [3, 7], ..MAX }),
        ([1, 5, 16, 19], padded),
    ] {
        check_indices(t, "shared", &negative(shape), &pool);
        let mut x = random(1, shape);
        x.data.iter_mut().for_each(|value| *value = (3.0 * *value).round());
        check_indices(t, "shared, many the same", &x, &pool);
    }
}

fn of_equal_ones_the_first(t: &Suite) {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let pool = Pool { padding: [1; 2], ..MAX };
    for value in [0.0, -1.0, -inf] {
        check_indices(t, "all the same", &Tensor::new([1, 2, 5, 6], vec![value; 60]), &pool);
    }
    let zeros = [-0.0, 0.0, 1e-40, -1e-40, -0.0].iter().cycle().take(90).copied().collect();
    check_indices(t, "two zeros", &Tensor::new([2, 1, 5, 9], zeros), &pool);
    // The last of several NaNs wins, as in PyTorch.
    let nasty = [1.0, nan, -inf, -nan, 3e38, inf, -3e38].iter().cycle().take(128).copied().collect();
    let nasty = Tensor::new([1, 1, 8, 16], nasty);
    check_indices(t, "nasty", &nasty, &Pool { size: [2; 2], ..MAX });
    check_indices(t, "nasty and shared", &nasty, &Pool { size: [8; 2], ..MAX });
}

fn indices_of_an_image(t: &Suite) {
    // The image has channels last, and the next operation expects the values so.
    let x = negative([2, 6, 9, 8]);
    let graph = graph_of(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let [values, places] = graph.max_pool2d_with_indices(x, op(&MAX))?;
        Ok(vec![as_image(graph, values)?, places])
    });
    let [values, places] = &max_pool2d_with_indices(&x, &MAX);
    t.check_outputs("places in an image", &graph, &[&x], &[values, places], Tolerance::Exact);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    for shape in [[1, 3, 257, 256], [1, 1, 1, 65_536]] {
        let mut x = random(1, shape);
        let last = x.data.len() - 1;
        x.data[last] = 50.0;
        let size = [shape[2], shape[3]];
        let pool = Pool { size, ..MAX };
        for (pool, tolerance) in
            [(pool, Tolerance::Exact), (Pool { max: false, ..pool }, Tolerance::Reduction(size[0] * size[1]))]
        {
            let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
            t.check(&format!("{shape:?} {pool:?}"), &graph, &[&x], &reference::pool2d(&x, &pool), tolerance);
        }
        let global = graph(&[&x], |graph, x| graph.pool2d(x[0], Pool2d::global(PoolKind::Average)));
        let expected = reference::adaptive_pool2d(&x, false, [1, 1]);
        t.check(&format!("global of {shape:?}"), &global, &[&x], &expected, Tolerance::Reduction(size[0] * size[1]));
        check_indices(t, "a long loop", &x, &pool);
    }
}
