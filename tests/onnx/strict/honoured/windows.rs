//! Convolutions and pools: strides, dilations, padding, counted elements.

use super::{Window, check, convolution, grid, numbers};
use crate::model::{Message, Model, floats, int, ints, string};
use crate::refusal;

#[test]
fn convolutions_have_groups_strides_dilations_and_pads_of_their_own() {
    let (image, w) = ([9, 11], numbers(6 * 2 * 6));
    let x = numbers(4 * 9 * 11);
    let window = Window { size: [3, 2], stride: [2, 3], dilation: [2, 1], pads: [1, 0, 2, 3] };
    let attributes = [
        int("group", 2),
        ints("strides", &[2, 3]),
        ints("dilations", &[2, 1]),
        ints("pads", &[1, 0, 2, 3]),
        ints("kernel_shape", &[3, 2]),
    ];
    let wanted = convolution(&x, image, &w, [6, 2, 2], window);
    check(11, "Conv", (&[1, 4, 9, 11], &x), &[floats("", &[6, 2, 3, 2], &w)], &attributes, &wanted);
    let other = floats("", &[6, 2, 3, 2], &w);
    let shape = [ints("kernel_shape", &[2, 3])];
    let model = Model::new(11)
        .input("x", &[1, 4, 9, 11])
        .output("y")
        .initialiser(&Message([other.0, Message::default().bytes(8, "w").0].concat()));
    assert!(
        refusal(&model.node("Conv", &["x", "w"], &["y"], &shape)).contains("attribute kernel_shape: wanted [3, 2]")
    );
}

/// Automatic padding differs per axis; its larger half is after or before.
#[test]
fn automatic_padding_is_computed_for_each_axis() {
    for (image, size, stride, dilation) in [
        ([7, 10], [3, 4], [2, 3], [1, 1]),
        ([5, 6], [2, 5], [1, 2], [1, 1]),
        ([8, 8], [1, 3], [3, 1], [1, 1]),
        ([9, 8], [3, 2], [1, 3], [2, 3]),
        ([7, 9], [2, 4], [2, 1], [3, 1]),
    ] {
        let x = numbers(image[0] * image[1]);
        let w = numbers(size[0] * size[1]);
        for auto in ["SAME_UPPER", "SAME_LOWER"] {
            let mut pads = [0; 4];
            for a in 0..2 {
                let outputs = image[a].div_ceil(stride[a]);
                let span = dilation[a] * (size[a] - 1) + 1;
                let all = ((outputs - 1) * stride[a] + span).saturating_sub(image[a]);
                let (less, more) = (all / 2, all - all / 2);
                (pads[a], pads[a + 2]) = if auto == "SAME_UPPER" { (less, more) } else { (more, less) };
            }
            let window = Window { size, stride, dilation, pads };
            let [k, s, d] = [size, stride, dilation].map(|pair| pair.map(|number| number as i64));
            let dims = [1, 1, image[0] as i64, image[1] as i64];
            let wanted = convolution(&x, image, &w, [1, 1, 1], window);
            let attributes = [string("auto_pad", auto), ints("strides", &s), ints("dilations", &d)];
            check(11, "Conv", (&dims, &x), &[floats("", &[1, 1, k[0], k[1]], &w)], &attributes, &wanted);
            let seen = |o| grid(size).filter_map(move |t| window.pixel(image, o, t)).map(|[r, c]| r * image[1] + c);
            let wanted: Vec<f32> =
                grid(window.outputs(image)).map(|o| seen(o).map(|at| x[at]).fold(f32::MIN, f32::max)).collect();
            let kernel = ints("kernel_shape", &k);
            let attributes = [string("auto_pad", auto), ints("strides", &s), ints("dilations", &d), kernel];
            check(11, "MaxPool", (&dims, &x), &[], &attributes, &wanted);
            let mean = |o| seen(o).map(|at| x[at]).sum::<f32>() / seen(o).count() as f32;
            let wanted: Vec<f32> = grid(window.outputs(image)).map(mean).collect();
            check(22, "AveragePool", (&dims, &x), &[], &attributes, &wanted);
        }
    }
}

#[test]
fn average_pooling_counts_what_it_says() {
    let (image, x) = ([4, 5], numbers(20));
    let window = Window { size: [3, 2], stride: [2, 2], dilation: [1, 1], pads: [1, 1, 1, 0] };
    for include in [false, true] {
        let wanted: Vec<f32> = grid(window.outputs(image))
            .map(|o| {
                let seen: Vec<f32> = grid(window.size)
                    .filter_map(|k| window.pixel(image, o, k))
                    .map(|[row, column]| x[row * 5 + column])
                    .collect();
                seen.iter().sum::<f32>() / if include { 6.0 } else { seen.len() as f32 }
            })
            .collect();
        let attributes = [
            ints("kernel_shape", &[3, 2]),
            ints("strides", &[2, 2]),
            ints("pads", &[1, 1, 1, 0]),
            int("count_include_pad", include.into()),
        ];
        check(11, "AveragePool", (&[1, 1, 4, 5], &x), &[], &attributes, &wanted);
    }
    // With ceil_mode, the last window extends beyond the end: its mean is that of the existing elements.
    let attributes = [ints("kernel_shape", &[2]), ints("strides", &[2]), int("ceil_mode", 1)];
    check(19, "AveragePool", (&[1, 1, 5], &[1.0, 2.0, 3.0, 5.0, 9.0]), &[], &attributes, &[1.5, 4.0, 9.0]);
    let attributes = [ints("kernel_shape", &[2]), ints("strides", &[2]), int("ceil_mode", 0)];
    check(19, "AveragePool", (&[1, 1, 5], &[1.0, 2.0, 3.0, 5.0, 9.0]), &[], &attributes, &[1.5, 4.0]);
}
