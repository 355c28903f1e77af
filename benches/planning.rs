//! Planning time by number of nodes: `cargo bench --bench planning -- [NODES,...]` prints a line each. The network is
//! recurrent and unrolled: its states are read once, its outputs live until the last join. No device is used.

use shadernet::kernel::Caps;
use shadernet::ops::Activation;
use shadernet::plan::Plan;
use shadernet::{ErrorKind, Graph, Result, Weights};
use std::time::Instant;

/// The number of nodes in a step: a slice, two products, their sum, an activation.
const STEP: usize = 5;

fn unrolled(steps: usize) -> Result<Graph> {
    let weights = Weights::seeded(0);
    let (own, other) = (weights.get("own", [32, 32])?, weights.get("other", [32, 16])?);
    let mut graph = Graph::new();
    let x = graph.input("x", [1, steps, 16]);
    let mut state = graph.input("state", [1, 1, 32]);
    let mut states = Vec::new();
    for step in 0..steps as isize {
        let seen = graph.slice(x, 1, step, step + 1)?;
        let seen = graph.linear(seen, other.clone(), None)?;
        let kept = graph.linear(state, own.clone(), None)?;
        let sum = graph.add(kept, seen)?;
        state = graph.activation(sum, Activation::Tanh)?;
        states.push(state);
    }
    let joined = graph.concat(&states, 1)?;
    graph.output("states", joined);
    graph.output("last", state);
    Ok(graph)
}

fn main() -> Result<()> {
    // Arguments that cargo adds begin with a dash.
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let given = given.unwrap_or_else(|| "1000,2000,5000,10000,20000".to_owned());
    let wrong = || ErrorKind::argument("NODES", "numbers with commas between", &given);
    let sizes: Vec<usize> =
        given.split(',').map(|size| size.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    println!("{:>8} {:>10} {:>10} {:>10} {:>12}", "nodes", "graph, ms", "fused, ms", "plan, ms", "us a node");
    for nodes in sizes {
        let start = Instant::now();
        let graph = unrolled(nodes.div_ceil(STEP))?;
        let made = start.elapsed();
        let fused = graph.fused();
        let joined = start.elapsed();
        let plan = Plan::new(&fused, 1, &Caps::portable())?;
        let all = start.elapsed();
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let (made, joined, planned) = (ms(made), ms(joined - made), ms(all - joined));
        let each = ms(all) * 1e3 / graph.nodes().len() as f64;
        println!("{:>8} {made:>10.1} {joined:>10.1} {planned:>10.1} {each:>12.1}", graph.nodes().len());
        assert!(!plan.steps.is_empty());
    }
    Ok(())
}
