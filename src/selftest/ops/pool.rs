//! Cases of pooling along one to three axes: windows, adaptive sizes, norms, indices.

use crate::ops::{Activation, Conv2d, Pool, Pool2d, PoolKind};
use crate::selftest::cases::{as_image, constant, graph, graph_between_images, graph_of, halves, outliers, random};
use crate::selftest::reference::{self, Pool as Windows, Tensor, adaptive_pool, max_pool_with_indices};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    windows::<1>(t);
    windows::<2>(t);
    windows::<3>(t);
    adaptive::<1>(t);
    adaptive::<2>(t);
    adaptive::<3>(t);
    the_edges_of_ceil_mode(t);
    norms(t);
    large_windows(t);
    many_pixels(t);
    what_pads_a_texel_stays_finite(t);
    between_operations(t);
    too_large_for_a_texture(t);
    of_equal_ones_the_first(t);
    indices_of_an_image(t);
    long_loops(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

const MAX: Windows = Windows::MAX;
const AVERAGE: Windows = Windows { kind: PoolKind::Average, ..MAX };

fn op<const D: usize>(pool: &Windows<D>) -> Pool<D> {
    let op = Pool::new(pool.kind, pool.size).stride(pool.stride).dilation(pool.dilation);
    let op = op.padding_per_side(pool.padding).ceil_mode(pool.ceil_mode);
    op.count_include_pad(pool.count_include_pad)
}

fn tolerance(kind: PoolKind, terms: usize) -> Tolerance {
    match kind {
        PoolKind::Max => Tolerance::Exact,
        PoolKind::Average => Tolerance::Reduction(terms),
        _ => Tolerance::Transcendental,
    }
}

/// Checks the values, and of a maximum the indices too.
fn check<const D: usize>(t: &Suite, x: &Tensor, pool: &Windows<D>) {
    let case = format!("{:?} {pool:?}", x.shape);
    let values = graph(&[x], |graph, x| graph.push(op(pool), x));
    t.check(&case, &values, &[x], &reference::pool(x, pool), tolerance(pool.kind, pool.terms()));
    if pool.kind == PoolKind::Max {
        let both = graph_of(&[x], |graph, x| graph.add_node("indexed", op(pool).return_indices(true), x));
        let [values, places] = &max_pool_with_indices(x, pool);
        t.check_outputs(&case, &both, &[x], &[values, places], Tolerance::Exact);
    }
}

/// Checks NaN and infinities: NaN wins, and the index is that of the last NaN.
fn check_not_finite<const D: usize>(t: &Suite, x: &Tensor, pool: &Windows<D>) {
    let case = format!("{:?} {pool:?}", x.shape);
    let values = graph(&[x], |graph, x| graph.push(op(pool), x));
    let tolerance = tolerance(pool.kind, pool.terms());
    t.check_not_finite(&case, &values, &[x], |x| reference::pool(x[0], pool), tolerance);
    for output in (0..2).filter(|_| pool.kind == PoolKind::Max) {
        let one =
            graph_of(&[x], |graph, x| Ok(vec![graph.add_node("indexed", op(pool).return_indices(true), x)?[output]]));
        let reference = |x: &[&Tensor]| max_pool_with_indices(x[0], pool)[output].clone();
        t.check_not_finite(&format!("{case}, output {output}"), &one, &[x], reference, Tolerance::Exact);
    }
}

/// Returns positive numbers for `Lp`; otherwise negative ones, so that zeros from the padding would show in a maximum.
fn numbers(kind: PoolKind, shape: &[usize]) -> Tensor {
    let sign = if matches!(kind, PoolKind::Lp(_)) { 1.0 } else { -1.0 };
    random(1, shape).map(|x| sign * (x.abs() + 0.1))
}

/// Returns the last of three axes.
fn last<T: Copy, const D: usize>(axes: [T; 3]) -> [T; D] {
    std::array::from_fn(|axis| axes[3 - D + axis])
}

fn windows<const D: usize>(t: &Suite) {
    let three = Windows::<3>::MAX;
    let sizes =
        |size, stride, padding| Windows { size: [size; 3], stride: [stride; 3], padding: [[padding; 2]; 3], ..three };
    let by_axis = Windows { size: [3, 2, 5], stride: [1, 3, 1], padding: [[1; 2], [1; 2], [2; 2]], ..three };
    let x = [2, 5, 5, 9, 8];
    let cases = [
        ([1; 5], sizes(1, 1, 0)),
        (x, sizes(2, 2, 0)),
        (x, sizes(3, 2, 1)),
        ([1, 4, 3, 5, 7], sizes(3, 1, 1)),
        ([1, 6, 3, 7, 6], sizes(2, 3, 1)),
        ([1, 65, 4, 4, 5], sizes(4, 4, 2)),
        ([1, 2, 3, 3, 3], sizes(3, 5, 0)),
        (x, Windows { dilation: [2; 3], ..three }),
        (x, Windows { dilation: [2; 3], ..sizes(3, 2, 1) }),
        (x, by_axis),
        (x, Windows { dilation: [2, 3, 1], ..by_axis }),
        (x, Windows { size: [2, 1, 4], stride: [3, 1, 3], padding: [[1; 2], [0; 2], [2; 2]], ..three }),
        (x, Windows { padding: [[1, 0], [0, 1], [2, 0]], ..three }),
        (x, Windows { size: [2, 3, 4], padding: [[0, 1], [2, 2], [0, 2]], ..three }),
        (x, Windows { dilation: [1, 2, 3], padding: [[0, 1], [1, 0], [2, 2]], ..three }),
    ];
    let kinds = [PoolKind::Max, PoolKind::Average, PoolKind::Lp(3.0), PoolKind::PNorm(3.0)];
    for (shape, pool) in cases {
        let Windows { size, stride, padding, dilation, .. } = pool;
        for (kind, ceil_mode, count_include_pad) in
            kinds.into_iter().flat_map(|kind| [(kind, false, true), (kind, true, true), (kind, true, false)])
        {
            // Only an average counts padding; PyTorch's norm admits none.
            let alike = !count_include_pad && kind != PoolKind::Average;
            if alike || (padding != [[0; 2]; 3] && matches!(kind, PoolKind::Lp(_))) {
                continue;
            }
            let x = numbers(kind, &[&shape[..2], &last::<_, D>([shape[2], shape[3], shape[4]])].concat());
            let (size, stride, padding, dilation) = (last(size), last(stride), last(padding), last(dilation));
            check::<D>(t, &x, &Windows { kind, size, stride, padding, dilation, ceil_mode, count_include_pad });
        }
    }
    // Some windows hold nothing but padding.
    let x = numbers(PoolKind::Max, &[&[2, 3], &last::<_, D>([2, 1, 2])[..]].concat());
    let (size, stride, padding, dilation) = ([2; D], [1; D], [[1; 2]; D], [2; D]);
    check::<D>(t, &x, &Windows { size, stride, padding, dilation, ..Windows::MAX });
}

fn adaptive<const D: usize>(t: &Suite) {
    for (shape, to) in [
        ([2, 5, 5, 7, 7], [1, 1, 1]),
        ([2, 5, 4, 5, 9], [3, 3, 2]),
        ([1, 6, 3, 5, 9], [7, 7, 7]),
        ([1, 3, 1, 1, 1], [7, 7, 7]),
        ([1, 4, 3, 6, 6], [3, 6, 6]),
        ([1, 65, 2, 13, 4], [2, 5, 3]),
        ([3, 8, 2, 8, 8], [2, 1, 4]),
        ([1, 4, 1, 2, 300], [1, 1, 2]),
        ([2, 67, 2, 8, 8], [1, 1, 1]),
        ([1, 3, 1, 40, 41], [1, 1, 1]),
        ([1, 3, 1, 40, 41], [1, 2, 3]),
    ] {
        let to: [usize; D] = last(to);
        let shape = [&shape[..2], &last::<_, D>([shape[2], shape[3], shape[4]])].concat();
        for kind in [PoolKind::Max, PoolKind::Average, PoolKind::Lp(2.0), PoolKind::PNorm(2.0)] {
            let (x, case) = (outliers(1, &shape[..]), format!("{kind:?} of {shape:?} to {to:?}"));
            let values = graph(&[&x], |graph, x| graph.push(Pool::adaptive(kind, to), x));
            let tolerance = tolerance(kind, shape[2..].iter().product());
            t.check(&case, &values, &[&x], &adaptive_pool(&x, kind, &to), tolerance);
        }
        let x = random(1, &shape[..]);
        let pool = Pool::adaptive(PoolKind::Max, to).return_indices(true);
        let both = graph_of(&[&x], |graph, x| graph.add_node("indexed", pool, x));
        let [values, places] = &reference::adaptive_max_pool_with_indices(&x, &to);
        t.check_outputs(&format!("places of {shape:?} to {to:?}"), &both, &[&x], &[values, places], Tolerance::Exact);
    }
}

fn the_edges_of_ceil_mode(t: &Suite) {
    // Cases: the ceiling admits a last window; that window begins in the far padding and is left out; there is none.
    for (height, width) in [(5, 6), (6, 7), (7, 5), (8, 9), (3, 4)] {
        for (size, stride, padding) in [(2, 2, 0), (2, 2, 1), (3, 2, 1), (2, 3, 1), (3, 3, 1), (4, 3, 2)] {
            let x = numbers(PoolKind::Max, &[1, 3, height, width]);
            for pool in [MAX, AVERAGE, Windows { count_include_pad: false, ..AVERAGE }] {
                let (size, stride, padding) = ([size; 2], [stride; 2], [[padding; 2]; 2]);
                check(t, &x, &Windows { size, stride, padding, ceil_mode: true, ..pool });
            }
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
            let mut x = random(1, shape).map(|x| if positive { x.abs() } else { x });
            x.data[0] = 0.0;
            check(t, &x, &Windows { kind: PoolKind::Lp(p), size, stride, ceil_mode, ..MAX });
        }
    }
}

/// Checks windows that several invocations share: few outputs and many, windows narrower and wider than that number.
fn large_windows(t: &Suite) {
    let padded =
        Windows { size: [8; 2], stride: [3; 2], padding: [[4; 2]; 2], dilation: [2; 2], ceil_mode: true, ..MAX };
    let per_side = Windows { size: [9, 11], stride: [1; 2], padding: [[4, 0], [1, 5]], ..MAX };
    for (shape, pool) in [
        ([1, 4, 8, 8], Windows { size: [8; 2], ..MAX }),
        ([1, 3, 63, 1], Windows { size: [63, 1], ..MAX }),
        ([2, 5, 17, 9], Windows { size: [17, 9], ..MAX }),
        ([1, 70, 9, 9], Windows { size: [8, 9], stride: [1; 2], ..MAX }),
        ([1, 1, 40, 60], Windows { size: [37, 2], stride: [3, 7], ..MAX }),
        ([1, 3, 40, 60], Windows { size: [37, 41], stride: [3, 7], ..MAX }),
        ([3, 2, 2, 301], Windows { size: [1, 300], stride: [1; 2], ..MAX }),
        ([2, 1, 301, 2], Windows { size: [301, 1], stride: [1; 2], ..MAX }),
        ([1, 65, 9, 10], Windows { size: [8, 8], stride: [1, 2], ..MAX }),
        ([1, 5, 16, 19], padded),
        ([1, 3, 12, 13], per_side),
    ] {
        let x = outliers(1, shape);
        check(t, &x, &pool);
        check(t, &x, &Windows { kind: PoolKind::Average, ..pool });
        check(t, &random(1, shape).map(|x| (3.0 * x).round()), &pool);
        check(t, &x, &Windows { kind: PoolKind::PNorm(2.0), ..pool });
    }
}

/// Checks that the rounding errors of a mean don't grow with its window.
fn many_pixels(t: &Suite) {
    let x = random(1, [1, 5, 120, 160]).map(|x| x.abs() + 0.5);
    let mean = graph(&[&x], |graph, x| graph.pool2d(x[0], Pool2d::global(PoolKind::Average)));
    t.check(
        "as exact as of 256 pixels",
        &mean,
        &[&x],
        &adaptive_pool(&x, PoolKind::Average, &[1; 2]),
        Tolerance::Reduction(256),
    );
}

fn what_pads_a_texel_stays_finite(t: &Suite) {
    // The padding of one channel holds x - sigmoid(x) = -0.5: its fractional power is NaN, and 0 times NaN is NaN.
    let x = random(1, [1, 1, 4, 4]).map(|x| x.abs() + 2.0);
    let weight = Tensor::new([1, 1, 1, 1], vec![2.0]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let gate = graph.activation(x, Activation::Sigmoid)?;
        let y = graph.sub(x, gate)?;
        let y = graph.pool2d(y, Pool2d::new(PoolKind::Lp(2.5), 2))?;
        graph.conv2d(y, Conv2d::new(constant(&weight), None))
    });
    let pool = Windows { kind: PoolKind::Lp(2.5), size: [2; 2], ..MAX };
    let y = reference::pool(&reference::sub(&x, &reference::sigmoid(&x)), &pool);
    t.check("after a norm", &graph, &[&x], &reference::add(&y, &y), Tolerance::Transcendental);
}

