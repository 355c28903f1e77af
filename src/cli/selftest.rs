//! `shadernet selftest`: a test of the results that an adapter computes.

use super::report::JsonArgs;
use super::{DeviceArgs, Progress, Result, driver};
use serde_json::json;
use shadernet::selftest::{OpReport, Options, Results, run};
use shadernet::wgpu;
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct SelftestArgs {
    /// Test only this operation
    #[arg(long, value_name = "NAME")]
    op: Option<String>,
    /// Every fourth case only
    #[arg(long)]
    quick: bool,
    /// Compute everything a second time with wgpu's guards in the shaders, which must give the same bits
    #[arg(long)]
    guarded: bool,
    /// Take the adapter for a phone's GPU: the kernels for fast textures, with guards
    #[arg(long, conflicts_with = "guarded")]
    phone: bool,
    /// Compute this operation wrongly, to see that the self-test notices
    #[arg(long, value_name = "NAME")]
    sabotage: Option<String>,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn selftest(args: &SelftestArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    let mut options = Options::new().device(device.options());
    if let Some(op) = &args.op {
        options = options.op(op);
    }
    if args.quick {
        options = options.quick();
    }
    if args.guarded {
        options = options.guarded();
    }
    if args.phone {
        options = options.phone();
    }
    if let Some(op) = &args.sabotage {
        options = options.sabotage(op);
    }
    let progress = Progress::new();
    progress.stage("operation after operation");
    // Lines appear as the results come; a failed write doesn't stop the test.
    let (mut written, text) = (Ok(()), !args.json.replaces_text());
    let report = run(&options, |op| {
        if text && written.is_ok() {
            written = writeln!(out, "{op}").and_then(|()| out.flush());
        }
    })?;
    drop(progress);
    if text && written.is_ok() {
        let (adapter, tiers) = (adapter(&report.adapter), report.tiers.join(", "));
        let last = report.to_string().lines().last().unwrap_or_default().to_owned();
        written = writeln!(out, "adapter: {adapter}; tiers: {tiers}\n{last}");
    }
    args.json.write(|| format!("{:#}", to_json(&report)), out)?;
    if !report.passed() {
        return Err("this adapter computes wrong results".into());
    }
    // Only now: a closed pipe must not hide the verdict.
    Ok(written?)
}

fn adapter(info: &wgpu::AdapterInfo) -> String {
    format!("{}, {}, {}", info.name, info.backend, driver(info))
}

fn to_json(report: &Results) -> serde_json::Value {
    let ops = report.ops.iter().map(|op: &OpReport| {
        let failures = op.failures.iter().map(|failure| {
            json!({
                "case": failure.case, "tier": failure.tier, "kernel": failure.kernel, "problem": failure.problem,
            })
        });
        json!({
            "op": op.op,
            "passed": op.passed(),
            "cases": op.cases,
            "in_f16": op.in_f16,
            "in_matrix_units": op.in_matrix_units,
            "kernels": op.kernels,
            "worst_error_by_tolerance": op.worst,
            "failed": op.failed,
            "failures": failures.collect::<Vec<_>>(),
        })
    });
    json!({
        "shadernet": env!("CARGO_PKG_VERSION"),
        "adapter": report.adapter.name,
        "backend": report.adapter.backend.to_string(),
        "driver": driver(&report.adapter),
        "tiers": report.tiers,
        "passed": report.passed(),
        "ops": ops.collect::<Vec<_>>(),
    })
}
