//! Cases of `append`, and its reference: caches that grow frame by frame.

use crate::selftest::cases::random;
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};
use crate::{BATCH, DType, Data, Graph, Model, Result};

/// Writes rows `[N, L, width]` into a cache `[N, capacity, width]`, from each sequence's own position or a common one.
pub fn append(cache: &Tensor, rows: &Tensor, positions: &[usize]) -> Tensor {
    let ([_, capacity, width], [_, length, _]) = (cache.dims(), rows.dims());
    let mut cache = cache.clone();
    for (at, &value) in rows.data.iter().enumerate() {
        let (row, column) = (at / width, at % width);
        let position = positions[row / length % positions.len()] + row % length;
        cache.data[(row / length * capacity + position) * width + column] = value;
    }
    cache
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    check(t, "one by one", [1, 3, 5], &[(1, vec![0]), (1, vec![1]), (1, vec![2])]);
    check(t, "a prompt, then tokens", [2, 7, 4], &[(5, vec![0]), (1, vec![5]), (1, vec![6])]);
    check(t, "each sequence at its own place", [3, 70, 2], &[(65, vec![0, 5, 2]), (1, vec![65, 0, 69])]);
    check(t, "what was there is replaced", [1, 4, 1], &[(4, vec![0]), (2, vec![1])]);
}

/// Appends rows frame by frame, each at its positions, and checks the cache after each frame.
fn check(t: &Suite, case: &str, cache: [usize; 3], frames: &[(usize, Vec<i32>)]) {
    let [n, capacity, width] = cache;
    let graph = |length: usize, positions: usize| -> Result<Graph> {
        let mut graph = Graph::new();
        let rows = graph.input("rows", [BATCH, length, width]);
        let position = graph.typed_input("position", DType::I32, [if positions == 1 { 1 } else { BATCH }]);
        let state = graph.state("cache", [BATCH, capacity, width]);
        let all = graph.append(state, rows, position)?;
        graph.output("all", all);
        Ok(graph)
    };
    let mut now = Tensor::new(cache, vec![0.0; n * capacity * width]);
    let mut expected = Vec::new();
    for (frame, (length, positions)) in frames.iter().enumerate() {
        let positions: Vec<usize> = positions.iter().map(|&position| position as usize).collect();
        now = append(&now, &random(frame as u64, [n, *length, width]), &positions);
        expected.push(now.clone());
    }
    let expected: Vec<&Tensor> = expected.iter().collect();
    let first = graph(frames[0].0, frames[0].1.len()).unwrap_or_else(|error| panic!("{error}"));
    t.check_frames(case, &first, &expected, Tolerance::Exact, |context| {
        let mut before = None;
        let mut outputs = Vec::new();
        for (i, (length, positions)) in frames.iter().enumerate() {
            let model = Model::new(context, &graph(*length, positions.len())?)?;
            let session = match &before {
                None => model.session(n)?,
                Some(before) => model.session_sharing(n, before)?,
            };
            let rows = Data::F32(random(i as u64, [n, *length, width]).data);
            outputs.extend(session.run_blocking(&[rows, Data::I32(positions.clone())])?);
            before = Some(session);
        }
        Ok(outputs)
    });
}
