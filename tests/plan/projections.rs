//! Linear layers of one input of few rows: one dispatch computes them, with the norm before them and the gate after two.

use super::{caps, plan, zeros};
use shadernet::kernel::Caps;
use shadernet::models::shakespeare;
use shadernet::ops::{Activation, GluKind, LayerNorm, RmsNorm};
use shadernet::{BATCH, Graph, Result, Value};

/// A token of the decoder: the embedding; for each block, queries, keys and values with the norm before them, the rotation
/// of queries, that of keys into the cache, the values into the cache, attention in two dispatches, a layer with the
/// residual, the gated unit with the norm before it, a layer with the residual; the output with the norm before it.
#[test]
fn a_token_takes_nine_dispatches_a_block() {
    let text = shakespeare().expect("the crate ships it");
    let dispatches = |length: usize, batch: usize| {
        let graph = text.decoder.next(&text.weights, length).expect("it fits").fused();
        plan(&graph, batch, &Caps::portable()).dispatches()
    };
    assert_eq!(dispatches(1, 1), 1 + 4 * 9 + 1);
    // The output isn't in rows for two texts, because a row of 65 numbers ends within a texel.
    assert_eq!([dispatches(1, 2), dispatches(4, 1)], [1 + 4 * 9 + 2; 2]);
    // Three layers and two norms more; the gated unit is three steps; the norm before the output. One dispatch attends.
    assert!(dispatches(64, 1) >= 1 + 4 * 14 + 2);
}

/// Returns the shaders of the plan of a graph with the outputs of `build`, which gets a `[rows, 12]` input.
fn shaders(rows: usize, caps: &Caps, build: impl FnOnce(&mut Graph, Value) -> Result<Vec<Value>>) -> Vec<&'static str> {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 12]);
    let outputs = build(&mut graph, x).unwrap_or_else(|error| panic!("{error}"));
    outputs.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("y{i}"), value));
    let plan = plan(&graph.fused(), rows, caps);
    plan.steps.iter().flat_map(|step| &step.dispatches).map(|(dispatch, _)| dispatch.shader.name()).collect()
}

fn norm(graph: &mut Graph, x: Value) -> Result<Value> {
    graph.layer_norm(x, LayerNorm::new([12], Some(zeros([12])), None))
}

fn layers(graph: &mut Graph, x: Value, count: usize) -> Result<Vec<Value>> {
    (0..count).map(|_| graph.linear(x, zeros([8, 12]), None)).collect()
}

#[test]
fn only_few_layers_of_few_whole_rows_are_joined() {
    let portable = &Caps::portable();
    let of = |rows: usize, count: usize| {
        shaders(rows, portable, |graph, x| {
            let y = norm(graph, x)?;
            layers(graph, y, count)
        })
    };
    for (rows, count) in [(1, 1), (1, 3), (4, 2)] {
        assert_eq!(of(rows, count), ["projections"], "{rows} rows, {count} layers");
    }
    assert_eq!(of(5, 2), ["norm", "gemv", "gemv"]);
    assert_eq!(of(1, 4), ["norm", "projections", "gemv"]);
    assert_eq!(of(1, 5), ["norm", "projections", "projections"]);
    // Without a norm, a layer alone gains nothing.
    assert_eq!(shaders(1, portable, |graph, x| layers(graph, x, 1)), ["gemv"]);
    assert_eq!(shaders(1, portable, |graph, x| layers(graph, x, 2)), ["projections"]);
    let ends_within_a_texel = shaders(1, portable, |graph, x| {
        let x = graph.slice(x, 1, 0, 11)?;
        (0..2).map(|_| graph.linear(x, zeros([8, 11]), None)).collect()
    });
    assert!(!ends_within_a_texel.contains(&"projections"), "{ends_within_a_texel:?}");
    // The weights of 130 outputs are packed as those of three blocks of 64, and two fit into a binding.
    let small = &Caps { max_binding: 2 * 64 * 12 * 4, ..Caps::portable() };
    let large = |graph: &mut Graph, x: Value| (0..2).map(|_| graph.linear(x, zeros([130, 12]), None)).collect();
    assert!(shaders(1, portable, large).contains(&"projections"));
    assert!(!shaders(1, small, large).contains(&"projections"));
    // llvmpipe has faster kernels.
    let [_, (_, llvmpipe)] = caps();
    assert!(!shaders(1, &llvmpipe, |graph, x| layers(graph, x, 2)).contains(&"projections"));
}

#[test]
fn layers_that_end_otherwise_or_share_the_norm_are_not_joined() {
    let shaders = |build: fn(&mut Graph, Value) -> Result<Vec<Value>>| shaders(1, &Caps::portable(), build);
    let other_activations = shaders(|graph, x| {
        let y = layers(graph, x, 2)?;
        Ok(vec![graph.relu(y[0])?, y[1]])
    });
    assert_eq!(other_activations, ["gemv", "gemv"]);
    let residuals = shaders(|graph, x| {
        let y = layers(graph, x, 2)?;
        let z = graph.slice(x, 1, 0, 8)?;
        Ok(vec![graph.add(y[0], z)?, graph.add(y[1], z)?])
    });
    assert!(!residuals.contains(&"projections"), "{residuals:?}");
    let norm_is_an_output = shaders(|graph, x| {
        let y = norm(graph, x)?;
        Ok([layers(graph, y, 2)?, vec![y]].concat())
    });
    assert_eq!(norm_is_an_output, ["norm", "projections"]);
    let norm_has_another_reader = shaders(|graph, x| {
        let y = norm(graph, x)?;
        Ok([layers(graph, y, 2)?, vec![graph.softmax(y, 1)?]].concat())
    });
    assert_eq!(norm_has_another_reader, ["norm", "projections", "softmax"]);
    let norm_with_an_activation = shaders(|graph, x| {
        let y = norm(graph, x)?;
        let y = graph.activation(y, Activation::Tanh)?;
        layers(graph, y, 2)
    });
    assert_eq!(norm_with_an_activation, ["norm", "projections"]);
    let norm_without_a_weight = shaders(|graph, x| {
        let y = graph.rms_norm(x, RmsNorm::new([12], None))?;
        layers(graph, y, 2)
    });
    assert_eq!(norm_without_a_weight, ["norm", "projections"]);
}

#[test]
fn a_gate_is_joined_if_it_alone_reads_both_layers() {
    let shaders = |build: fn(&mut Graph, Value) -> Result<Vec<Value>>| shaders(1, &Caps::portable(), build);
    fn gated(graph: &mut Graph, x: Value) -> Result<(Value, Value)> {
        let y = norm(graph, x)?;
        let y = layers(graph, y, 2)?;
        Ok((graph.glu_pair(y[1], y[0], GluKind::SwiGlu)?, y[0]))
    }
    assert_eq!(shaders(|graph, x| Ok(vec![gated(graph, x)?.0])), ["projections"]);
    let also_an_output = shaders(|graph, x| {
        let (y, layer) = gated(graph, x)?;
        Ok(vec![y, layer])
    });
    assert_eq!(also_an_output, ["projections", "glu"]);
    let halves = shaders(|graph, x| {
        let y = layers(graph, x, 1)?;
        Ok(vec![graph.glu(y[0], GluKind::Glu, 1)?])
    });
    assert_eq!(halves, ["gemv", "glu"]);
}