fn between_operations(t: &Suite) {
    let x = numbers(PoolKind::Max, &[2, 6, 9, 8]);
    let graph = graph_between_images(&[&x], |graph, x| graph.pool2d(x[0], op(&MAX)));
    t.check("between images", &graph, &[&x], &reference::pool(&x, &MAX), Tolerance::Exact);
}

fn too_large_for_a_texture(t: &Suite) {
    // llvmpipe's textures have at most 16,384 texels per side: larger images are pooled in buffers.
    for shape in [[1, 6, 2, 8500], [2, 3, 8500, 2]] {
        check(t, &numbers(PoolKind::Max, &shape), &Windows { size: [2; 2], ..MAX });
    }
}

fn of_equal_ones_the_first(t: &Suite) {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let pool = Windows { padding: [[1; 2]; 2], ..MAX };
    for value in [0.0, -1.0, -inf] {
        check(t, &Tensor::new([1, 2, 5, 6], vec![value; 60]), &pool);
    }
    // The least normal numbers: WGSL allows a device to take subnormal ones for zeros, and SwiftShader does.
    let least = f32::MIN_POSITIVE;
    let zeros = [-0.0, 0.0, least, -least, -0.0].iter().cycle().take(90).copied().collect();
    check(t, &Tensor::new([2, 1, 5, 9], zeros), &pool);
    // The last of several NaNs wins, as in PyTorch.
    let nasty = [1.0, nan, -inf, -nan, 3e38, inf, -3e38].iter().cycle().take(128).copied().collect();
    let nasty = Tensor::new([1, 1, 8, 16], nasty);
    check(t, &nasty, &Windows { size: [2; 2], ..MAX });
    check(t, &nasty, &Windows { size: [8; 2], ..MAX });
    let odd = Tensor::new([1, 1, 2, 2, 2], vec![1.0, nan, 3.0, 3.0, nan, 0.0, 3.0, -1.0]);
    let whole = Windows::<3> { size: [2; 3], ..Windows::MAX };
    check(t, &odd, &whole);
    check(t, &odd.map(|x| if x.is_nan() { -5.0 } else { x }), &whole);
}

