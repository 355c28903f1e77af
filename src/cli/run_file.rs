//! `shadernet run` of an ONNX file.

use super::bench::{first, ms};
use super::classes::{Labels, Scores, images, write_top};
use super::inputs::Inputs;
use super::model::graph;
use super::run::{RunArgs, repeated};
use super::{DeviceArgs, Result, while_compiling};
use shadernet::import::onnx::{Bindings, ElementType, Onnx, ValueInfo};
use shadernet::import::{npy, pixels};
use shadernet::measure::digits;
use shadernet::{Context, Data, ErrorKind, Graph, Model, Outputs, Parts, Precision, Session, Shape, Tensor};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

pub(super) fn run(
    (file, bindings): (&Onnx, &Bindings),
    args: &RunArgs,
    (top, labels): (Option<usize>, &Labels),
    device: &DeviceArgs,
    out: &mut dyn Write,
) -> Result {
    let (dir, model_args) = (args.output.as_deref(), &args.model);
    args.inputs.complete(file, bindings, &args.input)?;
    let Inputs { tensors: inputs, bindings, notes, pictures, chunks } =
        args.inputs.read(file, bindings, &args.input)?;
    for note in notes {
        writeln!(out, "{note}")?;
    }
    // The values of a sound's first chunk aren't those of the others.
    let mut known = inputs.clone();
    if let Some((input, _)) = &chunks {
        known.remove(input);
    }
    let built = graph(file, bindings.clone(), 1, &known);
    if dir.is_some() {
        check_names(file)?;
    }
    let context = device.context()?;
    let precision = model_args.precision(file.precision(), context.caps());
    let start = Instant::now();
    let network = match built {
        Err(error) if matches!(error.kind, ErrorKind::Unknown { .. }) => parts(file, bindings, &context, precision),
        built => {
            let graph = built?;
            let model = Model::new(&context, &graph)?.precision(precision);
            let session = while_compiling(&context, || model.session(1))?;
            Network::Whole(session.into(), graph.into())
        }
    };
    let created = start.elapsed();
    if top.is_some() && chunks.is_some() {
        return Err(ErrorKind::argument("--top", "none with --chunk", "a number").into());
    }
    let rows = network.rows();
    if top.is_some() && rows.is_none() {
        let got = match &network {
            Network::Whole(session, _) => format!("{} {}", session.outputs()[0].dtype, session.outputs()[0].shape),
            Network::Parts(_) => "a network in parts".to_owned(),
        };
        return Err(ErrorKind::argument("--top", "a first output of f32s [N, classes]", got).into());
    }
    let outputs = network.run(&inputs)?;
    let all = start.elapsed();
    // Parts are made when the parts before have run.
    let (what, created) = match &network {
        Network::Whole(..) => ("session", created),
        Network::Parts(parts) => ("making the parts", parts.preparation()),
    };

    model_args.note_precision(precision, out)?;
    if let Some((input, chunks)) = chunks {
        let start = Instant::now();
        let mut inputs = inputs;
        // Of the outputs that are carried on, only the last ones matter. Without a folder, only shapes do.
        let carried = |output: &ValueInfo| args.inputs.carries(&output.name);
        let mut kept: Vec<Data> =
            file.outputs().iter().zip(&outputs).map(|(_, tensor)| tensor.data().clone()).collect();
        let mut last = outputs;
        for i in 1..chunks.count() {
            inputs.insert(input.clone(), chunks.at(i)?);
            let before = std::mem::replace(&mut last, network.run(&inputs)?);
            for (((kept, before), tensor), output) in kept.iter_mut().zip(&before).zip(&last).zip(file.outputs()) {
                if carried(output) {
                    continue;
                }
                if before.shape() != tensor.shape() {
                    let what = format!("output \"{}\" of chunk {i}", output.name);
                    let wanted = format!("{}, as of the chunks before", before.shape());
                    return Err(ErrorKind::argument(what, wanted, tensor.shape()).into());
                }
                if dir.is_some() {
                    append(kept, tensor.data());
                }
            }
        }
        for ((kept, tensor), output) in kept.into_iter().zip(&last).zip(file.outputs()) {
            let shape = match carried(output) {
                true => tensor.shape().clone(),
                false => Shape::from([&[chunks.count()], &tensor.shape()[..]].concat()),
            };
            match dir {
                Some(dir) if carried(output) => save(dir, &output.name, tensor, output.element, out)?,
                Some(dir) => save(dir, &output.name, &Tensor::new(shape, kept)?, output.element, out)?,
                None => writeln!(out, "{} {} {shape}", output.name, output.element)?,
            }
        }
        network.note(out)?;
        writeln!(out, "first chunk: {}", first(what, created, all))?;
        if let Some(others) = u32::try_from(chunks.count() - 1).ok().filter(|&others| others > 0) {
            writeln!(out, "each of the others: {} ms", digits(ms(start.elapsed() / others)))?;
        }
        return Ok(());
    }
    for (declared, tensor) in file.outputs().iter().zip(&outputs) {
        let name = &declared.name;
        match dir {
            Some(dir) => {
                save(dir, name, tensor, declared.element, out)?;
                if let Some(picture) = pixels::picture(tensor).filter(|_| pictures) {
                    let path = dir.join(file_name(name)).with_extension("png");
                    pixels::save(&path, &picture)?;
                    writeln!(out, "{}: {} x {} pixels", path.display(), picture.width(), picture.height())?;
                }
            }
            None => writeln!(out, "{name} {} {}", declared.element, tensor.shape())?,
        }
    }
    if let (Network::Whole(session, graph), Some(rows)) = (&network, rows) {
        let first_output = &session.outputs()[0];
        let values = outputs[0].f32()?;
        let scores = Scores::new(graph, values, rows)?;
        if let Some(top) = top.or((dir.is_none() && scores.tell_classes(first_output.shape[1])).then_some(5)) {
            write_top((first_output, values, scores), top, ("class", labels), out)?;
            writeln!(out, "probabilities: {}", scores.text(&first_output.name))?;
        }
    }
    network.note(out)?;
    writeln!(out, "first inference: {}", first(what, created, all))?;
    repeated(args.repeat, || network.run(&inputs).map(drop), out)
}

