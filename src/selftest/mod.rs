//! The self-test: a check of the numbers that an adapter and its driver compute.
//!
//! [`run`] runs each operation's table of cases by every kernel of the adapter's tiers, and compares the results with
//! plain loops in f64. `shadernet selftest` prints the report; a headless GPU test suite calls the function:
//!
//! ```no_run
//! use shadernet::selftest::{Options, run};
//!
//! let report = run(&Options::default(), |op| println!("{op}"))?;
//! assert!(report.passed(), "{report}");
//! # Ok::<(), shadernet::Error>(())
//! ```
//!
//! The crate's own tests run the same tables. `tests/goldens` checks the references against PyTorch itself.

#[doc(hidden)]
pub mod cases;
#[doc(hidden)]
pub mod ops;
#[doc(hidden)]
pub mod reference;
mod report;
mod suite;
mod tolerance;
mod variants;

pub use ops::TABLES;
pub use report::{Failure, OpReport, Results};
#[doc(hidden)]
pub use suite::{Special, Suite};
#[doc(hidden)]
pub use tolerance::Tolerance;

use crate::error::{ErrorKind, Result};
use crate::gpu::{Context, ContextOptions};
use crate::kernel::Caps;

/// The cases of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The operation's file in `src/ops`.
    pub op: &'static str,
    /// The names of the operation in PyTorch or ONNX.
    pub layers: &'static str,
    /// The operation's parameters.
    pub parameters: &'static str,
    /// The names of the operation's goldens in `tests/goldens`, PyTorch's, separated by spaces.
    pub goldens: &'static str,
    #[doc(hidden)]
    pub cases: fn(&Suite),
}

/// The tests to run, and the adapter to run them on.
#[derive(Clone, Debug, Default)]
pub struct Options {
    device: ContextOptions,
    op: Option<String>,
    quick: bool,
    guarded: bool,
    phone: bool,
    sabotage: Option<String>,
}

impl Options {
    /// Tests everything, on the adapter that wgpu prefers.
    pub fn new() -> Options {
        Options::default()
    }

    /// Tests the adapter of these options. If they are portable, only the kernels that every GPU runs are tested.
    #[must_use]
    pub fn device(self, device: ContextOptions) -> Options {
        Options { device, ..self }
    }

    /// Tests only the operation of this name: one of [`TABLES`], or one that a table has along several axes, such as
    /// `conv2d` of the table `conv`.
    #[must_use]
    pub fn op(self, op: impl Into<String>) -> Options {
        Options { op: Some(op.into()), ..self }
    }

    /// Runs only every fourth case, for a first look.
    #[must_use]
    pub fn quick(self) -> Options {
        Options { quick: true, ..self }
    }

    /// Computes everything a second time with wgpu's guards in the shaders ([`ContextOptions::guarded`]), and expects
    /// the same bits. A difference is an access outside of a buffer, or a compiler that rounds differently with guards.
    #[must_use]
    pub fn guarded(self) -> Options {
        Options { guarded: true, ..self }
    }

    /// Treats the adapter as a phone's GPU ([`Caps::phone`]), with guards in all shaders: runs that phone's kernels.
    #[must_use]
    pub fn phone(self) -> Options {
        Options { phone: true, ..self }
    }

    /// Removes the last workgroup of every dispatch of this operation: proves that a kernel with wrong results is
    /// found, and named.
    #[must_use]
    pub fn sabotage(self, op: impl Into<String>) -> Options {
        Options { sabotage: Some(op.into()), ..self }
    }
}

/// A choice of kernels, and their device.
pub struct Tier {
    /// The name in reports.
    pub name: &'static str,
    /// The device.
    pub context: Context,
    /// A second such device, with guards in all shaders, if the results are to be compared.
    #[doc(hidden)]
    pub guarded: Option<Context>,
}