fn indices_of_an_image(t: &Suite) {
    // The image has channels last, and the next operation expects the values so.
    let x = numbers(PoolKind::Max, &[2, 6, 9, 8]);
    let graph = graph_of(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let [values, places] = graph.max_pool2d_with_indices(x, op(&MAX))?;
        Ok(vec![as_image(graph, values)?, places])
    });
    let [values, places] = &max_pool_with_indices(&x, &MAX);
    t.check_outputs("places in an image", &graph, &[&x], &[values, places], Tolerance::Exact);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error. Windows have many
/// rows, then one row.
fn long_loops(t: &Suite) {
    fn whole<const D: usize>(t: &Suite, channels: usize, size: [usize; D]) {
        let mut x = random(1, [&[1, channels], &size[..]].concat());
        let last = x.data.len() - 1;
        x.data[last] = 50.0;
        for kind in [PoolKind::Max, PoolKind::Average] {
            check(t, &x, &Windows { kind, size, ..Windows::MAX });
        }
        let global = graph(&[&x], |graph, x| graph.push(Pool::<D>::global(PoolKind::Average), x));
        let expected = adaptive_pool(&x, PoolKind::Average, &[1; D]);
        let tolerance = tolerance(PoolKind::Average, size.iter().product());
        t.check(&format!("global of {size:?}"), &global, &[&x], &expected, tolerance);
    }
    whole(t, 3, [257, 256]);
    whole(t, 1, [1, 65_536]);
    whole(t, 1, [41, 41, 41]);
    whole(t, 2, [1, 1, 66_000]);
}

