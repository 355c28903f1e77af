//! Cases of rotary embedding, and its reference: sizes, positions.

use crate::DType;
use crate::ops::RotaryEmbedding;
use crate::selftest::cases::{graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes(t);
    positions(t);
    unchecked_positions(t);
    not_finite(t);
}

/// Embeds `[N, H, L, D]`: pair i of a token at p turns by `p theta^(-2i / dimension)`.
pub fn rotary_embedding(x: &Tensor, starts: &[usize], theta: f64, dimension: usize, interleaved: bool) -> Tensor {
    Tensor::build(x.shape.clone(), |i| {
        let &[n, h, row, e] = i else { unreachable!("x has four dimensions") };
        if e >= dimension {
            return x.at(i);
        }
        let half = dimension / 2;
        let (pair, first, second) =
            if interleaved { (e / 2, e / 2 * 2, e / 2 * 2 + 1) } else { (e % half, e % half, e % half + half) };
        let angle = (starts[n % starts.len()] + row) as f64 * theta.powf(-2.0 * pair as f64 / dimension as f64);
        let [a, b] = [first, second].map(|e| x.at(&[n, h, row, e]));
        if e == first { a * angle.cos() - b * angle.sin() } else { a * angle.sin() + b * angle.cos() }
    })
}

/// Returns `[N, H, L, D]` as `[N, L, H D]`.
fn inner(x: &Tensor) -> Tensor {
    let [n, heads, rows, d] = x.dims();
    Tensor::new([n, rows, heads * d], crate::selftest::reference::transpose(x, &[0, 2, 1, 3]).data)
}

fn check_all(t: &Suite, shape: [usize; 4], starts: &[usize], theta: f64, dimension: Option<usize>) {
    let x = random(1, shape);
    let position =
        Tensor::new([starts.len()], starts.iter().map(|&start| start as f32).collect()).with_dtype(DType::I32);
    let last = starts.iter().max().unwrap_or(&0) + shape[2];
    for interleaved in [false, true] {
        let expected = rotary_embedding(
            &x,
            if starts.is_empty() { &[0] } else { starts },
            theta,
            dimension.unwrap_or(shape[3]),
            interleaved,
        );
        let mut op = RotaryEmbedding::new(last).theta(theta).interleaved(interleaved);
        if let Some(dimension) = dimension {
            op = op.dimension(dimension);
        }
        let form = |form: &str, op: RotaryEmbedding, x: &Tensor, expected: &Tensor| {
            let (op, inputs) = if starts.is_empty() { (op, vec![x]) } else { (op.cached(), vec![x, &position]) };
            let graph = graph(&inputs, |graph, x| graph.rotary_embedding(x, op));
            let case = format!("{shape:?} at {starts:?}, {dimension:?} of theta {theta}, {form}");
            t.check(&case, &graph, &inputs, expected, Tolerance::Elementwise);
        };
        form("heads outside", op.clone(), &x, &expected);
        form("heads inside", op.heads(shape[1]), &inner(&x), &inner(&expected));
    }
}

fn sizes(t: &Suite) {
    check_all(t, [1, 1, 1, 2], &[], 1e4, None);
    check_all(t, [2, 3, 5, 8], &[], 1e4, None);
    check_all(t, [1, 2, 65, 6], &[], 500.0, None);
    check_all(t, [2, 2, 3, 7], &[], 1e4, Some(4));
    check_all(t, [1, 2, 17, 80], &[], 5e5, Some(32));
}

fn positions(t: &Suite) {
    check_all(t, [1, 2, 1, 8], &[0], 1e4, None);
    check_all(t, [2, 2, 3, 8], &[70], 1e4, Some(6));
    check_all(t, [3, 1, 2, 4], &[5, 0, 63], 1e4, None);
    // An f32 can't hold this angle.
    check_all(t, [1, 1, 2, 4], &[100_003], 1.5, None);
}

/// Checks positions out of range, which the device doesn't check: beyond the last angle, the last one serves.
fn unchecked_positions(t: &Suite) {
    let x = random(1, [1, 1, 2, 4]);
    for (position, starts) in [(-3, 0), (i32::MAX, 4)] {
        let graph = graph(&[&x], |graph, x| {
            let position = graph.constant(crate::Constant::known("position", [1], vec![position]));
            graph.rotary_embedding(&[x[0], position], RotaryEmbedding::new(5).cached())
        });
        let mut expected = rotary_embedding(&x, &[starts], 1e4, 4, false);
        if starts > 0 {
            let token = |row: usize| Tensor::new([1, 1, 1, 4], x.data[4 * row..4 * row + 4].to_vec());
            let both = [0, 1].map(|row| rotary_embedding(&token(row), &[4], 1e4, 4, false).data);
            expected.data = both.concat();
        }
        t.check("unchecked", &graph, &[&x], &expected, Tolerance::Elementwise);
    }
}

fn not_finite(t: &Suite) {
    let x = random(1, [1, 2, 3, 8]);
    for interleaved in [false, true] {
        let op = RotaryEmbedding::new(3).interleaved(interleaved).dimension(6);
        let graph = graph(&[&x], |graph, x| graph.rotary_embedding(x, op));
        let reference = |x: &[&Tensor]| rotary_embedding(x[0], &[0], 1e4, 6, interleaved);
        t.check_not_finite(&format!("{interleaved}"), &graph, &[&x], reference, Tolerance::Elementwise);
    }
}
