//! `shadernet run`: a network on an image or an array.

use super::bench::{MOST_FRAMES, first, ms};
use super::classes::{Labels, Scores, write_top};
use super::inputs::InputArgs;
use super::run_file;
use super::{DeviceArgs, MOST_BATCH, ModelArgs, Result, while_compiling, within};
use shadernet::import::{image, npy};
use shadernet::measure::digits;
use shadernet::models::{Network, Preprocess};
use shadernet::plan::Port;
use shadernet::{ErrorKind, Model, Shape, Tensor};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// A PNG or JPEG image, or a .npy file of float32: [N, C, H, W], or [C, H, W] for one image. NAME=FILE names the
    /// input. For an ONNX file, once for each input: a .npy file, a .pb file of ONNX's, an image, a .wav file, zeros, ones,
    /// or numbers with commas between them
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    pub(super) input: Vec<String>,
    #[command(flatten)]
    pub(super) inputs: InputArgs,
    /// Write each output as DIR/NAME.npy, and as DIR/NAME.png if it is a picture
    #[arg(long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// Print the most probable classes of the first output, by its numbers, or by their softmax if they are no
    /// probabilities [default: 5, without --output, of a network that classifies or a file that gives probabilities]
    #[arg(long, value_name = "K")]
    top: Option<usize>,
    /// The names of the classes, one on each line; it implies --top 5
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Then run the same frame this many times more, and print the median and the shortest time, also of a network in parts
    #[arg(long, value_name = "N", conflicts_with = "chunk")]
    pub(super) repeat: Option<usize>,
    /// Run a single image this many times in one batch [default: as many images as there are]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
}

pub(super) fn run(args: &RunArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    let batch = args.batch.map(|batch| within("--batch", batch, MOST_BATCH)).transpose()?;
    args.repeat.map(|count| within("--repeat", count, MOST_FRAMES)).transpose()?;
    let top = args.top.map(|top| within("--top", top, usize::from(u16::MAX))).transpose()?;
    let labels = Labels::open(args.labels.as_deref())?;
    let top = top.or(args.labels.is_some().then_some(5));
    if let Some((file, bindings)) = args.model.open_file()? {
        if args.batch.is_some() {
            return Err(ErrorKind::argument("--batch", "none: the arrays say it", "a number").into());
        }
        return run_file::run((&file, &bindings), args, (top, &labels), device, out);
    }
    let (network, weights) = args.model.own()?;
    args.inputs.unused(network.name)?;
    let classifies = network.preprocess != Preprocess::Picture;
    if top.is_some() && !classifies {
        return Err(ErrorKind::argument("--top", "a network that classifies", network.name).into());
    }
    let (name, path) = input_file(&args.input)?;
    let (shape, values) = read(path, &network)?;
    let batch = match (batch, shape[0]) {
        (None, images) => images,
        (Some(batch), images) if images == 1 || images == batch => batch,
        (Some(batch), images) => {
            let wanted = format!("{images}, as many images as {} has", path.display());
            return Err(ErrorKind::argument("--batch", wanted, batch).into());
        }
    };
    let graph = network.graph(&weights, Some([shape[2], shape[3]]))?;
    let input = &graph.inputs()[0].name;
    if let Some(name) = name.filter(|name| name != input) {
        return Err(ErrorKind::argument("--input", format_args!("\"{input}\""), format_args!("\"{name}\"")).into());
    }
    let precision = args.model.precision.unwrap_or_default();
    let model = Model::new(&device.context()?, &graph)?.precision(precision);
    let start = Instant::now();
    let session = while_compiling(model.context(), || model.session(batch))?;
    let created = start.elapsed();
    let outputs = session.run_blocking(&[values.repeat(batch / shape[0])])?;
    let all = start.elapsed();
    let outputs = outputs.iter().map(Tensor::f32).collect::<shadernet::Result<Vec<_>>>()?;

    args.model.note_precision(precision, out)?;
    args.model.note_seeded(&weights, out)?;
    let outputs: Vec<(&Port, &[f32])> = session.outputs().iter().zip(outputs).collect();
    if let Some(dir) = &args.output {
        write_files(dir, &outputs, !classifies, out)?;
    } else if top.is_none() {
        for (port, _) in &outputs {
            writeln!(out, "{} {}", port.name, port.shape)?;
        }
    }
    let top = top.or((args.output.is_none() && classifies).then_some(5));
    if let Some(top) = top {
        let class = if network.preprocess == Preprocess::Digit { "digit" } else { "class" };
        let (port, values) = outputs[0];
        write_top((port, values, Scores::Logits), top, (class, &labels), out)?;
    }
    let tuned = match session.plan().tuned() {
        0 => String::new(),
        tuned => format!("; tuned: {tuned}"),
    };
    writeln!(out, "first inference: {}{tuned}", first("session", created, all))?;
    let images = values.repeat(batch / shape[0]);
    repeated(args.repeat, || session.run_blocking(&[&images]).map(drop), out)
}

/// Runs a frame again and again, and prints the median and the shortest time.
pub(super) fn repeated(count: Option<usize>, frame: impl Fn() -> shadernet::Result<()>, out: &mut dyn Write) -> Result {
    let Some(count) = count else { return Ok(()) };
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        frame()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let [median, least] = [times[count / 2], times[0]].map(|time| digits(ms(time)));
    writeln!(out, "{count} more frames: median {median} ms, shortest {least} ms")?;
    Ok(())
}

/// Returns the file of the network's one input, and the input's name if it was given.
fn input_file(given: &[String]) -> shadernet::Result<(Option<&str>, &Path)> {
    let [text] = given else {
        return Err(ErrorKind::argument("--input", "one", given.len()).into());
    };
    Ok(match text.split_once('=') {
        // A file's name may contain `=` too.
        Some((name, path)) if !Path::new(text).exists() => (Some(name), Path::new(path)),
        _ => (None, Path::new(text)),
    })
}

/// Reads images for a network: `[N, C, H, W]`.
fn read(path: &Path, network: &Network) -> shadernet::Result<(Shape, Vec<f32>)> {
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        return image::load(path, network);
    }
    let (shape, values) = npy::read(path)?;
    let channels = network.input[0];
    let images = match shape[..] {
        [c, h, w] => Shape::from([1, c, h, w]),
        _ => shape.clone(),
    };
    if images.len() != 4 || images[1] != channels || images.elements() == 0 {
        let problem = format!("wanted an array [N, {channels}, H, W], got {shape}");
        return Err(ErrorKind::file(path, problem).into());
    }
    if let Some(position) = values.iter().position(|value| !value.is_finite()) {
        let index: Vec<usize> =
            shape.iter().zip(shape.strides()).map(|(size, stride)| position / stride % size).collect();
        let problem = format!("wanted finite numbers, got {} at {index:?}", values[position]);
        return Err(ErrorKind::file(path, problem).into());
    }
    Ok((images, values))
}

fn write_files(dir: &Path, outputs: &[(&Port, &[f32])], pictures: bool, out: &mut dyn Write) -> Result {
    std::fs::create_dir_all(dir).map_err(|error| ErrorKind::file(dir, error))?;
    for (port, values) in outputs {
        let path = |extension: &str| dir.join(format!("{}.{extension}", port.name.replace('/', "_")));
        npy::write(&path("npy"), &port.shape, values)?;
        writeln!(out, "{}: {} {}", path("npy").display(), port.name, port.shape)?;
        if pictures {
            image::save(&path("png"), &port.shape, values)?;
            writeln!(out, "{}: {} x {} pixels", path("png").display(), port.shape[3], port.shape[2])?;
        }
    }
    Ok(())
}
