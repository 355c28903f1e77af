//! Matrix product of two computed tensors.

use super::epilogue::Epilogue;
use super::gemm::{Gemm, Operand};
use super::strided::walks;
use super::window::Window;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op};
use crate::kernel::layout::Image;
use crate::kernel::{Binding, Caps, Kernel, Layout};
use crate::{Graph, Shape, Value};

/// `torch.matmul`: `[.., M, K]` by `[.., K, N]` gives `[.., M, N]`. The leading dimensions are a batch, which is
/// broadcast: four dimensions at most, where neighbours that broadcast alike count as one. An operand of one dimension,
/// `[K]`, is a row as a and a column as b; the output lacks that dimension.
///
/// ```
/// use shadernet::ops::MatMul;
/// let scores = MatMul::new().transpose_b(); // queries [.., Q, D] by keys [.., K, D]
/// ```
#[derive(Clone, Debug, Default)]
pub struct MatMul {
    /// True for a transposed operand: a, then b.
    transposed: [bool; 2],
    bias: Option<Constant>,
    epilogue: Epilogue,
}

/// An operand as a batch of matrices.
struct Matrices {
    batch: Shape,
    rows: usize,
    columns: usize,
    /// True if the matrices are stored as `[columns, rows]`.
    transposed: bool,
}

/// A product of matrices. The operands are in the order of multiplication: that of the inputs, or the reverse.
struct Product {
    operands: [Matrices; 2],
    reversed: bool,
    /// The number of matrices, and each operand's distance to its next matrix in rows of memory: along four dimensions.
    batch: [[usize; 4]; 3],
    output: Shape,
}

impl MatMul {
    /// Creates a matrix product.
    pub fn new() -> MatMul {
        MatMul::default()
    }

    /// Takes a as `[.., K, M]`.
    #[must_use]
    pub fn transpose_a(mut self) -> MatMul {
        self.transposed[0] = true;
        self
    }

    /// Takes b as `[.., N, K]`.
    #[must_use]
    pub fn transpose_b(mut self) -> MatMul {
        self.transposed[1] = true;
        self
    }

    /// Adds a constant of the size of the output's last dimension.
    #[must_use]
    pub fn bias(self, bias: Constant) -> MatMul {
        MatMul { bias: Some(bias), ..self }
    }

    /// Returns which operands are transposed, if the operation does nothing but multiply.
    pub(crate) fn plain(&self) -> Option<[bool; 2]> {
        (self.bias.is_none() && self.epilogue == Epilogue::default()).then_some(self.transposed)
    }

