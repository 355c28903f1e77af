//! Cases of `roi_align`, and its reference.

use crate::DType;
use crate::ops::{RoiAlign, RoiAlignMode};
use crate::selftest::cases::{constant, graph, random};
use crate::selftest::reference::{Tensor, maximum};
use crate::selftest::{Suite, Tolerance};

#[derive(Clone, Copy, Debug)]
pub struct Align {
    pub size: [usize; 2],
    pub spatial_scale: f64,
    pub sampling_ratio: usize,
    pub aligned: bool,
    pub mode: RoiAlignMode,
}

/// Returns the four pixels of a bilinear sample, times their weights.
fn weighted(x: &Tensor, image: usize, c: usize, [y, z]: [f64; 2]) -> [f64; 4] {
    let [_, _, h, w] = x.dims();
    if y < -1.0 || y > h as f64 || z < -1.0 || z > w as f64 {
        return [0.0; 4];
    }
    let axis = |at: f64, size: usize| {
        let at = at.max(0.0);
        let near = at as usize;
        if near >= size - 1 { (size - 1, size - 1, 0.0) } else { (near, near + 1, at - near as f64) }
    };
    let ((top, bottom, down), (left, right, across)) = (axis(y, h), axis(z, w));
    let pixel = |y, z| x.at(&[image, c, y, z]);
    [
        (1.0 - down) * (1.0 - across) * pixel(top, left),
        (1.0 - down) * across * pixel(top, right),
        down * (1.0 - across) * pixel(bottom, left),
        down * across * pixel(bottom, right),
    ]
}

pub fn roi_align(x: &Tensor, rois: &Tensor, batch: &Tensor, align: &Align) -> Tensor {
    let [rows, columns] = align.size;
    let offset = if align.aligned { 0.5 } else { 0.0 };
    Tensor::build([rois.shape[0], x.shape[1], rows, columns], |i| {
        let corner = |k: usize| rois.at(&[i[0], k]) * align.spatial_scale - offset;
        let (start, end) = ([corner(1), corner(0)], [corner(3), corner(2)]);
        let least = if align.aligned { f64::NEG_INFINITY } else { 1.0 };
        let each = [0, 1].map(|a| (end[a] - start[a]).max(least) / align.size[a] as f64);
        let ratio = align.sampling_ratio;
        let samples = each.map(|each| if ratio > 0 { ratio } else { each.ceil().max(0.0) as usize });
        let place = |a: usize, k: usize| start[a] + (i[2 + a] as f64 + (k as f64 + 0.5) / samples[a] as f64) * each[a];
        let all = (0..samples[0]).flat_map(|j| (0..samples[1]).map(move |k| [j, k]));
        let pixels = all.map(|[j, k]| weighted(x, batch.at(&[i[0]]) as usize, i[1], [place(0, j), place(1, k)]));
        match align.mode {
            RoiAlignMode::Average => {
                pixels.map(|pixels| pixels.iter().sum::<f64>()).sum::<f64>() / (samples[0] * samples[1]).max(1) as f64
            }
            RoiAlignMode::Max => pixels.flatten().reduce(maximum).unwrap_or(0.0),
        }
    })
}

const PLAIN: Align =
    Align { size: [3, 4], spatial_scale: 1.0, sampling_ratio: 2, aligned: true, mode: RoiAlignMode::Average };

/// Runs the cases.
pub fn cases(t: &Suite) {
    let x = random(1, [2, 5, 9, 8]);
    // The regions lie inside, across the edges and beyond them; one is empty, and one has its corners swapped.
    let regions = [
        [0.9, 1.1, 6.3, 7.7],
        [-2.3, -3.1, 4.4, 5.6],
        [5.2, 4.7, 13.3, 11.9],
        [20.0, 20.0, 25.0, 26.0],
        [3.3, 2.2, 3.3, 2.2],
        [6.0, 6.1, 2.7, 3.3],
        [0.0, 0.0, 7.9, 8.9],
    ];
    let rois = Tensor::new([7, 4], regions.concat());
    let batch = Tensor::new([7], vec![0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]).with_dtype(DType::I32);
    for mode in [RoiAlignMode::Average, RoiAlignMode::Max] {
        for aligned in [true, false] {
            for sampling_ratio in [0, 1, 3] {
                check(t, [&x, &rois, &batch], Align { aligned, sampling_ratio, mode, ..PLAIN });
            }
            check(t, [&x, &rois, &batch], Align { aligned, mode, spatial_scale: 0.63, size: [1, 7], ..PLAIN });
        }
    }
    let one = Tensor::new([1], vec![0.0]).with_dtype(DType::I32);
    check(t, [&random(1, [1; 4]), &Tensor::new([1, 4], vec![0.1, -0.2, 0.9, 1.3]), &one], PLAIN);
    // More than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
    let whole = Tensor::new([1, 4], vec![0.0, 0.0, 300.0, 300.0]);
    for mode in [RoiAlignMode::Average, RoiAlignMode::Max] {
        let align = Align { size: [1, 1], sampling_ratio: 0, mode, ..PLAIN };
        check(t, [&random(1, [1, 1, 300, 300]).map(f64::abs), &whole, &one], align);
    }
    not_finite(t);
}

fn check(t: &Suite, inputs: [&Tensor; 3], align: Align) {
    let op = RoiAlign::new(align.size).spatial_scale(align.spatial_scale as f32).sampling_ratio(align.sampling_ratio);
    let op = op.aligned(align.aligned).mode(align.mode);
    let graph = graph(&inputs, |graph, v| graph.roi_align(v[0], v[1], v[2], op));
    let scale = f64::from(align.spatial_scale as f32);
    let expected = roi_align(inputs[0], inputs[1], inputs[2], &Align { spatial_scale: scale, ..align });
    // Positions are computed in f32, and so are the bilinear weights.
    t.check(&format!("{align:?} of {:?}", inputs[0].shape), &graph, &inputs, &expected, Tolerance::Transcendental);
}

fn not_finite(t: &Suite) {
    let (x, rois) = (random(1, [1, 3, 5, 4]), Tensor::new([2, 4], vec![0.3, 0.2, 3.9, 4.8, 1.2, 0.7, 2.9, 3.6]));
    let batch = Tensor::new([2], vec![0.0; 2]).with_dtype(DType::I32);
    for mode in [RoiAlignMode::Average, RoiAlignMode::Max] {
        let align = Align { mode, ..PLAIN };
        let op = RoiAlign::new(align.size).sampling_ratio(align.sampling_ratio).aligned(align.aligned).mode(mode);
        let planted = graph(&[&x], |graph, v| {
            let [rois, batch] = [&rois, &batch].map(|tensor| graph.constant(constant(tensor)));
            graph.roi_align(v[0], rois, batch, op)
        });
        let reference = |x: &[&Tensor]| roi_align(x[0], &rois, &batch, &align);
        t.check_not_finite(&format!("{mode:?}"), &planted, &[&x], reference, Tolerance::Transcendental);
        let mut rois = rois.clone();
        rois.data[5] = f32::NAN;
        let inputs = [&x, &rois, &batch];
        let nowhere = graph(&inputs, |graph, v| graph.roi_align(v[0], v[1], v[2], op));
        let mut expected = roi_align(&x, &rois, &batch, &align);
        expected.data[36..].fill(f32::NAN);
        t.check("a region that is NaN", &nowhere, &inputs, &expected, Tolerance::Transcendental);
    }
}
