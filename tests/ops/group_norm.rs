use crate::harness::{Tolerance, as_image, check, constant, far_from_zero, graph, outliers, random, refused};
use crate::reference::{self, Tensor};
use shadernet::Constant;
use shadernet::ops::{Activation, GroupNorm};

fn check_all(case: &str, x: &Tensor, groups: usize, eps: f64) {
    let (weight, bias) = (random(2, [x.shape[1]]), random(3, [x.shape[1]]));
    for (affine, weight, bias) in [("affine", Some(&weight), Some(&bias)), ("plain", None, None)] {
        let norm = GroupNorm::new(groups, weight.map(constant), bias.map(constant)).eps(eps);
        let graph = graph(&[x], |graph, x| graph.group_norm(x[0], norm));
        let expected = reference::group_norm(x, groups, weight, bias, eps);
        check(&format!("{case}, {affine}"), &graph, &[x], &expected, Tolerance::Transcendental);
    }
}

#[test]
fn groups_and_shapes() {
    let cases: [(&[usize], &[usize], f64); 10] = [
        (&[1, 1], &[1], 1e-5),
        (&[2, 6], &[1, 2, 6], 1e-5),
        (&[3, 7, 5], &[1, 7], 1e-5),
        (&[1, 4, 1, 1], &[1, 2, 4], 1e-5),
        (&[2, 6, 3, 7], &[1, 2, 3, 6], 0.1),
        (&[2, 2, 7, 9], &[1, 2], 1e-5),
        (&[2, 2, 8, 8], &[1, 2], 1e-5),
        (&[2, 10, 13, 1], &[1, 2, 10], 1e-5),
        (&[1, 4, 25, 50], &[1, 2, 4], 1e-3),
        (&[2, 4, 3, 5, 2], &[1, 2, 4], 1e-5),
    ];
    for (shape, groups, eps) in cases {
        for &groups in groups {
            let case = format!("{groups} groups of {shape:?}, eps {eps}");
            check_all(&case, &random(1, shape), groups, eps);
            check_all(&format!("{case}, outliers"), &outliers(1, shape), groups, eps);
        }
    }
}

#[test]
fn a_mean_far_from_zero() {
    for groups in [1, 2, 4] {
        check_all(&format!("{groups} groups about 1e4"), &far_from_zero([2, 4, 25, 50]), groups, 1e-5);
    }
}

#[test]
fn takes_in_an_activation_between_images() {
    let x = random(1, [2, 6, 3, 5]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.group_norm(x, GroupNorm::new(2, None, None))?;
        let y = graph.activation(y, Activation::Silu)?;
        as_image(graph, y)
    });
    assert_eq!(graph.fused().nodes().len(), 3);
    let expected = reference::silu(&reference::group_norm(&x, 2, None, None, 1e-5));
    check("SiLU", &graph, &[&x], &expected, Tolerance::Transcendental);
}

#[test]
fn what_it_refuses() {
    let ones = |channels: usize| Some(Constant::new("c", [channels], vec![1.0; channels]));
    let plain = |groups| GroupNorm::new(groups, None, None);
    assert!(refused(&[&[6]], plain(2)).contains("input: wanted 2 dimensions or more"));
    assert!(refused(&[&[1, 6, 2, 2]], plain(4)).contains("num_groups: wanted a divisor of 6, got 4"));
    assert!(refused(&[&[1, 6, 2, 2]], plain(0)).contains("num_groups: wanted a divisor of 6, got 0"));
    assert!(refused(&[&[1, 6, 2, 2]], GroupNorm::new(2, ones(2), None)).contains("weight: wanted [6], got [2]"));
    assert!(refused(&[&[1, 6, 2, 2]], GroupNorm::new(2, ones(6), ones(1))).contains("bias: wanted [6], got [1]"));
}
