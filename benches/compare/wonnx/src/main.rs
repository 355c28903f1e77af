//! wonnx: an ONNX file of fixed shapes, made by onnx_for_wonnx in networks.py.

#[path = "../../peer.rs"]
mod peer;

use peer::{PROMPT, Result, Task};
use std::collections::HashMap;
use wonnx::utils::{InputTensor, OutputTensor};

fn main() -> Result<()> {
    let task = Task::of(std::env::args().skip(1))?;
    let measured = task.measure(|| {
        let session = pollster::block_on(wonnx::Session::from_path(&task.weights))?;
        let tokens = match task.network.as_str() {
            "decoder_prefill" => Some(task.input.tokens(0..PROMPT)),
            "decoder_decode" => Some(task.input.tokens(PROMPT..PROMPT + 1)),
            _ => None,
        };
        let images = &task.input.values;
        Ok(move || {
            let x: InputTensor = tokens.as_ref().map_or_else(|| images[..].into(), |tokens| tokens[..].into());
            let outputs = pollster::block_on(session.run(&HashMap::from([("x".to_owned(), x)])))?;
            match outputs.into_values().next() {
                Some(OutputTensor::F32(y)) => Ok(y),
                _ => Err("wanted one output of floats".into()),
            }
        })
    })?;
    println!("{measured}");
    Ok(())
}
