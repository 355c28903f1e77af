//! The network of a subcommand: one of the crate's, or an ONNX file's.

use super::Result;
use super::given::ValueArgs;
use shadernet::import::onnx::{Bindings, Onnx, Size};
use shadernet::kernel::Caps;
use shadernet::models::{self, Network};
use shadernet::{Context, Error, ErrorKind, Graph, Model, Precision, Tensor, Weights};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The network and its weights.
#[derive(clap::Args)]
pub(super) struct ModelArgs {
    #[arg(help = help())]
    pub(super) model: String,
    /// A safetensors file with PyTorch's names
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Make the weights up from this number [default: 0, for networks without weights of their own]; of an ONNX file, the random
    /// numbers that it draws
    #[arg(long, value_name = "S", conflicts_with = "weights")]
    seed: Option<u64>,
    /// A size that an ONNX file leaves open, by its name; one without a name is called by its input and axis, such as x:2.
    /// May be given several times
    #[arg(long, value_name = "NAME=SIZE", value_parser = parse_dim)]
    dim: Vec<(String, usize)>,
    /// All sizes of an input of an ONNX file, such as x=1,3,48,192; may be given several times
    #[arg(long, value_name = "NAME=SIZES", value_parser = parse_shape)]
    shape: Vec<(String, Sizes)>,
    /// Store the numbers as f32, as f16, or mixed: weights as f16, values as f32 (docs/precision.md) [default: the
    /// precision of an ONNX file's weights, otherwise f32]
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(super) precision: Option<Precision>,
}

/// Returns the help of the argument that names a network.
pub(super) fn help() -> String {
    let names: Vec<&str> = models::all().iter().map(|network| network.name).collect();
    let lines: Vec<String> = names.chunks(6).map(|names| names.join(", ")).collect();
    format!("The network: an ONNX file (NAME.onnx), or one of\n{}", lines.join(",\n"))
}

fn parse_dim(text: &str) -> std::result::Result<(String, usize), String> {
    let dim = text.rsplit_once('=').and_then(|(name, size)| Some((name.to_owned(), size.parse().ok()?)));
    dim.ok_or_else(|| "wanted NAME=SIZE, a number".into())
}

/// The sizes of an input.
#[derive(Clone)]
struct Sizes(Vec<usize>);

fn parse_shape(text: &str) -> std::result::Result<(String, Sizes), String> {
    let sizes = |text: &str| text.split(',').map(|size| size.trim().parse().ok()).collect::<Option<Vec<usize>>>();
    let shape = text.rsplit_once('=').and_then(|(name, text)| Some((name.to_owned(), Sizes(sizes(text)?))));
    shape.ok_or_else(|| "wanted NAME=SIZES, numbers with commas".into())
}

/// A network that was found, and the origin of its weights.
pub(super) enum Opened {
    /// One of the crate's.
    Own { network: Network, weights: Weights, size: Option<[usize; 2]>, origin: String },
    /// A file's network, with the given values of its open sizes and inputs.
    File { name: String, file: Onnx, bindings: Bindings, values: BTreeMap<String, Tensor> },
}

impl ModelArgs {
    /// Returns the path of the ONNX file, if the network is one.
    pub(super) fn file(&self) -> Option<&Path> {
        let path = Path::new(&self.model);
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")).then_some(path)
    }

