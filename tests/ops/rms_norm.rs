use crate::harness::{Tolerance, check, constant, far_from_zero, graph, outliers, random, refused};
use crate::reference::{self, Tensor};
use shadernet::Constant;
use shadernet::ops::{Activation, RmsNorm};

const EPS: f64 = f32::EPSILON as f64;

#[test]
fn shapes() {
    let cases: [(&[usize], usize); 11] = [
        (&[1], 1),
        (&[3, 1], 1),
        (&[2, 7], 1),
        (&[2, 7], 2),
        (&[3, 63], 1),
        (&[3, 64], 1),
        (&[3, 65], 1),
        (&[2, 1000], 1),
        (&[2, 5000], 1),
        (&[2, 3, 5, 7], 1),
        (&[2, 3, 5, 7], 3),
    ];
    for (shape, dimensions) in cases {
        let over = &shape[shape.len() - dimensions..];
        let weight = random(2, over);
        for (values, x) in [("±1", random(1, shape)), ("outliers", outliers(1, shape)), ("1e4", far_from_zero(shape))]
        {
            for weight in [Some(&weight), None] {
                let norm = RmsNorm::new(over, weight.map(constant));
                let graph = graph(&[&x], |graph, x| graph.rms_norm(x[0], norm));
                let expected = reference::rms_norm(&x, dimensions, weight, EPS);
                let case = format!("{dimensions} of {shape:?}, {values}, weight {}", weight.is_some());
                check(&case, &graph, &[&x], &expected, Tolerance::Transcendental);
            }
        }
    }
}

#[test]
fn epsilons() {
    // The default counts where the squares are as small.
    let x = Tensor::new([2, 3], [1e-4, -2e-4, 3e-4, 0.0, 0.0, 0.0].to_vec());
    let norm = RmsNorm::new([3], None);
    for (norm, eps) in [(norm.clone(), EPS), (norm.clone().eps(1e-6), 1e-6), (norm.eps(0.1), 0.1)] {
        let graph = graph(&[&x], |graph, x| graph.rms_norm(x[0], norm));
        let expected = reference::rms_norm(&x, 1, None, eps);
        check(&format!("eps {eps}"), &graph, &[&x], &expected, Tolerance::Transcendental);
    }
}

#[test]
fn takes_in_an_activation() {
    let x = random(1, [2, 3, 65]);
    let graph = graph(&[&x], |graph, x| {
        let y = graph.rms_norm(x[0], RmsNorm::new([3, 65], None))?;
        graph.activation(y, Activation::Silu)
    });
    assert_eq!(graph.fused().nodes().len(), 1);
    let expected = reference::silu(&reference::rms_norm(&x, 2, None, EPS));
    check("SiLU", &graph, &[&x], &expected, Tolerance::Transcendental);
}

#[test]
fn what_it_refuses() {
    let plain = |over: &[usize]| RmsNorm::new(over, None);
    assert!(
        refused(&[&[2, 3]], plain(&[2])).contains("normalized_shape: wanted the last dimensions of [2, 3], got [2]")
    );
    assert!(refused(&[&[2, 3]], plain(&[])).contains("normalized_shape: wanted 1 dimension or more"));
    let weighted = RmsNorm::new([3], Some(Constant::new("c", [2], vec![1.0; 2])));
    assert!(refused(&[&[2, 3]], weighted).contains("weight: wanted [3], got [2]"));
}
