//! The reference of each operation: plain loops over row-major values, summed in f64, never optimised.
//!
//! Shapes and attributes have the meaning of PyTorch; spatial attributes are in the order of the axes.
//! `tests/ops/goldens` checks these functions against PyTorch itself.

mod windows;

pub use windows::{
    Conv, Pool, adaptive_max_pool_with_indices, adaptive_pool, conv, conv_transpose, max_pool_with_indices, pad, pool,
};

use crate::DType;

/// A row-major tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    /// The elements. Integers and truth values are `f32`s too: they are small enough to be exact.
    pub data: Vec<f32>,
    pub dtype: DType,
}

impl Tensor {
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Tensor {
        let shape = shape.into();
        assert_eq!(data.len(), shape.iter().product::<usize>(), "values for {shape:?}");
        Tensor { shape, data, dtype: DType::F32 }
    }

    /// Returns the same numbers as elements of another type.
    pub fn with_dtype(self, dtype: DType) -> Tensor {
        Tensor { dtype, ..self }
    }

    /// Builds the tensor whose element at each index is `f` of that index.
    pub fn build(shape: impl Into<Vec<usize>>, f: impl Fn(&[usize]) -> f64) -> Tensor {
        let shape = shape.into();
        let mut index = vec![0; shape.len()];
        let mut data = Vec::new();
        for _ in 0..shape.iter().product() {
            data.push(f(&index) as f32);
            for d in (0..shape.len()).rev() {
                index[d] += 1;
                if index[d] < shape[d] {
                    break;
                }
                index[d] = 0;
            }
        }
        Tensor::new(shape, data)
    }

    pub fn at(&self, index: &[usize]) -> f64 {
        assert_eq!(index.len(), self.shape.len());
        f64::from(self.data[index.iter().zip(&self.shape).fold(0, |flat, (&i, &size)| flat * size + i)])
    }

    pub fn dims<const N: usize>(&self) -> [usize; N] {
        self.shape[..].try_into().unwrap_or_else(|_| panic!("{:?} hasn't {N} dimensions", self.shape))
    }

    pub fn map(&self, f: impl Fn(f64) -> f64) -> Tensor {
        Tensor::new(self.shape.clone(), self.data.iter().map(|&x| f(f64::from(x)) as f32).collect())
    }

    /// Returns the element that NumPy's broadcasting repeats at an index of a wider shape.
    pub fn broadcast_at(&self, index: &[usize]) -> f64 {
        let own = &index[index.len() - self.shape.len()..];
        self.at(&own.iter().zip(&self.shape).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect::<Vec<_>>())
    }
}

/// Returns the shape that NumPy's broadcasting gives.
pub fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let size = |shape: &[usize], from_end: usize| shape.iter().rev().nth(from_end).copied().unwrap_or(1);
    (0..a.len().max(b.len())).rev().map(|i| if size(a, i) == 1 { size(b, i) } else { size(a, i) }).collect()
}

pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let [out, features] = weight.dims();
    let shape = [&x.shape[..x.shape.len() - 1], &[out]].concat();
    Tensor::build(shape, |i| {
        let (outer, o) = (&i[..i.len() - 1], i[i.len() - 1]);
        let mut sum = bias.map_or(0.0, |bias| bias.at(&[o]));
        for k in 0..features {
            sum += x.at(&[outer, &[k]].concat()) * weight.at(&[o, k]);
        }
        sum
    })
}

pub fn matmul(a: &Tensor, b: &Tensor) -> Tensor {
    let split = |shape: &[usize]| (shape[..shape.len() - 2].to_vec(), shape[shape.len() - 2], shape[shape.len() - 1]);
    let ((a_outer, m, inner), (b_outer, _, n)) = (split(&a.shape), split(&b.shape));
    Tensor::build([&broadcast(&a_outer, &b_outer)[..], &[m, n]].concat(), |i| {
        let (outer, row, column) = split(i);
        let mut sum = 0.0;
        for k in 0..inner {
            sum += a.broadcast_at(&[&outer[..], &[row, k]].concat())
                * b.broadcast_at(&[&outer[..], &[k, column]].concat());
        }
        sum
    })
}

/// Normalises with `parameters`: weight, bias, running mean, running variance.
pub fn batch_norm(x: &Tensor, parameters: [&Tensor; 4], eps: f64) -> Tensor {
    Tensor::build(x.shape.clone(), |i| {
        let [weight, bias, mean, var] = parameters.map(|parameter| parameter.at(&[i[1]]));
        (x.at(i) - mean) / (var + eps).sqrt() * weight + bias
    })
}

