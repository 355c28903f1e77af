//! Networks with sizes that values decide, against ONNX Runtime. `parts.py` makes the cases.

use super::{root, text};
use pollster::block_on;
use safetensors::{Dtype, SafeTensors};
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::{Context, ContextOptions, DType, Data, ErrorKind, Known, Part, Parts, Tensor};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Returns the tensors below a name, by the rest of their names.
fn below<'a>(tensors: &SafeTensors<'a>, prefix: &str) -> Vec<(String, Tensor)> {
    let mut found = Vec::new();
    for (name, view) in tensors.iter() {
        let Some(name) = name.strip_prefix(prefix) else { continue };
        let words = view.data().as_chunks().0.iter();
        let data: Data = match view.dtype() {
            Dtype::F32 => words.map(|&bytes| f32::from_le_bytes(bytes)).collect::<Vec<_>>().into(),
            _ => words.map(|&bytes| i32::from_le_bytes(bytes)).collect::<Vec<_>>().into(),
        };
        found.push((name.to_owned(), Tensor::new(view.shape(), data).expect("it is whole")));
    }
    found
}

/// Compares a frame's outputs with the wanted ones. Integers must be equal.
fn compare(parts: &Parts, inputs: &[(String, Tensor)], wanted: &[(String, Tensor)]) -> Result<(), String> {
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (&name[..], tensor)).collect();
    let outputs = parts.run_blocking(&inputs).map_err(text)?;
    for (name, wanted) in wanted {
        let got = outputs.get(name).ok_or_else(|| format!("no output {name}"))?;
        if (got.shape(), got.dtype()) != (wanted.shape(), wanted.dtype()) {
            return Err(format!("{name}: wanted {}, got {} {}", wanted.shape(), got.dtype(), got.shape()));
        }
        let (a, b) = (wanted.to_f32(), got.to_f32());
        let largest = a.iter().fold(1f32, |largest, number| largest.max(number.abs()));
        let most = if wanted.dtype() == DType::F32 { 1e-5 * largest } else { 0.0 };
        let wrong = |(a, b): (&f32, &f32)| (a - b).is_nan() || (a - b).abs() > most;
        if let Some(i) = a.iter().zip(&b).position(wrong) {
            return Err(format!("{name} {}: element {i}: wanted {}, got {}", wanted.shape(), a[i], b[i]));
        }
    }
    Ok(())
}

/// Runs all frames of a case, and all again: then no part is built.
fn run(context: &Context, tensors: &SafeTensors, case: &str) -> Result<usize, String> {
    let model = tensors.tensor(&format!("{case}/model")).map_err(|error| error.to_string())?;
    let network = Onnx::from_bytes(model.data()).map_err(text)?;
    let frames = (0..).map(|i| below(tensors, &format!("{case}/in/{i}/"))).take_while(|inputs| !inputs.is_empty());
    let frames: Vec<_> =
        frames.enumerate().map(|(i, inputs)| (inputs, below(tensors, &format!("{case}/out/{i}/")))).collect();
    // One graph can't have these sizes, and says so.
    let shapes = frames[0].0.iter().fold(Bindings::new(), |b, (name, tensor)| b.shape(name, tensor.shape().clone()));
    match network.graph(&shapes) {
        Err(error) if matches!(error.kind, ErrorKind::Unknown { .. }) => {}
        Err(error) => return Err(format!("refused with {error}")),
        Ok(_) => return Err("one graph has it".into()),
    }
    let built = Arc::new(AtomicUsize::new(0));
    let counted = built.clone();
    let parts = Parts::new(context, u64::MAX, move |known: &Known| -> shadernet::Result<Part> {
        counted.fetch_add(1, Ordering::Relaxed);
        network.part(&Bindings::new(), known)
    });
    for (i, (inputs, wanted)) in frames.iter().enumerate() {
        compare(&parts, inputs, wanted).map_err(|error| format!("frame {i}: {error}"))?;
    }
    let before = built.load(Ordering::Relaxed);
    for (i, (inputs, wanted)) in frames.iter().enumerate() {
        compare(&parts, inputs, wanted).map_err(|error| format!("frame {i}, again: {error}"))?;
    }
    let cuts = parts.cuts().len();
    println!("{case}: {} frames, {before} parts, {cuts} cuts in the last: {}", frames.len(), parts.cuts().join(", "));
    match built.load(Ordering::Relaxed) - before {
        0 if cuts > 0 && before > cuts => Ok(before),
        0 => Err(format!("{before} parts, {cuts} cuts")),
        more => Err(format!("{more} parts were built again")),
    }
}

fn tensors(bytes: &[u8]) -> SafeTensors<'_> {
    SafeTensors::deserialize(bytes).unwrap_or_else(|error| panic!("parts.safetensors: {error}"))
}

