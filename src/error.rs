//! Errors: what was wrong, where, what was wanted and what came.

use std::borrow::Cow;
use std::fmt;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something can't be done, and at which node of the graph.
#[derive(Debug)]
pub struct Error {
    /// The operation and the name of the node, where the error belongs to one.
    pub at: Option<(Cow<'static, str>, String)>,
    /// What was wrong.
    pub kind: ErrorKind,
}

/// What was wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A tensor, an attribute or an argument isn't what the operation takes.
    #[error("{argument}: wanted {wanted}, got {got}")]
    Argument {
        /// Which one.
        argument: String,
        /// What would have served.
        wanted: String,
        /// What came.
        got: String,
    },
    /// The device can't hold or bind something this large.
    #[error("{what} needs {need}{unit}, the device's {limit} is {have}", unit = unit(limit))]
    Limit {
        /// What was to be created.
        what: String,
        /// The limit's name in WebGPU, or in [`Caps`](crate::kernel::Caps).
        limit: &'static str,
        /// How much is needed.
        need: u64,
        /// How much there is.
        have: u64,
    },
    /// Something that must be known when a graph is built is computed from an input, whose values weren't given.
    #[error(
        "{argument}: wanted what is known when the graph is built, got what is computed from the input \"{input}\": give its values"
    )]
    Unknown {
        /// What must be known.
        argument: String,
        /// The graph's input that it is computed from.
        input: String,
    },
    /// A correct request that this crate doesn't serve.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A file can't be read or written, or isn't what its name says.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No adapter fits.
    #[error("no GPU adapter{wanted}: {hint}")]
    NoAdapter {
        /// What was asked for (empty, or beginning with a space).
        wanted: String,
        /// What there is, or how to get one.
        hint: String,
    },
    /// wgpu refused something.
    #[error("the device: {0}")]
    Device(String),
    /// The device is lost, and all that was made on it: drivers are updated, laptops change their GPU. A context on a new device and
    /// [`Model::on`](crate::Model::on) bring a network back.
    #[error("the device is lost: {0}")]
    DeviceLost(String),
}

/// Limits whose name ends like this are in bytes, the others count.
fn unit(limit: &str) -> &'static str {
    match limit {
        "max_loop_iterations" => " loop iterations",
        _ if limit.ends_with("size") => " bytes",
        _ => "",
    }
}

impl ErrorKind {
    /// A shape, attribute or argument that isn't what the operation takes.
    pub fn argument(argument: impl Into<String>, wanted: impl fmt::Display, got: impl fmt::Display) -> Self {
        ErrorKind::Argument { argument: argument.into(), wanted: wanted.to_string(), got: got.to_string() }
    }

    /// A file that can't be used.
    pub fn file(path: &std::path::Path, problem: impl fmt::Display) -> Self {
        ErrorKind::File { path: path.display().to_string(), problem: problem.to_string() }
    }

    /// What fails with a device that is lost: mapped memory, and waiting.
    pub(crate) fn lost(error: impl fmt::Display) -> Error {
        ErrorKind::DeviceLost(error.to_string()).into()
    }

    /// This error, at a node of the graph.
    pub fn at(self, op: impl Into<Cow<'static, str>>, node: impl Into<String>) -> Error {
        Error { at: Some((op.into(), node.into())), kind: self }
    }
}

impl Error {
    /// The same error, at a node of the graph.
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

impl std::error::Error for Error {}
