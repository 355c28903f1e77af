//! One session for many tasks of a server: `cargo run --release --example tasks`
//!
//! A [`Context`], a [`Model`] and a [`Session`](shadernet::Session) are `Send` and `Sync`. Frames of several tasks are in
//! flight at once, and each task waits for its own.

use shadernet::models::{self, digits_weights};
use shadernet::{Context, Error, Model, Result, Tensor, seeded_input};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<()> {
    let graph = models::find("digits")?.graph(&digits_weights()?, None)?;
    let session = Arc::new(Model::new(&Context::new().await?, &graph)?.session(1)?);

    let tasks = (0..8).map(|request| {
        let session = session.clone();
        tokio::spawn(async move {
            let image = Tensor::new([1, 1, 8, 8], seeded_input(request, &[1, 1, 8, 8].into()))?;
            let logits = session.run(&[("image", image)]).await?.take("logits")?.into_f32()?;
            Ok::<_, Error>(logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(digit, _)| digit))
        })
    });
    for (request, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
        let digit = task.await.expect("the task doesn't panic")?;
        println!("request {request}: digit {}", digit.expect("there are ten logits"));
    }
    Ok(())
}
