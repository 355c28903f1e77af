//! Operators that ONNX Runtime adds, and those of ai.onnx.ml, against ONNX Runtime. `operators.py` makes the cases.

use super::{root, text};
use pollster::block_on;
use safetensors::{Dtype, SafeTensors};
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::{Context, ContextOptions, Data, Model};
use std::collections::BTreeSet;

/// Returns the numbers of a stored tensor.
fn data(tensors: &SafeTensors, name: &str) -> Result<Data, String> {
    let tensor = tensors.tensor(name).map_err(|error| format!("{name}: {error}"))?;
    let words = tensor.data().as_chunks().0.iter();
    Ok(match tensor.dtype() {
        Dtype::F32 => words.map(|&bytes| f32::from_le_bytes(bytes)).collect::<Vec<_>>().into(),
        _ => words.map(|&bytes| i32::from_le_bytes(bytes)).collect::<Vec<_>>().into(),
    })
}

/// Runs a case. Integers must be equal, but for one step of a quantised softmax, whose table ONNX Runtime rounds.
fn run(context: &Context, tensors: &SafeTensors, case: &str) -> Result<(), String> {
    let model = tensors.tensor(&format!("{case}/model")).map_err(|error| error.to_string())?;
    let graph = Onnx::from_bytes(model.data()).and_then(|onnx| onnx.graph(&Bindings::new())).map_err(text)?;
    let session = Model::new(context, &graph).and_then(|model| model.session(1)).map_err(text)?;
    let inputs = session.inputs().iter().map(|port| data(tensors, &format!("{case}/in/{}", port.name)));
    let outputs = session.run_blocking(&inputs.collect::<Result<Vec<_>, _>>()?).map_err(text)?;
    for (port, output) in session.outputs().iter().zip(&outputs) {
        let wanted = data(tensors, &format!("{case}/out/{}", port.name))?;
        let (numbers, got) = (wanted.to_f32(), output.data().to_f32());
        let largest = numbers.iter().fold(1f32, |largest, number| largest.max(number.abs()));
        let most = match wanted {
            Data::F32(_) => 2e-6 * largest,
            _ if case.starts_with("QLinearSoftmax") => 1.0,
            _ => 0.0,
        };
        let wrong = |(a, b): (&f32, &f32)| (a - b).is_nan() || (a - b).abs() > most;
        if numbers.len() != got.len() {
            return Err(format!("{}: wanted {} numbers, got {}", port.name, numbers.len(), got.len()));
        }
        if let Some(i) = numbers.iter().zip(&got).position(wrong) {
            return Err(format!("{} of {}: element {i}: wanted {}, got {}", port.name, port.shape, numbers[i], got[i]));
        }
    }
    Ok(())
}

#[test]
fn operators_compute_what_onnx_runtime_does() {
    let path = root().join("operators.safetensors");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tensors = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: BTreeSet<&str> = tensors.names().into_iter().filter_map(|name| name.strip_suffix("/model")).collect();
    let context = block_on(Context::with(&ContextOptions::from_env()));
    let context = context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"));
    let wrong = cases.iter().filter_map(|case| Some(format!("{case}: {}", run(&context, &tensors, case).err()?)));
    let wrong: Vec<String> = wrong.collect();
    assert!(cases.len() > 180 && wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