fn bytes() -> Vec<u8> {
    let path = root().join("parts.safetensors");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn context() -> Context {
    let context = block_on(Context::with(&ContextOptions::from_env()));
    context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
}

/// Returns a case's network in parts, few of which are kept.
fn parts(context: &Context, tensors: &SafeTensors, model: &str, bindings: Bindings) -> Parts {
    let model = tensors.tensor(model).expect("it is there");
    let network = Onnx::from_bytes(model.data()).expect("it is whole");
    Parts::new(context, 1 << 16, move |known| network.part(&bindings, known))
}

/// More sizes than parts are kept for: all are right, also those whose parts were dropped.
#[test]
fn parts_of_many_sizes_are_dropped_and_built_again() {
    let (bytes, context) = (bytes(), context());
    let parts = parts(&context, &tensors(&bytes), "range/model", Bindings::new());
    for size in (1..80).chain([1, 79, 40]) {
        let x = Tensor::new([1, 4], vec![size as f32 / 4.0; 4]).expect("it is whole");
        let outputs = parts.run_blocking(&[("x", &x)]).unwrap_or_else(|error| panic!("{size}: {error}"));
        let wanted: Vec<f32> = (0..size).map(|i| i as f32 + 0.5).collect();
        assert_eq!(outputs["y"], wanted, "{size}");
        assert!(parts.cuts().last().is_some_and(|cut| cut.starts_with("Range ") && cut.ends_with(" must know limit")));
        assert!(parts.preparation() > Duration::ZERO || size == 79, "{size}: its last part was dropped");
    }
    let kept = format!("{parts:?}");
    let count: usize = kept["Parts(".len()..].split(' ').next().expect("a number").parse().expect("a number");
    assert!((2..20).contains(&count), "{kept}");
}

#[test]
fn what_parts_cannot_run_is_refused_by_name() {
    let (bytes, context) = (bytes(), context());
    let (tensors, x) = (tensors(&bytes), Tensor::new([2, 4], vec![3.0; 8]).expect("it is whole"));
    let refused = |parts: &Parts, inputs: &[(&str, &Tensor)], words: &[&str]| {
        let error = parts.run_blocking(inputs).map(|_| ()).expect_err("it should be refused").to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "{error}"));
    };
    let of = |bindings| parts(&context, &tensors, "endless", bindings);
    let endless = of(Bindings::new());
    refused(&endless, &[("x", &x)], &["parts: wanted 256 values at most that decide sizes, got more: ", "must know"]);
    let right = Tensor::new([2, 4], vec![0.75; 8]).expect("it is whole");
    assert_eq!(endless.run_blocking(&[("x", &right)]).expect("it ends")["y"], [0.75; 8]);
    refused(&endless, &[("x", &x), ("x", &x)], &["inputs: wanted each once, got \"x\" twice"]);
    refused(&endless, &[("z", &x)], &["input: wanted one of \"x\", got \"z\""]);
    refused(&endless, &[], &["input \"x\": wanted a tensor, got none"]);
    let whole = Tensor::new([2, 4], vec![1; 8]).expect("it is whole");
    refused(&endless, &[("x", &whole)], &["input \"x\": wanted f32, got i32"]);
    let flat = Tensor::new([8], vec![1.0; 8]).expect("it is whole");
    refused(&endless, &[("x", &flat)], &["input \"x\"", "[2, 4]", "[8]"]);
    refused(&of(Bindings::new().state("x", "y")), &[], &["states of a network in parts, \"y\""]);
}

#[test]
fn a_graph_names_the_value_that_decides_a_size() {
    let bytes = bytes();
    let model = |name: &str| Onnx::from_bytes(tensors(&bytes).tensor(name).expect("it is there").data());
    for (name, words) in [
        ("range/model", "limit: wanted what is known when the graph is built, got the output of ceil \"ceil"),
        ("nms_plain/model", "boxes: wanted what is known when the graph is built, got the output of "),
        ("topk/model", "k: wanted what is known"),
    ] {
        let error = model(name).and_then(|network| network.graph(&Bindings::new())).expect_err("it can't").to_string();
        for word in [words, "computed from the input \"", "or run the network in parts (Parts, shadernet run)"] {
            assert!(error.contains(word), "{error}");
        }
    }
}

#[test]
fn networks_are_cut_where_values_decide_sizes() {
    let (bytes, context) = (bytes(), context());
    let tensors = tensors(&bytes);
    let cases: BTreeSet<&str> = tensors.names().into_iter().filter_map(|name| name.strip_suffix("/model")).collect();
    let wrong = cases.iter().filter_map(|case| Some(format!("{case}: {}", run(&context, &tensors, case).err()?)));
    let wrong: Vec<String> = wrong.collect();
    assert!(cases.len() >= 17 && wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