fn not_finite(t: &Suite) {
    let shared = Windows { size: [9; 2], stride: [1; 2], ..MAX };
    let padded = Windows { padding: [[1; 2]; 2], ..MAX };
    for (shape, pool) in [([1, 5, 7, 6], MAX), ([1, 5, 7, 6], padded), ([1, 3, 9, 10], shared)] {
        for kind in [PoolKind::Max, PoolKind::Average] {
            check_not_finite(t, &random(1, shape), &Windows { kind, ..pool });
        }
    }
    let all = Tensor::new([1, 3, 2, 2], vec![f32::NEG_INFINITY; 12]);
    let graph = graph(&[&all], |graph, x| graph.pool2d(x[0], Pool2d::global(PoolKind::Max)));
    t.check("minus infinity", &graph, &[&all], &adaptive_pool(&all, PoolKind::Max, &[1; 2]), Tolerance::Exact);
    norms_not_finite(t);
    let x = random(1, [1, 2, 4, 3, 3]);
    for kind in [PoolKind::Max, PoolKind::Average, PoolKind::PNorm(2.0)] {
        let (size, stride, padding) = ([2; 3], [2, 1, 1], [[0, 1]; 3]);
        check_not_finite(t, &x, &Windows { kind, size, stride, padding, ..Windows::MAX });
    }
}

fn norms_not_finite(t: &Suite) {
    let x = random(1, [1, 5, 4, 6]).map(f64::abs);
    for p in [1.0, 2.0, 3.0, 2.5] {
        let pool = Windows { kind: PoolKind::Lp(p), size: [2; 2], ..MAX };
        let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
        // Minus infinity to an odd or a fractional power has no root.
        let reference = |x: &[&Tensor]| {
            let x = x[0].map(|x| if x == f64::NEG_INFINITY && p != 1.0 && p != 2.0 { f64::NAN } else { x });
            reference::pool(&x, &pool)
        };
        t.check_not_finite(&format!("p {p}"), &graph, &[&x], reference, Tolerance::Transcendental);
    }
}

fn stored_as_halves(t: &Suite) {
    for pool in [MAX, Windows { padding: [[1; 2]; 2], ..MAX }, AVERAGE] {
        let x = halves(&random(1, [2, 5, 9, 7]));
        let graph = graph(&[&x], |graph, x| graph.pool2d(x[0], op(&pool)));
        t.check("halves", &graph, &[&x], &reference::pool(&x, &pool), Tolerance::Reduction(9));
    }
}
