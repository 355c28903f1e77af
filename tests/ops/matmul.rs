use crate::harness::{Tolerance, check, constant, graph, outliers, random, refused};
use crate::reference::{self, Tensor};
use shadernet::kernel::Caps;
use shadernet::ops::{Activation, MatMul};
use shadernet::plan::Plan;

/// `torch.matmul` of tensors of any rank, after the last two dimensions of those that are `transposed` are swapped.
pub fn product(a: &Tensor, b: &Tensor, transposed: [bool; 2]) -> Tensor {
    let swapped = |x: &Tensor, yes: bool| {
        let mut order: Vec<usize> = (0..x.shape.len()).collect();
        if yes {
            order[x.shape.len() - 2..].reverse();
        }
        reference::transpose(x, &order)
    };
    let (a, b) = (swapped(a, transposed[0]), swapped(b, transposed[1]));
    let shaped = |x: &Tensor, shape: Vec<usize>| Tensor::new(shape, x.data.clone());
    let a2 = if a.shape.len() == 1 { shaped(&a, vec![1, a.shape[0]]) } else { a.clone() };
    let b2 = if b.shape.len() == 1 { shaped(&b, vec![b.shape[0], 1]) } else { b.clone() };
    let y = reference::matmul(&a2, &b2);
    let mut shape = y.shape.clone();
    if b.shape.len() == 1 {
        shape.pop();
    }
    if a.shape.len() == 1 {
        shape.remove(shape.len() - usize::from(b.shape.len() > 1) - 1);
    }
    shaped(&y, shape)
}

/// The operation that swaps those.
fn op(transposed: [bool; 2]) -> MatMul {
    match transposed {
        [false, false] => MatMul::new(),
        [true, false] => MatMul::new().transpose_a(),
        [false, true] => MatMul::new().transpose_b(),
        [true, true] => MatMul::new().transpose_a().transpose_b(),
    }
}

#[test]
fn sizes() {
    let cases: [(&str, &[usize], &[usize]); 14] = [
        ("one of everything", &[1, 1], &[1, 1]),
        ("odd sizes", &[3, 5], &[5, 7]),
        ("four of k", &[3, 4], &[4, 8]),
        ("65 rows, 63 columns", &[65, 12], &[12, 63]),
        ("64 rows, 64 columns", &[64, 8], &[8, 64]),
        ("17 rows, 33 columns, odd k", &[17, 67], &[67, 33]),
        ("a row by a column", &[1, 101], &[101, 1]),
        ("a column by a row", &[30, 1], &[1, 30]),
        ("batch", &[4, 3, 8], &[4, 8, 5]),
        ("batch broadcast both ways", &[2, 1, 3, 4], &[5, 4, 6]),
        ("batch broadcast both ways, odd k", &[2, 1, 3, 5], &[1, 3, 5, 6]),
        ("a matrix for all", &[2, 3, 5, 4], &[4, 2]),
        ("rank 4, several tiles", &[2, 2, 20, 8], &[2, 2, 8, 40]),
        ("rank 6", &[2, 1, 2, 1, 3, 4], &[1, 3, 1, 2, 4, 5]),
    ];
    for (name, a, b) in cases {
        let (a, b) = (random(1, a), random(2, b));
        let k = a.shape[a.shape.len() - 1];
        let graph = graph(&[&a, &b], |graph, x| graph.matmul(x[0], x[1]));
        check(name, &graph, &[&a, &b], &reference::matmul(&a, &b), Tolerance::Reduction(k));
    }
}

#[test]
fn outliers_and_activation() {
    for k in [16, 19] {
        let (a, b) = (outliers(1, [2, 9, k]), outliers(2, [2, k, 10]));
        let graph = graph(&[&a, &b], |graph, x| {
            let y = graph.matmul(x[0], x[1])?;
            graph.activation(y, Activation::LeakyRelu(0.5))
        });
        assert_eq!(graph.fused().nodes().len(), 1);
        let expected = reference::leaky_relu(&reference::matmul(&a, &b), 0.5);
        check("outliers", &graph, &[&a, &b], &expected, Tolerance::Reduction(k));
    }
}

