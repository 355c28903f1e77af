//! Measurements as text for a terminal.

use super::{Bound, Method, Peaks, Profile};
use std::fmt;
use std::time::Duration;

/// Formats a figure as this module writes it: with three significant digits or more from 0.01 on.
pub fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        0.0 => 0,
        ..0.1 => 4,
        ..1.0 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}")
}

fn ms(time: Duration) -> String {
    digits(1e3 * time.as_secs_f64())
}

/// Returns a part of a whole in percent.
fn percent(part: Duration, whole: Duration) -> f64 {
    100.0 * part.as_secs_f64() / whole.as_secs_f64().max(1e-12)
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Bound::Compute => "compute",
            Bound::Memory => "memory",
            Bound::Launch => "launch",
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Method::TimestampsInsidePass => "timestamps inside a pass",
            Method::TimestampsAtPasses => "timestamps around passes",
            Method::Submissions => "submissions by the host's clock",
        })
    }
}

/// Writes the peaks in one line.
impl fmt::Display for Peaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |rate: f64| digits(rate / 1e9);
        write!(f, "FMA {} GFLOP/s in f32", rate(self.fma_f32))?;
        for (what, of) in [("in f16", self.fma_f16), ("in matrix units", self.matrix)] {
            if let Some(of) = of {
                write!(f, ", {} {what}", rate(of))?;
            }
        }
        let us = |time: Duration| digits(1e6 * time.as_secs_f64());
        let (copy, dispatch, barrier) = (rate(self.copy), us(self.dispatch), us(self.barrier));
        write!(f, "; copy {copy} GB/s; dispatch {dispatch} µs, barrier {barrier} µs, ")?;
        write!(f, "submission with readback {} µs", us(self.readback))
    }
}

/// Writes a table of the steps, then their totals.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (total, floor, frame) = (self.total(), self.floor(), self.frame.p50);
        let longest =
            |text: fn(&super::StepTime) -> &str| self.steps.iter().map(|step| text(step).chars().count()).max();
        let (name, op) = (longest(|step| &step.name).unwrap_or(0).max(4), longest(|step| &step.op).unwrap_or(0).max(2));
        writeln!(
            f,
            "{:>4}  {:name$}  {:op$}  {:>8}  {:>5}  {:>8}  {:>6}  {:>8}  {:>7}  bound by",
            "", "step", "op", "ms", "%", "GFLOP/s", "GB/s", "floor ms", "x floor"
        )?;
        for (i, step) in self.steps.iter().enumerate() {
            writeln!(
                f,
                "{:>4}  {:name$}  {:op$}  {:>8}  {:>5.1}  {:>8}  {:>6}  {:>8}  {:>7}  {}",
                i + 1,
                step.name,
                step.op,
                ms(step.time),
                percent(step.time, total),
                digits(step.flops_per_second() / 1e9),
                digits(step.bytes_per_second() / 1e9),
                ms(step.floor.time),
                digits(step.times_floor()),
                step.limit(),
            )?;
        }
        writeln!(f, "\n{:<14} {} ms, the sum of the medians of {} frames", "steps", ms(total), self.frames)?;
        let off = percent(total, frame) - 100.0;
        writeln!(f, "{:<14} {} ms at the median; the steps differ from it by {off:+.1} %", "a whole frame", ms(frame))?;
        let times = digits(percent(total, floor) / 100.0);
        write!(f, "{:<14} {} ms; the steps take {times} times as long", "floor", ms(floor))?;
        if self.steps.iter().any(|step| step.times_floor() < 0.9) {
            f.write_str(". Some take less: their data are in a cache, or the peaks were measured beside other work")?;
        }
        let shares = [Bound::Compute, Bound::Memory, Bound::Launch];
        let shares = shares.map(|bound| format!("{bound} {:.0} %", 100.0 * self.share(bound))).join(", ");
        writeln!(f, "\n{:<14} {shares} of the time", "bound by")?;
        let launch = 100.0 * self.launch_share;
        writeln!(f, "{:<14} {launch:.1} %, what as many empty dispatches take", "launch share")?;
        write!(f, "{:<14} {}", "timed by", self.method)?;
        match &self.note {
            Some(note) => write!(f, ", since {note}"),
            None => Ok(()),
        }
    }
}
