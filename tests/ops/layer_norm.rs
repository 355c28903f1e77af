use crate::harness::{Tolerance, as_image, check, constant, far_from_zero, graph, outliers, random, refused};
use crate::reference::{self, Tensor};
use shadernet::ops::{Activation, LayerNorm};
use shadernet::{Constant, DType, Io, Op};

fn check_all(case: &str, x: &Tensor, dimensions: usize, eps: f64) {
    let over = &x.shape[x.shape.len() - dimensions..];
    let (weight, bias) = (random(2, over), random(3, over));
    for (affine, weight, bias) in [
        ("affine", Some(&weight), Some(&bias)),
        ("weight", Some(&weight), None),
        ("bias", None, Some(&bias)),
        ("plain", None, None),
    ] {
        let norm = LayerNorm::new(over, weight.map(constant), bias.map(constant)).eps(eps);
        let graph = graph(&[x], |graph, x| graph.layer_norm(x[0], norm));
        let expected = reference::layer_norm(x, dimensions, weight, bias, eps);
        check(&format!("{case}, {affine}"), &graph, &[x], &expected, Tolerance::Transcendental);
    }
}

#[test]
fn shapes_and_epsilons() {
    let cases: [(&[usize], usize, f64); 14] = [
        (&[1], 1, 1e-5),
        (&[7], 1, 1e-5),
        (&[3, 1], 1, 1e-5),
        (&[2, 7], 1, 0.1),
        (&[2, 7], 2, 1e-5),
        (&[3, 63], 1, 1e-5),
        (&[3, 64], 1, 1e-5),
        (&[3, 65], 1, 1e-5),
        (&[2, 1000], 1, 1e-3),
        (&[2, 1025], 1, 1e-5),
        (&[2, 5000], 1, 1e-5),
        (&[2, 3, 5, 7], 1, 1e-5),
        (&[2, 3, 5, 7], 3, 1e-5),
        (&[2, 1, 3, 5, 7], 2, 1e-5),
    ];
    for (shape, dimensions, eps) in cases {
        let case = format!("{dimensions} of {shape:?}, eps {eps}");
        check_all(&case, &random(1, shape), dimensions, eps);
        check_all(&format!("{case}, outliers"), &outliers(1, shape), dimensions, eps);
    }
}

#[test]
fn a_mean_far_from_zero() {
    for length in [2, 65, 1000, 5000] {
        check_all(&format!("{length} about 1e4"), &far_from_zero([3, length]), 1, 1e-5);
    }
    // Of numbers that are all the same nothing is left but the bias.
    check_all("all the same", &Tensor::new([2, 1000], vec![1e4 / 3.0; 2000]), 1, 1e-5);
}

#[test]
fn takes_in_an_activation() {
    let x = random(1, [2, 3, 65]);
    let expected = reference::layer_norm(&x, 1, None, None, 1e-5);
    for (activation, expected) in [
        (Activation::Relu, reference::relu(&expected)),
        (Activation::LeakyRelu(0.5), reference::leaky_relu(&expected, 0.5)),
        (Activation::Gelu, reference::gelu(&expected)),
    ] {
        let graph = graph(&[&x], |graph, x| {
            let y = graph.layer_norm(x[0], LayerNorm::new([65], None, None))?;
            graph.activation(y, activation)
        });
        assert_eq!(graph.fused().nodes().len(), 1);
        check(&format!("{activation:?}"), &graph, &[&x], &expected, Tolerance::Transcendental);
    }
}

#[test]
fn of_an_image() {
    let x = random(1, [2, 6, 3, 5]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.layer_norm(x, LayerNorm::new([6, 3, 5], None, None))?;
        as_image(graph, y)
    });
    let expected = reference::layer_norm(&x, 3, None, None, 1e-5);
    check("between images", &graph, &[&x], &expected, Tolerance::Transcendental);
}

#[test]
fn counts_its_parameters() {
    let shape = [2, 3, 5].into();
    let io = Io { inputs: std::slice::from_ref(&shape), outputs: std::slice::from_ref(&shape), dtypes: &[DType::F32] };
    let ones = || Some(Constant::new("c", [3, 5], vec![1.0; 15]));
    let parameters = |weight, bias| LayerNorm::new([3, 5], weight, bias).cost(&io).parameters;
    assert_eq!([parameters(ones(), ones()), parameters(ones(), None), parameters(None, None)], [30, 15, 0]);
}

#[test]
fn what_it_refuses() {
    let ones = |shape: &[usize]| Some(Constant::new("c", shape, vec![1.0; shape.iter().product()]));
    let plain = |over: &[usize]| LayerNorm::new(over, None, None);
    assert!(
        refused(&[&[2, 3]], plain(&[2])).contains("normalized_shape: wanted the last dimensions of [2, 3], got [2]")
    );
    assert!(refused(&[&[3]], plain(&[2, 3])).contains("normalized_shape"));
    assert!(refused(&[&[2, 3]], plain(&[])).contains("normalized_shape: wanted 1 dimension or more"));
    let weighted = LayerNorm::new([2, 3], ones(&[3]), None);
    assert!(refused(&[&[2, 3]], weighted).contains("weight: wanted [2, 3], got [3]"));
    let biased = LayerNorm::new([3], ones(&[3]), ones(&[1]));
    assert!(refused(&[&[2, 3]], biased).contains("bias: wanted [3], got [1]"));
    assert!(refused(&[], plain(&[3])).contains("inputs"));
}