#[test]
fn vectors() {
    let cases: [(&[usize], &[usize]); 12] = [
        (&[1], &[1]),
        (&[7], &[7]),
        (&[67], &[67]),
        (&[5], &[5, 3]),
        (&[8], &[8, 65]),
        (&[5], &[2, 3, 5, 7]),
        (&[3, 5], &[5]),
        (&[65, 8], &[8]),
        (&[2, 9, 12], &[12]),
        (&[2, 3, 7, 5], &[5]),
        (&[1, 4], &[4]),
        (&[4], &[4, 1]),
    ];
    for (a, b) in cases {
        let (a, b) = (random(1, a), random(2, b));
        let graph = graph(&[&a, &b], |graph, x| graph.matmul(x[0], x[1]));
        let case = format!("{:?} by {:?}", a.shape, b.shape);
        // A single sum may cancel more than the tolerance of a reduction foresees.
        check(&case, &graph, &[&a, &b], &product(&a, &b, [false; 2]), Tolerance::Transcendental);
    }
}

#[test]
fn transposed() {
    for (m, k, n) in
        [(1, 1, 1), (3, 5, 7), (4, 8, 12), (65, 12, 63), (64, 16, 64), (17, 67, 33), (1, 101, 1), (30, 1, 2)]
    {
        for transposed in [[true, false], [false, true], [true, true]] {
            let a = random(1, if transposed[0] { [k, m] } else { [m, k] });
            let b = random(2, if transposed[1] { [n, k] } else { [k, n] });
            let graph = graph(&[&a, &b], |graph, x| graph.push(op(transposed), x));
            let case = format!("{:?} by {:?}, transposed {transposed:?}", a.shape, b.shape);
            check(&case, &graph, &[&a, &b], &product(&a, &b, transposed), Tolerance::Reduction(k));
        }
    }
}

#[test]
fn transposed_batches_and_vectors() {
    let cases: [(&[usize], &[usize], [bool; 2]); 8] = [
        (&[2, 1, 4, 3], &[5, 4, 6], [true, false]),
        (&[2, 1, 3, 4], &[5, 6, 4], [false, true]),
        (&[2, 1, 5, 3], &[3, 6, 5], [true, true]),
        (&[2, 3, 70, 20], &[2, 3, 9, 20], [false, true]),
        (&[2, 12, 65], &[12, 5], [true, false]),
        (&[2, 5, 3], &[5], [true, false]),
        (&[8, 3], &[8], [true, false]),
        (&[5], &[2, 7, 5], [false, true]),
    ];
    for (a, b, transposed) in cases {
        let (a, b) = (random(1, a), random(2, b));
        let graph = graph(&[&a, &b], |graph, x| graph.push(op(transposed), x));
        let case = format!("{:?} by {:?}, transposed {transposed:?}", a.shape, b.shape);
        check(&case, &graph, &[&a, &b], &product(&a, &b, transposed), Tolerance::Reduction(20));
    }
}

#[test]
fn takes_in_bias_residual_and_activation() {
    let cases: [(&[usize], &[usize], [bool; 2]); 5] = [
        (&[2, 9, 16], &[16, 10], [false, false]),
        (&[2, 9, 16], &[10, 16], [false, true]),
        (&[2, 19, 9], &[10, 19], [true, true]),
        (&[2, 9, 8], &[8], [false, false]),
        (&[8], &[8, 6], [false, false]),
    ];
    for (a, b, transposed) in cases {
        let (a, b) = (random(1, a), random(2, b));
        let y = product(&a, &b, transposed);
        let (bias, residual) = (random(3, [y.shape[y.shape.len() - 1]]), random(4, y.shape.clone()));
        let graph = graph(&[&a, &b, &residual], |graph, x| {
            let y = graph.push(op(transposed).bias(constant(&bias)), &x[..2])?;
            let y = graph.sum(x[2], y)?;
            graph.activation(y, Activation::LeakyRelu(0.5))
        });
        let expected = reference::leaky_relu(&reference::add(&reference::add(&y, &bias), &residual), 0.5);
        let case = format!("{:?} by {:?}, transposed {transposed:?}", a.shape, b.shape);
        check(&case, &graph, &[&a, &b, &residual], &expected, Tolerance::Reduction(20));
    }
}

#[test]
fn bias_residual_and_activation_are_one_operation() {
    let (a, b, bias) = (random(1, [3, 4]), random(2, [5, 4]), random(3, [5]));
    let graph = graph(&[&a, &b], |graph, x| {
        let y = graph.push(MatMul::new().transpose_b().bias(constant(&bias)), x)?;
        let residual = graph.push(MatMul::new().transpose_b(), x)?;
        let y = graph.sum(y, residual)?;
        graph.relu(y)
    });
    assert_eq!(graph.fused().nodes().len(), 2);
}

