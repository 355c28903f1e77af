use crate::harness::{Tolerance, check, graph, random, refused};
use crate::reference::Tensor;
use shadernet::ops::RotaryEmbedding;
use shadernet::{DType, Io, Op};

/// The embedding of `[N, H, L, D]`: pair i of a token at p turns by `p theta^(-2i / dimension)`.
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

/// `[N, H, L, D]` as `[N, L, H D]`.
fn inner(x: &Tensor) -> Tensor {
    let [n, heads, rows, d] = x.dims();
    Tensor::new([n, rows, heads * d], crate::reference::transpose(x, &[0, 2, 1, 3]).data)
}

fn check_all(shape: [usize; 4], starts: &[usize], theta: f64, dimension: Option<usize>) {
    let x = random(1, shape);
    let position = Tensor::new([starts.len()], starts.iter().map(|&start| start as f32).collect()).of(DType::I32);
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
            check(&case, &graph, &inputs, expected, Tolerance::Elementwise);
        };
        form("heads outside", op.clone(), &x, &expected);
        form("heads inside", op.heads(shape[1]), &inner(&x), &inner(&expected));
    }
}

#[test]
fn sizes() {
    check_all([1, 1, 1, 2], &[], 1e4, None);
    check_all([2, 3, 5, 8], &[], 1e4, None);
    check_all([1, 2, 65, 6], &[], 500.0, None);
    check_all([2, 2, 3, 7], &[], 1e4, Some(4));
    check_all([1, 2, 17, 80], &[], 5e5, Some(32));
}

#[test]
fn positions() {
    check_all([1, 2, 1, 8], &[0], 1e4, None);
    check_all([2, 2, 3, 8], &[70], 1e4, Some(6));
    check_all([3, 1, 2, 4], &[5, 0, 63], 1e4, None);
    // What f32 can't hold as an angle.
    check_all([1, 1, 2, 4], &[100_003], 1.5, None);
}

/// On the device nobody checks a position: the last angle serves for those beyond.
#[test]
fn unchecked_positions() {
    let x = random(1, [1, 1, 2, 4]);
    for (position, starts) in [(-3, 0), (i32::MAX, 4)] {
        let graph = graph(&[&x], |graph, x| {
            let position = graph.constant(shadernet::Constant::integers("position", [1], vec![position]));
            graph.rotary_embedding(&[x[0], position], RotaryEmbedding::new(5).cached())
        });
        let mut expected = rotary_embedding(&x, &[starts], 1e4, 4, false);
        if starts > 0 {
            let token = |row: usize| Tensor::new([1, 1, 1, 4], x.data[4 * row..4 * row + 4].to_vec());
            let both = [0, 1].map(|row| rotary_embedding(&token(row), &[4], 1e4, 4, false).data);
            expected.data = both.concat();
        }
        check("unchecked", &graph, &[&x], &expected, Tolerance::Elementwise);
    }
}

#[test]
fn what_a_position_may_be() {
    let shapes = [[2, 3, 8].into(), [1].into()];
    let io = Io { inputs: &shapes, outputs: &shapes[..1], dtypes: &[DType::F32, DType::I32] };
    let op = RotaryEmbedding::new(10).heads(2).cached();
    assert_eq!([op.range(0, &io), op.range(1, &io)], [None, Some([0, 7])]);
}

#[test]
fn what_it_refuses() {
    let op = || RotaryEmbedding::new(4);
    assert!(refused(&[&[1, 2, 8]], op()).contains("input: wanted 4 dimensions"));
    assert!(refused(&[&[1, 2, 4, 8]], op().heads(2)).contains("input: wanted 3 dimensions"));
    assert!(refused(&[&[1, 2, 8]], op().heads(3)).contains("heads: wanted a divisor of the 8 elements, got 3"));
    assert!(refused(&[&[1, 2, 8]], op().heads(0)).contains("heads"));
    assert!(refused(&[&[1, 1, 4, 7]], op()).contains("dimension: wanted an even number up to 7, got 7"));
    assert!(refused(&[&[1, 1, 4, 8]], op().dimension(10)).contains("dimension"));
    assert!(refused(&[&[1, 1, 4, 8]], op().dimension(0)).contains("dimension"));
    assert!(refused(&[&[1, 1, 5, 8]], op()).contains("max_length: wanted 5 tokens or more, got 4"));
    assert!(refused(&[&[1, 1, 4, 8]], RotaryEmbedding::new(usize::MAX)).contains("table"));
    for theta in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(refused(&[&[1, 1, 4, 8]], op().theta(theta)).contains("theta"));
    }
    assert!(refused(&[&[1, 1, 4, 8]], op().cached()).contains("inputs: wanted 2, got 1"));
    assert!(refused(&[&[2, 1, 4, 8], &[3]], op().cached()).contains("position: wanted [1] or [2], got [3]"));
    assert!(refused(&[&[2, 1, 4, 8], &[2]], op().cached()).contains("the elements of input 1: wanted i32"));
}
