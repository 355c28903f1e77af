//! Pooling of volumes, and ONNX's additions for any rank: padding per side, dilated averages, p-norms.

use crate::DType;
use crate::ops::{Pool, PoolKind};
use crate::selftest::cases::{graph, graph_of, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// The sliding windows, an entry for each spatial axis.
#[derive(Clone, Copy, Debug)]
pub struct Windows<const D: usize> {
    pub size: [usize; D],
    pub stride: [usize; D],
    pub dilation: [usize; D],
    pub pads: [[usize; 2]; D],
    pub ceil_mode: bool,
    pub count_include_pad: bool,
}

/// The windows along an axis: the pixels of each that are inside, and their number with the padding.
type Axis = Vec<(Vec<usize>, usize)>;

fn sliding<const D: usize>(length: usize, axis: usize, windows: &Windows<D>) -> Axis {
    let (size, stride, dilation) = (windows.size[axis], windows.stride[axis], windows.dilation[axis]);
    let [before, after] = windows.pads[axis];
    let room = length + before + after - dilation * (size - 1) - 1;
    let ceil = room.div_ceil(stride) + 1;
    let ceil_mode = windows.ceil_mode && (ceil - 1) * stride < length + before;
    let outputs = if ceil_mode { ceil } else { room / stride + 1 };
    let window = |o: usize| {
        let padded = (0..size).map(|k| o * stride + k * dilation).filter(|&i| i < length + before + after);
        let inside = padded.clone().filter_map(|i| i.checked_sub(before)).filter(|&i| i < length);
        (inside.collect(), padded.count())
    };
    (0..outputs).map(window).collect()
}

fn adaptive(length: usize, outputs: usize) -> Axis {
    let window = |o: usize| (o * length / outputs..((o + 1) * length).div_ceil(outputs)).collect::<Vec<_>>();
    (0..outputs).map(|o| (window(o), window(o).len())).collect()
}

/// Returns the values and, for a maximum, the indices.
fn pooled(x: &Tensor, kind: PoolKind, axes: &[Axis], scaled: Option<usize>, include: bool) -> [Tensor; 2] {
    let sizes = x.shape[2..].to_vec();
    let shape: Vec<usize> = x.shape[..2].iter().copied().chain(axes.iter().map(Vec::len)).collect();
    let compute = |i: &[usize]| {
        let mut pixels: Vec<Vec<usize>> = vec![i[..2].to_vec()];
        let mut counted = 1;
        for (axis, &o) in axes.iter().zip(&i[2..]) {
            let (inside, padded) = &axis[o];
            pixels = pixels.iter().flat_map(|at| inside.iter().map(|&p| [&at[..], &[p]].concat())).collect();
            counted *= padded;
        }
        let values = pixels.iter().map(|at| x.at(at));
        match kind {
            PoolKind::Max => {
                let place = |at: &[usize]| at[2..].iter().zip(&sizes).fold(0, |flat, (&p, &size)| flat * size + p);
                pixels.iter().fold((f64::NEG_INFINITY, -1.0), |best: (f64, f64), at| {
                    let value = x.at(at);
                    let better = best.1 < 0.0 || value > best.0 || value.is_nan();
                    if better { (value, place(at) as f64) } else { best }
                })
            }
            PoolKind::Average => (values.sum::<f64>() / (if include { counted } else { pixels.len() }) as f64, 0.0),
            PoolKind::Lp(p) => {
                let p = f64::from(p);
                let scale = scaled.map_or(1.0, |whole| whole as f64 / pixels.len() as f64);
                ((values.map(|x| x.powf(p)).sum::<f64>() * scale).powf(1.0 / p), 0.0)
            }
            PoolKind::PNorm(p) => {
                let p = f64::from(p);
                (values.map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p), 0.0)
            }
        }
    };
    [Tensor::build(shape.clone(), |i| compute(i).0), Tensor::build(shape, |i| compute(i).1).of(DType::I32)]
}

