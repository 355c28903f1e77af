//! Errors about shapes whose batch is open: they name it instead of the 1 that a graph infers shapes for.

use super::{Graph, Value};
use crate::error::ErrorKind;
use crate::graph::op::Op;
use crate::shape::{BATCH, Shape};

impl Graph {
    /// Returns an operation's error with `batch` for each number that is as large as the batch, or a multiple of it.
    pub(super) fn with_open_batch(&self, error: ErrorKind, op: &dyn Op, inputs: &[Value]) -> ErrorKind {
        let is_open = self.inputs.iter().chain(&self.states).any(|input| input.shape.contains(&BATCH));
        // Rules try what may fail, and nobody reads why.
        if !is_open || self.shapes_of_two.is_some() {
            return error;
        }
        let Ok(shapes) = self.shapes(2) else { return error };
        let inputs: Vec<Shape> = inputs.iter().map(|value| shapes[value.index()].clone()).collect();
        match (error, op.output_shapes(&inputs)) {
            (
                ErrorKind::Argument { argument, wanted, got },
                Err(ErrorKind::Argument { argument: argument_of_two, wanted: wanted_of_two, got: got_of_two }),
            ) if argument == argument_of_two => {
                ErrorKind::Argument { argument, wanted: merged(wanted, &wanted_of_two), got: merged(got, &got_of_two) }
            }
            (error, _) => error,
        }
    }
}

/// Merges the texts for batches of 1 and 2: a number that doubles is a multiple of the batch.
fn merged(one: String, two: &str) -> String {
    let parts = |text: &str| {
        let mut parts: Vec<String> = Vec::new();
        for c in text.chars() {
            match parts.last_mut() {
                Some(last) if last.ends_with(|end: char| end.is_ascii_digit() == c.is_ascii_digit()) => last.push(c),
                _ => parts.push(c.to_string()),
            }
        }
        parts
    };
    let (first, second) = (parts(&one), parts(two));
    let merge = |(one, two): (&String, &String)| match (one.parse::<u64>(), two.parse::<u64>()) {
        _ if one == two => Some(one.clone()),
        (Ok(1), Ok(2)) => Some("batch".into()),
        (Ok(a), Ok(b)) if a.checked_mul(2) == Some(b) => Some(format!("{a} batch")),
        _ => None,
    };
    let all: Option<String> = first.iter().zip(&second).map(merge).collect();
    all.filter(|_| first.len() == second.len()).unwrap_or(one)
}

#[cfg(test)]
mod tests {
    use crate::{BATCH, Constant, Graph};

    #[test]
    fn an_open_batch_is_named() {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 3]);
        let rows = graph.reshape(x, [-1, 1]).unwrap();
        let weight = || Constant::new("w", [2, 4], vec![1.0; 8]).unwrap();
        let error = |graph: &mut Graph, x| graph.linear(x, weight(), None).unwrap_err().to_string();
        assert!(error(&mut graph, x).ends_with("got [batch, 3]"), "{}", error(&mut graph, x));
        assert!(error(&mut graph, rows).ends_with("got [3 batch, 1]"), "{}", error(&mut graph, rows));
        // A batch that is known stays a number.
        let y = graph.input("y", [1, 3]);
        assert!(error(&mut graph, y).ends_with("got [1, 3]"), "{}", error(&mut graph, y));
    }
}