pub fn local_response_norm(x: &Tensor, size: usize, alpha: f64, beta: f64, k: f64) -> Tensor {
    let channels = x.shape[1];
    Tensor::build(x.shape.clone(), |i| {
        let mut sum = 0.0;
        // For an even size, the larger half is before the channel.
        for c in i[1].saturating_sub(size / 2)..channels.min(i[1] + (size - 1) / 2 + 1) {
            sum += x.at(&[i[0], c, i[2], i[3]]).powi(2);
        }
        x.at(i) / (k + alpha * sum / size as f64).powf(beta)
    })
}

/// Scales each line of `length` elements to variance 1, and shifts it to mean 0 if `centred`; then applies the weight
/// and the bias that `affine` returns for an element's number.
fn normalise(x: &Tensor, length: usize, centred: bool, eps: f64, affine: impl Fn(usize) -> [f64; 2]) -> Tensor {
    let mut data = Vec::new();
    for line in x.data.chunks_exact(length) {
        let over = |f: &dyn Fn(f64) -> f64| line.iter().map(|&x| f(f64::from(x))).sum::<f64>() / length as f64;
        let mean = if centred { over(&|x| x) } else { 0.0 };
        let var = over(&|x| (x - mean).powi(2));
        for &x in line {
            let [weight, bias] = affine(data.len());
            data.push(((f64::from(x) - mean) / (var + eps).sqrt() * weight + bias) as f32);
        }
    }
    Tensor::new(x.shape.clone(), data)
}

/// Returns the weight and the bias number `i`; 1 and 0 are the defaults.
fn affine(weight: Option<&Tensor>, bias: Option<&Tensor>, i: usize) -> [f64; 2] {
    let get = |tensor: Option<&Tensor>, otherwise| tensor.map_or(otherwise, |tensor| f64::from(tensor.data[i]));
    [get(weight, 1.0), get(bias, 0.0)]
}