/// Pools by sliding windows.
pub fn pool<const D: usize>(x: &Tensor, kind: PoolKind, windows: &Windows<D>) -> [Tensor; 2] {
    let axes: Vec<Axis> = (0..D).map(|axis| sliding(x.shape[2 + axis], axis, windows)).collect();
    pooled(x, kind, &axes, Some(windows.size.iter().product()), windows.count_include_pad)
}

/// Pools to a size.
pub fn adaptive_pool<const D: usize>(x: &Tensor, kind: PoolKind, to: [usize; D]) -> [Tensor; 2] {
    let axes: Vec<Axis> = (0..D).map(|axis| adaptive(x.shape[2 + axis], to[axis])).collect();
    pooled(x, kind, &axes, None, true)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    by_side(t);
    volumes(t);
    adaptive_volumes(t);
    long_loops(t);
}

fn op<const D: usize>(kind: PoolKind, windows: &Windows<D>) -> Pool<D> {
    let Windows { size, stride, dilation, pads, ceil_mode, count_include_pad } = *windows;
    let pool = Pool::<D>::windows(kind, size).strides(stride).dilations(dilation).pads(pads);
    pool.ceil_mode(ceil_mode).count_include_pad(count_include_pad)
}

fn tolerance(kind: PoolKind) -> Tolerance {
    match kind {
        PoolKind::Max => Tolerance::Exact,
        PoolKind::Average => Tolerance::Reduction(64),
        _ => Tolerance::Transcendental,
    }
}

fn check<const D: usize>(t: &Suite, x: &Tensor, kind: PoolKind, windows: &Windows<D>) {
    let case = format!("{kind:?} of {:?}, {windows:?}", x.shape);
    let own = graph(&[x], |graph, x| graph.push(op(kind, windows), x));
    let expected = pool(x, kind, windows);
    t.check(&case, &own, &[x], &expected[0], tolerance(kind));
    if kind == PoolKind::Max {
        let indexed = graph_of(&[x], |graph, x| graph.add("indexed", op(kind, windows).return_indices(true), x));
        t.check_outputs(&case, &indexed, &[x], &[&expected[0], &expected[1]], Tolerance::Exact);
    }
}

const PLAIN: Windows<2> = Windows {
    size: [3; 2],
    stride: [2; 2],
    dilation: [1; 2],
    pads: [[0; 2]; 2],
    ceil_mode: false,
    count_include_pad: true,
};

/// Returns positive numbers for `Lp`; otherwise mostly negative ones, so that a padding of 0 would show.
fn numbers(kind: PoolKind, shape: &[usize]) -> Tensor {
    random(1, shape).map(|x| if matches!(kind, PoolKind::Lp(_)) { x.abs() } else { x - 0.5 })
}

fn by_side(t: &Suite) {
    for kind in [PoolKind::Max, PoolKind::Average, PoolKind::PNorm(2.0), PoolKind::PNorm(3.0), PoolKind::PNorm(1.0)] {
        for ceil_mode in [false, true] {
            for count_include_pad in [false, true].into_iter().filter(|_| kind == PoolKind::Average || !ceil_mode) {
                let with = |windows| Windows { ceil_mode, count_include_pad, ..windows };
                let x = numbers(kind, &[2, 5, 8, 7]);
                check(t, &x, kind, &with(Windows { pads: [[0, 1], [2, 0]], ..PLAIN }));
                check(t, &x, kind, &with(Windows { pads: [[2, 2], [0, 2]], size: [3, 4], ..PLAIN }));
                check(t, &x, kind, &with(Windows { dilation: [2, 3], pads: [[1, 0], [2, 2]], ..PLAIN }));
                let line =
                    Windows { size: [4], stride: [3], dilation: [1], pads: [[0, 3]], ceil_mode, count_include_pad };
                check(t, &numbers(kind, &[2, 3, 13]), kind, &line);
            }
        }
    }
    // Many invocations share the window.
    let large = Windows { size: [9, 11], stride: [1; 2], pads: [[4, 0], [1, 5]], ..PLAIN };
    for kind in [PoolKind::Max, PoolKind::Average, PoolKind::PNorm(2.0)] {
        check(t, &numbers(kind, &[1, 3, 12, 13]), kind, &large);
    }
}

