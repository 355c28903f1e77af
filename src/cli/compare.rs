//! `shadernet compare`: the differences of two reports that should agree.

use super::{Result, table};
use shadernet::ErrorKind;
use shadernet::measure::{Change, Comparison, Recorded, Verdict};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct CompareArgs {
    /// The report before, as JSON
    #[arg(value_name = "A.json")]
    before: PathBuf,
    /// The report after
    #[arg(value_name = "B.json")]
    after: PathBuf,
    /// Fail if anything is slower beyond noise, or if the precisions differ
    #[arg(long)]
    fail_if_slower: bool,
}

pub(super) fn compare(args: &CompareArgs, out: &mut dyn Write) -> Result {
    let comparison = Comparison::new(&Recorded::open(&args.before)?, &Recorded::open(&args.after)?);
    if let Some([before, after]) = comparison.precisions.as_ref().map(|both| both.each_ref().map(|of| plain(of))) {
        let why = "they compute different results, and less time for these is no speed-up";
        writeln!(
            out,
            "NOT THE SAME PRECISION: {before} before, {after} after. Nothing is judged faster or slower: {why}."
        )?;
    }
    for warning in &comparison.warnings {
        writeln!(out, "warning: {}", plain(warning))?;
    }
    for (path, only) in [(&args.before, &comparison.only_before), (&args.after, &comparison.only_after)] {
        if !only.is_empty() {
            let only: Vec<String> = only.iter().map(|what| plain(what)).collect();
            writeln!(out, "only in {}: {}", path.display(), only.join("; "))?;
        }
    }
    if comparison.frames.is_empty() && comparison.steps.is_empty() {
        let problem = format!("nothing in it can be compared with {}", args.before.display());
        return Err(ErrorKind::file(&args.after, problem).into());
    }
    let (frames, steps) = match (&comparison.precisions, comparison.common.exp()) {
        (Some(_), _) => ("no frame is judged: the precisions differ".into(), "no step is judged either".into()),
        (None, common) => {
            let frames = within(comparison.frame_noise);
            let steps = within(comparison.step_noise)
                .map(|noise| format!("{noise}, after division by {common:.3}, the ratio that all steps share"));
            let single = "is judged: a report has no more than one time for each";
            let ways = "or they were timed in different ways";
            (
                frames.unwrap_or_else(|| format!("no frame {single}")),
                steps.unwrap_or_else(|| format!("no step {single}, {ways}")),
            )
        }
    };
    for (what, changes, noise) in [("frame", &comparison.frames, frames), ("step", &comparison.steps, steps)] {
        if !changes.is_empty() {
            let mut table = table(&[what, "shortest ms before", "after", "ratio", "verdict"], 1);
            table.add_rows(changes.iter().map(cells));
            writeln!(out, "{table}\n{noise}")?;
        }
    }
    if args.fail_if_slower && comparison.precisions.is_some() {
        return Err("nothing is judged: the precisions of the reports differ".into());
    }
    match comparison.slower().max_by(|a, b| a.ratio().total_cmp(&b.ratio())) {
        Some(worst) if args.fail_if_slower => {
            let (count, what, ratio) = (comparison.slower().count(), plain(&worst.what), worst.ratio());
            Err(format!("slower beyond noise: {count}, most of all {what}: {ratio:.3} times").into())
        }
        _ => Ok(()),
    }
}

/// Says which differences are noise, for the logarithm of a ratio; `None` if it is infinite.
fn within(noise: f64) -> Option<String> {
    let percent = 100.0 * noise.exp_m1();
    let kind = if percent < 100.0 { "within noise" } else { "the times vary too much to tell more" };
    noise.is_finite().then(|| format!("{kind}: less than {percent:.0} %"))
}

fn cells(change: &Change) -> [String; 5] {
    let verdict = match change.verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::WithinNoise => "within noise",
        Verdict::NotJudged => "not judged",
    };
    let ms = |time: std::time::Duration| format!("{:.4}", 1e3 * time.as_secs_f64());
    let (what, ratio) = (plain(&change.what), format!("{:.3}", change.ratio()));
    [what, ms(change.before), ms(change.after), ratio, verdict.into()]
}

/// Replaces control characters, which a terminal would obey, in a file's text.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