    /// Opens the ONNX file, with the given values of its open sizes; `None` if the network isn't a file.
    pub(super) fn open_file(&self) -> shadernet::Result<Option<(Onnx, Bindings)>> {
        let Some(path) = self.file() else { return Ok(None) };
        if self.weights.is_some() {
            return Err(ErrorKind::argument("--weights", "a network without weights of its own", &self.model).into());
        }
        let file = Onnx::open(path)?;
        let mut bindings = Bindings::new();
        if let Some(seed) = self.seed {
            if !file.operators().keys().any(|operator| operator.starts_with("Random")) {
                let got = format!("{}, which has neither", self.model);
                return Err(ErrorKind::argument("--seed", "a network whose weights or numbers are made up", got).into());
            }
            bindings = bindings.seed(seed);
        }
        for (i, (name, size)) in self.dim.iter().enumerate() {
            if self.dim[..i].iter().any(|(other, _)| other == name) {
                return Err(ErrorKind::argument("--dim", "each name once", format!("\"{name}\" twice")).into());
            }
            bindings = bindings.size(name, *size);
        }
        for (i, (name, Sizes(sizes))) in self.shape.iter().enumerate() {
            if self.shape[..i].iter().any(|(other, _)| other == name) {
                return Err(ErrorKind::argument("--shape", "each input once", format!("\"{name}\" twice")).into());
            }
            bindings = bindings.shape(name, &sizes[..]);
        }
        Ok(Some((file, bindings)))
    }

    /// Returns one of the crate's networks, with its weights.
    pub(super) fn own(&self) -> shadernet::Result<(Network, Weights)> {
        let network = models::find(&self.model)?;
        let dim = self.dim.first().map(|(name, _)| ("--dim", name));
        if let Some((argument, name)) = dim.or(self.shape.first().map(|(name, _)| ("--shape", name))) {
            return Err(ErrorKind::argument(argument, "an ONNX file", format!("\"{name}\" for {}", self.model)).into());
        }
        let weights = match (&self.weights, self.seed, network.weights) {
            (Some(path), ..) => Weights::open(path)?,
            (None, None, Some(shipped)) => shipped()?,
            (None, seed, _) => Weights::seeded(seed.unwrap_or(0)),
        };
        Ok((network, weights))
    }

    /// Opens the network, for images of this height and width, or of the usual ones.
    pub(super) fn open(&self, size: Option<[usize; 2]>, inputs: &ValueArgs) -> Result<Opened> {
        let Some((file, mut bindings)) = self.open_file()? else {
            let (network, weights) = self.own()?;
            inputs.unused(network.name)?;
            let origin = self.describe(&weights);
            return Ok(Opened::Own { network, weights, size, origin });
        };
        if let Some([height, width]) = size {
            bindings = self.sized(&file, bindings, [height, width])?;
        }
        let (bindings, values) = inputs.read(&file, bindings)?;
        let name = Path::new(&self.model).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Opened::File { name, file, bindings, values })
    }

    /// Binds the open height and width of the one input that is an image.
    fn sized(&self, file: &Onnx, bindings: Bindings, [height, width]: [usize; 2]) -> shadernet::Result<Bindings> {
        let wrong = |got: String| ErrorKind::argument("--size", "one input [N, C, H, W] whose H and W are open", got);
        let [input] = file.inputs() else { return Err(wrong(format!("{} inputs", file.inputs().len())).into()) };
        let Some([_, _, h, w]) = input.sizes.as_deref() else {
            return Err(wrong(format!("\"{}\"", input.name)).into());
        };
        let bound = |bindings: Bindings, size: &Size, value: usize| match size {
            Size::Named(name) if self.dim.iter().any(|(given, _)| given == name) => {
                Err(wrong(format!("one that --dim {name} binds")))
            }
            Size::Named(name) => Ok(bindings.size(name, value)),
            Size::Fixed(fixed) if *fixed == value => Ok(bindings),
            Size::Fixed(fixed) => Err(wrong(format!("{fixed}, which is fixed"))),
        };
        Ok(bound(bound(bindings, h, height)?, w, width)?)
    }

    /// Returns the precision on such a device: the given one, or that which suits the numbers.
    pub(super) fn precision(&self, own: Precision, caps: &Caps) -> Precision {
        self.precision.unwrap_or(own.on(caps))
    }

    /// Prints a precision other than `f32`.
    pub(super) fn note_precision(&self, precision: Precision, out: &mut dyn Write) -> Result {
        if precision != Precision::F32 {
            let origin = if self.precision.is_none() { " (the file's)" } else { "" };
            writeln!(out, "precision: {precision}{origin}")?;
        }
        Ok(())
    }

    /// Describes the origin of the weights of one of the crate's networks.
    fn describe(&self, weights: &Weights) -> String {
        match &self.weights {
            Some(path) => path.display().to_string(),
            None if weights.is_seeded() => format!("made up from seed {}", self.seed.unwrap_or(0)),
            None => "shipped".to_owned(),
        }
    }

    /// Prints a note if the weights are made up.
    pub(super) fn note_seeded(&self, weights: &Weights, out: &mut dyn Write) -> Result {
        if weights.is_seeded() {
            let seed = self.seed.unwrap_or(0);
            writeln!(out, "weights of {}: made up from seed {seed} (--weights FILE loads trained ones)", self.model)?;
        }
        Ok(())
    }
}

