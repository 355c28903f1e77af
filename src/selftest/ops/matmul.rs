//! Cases of matrix products, and their reference: every tile, transposed operands, broadcast batches, fusion.

use crate::ops::{Activation, MatMul};
use crate::selftest::cases::{check_finished, constant, graph, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{Graph, Value};

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes(t);
    t.by_all_variants(variants);
    products_of_matrices(t);
    outliers_and_activation(t);
    vectors(t);
    transposed(t);
    transposed_batches_and_vectors(t);
    takes_in_bias_residual_and_activation(t);
    of_computed_values(t);
    what_pads_a_texel_is_nothing_to_it(t);
    long_loops(t);
    not_finite(t);
}

/// Computes `torch.matmul` of tensors of any rank, with the last two dimensions of the `transposed` operands swapped.
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

/// Returns the operation that transposes these operands.
pub fn op(transposed: [bool; 2]) -> MatMul {
    match transposed {
        [false, false] => MatMul::new(),
        [true, false] => MatMul::new().transpose_a(),
        [false, true] => MatMul::new().transpose_b(),
        [true, true] => MatMul::new().transpose_a().transpose_b(),
    }
}

fn sizes(t: &Suite) {
    let cases: [(&str, &[usize], &[usize]); 16] = [
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
        ("rank 8", &[2, 1, 2, 2, 1, 2, 3, 4], &[2, 1, 2, 2, 1, 2, 4, 5]),
        ("rank 9, broadcast", &[2, 1, 2, 1, 1, 2, 2, 3, 4], &[2, 3, 1, 2, 2, 4, 5]),
    ];
    for (name, a, b) in cases {
        let (a, b) = (random(1, a), random(2, b));
        let k = a.shape[a.shape.len() - 1];
        let graph = graph(&[&a, &b], |graph, x| graph.matmul(x[0], x[1]));
        t.check(name, &graph, &[&a, &b], &reference::matmul(&a, &b), Tolerance::Reduction(k));
    }
}

/// Checks every tile of the GEMM, whole and at its edges, and a k that several workgroups share.
fn variants(t: &Suite) {
    for (batch, m, k, n) in [(2, 133, 37, 130), (3, 9, 530, 33), (2, 290, 20, 40)] {
        for transposed in [[false; 2], [true; 2]] {
            let a = random(1, if transposed[0] { [batch, k, m] } else { [batch, m, k] });
            let b = random(2, if transposed[1] { [batch, n, k] } else { [batch, k, n] });
            let graph = graph(&[&a, &b], |graph, x| graph.push(op(transposed), x));
            let case = format!("{batch} of {m} x {k} by {k} x {n}, transposed {transposed:?}");
            t.check(&case, &graph, &[&a, &b], &product(&a, &b, transposed), Tolerance::Reduction(k));
        }
    }
}

/// Checks sizes for matrix units: k a multiple of four.
fn products_of_matrices(t: &Suite) {
    for (b_batch, m, k, n) in [(2, 70, 64, 72), (2, 19, 36, 21), (1, 33, 132, 40)] {
        for transposed in [[false; 2], [false, true]] {
            let a = random(1, [2, m, k]);
            let b = random(2, if transposed[1] { [b_batch, n, k] } else { [b_batch, k, n] });
            let graph = graph(&[&a, &b], |graph, x| graph.push(op(transposed), x));
            let case = format!("matrices, 2 of {m} x {k} by {b_batch} of {k} x {n}, transposed {transposed:?}");
            let expected = |x: &[&Tensor]| product(x[0], x[1], transposed);
            t.check(&case, &graph, &[&a, &b], &expected(&[&a, &b]), Tolerance::Reduction(k));
            if m == 19 {
                t.check_not_finite(&case, &graph, &[&a, &b], expected, Tolerance::Reduction(k));
            }
        }
    }
}

fn outliers_and_activation(t: &Suite) {
    for k in [16, 19] {
        let (a, b) = (outliers(1, [2, 9, k]), outliers(2, [2, k, 10]));
        let graph = graph(&[&a, &b], |graph, x| {
            let y = graph.matmul(x[0], x[1])?;
            graph.activation(y, Activation::LeakyRelu(0.5))
        });
        t.expect_fused(&graph, 1);
        let expected = reference::leaky_relu(&reference::matmul(&a, &b), 0.5);
        t.check("outliers", &graph, &[&a, &b], &expected, Tolerance::Reduction(k));
    }
}

