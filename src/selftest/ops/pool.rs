use crate::ops::{Pool2d, PoolKind};
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{as_image, graph, outliers, random};
use crate::selftest::reference::{self, Pool, Tensor};

/// The cases.
pub fn cases(t: &Suite) {
    windows(t);
    the_edges_of_ceil_mode(t);
    adaptive(t);
    between_operations(t);
    too_large_for_a_texture(t);
}

const MAX: Pool = Pool {
    max: true,
    size: [3; 2],
    stride: [2; 2],
    padding: [0; 2],
    dilation: [1; 2],
    ceil_mode: false,
    count_include_pad: true,
};

const AVERAGE: Pool = Pool { max: false, ..MAX };

/// The operation; its sizes are square.
fn op(pool: &Pool) -> Pool2d {
    let kind = if pool.max { PoolKind::Max } else { PoolKind::Average };
    Pool2d::new(kind, pool.size[0])
        .stride(pool.stride[0])
        .padding(pool.padding[0])
        .dilation(pool.dilation[0])
        .ceil_mode(pool.ceil_mode)
        .count_include_pad(pool.count_include_pad)
}

/// Negative numbers, so that a padding of zero, where it shouldn't count, would show.
fn negative(shape: [usize; 4]) -> Tensor {
    let mut x = random(1, shape);
    x.data.iter_mut().for_each(|value| *value = -value.abs() - 0.1);
    x
}

fn windows(t: &Suite) {
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

fn adaptive(t: &Suite) {
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