/// Returns the tiers of an adapter: the portable kernels on a device with WebGPU's default limits and no optional
/// feature; then, unless the options ask for portable kernels, the device of these options.
pub fn tiers(device: &ContextOptions) -> Result<Vec<Tier>> {
    let open = |device: &ContextOptions| pollster::block_on(Context::with(device));
    let plain = open(&device.clone().plain())?;
    let mut tiers = vec![Tier { name: "portable", context: plain, guarded: None }];
    if !device.is_portable() {
        let context = open(device)?;
        let name = match context.caps().profile() {
            "portable" => "full",
            other => other,
        };
        tiers.push(Tier { name, context, guarded: None });
    }
    Ok(tiers)
}

/// Returns the tier of a simulated phone's GPU on this context's device, which keeps its own limit of loop iterations.
#[doc(hidden)]
pub fn phone(context: &Context) -> Tier {
    let caps = Caps { max_loop_iterations: context.caps().max_loop_iterations, ..Caps::phone() };
    Tier { name: "phone", context: context.with_caps(caps), guarded: None }
}

/// The tables of operations in several dimensions: `conv2d` is in the table `conv`.
const IN_DIMENSIONS: [&str; 4] = ["conv", "conv_transpose", "pad", "pool"];

/// Returns the name of the table that has an operation's cases.
fn table(op: &str) -> Result<&'static str> {
    let along = ["1d", "2d", "3d"].iter().find_map(|axes| op.strip_suffix(axes));
    let along = along.filter(|op| IN_DIMENSIONS.contains(op));
    let names = || TABLES.iter().map(|table| table.op);
    names().find(|&name| name == op).or_else(|| names().find(|&name| Some(name) == along)).ok_or_else(|| {
        let known: Vec<&str> = names().collect();
        ErrorKind::argument("op", format_args!("one of {}", known.join(", ")), op).into()
    })
}

/// Runs the tables on an adapter. `each` is called with an operation's results as soon as they are there.
///
/// Returns an error if there is no such adapter or no such operation, or if the device lacks a requirement of the
/// portable kernels. Wrong results are no errors; they are in the report.
pub fn run(options: &Options, mut each: impl FnMut(&OpReport)) -> Result<Results> {
    let [only, sabotage] = [&options.op, &options.sabotage].map(|op| op.as_deref().map(table).transpose());
    let (only, sabotage) = (only?, sabotage?);
    let mut tiers = tiers(&options.device)?;
    if options.phone {
        tiers = vec![phone(&tiers[0].context)];
    }
    if options.guarded && !options.phone {
        let guarded = self::tiers(&options.device.clone().guarded())?;
        for (tier, guarded) in tiers.iter_mut().zip(guarded) {
            // Both compute by the facts that hold with guards: a guard may clamp a load that the driver answers with 0.
            tier.context = tier.context.with_facts(guarded.context.caps().clone());
            (tier.name, tier.guarded) = (guarded.name, Some(guarded.context));
        }
    }
    let info = tiers[0].context.info().clone();
    let mut ops = Vec::new();
    for table in TABLES.iter().filter(|table| only.is_none_or(|op| table.op == op)) {
        let mut suite = Suite::new(&tiers).every(if options.quick { 4 } else { 1 });
        suite.sabotage = sabotage == Some(table.op);
        (table.cases)(&suite);
        let report = suite.report(table.op);
        each(&report);
        ops.push(report);
    }
    Ok(Results { adapter: info, tiers: tiers.iter().map(|tier| tier.name).collect(), ops })
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn operations_along_several_axes_share_a_table() {
        let names = ["conv", "conv2d", "conv_transpose1d", "pool3d", "unary"].map(|op| table(op).unwrap());
        assert_eq!(names, ["conv", "conv", "conv_transpose", "pool", "unary"]);
        for unknown in ["unary2d", "conv4d", "softmax1d"] {
            let error = table(unknown).unwrap_err().to_string();
            assert!(error.contains("one of activation, ") && error.ends_with(&format!("got {unknown}")), "{error}");
        }
    }
}
