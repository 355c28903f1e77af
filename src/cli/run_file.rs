//! `shadernet run` of an ONNX file: arrays in, arrays out.

use super::bench::first;
use super::classes::{Scores, images, write_top};
use super::{DeviceArgs, ModelArgs, Result};
use shadernet::import::npy;
use shadernet::import::onnx::{self, Bindings, ElementType, Onnx};
use shadernet::{Data, ErrorKind, Graph, Model, Tensor};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

pub(super) fn run(
    (file, bindings, args): (&Onnx, &Bindings, &ModelArgs),
    given: &[String],
    dir: Option<&Path>,
    top: Option<usize>,
    device: &DeviceArgs,
    out: &mut dyn Write,
) -> Result {
    let inputs = read(file, given)?;
    let graph = graph(file, bindings, &inputs)?;
    if dir.is_some() {
        check_names(file)?;
    }
    let context = device.context()?;
    let precision = args.precision(file.precision(), context.caps());
    let model = Model::new(&context, &graph)?.precision(precision);
    let start = Instant::now();
    let session = model.session(1)?;
    let created = start.elapsed();
    let first_output = &session.outputs()[0];
    let rows = images(first_output);
    if top.is_some() && rows.is_none() {
        let got = format_args!("{} {}", first_output.dtype, first_output.shape);
        return Err(ErrorKind::argument("--top", "a first output of f32s [N, classes]", got).into());
    }
    let fed = graph.inputs().iter().map(|input| (input.name.as_str(), &inputs[&input.name]));
    let outputs = session.run_blocking(&fed.collect::<Vec<_>>())?;
    let all = start.elapsed();

    args.note_precision(precision, out)?;
    for ((port, declared), tensor) in session.outputs().iter().zip(file.outputs()).zip(&outputs) {
        match dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|error| ErrorKind::file(dir, error))?;
                let path = dir.join(file_name(&port.name));
                write(&path, tensor, declared.element)?;
                writeln!(out, "{}: {} {} {}", path.display(), port.name, declared.element, port.shape)?;
            }
            None => writeln!(out, "{} {} {}", port.name, declared.element, port.shape)?,
        }
    }
    if let Some(rows) = rows {
        let values = outputs[0].f32()?;
        let scores = Scores::new(&graph, values, rows)?;
        if let Some(top) = top.or((dir.is_none() && scores.tell_classes(first_output.shape[1])).then_some(5)) {
            write_top((first_output, values, scores), top, "class", out)?;
            writeln!(out, "probabilities: {}", scores.text(&first_output.name))?;
        }
    }
    writeln!(out, "first inference: {}", first(created, all))?;
    Ok(())
}

/// Returns the name of an output's file.
fn file_name(output: &str) -> String {
    format!("{}.npy", output.replace(['/', '\\'], "_"))
}

/// Checks that no two outputs would be written to one file.
fn check_names(file: &Onnx) -> shadernet::Result<()> {
    let mut written = BTreeMap::new();
    for output in file.outputs() {
        if let Some(other) = written.insert(file_name(&output.name), &output.name) {
            let got = format!("\"{other}\" and \"{}\"", output.name);
            return Err(ErrorKind::argument("--output", "outputs whose names make different files", got).into());
        }
    }
    Ok(())
}

/// Reads the arrays, by the names of their inputs. A single input needs no name.
fn read(file: &Onnx, given: &[String]) -> shadernet::Result<BTreeMap<String, Tensor>> {
    let names: Vec<&str> = file.inputs().iter().map(|input| &input.name[..]).collect();
    let mut inputs = BTreeMap::new();
    for text in given {
        let (name, path) = match (text.split_once('='), &names[..]) {
            // A file's name may contain `=` too.
            (Some((name, path)), _) if !Path::new(text).exists() => (name, Path::new(path)),
            (_, [only]) => (*only, Path::new(text)),
            _ => return Err(ErrorKind::argument("--input", "NAME=FILE for each input", text).into()),
        };
        if !names.contains(&name) {
            return Err(ErrorKind::argument("--input", format!("one of {}", names.join(", ")), name).into());
        }
        let array = match path.extension().is_some_and(|extension| extension == "pb") {
            true => onnx::tensor(path)?.1,
            false => npy::read_tensor(path)?,
        };
        if inputs.insert(name.to_owned(), array).is_some() {
            return Err(ErrorKind::argument("--input", "each input once", name).into());
        }
    }
    match names.iter().find(|name| !inputs.contains_key(**name)) {
        None => Ok(inputs),
        Some(missing) => Err(ErrorKind::argument("--input", format!("{missing}=FILE too"), "none").into()),
    }
}

/// Builds the network for these arrays, with the values of inputs that the build needs, such as shapes.
fn graph(file: &Onnx, bindings: &Bindings, inputs: &BTreeMap<String, Tensor>) -> shadernet::Result<Graph> {
    let mut bindings = bindings.clone();
    for (name, tensor) in inputs {
        bindings = bindings.shape(name, tensor.shape().clone());
    }
    loop {
        match file.graph(&bindings) {
            Err(error) => match (&error.kind, inputs.iter().find(|(name, _)| needs(&error.kind, name))) {
                (_, Some((name, tensor))) if !bindings.has_values(name) => {
                    bindings = bindings.values(name, tensor.clone());
                }
                _ => return Err(error),
            },
            graph => return graph,
        }
    }
}

fn needs(error: &ErrorKind, name: &str) -> bool {
    matches!(error, ErrorKind::Unknown { input, .. } if input == name)
}

/// Writes an output in the type that the file declares, if NumPy has that type.
fn write(path: &Path, tensor: &Tensor, element: ElementType) -> shadernet::Result<()> {
    let shape = tensor.shape();
    match tensor.data() {
        Data::Bool(values) => npy::write(path, shape, values),
        Data::F32(values) if element == ElementType::F16 => {
            npy::write(path, shape, &values.iter().map(|&value| half::f16::from_f32(value)).collect::<Vec<_>>())
        }
        Data::F32(values) => npy::write(path, shape, values),
        Data::I32(values) => match element {
            ElementType::I64 => {
                npy::write(path, shape, &values.iter().map(|&value| value.into()).collect::<Vec<i64>>())
            }
            ElementType::U8 => npy::write(path, shape, &values.iter().map(|&value| value as u8).collect::<Vec<_>>()),
            ElementType::I8 => npy::write(path, shape, &values.iter().map(|&value| value as i8).collect::<Vec<_>>()),
            _ => npy::write(path, shape, values),
        },
    }
}