/// A network on the device.
enum Network {
    /// One graph.
    Whole(Box<Session>, Box<Graph>),
    /// Parts, between which a value decides a size.
    Parts(Parts),
}

/// Returns the network in parts. Each part is built when the one before has run.
fn parts(file: &Onnx, bindings: Bindings, context: &Context, precision: Precision) -> Network {
    let file = file.clone();
    Network::Parts(Parts::new(context, MOST_BYTES, move |known| file.part(&bindings, known)).precision(precision))
}

impl Network {
    /// Returns the number of rows of scores in the first output, if it is known before the run.
    fn rows(&self) -> Option<usize> {
        if let Network::Whole(session, _) = self { images(&session.outputs()[0]) } else { None }
    }

    fn run(&self, inputs: &BTreeMap<String, Tensor>) -> shadernet::Result<Outputs> {
        match self {
            Network::Whole(session, graph) => {
                let fed = graph.inputs().iter().map(|input| (input.name.as_str(), &inputs[&input.name]));
                session.run_blocking(&fed.collect::<Vec<_>>())
            }
            Network::Parts(parts) => {
                let inputs = inputs.iter().map(|(name, tensor)| (&name[..], tensor));
                parts.run_blocking(&inputs.collect::<Vec<_>>())
            }
        }
    }

    /// Says where the network was cut.
    fn note(&self, out: &mut dyn Write) -> Result {
        let Network::Parts(parts) = self else { return Ok(()) };
        let cuts = parts.cuts();
        writeln!(out, "the network is cut into {} parts, where values decide sizes:", cuts.len() + 1)?;
        for cut in cuts.iter().take(MOST_CUTS) {
            writeln!(out, "  {cut}")?;
        }
        if cuts.len() > MOST_CUTS {
            writeln!(out, "  and {} more", cuts.len() - MOST_CUTS)?;
        }
        Ok(())
    }
}

/// The bound on the memory of kept parts: 1 GiB.
const MOST_BYTES: u64 = 1 << 30;

/// The number of cuts that are listed.
const MOST_CUTS: usize = 16;

/// Appends the numbers of a frame to those of the frames before.
fn append(kept: &mut Data, frame: &Data) {
    match (kept, frame) {
        (Data::F32(kept), Data::F32(frame)) => kept.extend(frame),
        (Data::I32(kept), Data::I32(frame)) => kept.extend(frame),
        (Data::Bool(kept), Data::Bool(frame)) => kept.extend(frame),
        _ => unreachable!("an output has one type"),
    }
}

/// Writes an output into the folder, and says so.
fn save(dir: &Path, name: &str, tensor: &Tensor, element: ElementType, out: &mut dyn Write) -> Result {
    std::fs::create_dir_all(dir).map_err(|error| ErrorKind::file(dir, error))?;
    let path = dir.join(file_name(name));
    write(&path, tensor, element)?;
    writeln!(out, "{}: {name} {element} {}", path.display(), tensor.shape())?;
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
