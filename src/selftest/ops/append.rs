//! Cases of `append`, and its reference: caches that grow frame by frame.

use super::rotary::rotary_embedding;
use crate::ops::{Append, RotaryEmbedding};
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
    rotated(t);
}

/// Checks rotated rows: one dispatch rotates and appends them. Their place in the cache need not be their position.
fn rotated(t: &Suite) {
    for (n, positions, places) in [(1, vec![3], vec![2]), (3, vec![5, 0, 1], vec![4]), (2, vec![7], vec![0, 3])] {
        let (rows, old) = (random(1, [n, 2, 12]), random(2, [n, 6, 12]));
        let mut graph = Graph::new();
        let x = graph.input("rows", rows.shape.clone());
        let [position, place] = [("position", &positions), ("place", &places)]
            .map(|(name, all)| graph.typed_input(name, DType::I32, [all.len()]));
        let cache = graph.input("cache", old.shape.clone());
        let rotary = RotaryEmbedding::new(9).heads(2).dimension(4).cached();
        let turned = graph.rotary_embedding(&[x, position], rotary).unwrap_or_else(|error| panic!("{error}"));
        let all = graph.push(Append, &[cache, turned, place]).unwrap_or_else(|error| panic!("{error}"));
        graph.output("all", all);
        let heads = Tensor::build([n, 2, 2, 6].to_vec(), |i| rows.at(&[i[0], i[2], 6 * i[1] + i[3]]));
        let starts = |all: &[i32]| all.iter().map(|&at| at as usize).collect::<Vec<_>>();
        let turned = rotary_embedding(&heads, &starts(&positions), 1e4, 4, false);
        let turned = Tensor::build(rows.shape.clone(), |i| turned.at(&[i[0], i[2] / 6, i[1], i[2] % 6]));
        let whole = |all: &[i32]| Tensor::new([all.len()], all.iter().map(|&at| at as f32).collect());
        let [at, to] = [&positions, &places].map(|all| whole(all).with_dtype(DType::I32));
        let expected = append(&old, &turned, &starts(&places));
        t.check("rotated", &graph, &[&rows, &at, &to, &old], &expected, Tolerance::Elementwise);
    }
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
