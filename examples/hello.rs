//! The smallest network: `y = relu(x wᵀ + b)`, on whatever GPU there is.

use shadernet::{BATCH, Constant, Context, Graph, Model, Result};

fn main() -> Result<()> {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 3]);
    let weight = Constant::new("weight", [2, 3], vec![1.0, 2.0, 3.0, -1.0, -2.0, -3.0])?;
    let bias = Constant::new("bias", [2], vec![0.5, 0.5])?;
    let y = graph.linear(x, weight, Some(bias))?;
    let y = graph.relu(y)?;
    graph.output("y", y);

    let context = pollster::block_on(Context::new())?;
    let session = Model::new(&context, &graph)?.session(1)?;
    let outputs = session.run_blocking(&[[1.0f32, 1.0, 1.0]])?;
    println!("{:?} computed {:?}", context.info().name, outputs["y"].f32()?);
    Ok(())
}
