use crate::harness::{Tolerance, as_image, check, constant, graph, outliers, random, refused};
use crate::reference::{self, Tensor};
use shadernet::ops::PRelu;
use shadernet::{Constant, Io, Op};

pub fn prelu(x: &Tensor, weight: &Tensor) -> Tensor {
    Tensor::build(x.shape.clone(), |i| {
        let slope = if weight.data.len() == 1 { weight.at(&[0]) } else { weight.at(&[i[1]]) };
        x.at(i).max(0.0) + slope * x.at(i).min(0.0)
    })
}

#[test]
fn one_weight_and_one_a_channel() {
    let cases: [&[usize]; 15] = [
        &[],
        &[1],
        &[6],
        &[1, 1],
        &[3, 7],
        &[5, 64],
        &[2, 5, 1],
        &[2, 5, 7],
        &[2, 8, 4],
        &[2, 3, 5, 7],
        &[1, 4, 8, 8],
        &[1, 65, 3, 3],
        &[2, 3, 2, 5, 3],
        &[2, 5, 3, 1, 2, 6],
        &[1, 2, 1, 2, 1, 2, 1, 2, 3],
    ];
    for shape in cases {
        let x = outliers(1, shape);
        for weights in [Some(&1), shape.get(1)].into_iter().flatten() {
            let weight = random(2, [*weights]);
            let graph = graph(&[&x], |graph, x| graph.prelu(x[0], constant(&weight)));
            let case = format!("{weights} weights for {shape:?}");
            check(&case, &graph, &[&x], &prelu(&x, &weight), Tolerance::Elementwise);
        }
    }
}

#[test]
fn between_operations() {
    let (x, weight) = (random(1, [2, 6, 3, 5]), random(2, [6]));
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.prelu(x, constant(&weight))?;
        as_image(graph, y)
    });
    check("between images", &graph, &[&x], &prelu(&x, &weight), Tolerance::Elementwise);
}

#[test]
fn between_linear_layers() {
    let (x, first, second) = (random(1, [2, 3, 8]), random(2, [7, 8]), random(3, [5, 7]));
    for slopes in [1, 3] {
        let slopes = random(4, [slopes]);
        let graph = graph(&[&x], |graph, x| {
            let y = graph.linear(x[0], constant(&first), None)?;
            let y = graph.prelu(y, constant(&slopes))?;
            graph.linear(y, constant(&second), None)
        });
        let y = prelu(&reference::linear(&x, &first, None), &slopes);
        let expected = reference::linear(&y, &second, None);
        check("between linear layers", &graph, &[&x], &expected, Tolerance::Reduction(16));
    }
}

#[test]
fn counts_its_parameters() {
    let shape = [2, 3, 5].into();
    let io = Io { inputs: std::slice::from_ref(&shape), outputs: std::slice::from_ref(&shape) };
    let parameters = |weights: usize| PRelu::new(constant(&random(1, [weights]))).cost(&io).parameters;
    assert_eq!([parameters(1), parameters(3)], [1, 3]);
}

#[test]
fn what_it_refuses() {
    let op = |shape: &[usize]| PRelu::new(Constant::new("w", shape, vec![0.25; shape.iter().product()]));
    assert!(refused(&[&[2, 5, 3]], op(&[3])).contains("weight: wanted [1] or [5], got [3]"));
    assert!(refused(&[&[3]], op(&[3])).contains("weight: wanted [1], got [3]"));
    assert!(refused(&[&[2, 5]], op(&[5, 1])).contains("weight: wanted [1] or [5], got [5, 1]"));
    assert!(refused(&[&[2, 5]], op(&[])).contains("weight"));
    assert!(refused(&[], op(&[1])).contains("inputs"));
}
