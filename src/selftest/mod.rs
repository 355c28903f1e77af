//! The self-test: whether an adapter and its driver compute what they should.
//!
//! [`run`] takes every operation through a table of cases: each case by every kernel that the adapter's tiers have for it, each
//! against plain loops in f64. `shadernet selftest` prints what it finds; a headless GPU test suite calls it:
//!
//! ```no_run
//! use shadernet::selftest::{Options, run};
//!
//! let report = run(&Options::default(), |op| println!("{op}"))?;
//! assert!(report.passed(), "{report}");
//! # Ok::<(), shadernet::Error>(())
//! ```
//!
//! The crate's own tests run the same tables. The references are checked against PyTorch itself, by `tests/goldens`.

#[doc(hidden)]
pub mod cases;
#[doc(hidden)]
pub mod ops;
#[doc(hidden)]
pub mod reference;
mod report;
mod suite;
mod tolerance;

pub use ops::TABLES;
pub use report::{Failure, OpReport, Report};
#[doc(hidden)]
pub use suite::Suite;
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
    /// What users of PyTorch or ONNX know it as.
    pub layers: &'static str,
    /// Its parameters.
    pub parameters: &'static str,
    /// The names that its goldens have in `tests/goldens`, PyTorch's, with spaces between them.
    pub goldens: &'static str,
    #[doc(hidden)]
    pub cases: fn(&Suite),
}

/// What to test, and where.
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
    /// Everything, on whichever adapter wgpu prefers.
    pub fn new() -> Options {
        Options::default()
    }

    /// On the adapter of these options; only the kernels that every GPU runs, if they are so.
    #[must_use]
    pub fn device(self, device: ContextOptions) -> Options {
        Options { device, ..self }
    }

    /// Only the operation of this name, one of [`TABLES`].
    #[must_use]
    pub fn op(self, op: impl Into<String>) -> Options {
        Options { op: Some(op.into()), ..self }
    }

    /// Every fourth case only, for a first look.
    #[must_use]
    pub fn quick(self) -> Options {
        Options { quick: true, ..self }
    }

    /// Computes everything a second time with wgpu's guards in the shaders ([`ContextOptions::guarded`]), and wants the same, bit by
    /// bit: a difference is an access outside of a buffer, or of a compiler that rounds otherwise then.
    #[must_use]
    pub fn guarded(self) -> Options {
        Options { guarded: true, ..self }
    }

    /// Takes the adapter for a phone's GPU ([`Caps::phone`]), with guards in all shaders: runs the kernels that such a phone would get.
    #[must_use]
    pub fn phone(self) -> Options {
        Options { phone: true, ..self }
    }

    /// Leaves out the last workgroup of all this operation's dispatches: to see that a kernel which computes wrong numbers is
    /// found, and named.
    #[must_use]
    pub fn sabotage(self, op: impl Into<String>) -> Options {
        Options { sabotage: Some(op.into()), ..self }
    }
}

/// A choice of kernels, and the device that they run on.
pub struct Tier {
    /// What it is called in reports.
    pub name: &'static str,
    /// The device.
    pub context: Context,
    /// The same with guards in all shaders, if that is to be compared.
    #[doc(hidden)]
    pub guarded: Option<Context>,
}

/// The tiers of an adapter: the portable kernels on a device with WebGPU's default limits and no optional feature; then, unless
/// the options ask for portable kernels, what the adapter has by default.
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

/// The tier of a phone's GPU that isn't there, on the device of this context: as far as that ends no loop earlier.
#[doc(hidden)]
pub fn phone(context: &Context) -> Tier {
    let caps = Caps { max_loop_iterations: context.caps().max_loop_iterations, ..Caps::phone() };
    Tier { name: "phone", context: context.with_caps(caps), guarded: None }
}

/// Runs the tables on an adapter; `each` is called with an operation's results as soon as they are there.
///
/// An error if there is no such adapter or no such operation, or if its device lacks what the portable kernels need. What an
/// operation does wrong is in the report.
pub fn run(options: &Options, mut each: impl FnMut(&OpReport)) -> Result<Report> {
    for op in options.op.iter().chain(&options.sabotage) {
        if !TABLES.iter().any(|table| table.op == op) {
            let known: Vec<&str> = TABLES.iter().map(|table| table.op).collect();
            return Err(ErrorKind::argument("op", format_args!("one of {}", known.join(", ")), op).into());
        }
    }
    let mut tiers = tiers(&options.device)?;
    if options.phone {
        tiers = vec![phone(&tiers[0].context)];
    }
    if options.guarded && !options.phone {
        let guarded = self::tiers(&options.device.clone().guarded())?;
        tiers.iter_mut().zip(guarded).for_each(|(tier, guarded)| tier.guarded = Some(guarded.context));
    }
    let info = tiers[0].context.info().clone();
    let mut ops = Vec::new();
    for table in TABLES.iter().filter(|table| options.op.as_ref().is_none_or(|op| table.op == op)) {
        let mut suite = Suite::new(&tiers).every(if options.quick { 4 } else { 1 });
        suite.sabotage = options.sabotage.as_deref() == Some(table.op);
        (table.cases)(&suite);
        let report = suite.report(table.op);
        each(&report);
        ops.push(report);
    }
    Ok(Report { adapter: info, tiers: tiers.iter().map(|tier| tier.name).collect(), ops })
}