    fn product(&self, inputs: &[Shape]) -> Result<Product, ErrorKind> {
        let (a, b) = (&inputs[0], &inputs[1]);
        for ((name, x), transposed) in [("a", a), ("b", b)].into_iter().zip(self.transposed) {
            let least = if transposed { 2 } else { 1 };
            if x.len() < least {
                return Err(ErrorKind::argument(name, ["1 dimension or more", "2 dimensions or more"][least - 1], x));
            }
        }
        let matrices = |x: &Shape, transposed: bool| match x[..] {
            [k] => Matrices { batch: Shape::from([]), rows: 1, columns: k, transposed },
            [ref batch @ .., m, n] => {
                let (rows, columns) = if transposed { (n, m) } else { (m, n) };
                Matrices { batch: batch.into(), rows, columns, transposed }
            }
            [] => unreachable!("the rank was checked"),
        };
        let (left, mut right) = (matrices(a, self.transposed[0]), matrices(b, self.transposed[1]));
        if b.len() == 1 {
            // A vector is a row in memory: a transposed column.
            right = Matrices { rows: right.columns, columns: 1, transposed: true, ..right };
        }
        let k = left.columns;
        if right.rows != k {
            let wanted = match (b.len(), self.transposed[1]) {
                (1, _) => format!("[{k}] for a's {a}"),
                (_, false) => format!("[.., {k}, N] for a's {a}"),
                (_, true) => format!("[.., N, {k}] for a's {a}"),
            };
            return Err(ErrorKind::argument("b", wanted, b));
        }
        let batch = left
            .batch
            .broadcast(&right.batch)
            .ok_or_else(|| ErrorKind::argument("b", format_args!("batch dimensions that broadcast with a's {a}"), b))?;
        let mut sizes = batch.to_vec();
        sizes.extend((a.len() > 1).then_some(left.rows));
        sizes.extend((b.len() > 1).then_some(right.columns));
        // Each matrix by the vector gives a column, which is stored like a row of the transposed product.
        let reversed = a.len() > 1 && b.len() == 1;
        let flipped = |x: Matrices| Matrices { rows: x.columns, columns: x.rows, transposed: !x.transposed, ..x };
        let operands = if reversed { [flipped(right), flipped(left)] } else { [left, right] };
        let next = |x: &Matrices| {
            let rows = if x.transposed { x.columns } else { x.rows };
            x.batch.broadcast_strides(&batch).into_iter().map(|stride| stride * rows).collect::<Vec<_>>()
        };
        let (counts, [x, w]) = walks(&batch, [&next(&operands[0]), &next(&operands[1])])?;
        let [outer, batches] = [&counts[..4], &counts[4..]];
        if outer.iter().any(|&count| count != 1) {
            return Err(ErrorKind::Unsupported(format!("batches {batch} that broadcast in more than four turns")));
        }
        let last = |walk: &[usize]| std::array::from_fn(|i| walk[i]);
        let batch = [last(batches), last(&x[4..]), last(&w[4..])];
        Ok(Product { operands, reversed, batch, output: sizes.into() })
    }
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let count = 1 + self.epilogue.inputs();
        if inputs.len() != count {
            return Err(ErrorKind::argument("inputs", count, inputs.len()));
        }
        let output = self.product(inputs)?.output;
        if let Some(bias) =
            self.bias.as_ref().filter(|bias| output.last().map(std::slice::from_ref) != Some(bias.shape()))
        {
            let wanted = format!("the last dimension of {output}");
            return Err(ErrorKind::argument("bias", wanted, bias.shape()));
        }
        self.epilogue.output(&inputs[1..], output)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let Product { operands: [x, w], reversed, batch: [batch, x_batch, w_batch], .. } = self.product(io.inputs)?;
        let (m, k, n) = (x.rows, x.columns, w.columns);
        let gemm = Gemm {
            x: Image { n: m, c: k, h: 1, w: 1 },
            y: Image { n: m, c: n, h: 1, w: 1 },
            layout: Layout::rows_vec4,
            window: Window::PIXEL,
            depth: None,
            groups: 1,
            lines: None,
            parts: &[],
            pools: false,
            w: Operand::Input { rows: k, transposed: [x.transposed, w.transposed], batch, x_batch, w_batch },
            bias: self.bias.as_ref(),
            epilogue: self.epilogue,
        };
        let mut kernels = gemm.kernels(caps)?;
        if reversed {
            let bindings = kernels.iter_mut().flat_map(|kernel| &mut kernel.dispatches).flat_map(|it| &mut it.bindings);
            for binding in bindings {
                if let Binding::Input(i @ (0 | 1)) = binding {
                    *i = 1 - *i;
                }
            }
        }
        Ok(kernels)
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let a = &io.inputs[0];
        let k = a[a.len() - if self.transposed[0] { 2 } else { 1 }];
        let parameters = self.bias.as_ref().map_or(0, |bias| bias.shape().elements() as u64);
        let other = self.epilogue.other(self.bias.is_some(), io.written());
        Metrics::new(Cost { parameters, macs: io.written().saturating_mul(k as u64), ..Cost::held(other) })
            .parameters(self.bias.iter().collect())
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        let epilogue = self.epilogue.with(next)?;
        Some(Box::new(MatMul { epilogue, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`MatMul`].
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(MatMul::new(), &[a, b])
    }
}