fn vectors(t: &Suite) {
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
        // The sum of a single output may cancel more than the tolerance of a reduction allows for.
        t.check(&case, &graph, &[&a, &b], &product(&a, &b, [false; 2]), Tolerance::Transcendental);
    }
}

fn transposed(t: &Suite) {
    for (m, k, n) in
        [(1, 1, 1), (3, 5, 7), (4, 8, 12), (65, 12, 63), (64, 16, 64), (17, 67, 33), (1, 101, 1), (30, 1, 2)]
    {
        for transposed in [[true, false], [false, true], [true, true]] {
            let a = random(1, if transposed[0] { [k, m] } else { [m, k] });
            let b = random(2, if transposed[1] { [n, k] } else { [k, n] });
            let graph = graph(&[&a, &b], |graph, x| graph.push(op(transposed), x));
            let case = format!("{:?} by {:?}, transposed {transposed:?}", a.shape, b.shape);
            t.check(&case, &graph, &[&a, &b], &product(&a, &b, transposed), Tolerance::Reduction(k));
        }
    }
}

fn transposed_batches_and_vectors(t: &Suite) {
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
        t.check(&case, &graph, &[&a, &b], &product(&a, &b, transposed), Tolerance::Reduction(20));
    }
}

fn takes_in_bias_residual_and_activation(t: &Suite) {
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
        let bias = random(3, [y.shape[y.shape.len() - 1]]);
        let y = reference::add(&y, &bias);
        let case = format!("{:?} by {:?}, transposed {transposed:?}", a.shape, b.shape);
        let push = |graph: &mut Graph, x: &[Value]| graph.push(op(transposed).bias(constant(&bias)), x);
        check_finished(t, &case, &[&a, &b], &y, push, Tolerance::Reduction(20));
    }
}

fn of_computed_values(t: &Suite) {
    // An attention's product: the operations before and after use other layouts.
    let (q, k) = (random(1, [2, 5, 8]), random(2, [2, 7, 8]));
    let graph = graph(&[&q, &k], |graph, x| {
        let k = graph.transpose(x[1], [0, 2, 1])?;
        let scores = graph.matmul(x[0], k)?;
        graph.softmax(scores, 2)
    });
    let scores = reference::matmul(&q, &reference::transpose(&k, &[0, 2, 1]));
    t.check("attention", &graph, &[&q, &k], &reference::softmax(&scores, 2), Tolerance::Transcendental);
}

fn what_pads_a_texel_is_nothing_to_it(t: &Suite) {
    // After a sigmoid, the padding of five columns to eight holds 0.5.
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
        t.check(&format!("after a sigmoid, {transposed:?}"), &graph, &[&a, &b], &expected, Tolerance::Transcendental);
    }
    // Both operands are padded along the summed axis.
    let graph = graph(&[&a], |graph, x| {
        let y = graph.linear(x[0], constant(&weight), None)?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        graph.push(op([false, true]), &[y, y])
    });
    t.check("by itself", &graph, &[&a], &product(&y, &y, [false, true]), Tolerance::Transcendental);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    const K: usize = 70_000;
    for transposed in [[false, false], [false, true], [true, false]] {
        let shape = |rows: usize, columns: usize, yes: bool| if yes { [columns, rows] } else { [rows, columns] };
        let (a, b) = (random(1, shape(5, K, transposed[0])), random(2, shape(K, 3, transposed[1])));
        let graph = graph(&[&a, &b], |graph, x| graph.push(op(transposed), x));
        let case = format!("{K} products, transposed {transposed:?}");
        t.check(&case, &graph, &[&a, &b], &product(&a, &b, transposed), Tolerance::Reduction(K));
    }
}

fn not_finite(t: &Suite) {
    for (a, b, transposed) in [
        (&[2, 9, 16][..], &[2, 16, 10][..], [false; 2]),
        (&[17, 67], &[67, 33], [false; 2]),
        (&[9, 16], &[10, 16], [false, true]),
        (&[19, 9], &[19, 10], [true, false]),
        (&[2, 19, 9], &[10, 19], [true, true]),
        (&[2, 9, 8], &[8], [false; 2]),
    ] {
        let (a, b) = (random(1, a), random(2, b));
        let graph = graph(&[&a, &b], |graph, x| graph.push(op(transposed), x));
        let case = format!("{:?} by {:?}, transposed {transposed:?}", a.shape, b.shape);
        let reference = |x: &[&Tensor]| product(x[0], x[1], transposed);
        t.check_not_finite(&case, &graph, &[&a, &b], reference, Tolerance::Reduction(67));
    }
}