impl Opened {
    pub(super) fn name(&self) -> &str {
        match self {
            Opened::Own { network, .. } => network.name,
            Opened::File { name, .. } => name,
        }
    }

    /// Returns the origin of the weights.
    pub(super) fn origin(&self) -> &str {
        match self {
            Opened::Own { origin, .. } => origin,
            Opened::File { .. } => "the file's",
        }
    }

    /// Returns the precision that suits the network's numbers.
    pub(super) fn precision(&self) -> Precision {
        match self {
            Opened::Own { .. } => Precision::F32,
            Opened::File { file, .. } => file.precision(),
        }
    }

    /// Returns the network's graph for a batch.
    pub(super) fn graph(&self, batch: usize) -> shadernet::Result<Graph> {
        match self {
            Opened::Own { network, weights, size, .. } => network.graph(weights, *size),
            Opened::File { file, bindings, values, .. } => graph(file, bindings.clone(), batch, values),
        }
    }

    /// Returns the network on a device.
    pub(super) fn model(&self, context: &Context, precision: Precision) -> shadernet::Result<Model> {
        let model = match self {
            Opened::Own { .. } => Model::new(context, &self.graph(1)?)?,
            Opened::File { file, bindings, values, .. } => {
                let (file, bindings, values) = (file.clone(), bindings.clone(), values.clone());
                Model::for_batches(context, move |batch| graph(&file, bindings.clone(), batch, &values))
            }
        };
        Ok(model.precision(precision))
    }

    /// Prints what else the figures depend on: a precision other than `f32`, and weights that are made up.
    pub(super) fn note(&self, args: &ModelArgs, precision: Precision, out: &mut dyn Write) -> Result {
        args.note_precision(precision, out)?;
        match self {
            Opened::Own { weights, .. } => args.note_seeded(weights, out),
            Opened::File { .. } => Ok(()),
        }
    }
}

/// Builds a file's network, with the values of inputs that the build needs, such as shapes. If it also needs what the device
/// computes, the error is the first need.
pub(super) fn graph(
    file: &Onnx,
    mut bindings: Bindings,
    batch: usize,
    values: &BTreeMap<String, Tensor>,
) -> shadernet::Result<Graph> {
    let mut first = None;
    loop {
        // Values that decide sizes have no batch, so they are found first.
        let error = match file.graph(&bindings.clone().batch(1)) {
            Ok(graph) if batch == 1 => return Ok(graph),
            Ok(_) => return file.graph(&bindings.batch(batch)),
            Err(error) => error,
        };
        if let ErrorKind::Unknown { input: Some(name), .. } = &error.kind
            && !bindings.has_values(name)
            && let Some(tensor) = values.get(name)
        {
            bindings = bindings.values(name, tensor.clone());
            first = first.or(Some(error));
            continue;
        }
        let missing = matches!(&error.kind, ErrorKind::Unknown { input: Some(name), .. } if !values.contains_key(name));
        return Err(match (&error.kind, first) {
            // The values are given: what they lead to isn't known before the device computes it.
            (ErrorKind::Unknown { .. }, Some(Error { at, kind: ErrorKind::Unknown { argument, value, .. } }))
                if !missing =>
            {
                Error { at, kind: ErrorKind::Unknown { argument, value, input: None } }
            }
            _ => error,
        });
    }
}