#[test]
fn a_transposed_operand_is_not_copied() {
    let (q, k) = (random(1, [2, 5, 8]), random(2, [2, 7, 8]));
    for caps in [Caps::portable(), Caps::llvmpipe()] {
        let dispatches = |op: MatMul, a: &Tensor, b: &Tensor| {
            let graph = graph(&[a, b], |graph, x| graph.push(op, x));
            Plan::new(&graph, 1, &caps).expect("it can be planned").dispatches()
        };
        let kt = reference::transpose(&k, &[0, 2, 1]);
        assert!(dispatches(MatMul::new().transpose_b(), &q, &k) <= dispatches(MatMul::new(), &q, &kt));
    }
}

#[test]
fn of_computed_values() {
    // An attention's product: what comes before and after lies otherwise.
    let (q, k) = (random(1, [2, 5, 8]), random(2, [2, 7, 8]));
    let graph = graph(&[&q, &k], |graph, x| {
        let k = graph.transpose(x[1], [0, 2, 1])?;
        let scores = graph.matmul(x[0], k)?;
        graph.softmax(scores, 2)
    });
    let scores = reference::matmul(&q, &reference::transpose(&k, &[0, 2, 1]));
    check("attention", &graph, &[&q, &k], &reference::softmax(&scores, 2), Tolerance::Transcendental);
}

#[test]
fn what_pads_a_texel_is_nothing_to_it() {
    // After a sigmoid the padding of five columns to eight holds 0.5.
    let (a, weight) = (random(1, [2, 3, 4]), random(3, [5, 4]));
    let y = reference::sigmoid(&reference::linear(&a, &weight, None));
    for (b, transposed) in [([2, 5, 6], [false; 2]), ([2, 6, 5], [false, true]), ([2, 3, 6], [true, false])] {
        let b = random(2, b);
        let graph = graph(&[&a, &b], |graph, x| {
            let y = graph.linear(x[0], constant(&weight), None)?;
            let y = graph.activation(y, Activation::Sigmoid)?;
            graph.push(op(transposed), &[y, x[1]])
        });
        let expected = product(&y, &b, transposed);
        check(&format!("after a sigmoid, {transposed:?}"), &graph, &[&a, &b], &expected, Tolerance::Transcendental);
    }
    // Both of them, over what is padded.
    let graph = graph(&[&a], |graph, x| {
        let y = graph.linear(x[0], constant(&weight), None)?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        graph.push(op([false, true]), &[y, y])
    });
    check("by itself", &graph, &[&a], &product(&y, &y, [false, true]), Tolerance::Transcendental);
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[3, 4], &[5, 6]], MatMul::new()).contains("[.., 4, N]"));
    assert!(refused(&[&[3, 4], &[5, 6]], MatMul::new().transpose_b()).contains("[.., N, 4]"));
    assert!(refused(&[&[3, 4], &[5, 6]], MatMul::new().transpose_a()).contains("[.., 3, N]"));
    assert!(refused(&[&[3, 4], &[5]], MatMul::new()).contains("b: wanted [4] for a's [3, 4], got [5]"));
    assert!(refused(&[&[2, 3, 4], &[3, 4, 6]], MatMul::new()).contains("broadcast"));
    assert!(refused(&[&[], &[4, 6]], MatMul::new()).contains("a: wanted 1 to 6 dimensions, got []"));
    assert!(refused(&[&[4], &[4, 6]], MatMul::new().transpose_a()).contains("a: wanted 2 to 6 dimensions, got [4]"));
    assert!(refused(&[&[3, 4], &[1, 1, 1, 1, 1, 4, 6]], MatMul::new()).contains("b: wanted 1 to 6 dimensions"));
    assert!(refused(&[&[3, 4]], MatMul::new()).contains("inputs"));
    let bias = |size: usize| MatMul::new().bias(constant(&random(1, [size])));
    assert!(refused(&[&[3, 4], &[4, 6]], bias(3)).contains("bias: wanted the last dimension of [3, 6], got [3]"));
    assert!(refused(&[&[4], &[4]], bias(1)).contains("bias"));
}
