//! Appending to a cache: the keys and values of new tokens follow those of earlier tokens.

use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, expect_dtypes};
use crate::graph::{Graph, State, Value};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::{expect_inputs, expect_rank};
use crate::{DType, Shape};

/// The writing of rows into a cache: `cache[n, position[n] + i] = rows[n, i]`.
///
/// Inputs: the cache `[N, capacity, width]`, as a rule a [`State`], which is updated in place; rows `[N, L, width]`;
/// the position, `i32`s `[1]` or `[N]`: the rows already in the cache. The output is the updated cache.
///
/// A session refuses a position that would put rows beyond the capacity. A position in a buffer of the host isn't
/// checked: rows beyond the capacity are dropped.
#[derive(Clone, Copy, Debug)]
pub struct Append;

params! {
    struct Params {
        count: usize,
        length: usize,
        capacity: usize,
        width: usize,
        positions: usize,
    }
}

impl Append {
    /// Returns the range of positions from which all rows fit into the cache.
    pub(super) fn places(io: &Io) -> [i32; 2] {
        [0, i32::try_from(io.inputs[0][1] - io.inputs[1][1]).unwrap_or(i32::MAX)]
    }
}

impl Op for Append {
    fn name(&self) -> &'static str {
        "append"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [cache, rows, position] = expect_inputs::<3>(inputs)?;
        expect_rank("cache", cache, 3)?;
        let [n, capacity, width] = [cache[0], cache[1], cache[2]];
        if rows.len() != 3 || rows[0] != n || rows[2] != width {
            return Err(ErrorKind::argument("rows", format_args!("[{n}, L, {width}] for the cache's {cache}"), rows));
        }
        if rows[1] > capacity {
            let wanted = format_args!("at most {capacity} rows, the cache's capacity");
            return Err(ErrorKind::argument("rows", wanted, rows[1]));
        }
        expect_positions(position, n)?;
        Ok(vec![cache.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |i| if i == 2 { DType::I32 } else { DType::F32 })?;
        Ok(vec![DType::F32])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (cache, rows) = (&io.inputs[0], &io.inputs[1]);
        let params = Params {
            count: rows.elements(),
            length: rows[1],
            capacity: cache[1],
            width: cache[2],
            positions: io.inputs[2][0],
        };
        let bindings = vec![Binding::Input(1), Binding::Input(2), Binding::Update(0)];
        let dispatch = Dispatch::for_each(shader!("append", "index"), &params, bindings, rows.elements());
        Ok(vec![Kernel::new(vec![Layout::ROWS; 3], Layout::ROWS, dispatch).with_range(2, Append::places(io))])
    }

    /// Counts the new rows and the position: the rest of the cache is neither read nor written.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let [rows, position] = [1, 2].map(|input| io.inputs[input].elements() as u64);
        Metrics::new(Cost { activations: false, ..Cost::copy(rows, position) })
    }
}

/// Checks the positions: one for all sequences, or one per sequence.
pub(crate) fn expect_positions(position: &Shape, n: usize) -> Result<(), ErrorKind> {
    if position[..] == [1] || position[..] == [n] {
        return Ok(());
    }
    let wanted = if n == 1 { "[1]".to_owned() } else { format!("[1] or [{n}]") };
    Err(ErrorKind::argument("position", wanted, position))
}

impl Graph {
    /// Appends rows to a cache with [`Append`]. The result holds all rows so far.
    pub fn append(&mut self, cache: State, rows: Value, position: Value) -> Result<Value> {
        self.update(cache, Append, &[rows, position])
    }
}