/// Normalises over the last `dimensions` dimensions.
pub fn layer_norm(x: &Tensor, dimensions: usize, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Tensor {
    let length = x.shape[x.shape.len() - dimensions..].iter().product();
    normalise(x, length, true, eps, |i| affine(weight, bias, i % length))
}

/// Normalises over the last `dimensions` dimensions.
pub fn rms_norm(x: &Tensor, dimensions: usize, weight: Option<&Tensor>, eps: f64) -> Tensor {
    let length = x.shape[x.shape.len() - dimensions..].iter().product();
    normalise(x, length, false, eps, |i| affine(weight, None, i % length))
}

pub fn group_norm(x: &Tensor, groups: usize, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Tensor {
    let (channels, spatial) = (x.shape[1], x.shape[2..].iter().product::<usize>());
    normalise(x, channels / groups * spatial, true, eps, |i| affine(weight, bias, i / spatial % channels))
}

pub fn instance_norm(x: &Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Tensor {
    group_norm(x, x.shape[1], weight, bias, eps)
}

pub fn softmax(x: &Tensor, axis: usize) -> Tensor {
    over_lines(x, axis, |shifted, sum| shifted.exp() / sum)
}

pub fn log_softmax(x: &Tensor, axis: usize) -> Tensor {
    over_lines(x, axis, |shifted, sum| shifted - sum.ln())
}

/// Applies `f` to each element minus its line's maximum, and to the line's sum of exponentials.
fn over_lines(x: &Tensor, axis: usize, f: impl Fn(f64, f64) -> f64) -> Tensor {
    let (length, stride) = (x.shape[axis], x.shape[axis + 1..].iter().product::<usize>());
    let mut y = x.clone();
    for first in (0..x.data.len()).filter(|i| i / stride % length == 0) {
        let line = || (0..length).map(|i| first + i * stride);
        let value = |i: usize| f64::from(x.data[i]);
        let largest = line().map(value).fold(f64::NEG_INFINITY, f64::max);
        let sum = line().map(|i| (value(i) - largest).exp()).sum();
        line().for_each(|i| y.data[i] = f(value(i) - largest, sum) as f32);
    }
    y
}

pub fn concat(inputs: &[&Tensor], axis: usize) -> Tensor {
    let mut shape = inputs[0].shape.clone();
    shape[axis] = inputs.iter().map(|x| x.shape[axis]).sum();
    Tensor::build(shape, |i| {
        let mut at = i.to_vec();
        for x in inputs {
            if at[axis] < x.shape[axis] {
                return x.at(&at);
            }
            at[axis] -= x.shape[axis];
        }
        unreachable!("the sizes add up")
    })
}

pub fn transpose(x: &Tensor, order: &[usize]) -> Tensor {
    Tensor::build(order.iter().map(|&d| x.shape[d]).collect::<Vec<_>>(), |i| {
        let mut from = i.to_vec();
        for (&d, &at) in order.iter().zip(i) {
            from[d] = at;
        }
        x.at(&from)
    })
}

pub fn pixel_shuffle(x: &Tensor, factor: usize) -> Tensor {
    let [n, c, h, w] = x.dims();
    Tensor::build([n, c / (factor * factor), h * factor, w * factor], |i| {
        let channel = i[1] * factor * factor + i[2] % factor * factor + i[3] % factor;
        x.at(&[i[0], channel, i[2] / factor, i[3] / factor])
    })
}

/// Returns the greater of two numbers, NaN if one of them is NaN.
pub fn maximum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Returns the lesser of two numbers, NaN if one of them is NaN.
pub fn minimum(a: f64, b: f64) -> f64 {
    -maximum(-a, -b)
}

/// Applies `f` to each pair of elements, broadcast.
pub fn binary(a: &Tensor, b: &Tensor, f: impl Fn(f64, f64) -> f64) -> Tensor {
    Tensor::build(broadcast(&a.shape, &b.shape), |i| f(a.broadcast_at(i), b.broadcast_at(i)))
}

pub fn add(a: &Tensor, b: &Tensor) -> Tensor {
    binary(a, b, |a, b| a + b)
}

pub fn sub(a: &Tensor, b: &Tensor) -> Tensor {
    binary(a, b, |a, b| a - b)
}

pub fn mul(a: &Tensor, b: &Tensor) -> Tensor {
    binary(a, b, |a, b| a * b)
}

pub fn div(a: &Tensor, b: &Tensor) -> Tensor {
    binary(a, b, |a, b| a / b)
}

pub fn relu(x: &Tensor) -> Tensor {
    x.map(|x| maximum(x, 0.0))
}

pub fn relu6(x: &Tensor) -> Tensor {
    x.map(|x| x.clamp(0.0, 6.0))
}

pub fn leaky_relu(x: &Tensor, slope: f64) -> Tensor {
    x.map(|x| if x < 0.0 { slope * x } else { x })
}

/// Returns what [`cases::finished`](crate::selftest::cases::finished) computes.
pub fn finished(y: &Tensor, residual: &Tensor, last: bool) -> Tensor {
    if last { add(&leaky_relu(y, 0.3), residual) } else { leaky_relu(&add(y, residual), 0.3) }
}

pub fn sigmoid(x: &Tensor) -> Tensor {
    x.map(|x| 1.0 / (1.0 + (-x).exp()))
}

pub fn tanh(x: &Tensor) -> Tensor {
    x.map(f64::tanh)
}

pub fn silu(x: &Tensor) -> Tensor {
    x.map(|x| x / (1.0 + (-x).exp()))
}

pub fn hardswish(x: &Tensor) -> Tensor {
    x.map(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0)
}

pub fn gelu(x: &Tensor) -> Tensor {
    x.map(|x| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)))
}

pub fn gelu_tanh(x: &Tensor) -> Tensor {
    let inner = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
    x.map(|x| 0.5 * x * (1.0 + inner(x).tanh()))
}

pub fn elu(x: &Tensor, alpha: f64) -> Tensor {
    x.map(|x| if x < 0.0 { alpha * x.exp_m1() } else { x })
}

pub fn selu(x: &Tensor) -> Tensor {
    let (alpha, scale) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);
    x.map(|x| scale * if x < 0.0 { alpha * x.exp_m1() } else { x })
}

pub fn celu(x: &Tensor, alpha: f64) -> Tensor {
    x.map(|x| if x < 0.0 { alpha * (x / alpha).exp_m1() } else { x })
}

pub fn hardsigmoid(x: &Tensor) -> Tensor {
    x.map(|x| (x + 3.0).clamp(0.0, 6.0) / 6.0)
}

pub fn mish(x: &Tensor) -> Tensor {
    x.map(|x| x * (x.max(0.0) + (-x.abs()).exp().ln_1p()).tanh())
}

pub fn softplus(x: &Tensor, beta: f64, threshold: f64) -> Tensor {
    x.map(|x| if beta * x > threshold { x } else { (beta * x).exp().ln_1p() / beta })
}

pub fn softsign(x: &Tensor) -> Tensor {
    x.map(|x| x / (1.0 + x.abs()))
}

/// Computes `2 / sqrt(π) exp(-x²) sum_n 2^n x^(2n+1) / (1 · 3 · … · (2n+1))`: all terms have one sign, so none cancel.
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
}
