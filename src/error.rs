//! Errors: the fault, the place, the wanted and the given value.

use std::borrow::Cow;
use std::fmt;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error, and the node of the graph at which it occurred.
pub struct Error {
    /// The operation and the name of the node, where the error belongs to one.
    pub at: Option<(Cow<'static, str>, String)>,
    /// The kind of the error.
    pub kind: ErrorKind,
}

/// The kind of an error, with its details.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A tensor, an attribute or an argument isn't what the operation takes.
    #[error("{argument}: wanted {wanted}, got {got}")]
    Argument {
        /// The name of the argument.
        argument: String,
        /// The accepted values.
        wanted: String,
        /// The given value.
        got: String,
    },
    /// The device can't hold or bind something this large.
    #[error("{what} needs {need}{unit}, the device's {limit} is {have}", unit = unit(limit))]
    Limit {
        /// The object or the part that needs more than the limit.
        what: String,
        /// The limit's name in WebGPU, or in [`Caps`](crate::kernel::Caps).
        limit: &'static str,
        /// The needed amount.
        need: u64,
        /// The available amount.
        have: u64,
    },
    /// A value must be known when a graph is built, but is an input or computed on the device. `Parts` run such a network.
    #[error("{argument}: wanted what is known when the graph is built, got {value}{}", way_out(value, input))]
    Unknown {
        /// The argument that must be known.
        argument: String,
        /// The value: an input, or the output of an operation.
        value: Box<str>,
        /// The graph's input that the value depends on; `None` if it depends on constants only.
        input: Option<String>,
    },
    /// A correct request that this crate doesn't serve.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A file can't be read or written, or isn't what its name says.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// The problem with the file.
        problem: String,
    },
    /// No adapter fits.
    #[error("no GPU adapter{wanted}: {hint}")]
    NoAdapter {
        /// The requested name and backends (empty, or beginning with a space).
        wanted: String,
        /// The available adapters, or a way to get one.
        hint: String,
    },
    /// wgpu refused something.
    #[error("the device: {0}")]
    Device(String),
    /// The device is lost with everything created on it, for example when a driver is updated or a laptop changes its
    /// GPU. [`Model::on`](crate::Model::on) brings a network back on a new device's context.
    #[error("the device is lost: {0}")]
    DeviceLost(String),
}

/// Returns the input that a value depends on, and what the caller can do.
fn way_out(value: &str, input: &Option<String>) -> String {
    let parts = "run the network in parts (Parts, shadernet run)";
    match input {
        Some(input) if value == format!("the input \"{input}\"") => format!(": give its values, or {parts}"),
        Some(input) => format!(", computed from the input \"{input}\": give its values, or {parts}"),
        None => format!(", which only the device computes: {parts}"),
    }
}

/// Returns the unit of a limit, by its name: bytes for sizes, none for counts.
fn unit(limit: &str) -> &'static str {
    match limit {
        "max_loop_iterations" => " loop iterations",
        _ if limit.ends_with("size") => " bytes",
        _ => "",
    }
}

impl ErrorKind {
    /// Returns an error about a shape, an attribute or an argument that the operation doesn't take.
    pub fn argument(argument: impl Into<String>, wanted: impl fmt::Display, got: impl fmt::Display) -> Self {
        ErrorKind::Argument { argument: argument.into(), wanted: wanted.to_string(), got: got.to_string() }
    }

    /// Returns an error about a file that can't be used.
    pub fn file(path: &std::path::Path, problem: impl fmt::Display) -> Self {
        ErrorKind::File { path: path.display().to_string(), problem: problem.to_string() }
    }

    /// Returns the error of a lost device: mapping memory and waiting fail with it.
    pub(crate) fn lost(error: impl fmt::Display) -> Error {
        ErrorKind::DeviceLost(error.to_string()).into()
    }

    /// Returns this error, located at a node of the graph.
    pub fn at(self, op: impl Into<Cow<'static, str>>, node: impl Into<String>) -> Error {
        Error { at: Some((op.into(), node.into())), kind: self }
    }
}

impl Error {
    /// Returns the same error, located at a node of the graph.
    #[must_use]
    pub fn node(self, op: impl Into<Cow<'static, str>>, node: impl Into<String>) -> Error {
        self.kind.at(op, node)
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error { at: None, kind }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((op, name)) = &self.at {
            write!(f, "{op} \"{name}\": ")?;
        }
        fmt::Display::fmt(&self.kind, f)
    }
}

/// The text of [`Display`](fmt::Display): a `main` that returns an error prints this.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
