use crate::harness::{Tolerance, check, constant, graph, outliers, random, refused};
use crate::reference::{self, Tensor};
use shadernet::Constant;
use shadernet::ops::{Activation, BatchNorm2d};

/// Weight, bias, running mean, running variance.
fn parameters(channels: usize) -> [Tensor; 4] {
    let mut parameters = [10, 11, 12, 13].map(|seed| random(seed, [channels]));
    parameters[3].data.iter_mut().for_each(|var| *var += 1.25);
    parameters
}

fn norm(parameters: &[Tensor; 4]) -> BatchNorm2d {
    let [weight, bias, mean, var] = parameters.each_ref().map(constant);
    BatchNorm2d::new(weight, bias, mean, var)
}

#[test]
fn shapes_and_epsilons() {
    let cases: [(&[usize], f64); 11] = [
        (&[1, 1], 1e-5),
        (&[3, 5], 1e-5),
        (&[2, 4, 7], 1e-5),
        (&[2, 7, 3], 0.1),
        (&[1, 1, 1, 1], 1e-5),
        (&[2, 7, 3, 5], 1e-5),
        (&[2, 8, 5, 13], 0.1),
        (&[1, 65, 4, 4], 1e-3),
        (&[1, 1, 1, 1, 1], 1e-5),
        (&[2, 7, 3, 5, 3], 1e-5),
        (&[2, 65, 1, 2, 2], 0.1),
    ];
    for (shape, eps) in cases {
        let x = outliers(1, shape);
        let parameters = parameters(shape[1]);
        let graph = graph(&[&x], |graph, x| graph.batch_norm(x[0], norm(&parameters).eps(eps)));
        let expected = reference::batch_norm(&x, parameters.each_ref(), eps);
        check(&format!("{shape:?}, eps {eps}"), &graph, &[&x], &expected, Tolerance::Elementwise);
    }
}

#[test]
fn takes_in_an_activation() {
    let x = random(1, [2, 5, 3, 4]);
    let parameters = parameters(5);
    let expected = reference::batch_norm(&x, parameters.each_ref(), 1e-5);
    for (activation, expected) in [
        (Activation::Relu, reference::relu(&expected)),
        (Activation::LeakyRelu(0.5), reference::leaky_relu(&expected, 0.5)),
    ] {
        let graph = graph(&[&x], |graph, x| {
            let y = graph.batch_norm(x[0], norm(&parameters))?;
            graph.activation(y, activation)
        });
        assert_eq!(graph.fused().nodes().len(), 1);
        check(&format!("{activation:?}"), &graph, &[&x], &expected, Tolerance::Elementwise);
    }
}

#[test]
fn what_it_refuses() {
    let all = |channels: usize| Constant::new("c", [channels], vec![1.0; channels]);
    let norm = |mean| BatchNorm2d::new(all(3), all(3), all(mean), all(3));
    assert!(refused(&[&[3]], norm(3)).contains("2 to 5 dimensions"));
    assert!(refused(&[&[2, 4, 5, 5]], norm(3)).contains("weight: wanted [4], got [3]"));
    assert!(refused(&[&[2, 3, 5, 5]], norm(1)).contains("running_mean: wanted [3], got [1]"));
}