const KINDS: [PoolKind; 6] = [
    PoolKind::Max,
    PoolKind::Average,
    PoolKind::Lp(2.0),
    PoolKind::Lp(3.0),
    PoolKind::PNorm(2.0),
    PoolKind::PNorm(1.0),
];

fn volumes(t: &Suite) {
    let plain = Windows {
        size: [2; 3],
        stride: [2; 3],
        dilation: [1; 3],
        pads: [[0; 2]; 3],
        ceil_mode: false,
        count_include_pad: true,
    };
    for kind in KINDS {
        check(t, &numbers(kind, &[1, 1, 2, 2, 2]), kind, &plain);
        check(t, &numbers(kind, &[2, 3, 5, 6, 7]), kind, &plain);
        check(t, &numbers(kind, &[2, 3, 5, 6, 7]), kind, &Windows { ceil_mode: true, size: [3, 2, 4], ..plain });
        let turned = Windows { size: [1, 3, 2], stride: [1, 2, 3], ..plain };
        check(t, &numbers(kind, &[1, 2, 4, 9, 8]), kind, &turned);
        if matches!(kind, PoolKind::Lp(_)) {
            continue;
        }
        for count_include_pad in [false, true] {
            let padded = Windows { size: [3; 3], pads: [[1, 0], [0, 2], [1, 2]], count_include_pad, ..plain };
            check(t, &numbers(kind, &[2, 2, 4, 5, 6]), kind, &padded);
            let dilated = Windows { dilation: [1, 2, 2], ceil_mode: true, ..padded };
            check(t, &numbers(kind, &[2, 2, 4, 6, 7]), kind, &dilated);
        }
    }
    let odd = Tensor::new([1, 1, 2, 2, 2], vec![1.0, f32::NAN, 3.0, 3.0, f32::NAN, 0.0, 3.0, -1.0]);
    let places =
        graph_of(&[&odd], |graph, x| Ok(graph.max_pool3d_with_indices(x[0], op(PoolKind::Max, &plain))?.into()));
    let [values, at] = pool(&odd, PoolKind::Max, &plain);
    t.check_outputs("the last NaN", &places, &[&odd], &[&values, &at], Tolerance::Exact);
    check(t, &odd.map(|x| if x.is_nan() { -5.0 } else { x }), PoolKind::Max, &plain);
}

fn adaptive_volumes(t: &Suite) {
    for kind in [PoolKind::Max, PoolKind::Average, PoolKind::Lp(2.0), PoolKind::PNorm(2.0)] {
        for to in [[1; 3], [2, 3, 4], [5, 1, 9]] {
            let x = numbers(kind, &[2, 3, 5, 4, 7]);
            let graph = graph(&[&x], |graph, x| graph.pool3d(x[0], Pool::adaptive(kind, to)));
            let case = format!("{kind:?} to {to:?}");
            t.check(&case, &graph, &[&x], &adaptive_pool(&x, kind, to)[0], tolerance(kind));
        }
    }
    let x = numbers(PoolKind::Max, &[2, 3, 5, 4, 7]);
    let indexed = graph_of(&[&x], |graph, x| {
        Ok(graph.max_pool3d_with_indices(x[0], Pool::adaptive(PoolKind::Max, [2, 3, 4]))?.into())
    });
    let expected = adaptive_pool(&x, PoolKind::Max, [2, 3, 4]);
    t.check_outputs("adaptive, with places", &indexed, &[&x], &[&expected[0], &expected[1]], Tolerance::Exact);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    // The windows have many rows, then one row.
    for shape in [[1, 1, 41, 41, 41], [1, 2, 1, 2, 66_000]] {
        let [size, stride] = [[shape[2], shape[3], shape[4]], [1; 3]];
        let windows =
            Windows { size, stride, dilation: [1; 3], pads: [[0; 2]; 3], ceil_mode: false, count_include_pad: true };
        for kind in [PoolKind::Max, PoolKind::Average] {
            let mut x = numbers(kind, &shape);
            let last = x.data.len() - 1;
            x.data[last] = 50.0;
            check(t, &x, kind, &windows);
        }
    }
}
