//! The section on device time, step by step.

use super::canvas::{BLUE, ORANGE, PURPLE, hex};
use super::figure::{count, escape, figure, ms, percent};
use super::section;
use super::table::{Table, numbers, words};
use crate::measure::{Bound, Method, Profile};
use plotters::style::RGBColor;

const BOUNDS: [Bound; 3] = [Bound::Compute, Bound::Memory, Bound::Launch];

pub(super) fn colour(bound: Bound) -> RGBColor {
    match bound {
        Bound::Compute => BLUE,
        Bound::Memory => ORANGE,
        Bound::Launch => PURPLE,
    }
}

pub(super) fn word(bound: Bound) -> &'static str {
    match bound {
        Bound::Compute => "compute",
        Bound::Memory => "memory",
        Bound::Launch => "launch",
    }
}

/// Returns the legend of the steps' colours.
pub(super) fn legend() -> String {
    let span =
        |bound| format!(r#"<span><i style="background:{}"></i>bound by {}</span>"#, hex(colour(bound)), word(bound));
    format!(r#"<p class="legend">{}</p>"#, BOUNDS.map(span).concat())
}

fn method(method: Method) -> &'static str {
    match method {
        Method::TimestampsInsidePass => "timestamps between dispatches inside a pass",
        Method::TimestampsAtPasses => "timestamps at the boundaries of passes",
        Method::Submissions => "the host's clock around submissions",
    }
}

/// Returns the section, with a table row per step.
pub(super) fn profile(profile: &Profile) -> String {
    let total = profile.total().as_secs_f64().max(1e-12);
    let longest = profile.steps.iter().map(|step| step.time).max().unwrap_or_default().as_secs_f64().max(1e-12);
    let mut header = numbers(["#"]);
    header.extend(words(["step", "op"]));
    header.extend(numbers(["ms"]));
    header.extend(words([""]));
    header.extend(numbers(["% of total", "GFLOP/s", "GB/s", "floor ms", "× floor"]));
    header.extend(words(["bound by"]));
    let mut table = Table::new(header);
    for (i, step) in profile.steps.iter().enumerate() {
        let (time, bound) = (step.time.as_secs_f64(), step.floor.bound);
        let (width, fill) = (100.0 * time / longest, hex(colour(bound)));
        let times_floor = if step.floor.time.is_zero() { "–".into() } else { figure(step.times_floor()) };
        table.row([
            (i + 1).to_string(),
            escape(&step.name),
            escape(&step.op),
            figure(1e3 * time),
            format!(r#"<b class="bar" style="width:{width:.1}%;background:{fill}"></b>"#),
            percent(time / total),
            figure(step.flops_per_second() / 1e9),
            figure(step.bytes_per_second() / 1e9),
            figure(ms(step.floor.time)),
            times_floor,
            format!(r#"<i style="background:{fill}"></i>{}"#, step.limit()),
        ]);
    }
    let floor = profile.floor();
    let flops: f64 = profile.steps.iter().map(|step| step.flops as f64).sum();
    let bytes: f64 = profile.steps.iter().map(|step| step.bytes as f64).sum();
    let times_floor = if floor.is_zero() { "–".into() } else { figure(total / floor.as_secs_f64()) };
    let foot = [
        String::new(),
        "total".into(),
        format!("{} steps", profile.steps.len()),
        figure(ms(profile.total())),
        String::new(),
        percent(if profile.steps.is_empty() { 0.0 } else { 1.0 }),
        figure(flops / total / 1e9),
        figure(bytes / total / 1e9),
        figure(ms(floor)),
        times_floor,
        String::new(),
    ];
    let shares = BOUNDS.map(|bound| format!("{} by {}", percent(profile.share(bound)), word(bound))).join(", ");
    let note = profile.note.as_ref().map_or_else(String::new, |note| format!(" ({})", escape(note)));
    let intro = format!(
        "<p>A frame of batch {} takes <strong>{} ms</strong> on the device as a whole; its steps, timed one by one, take
        <strong>{} ms</strong> together. Bound: {shares}. Empty dispatches would take {} of it.</p>",
        profile.batch,
        figure(ms(profile.frame.p50)),
        figure(ms(profile.total())),
        percent(profile.launch_share),
    );
    let outro = format!(
        r#"<p class="note">Measured by {}{note}: the medians of {} frames. The floor is the least time by the roofline model, with
        the cost of the dispatches; work on what is in a cache may pass below it.</p>"#,
        method(profile.method),
        count(profile.frames as u64),
    );
    section("Device time, step by step", &format!("{intro}{}{}{outro}", legend(), table.html(&foot)))
}
