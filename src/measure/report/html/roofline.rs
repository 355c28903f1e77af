//! The roofline: the speed of each step, and the device's limits.

use super::axis::Axis;
use super::canvas::{INK, Pattern, plot};
use super::figure::{figure, percent, si};
use super::profile::colour;
use super::{WIDE, section};
use crate::measure::{Peaks, Profile, StepTime};
use std::cmp::Reverse;

/// The number of steps that are labelled with their numbers.
const LABELLED: usize = 10;

/// A point of the plot: a step with some arithmetic and some time.
struct Point<'a> {
    number: usize,
    share: f64,
    step: &'a StepTime,
}

/// Returns the section with the roofline; an empty string if the peaks can't be drawn, or no step can.
pub(super) fn roofline(peaks: &Peaks, profile: &Profile) -> String {
    let drawable = |peak: f64| peak.is_finite() && peak > 0.0;
    let total = profile.total().as_secs_f64().max(1e-12);
    let points = profile.steps.iter().enumerate().filter(|(_, step)| step.flops > 0 && !step.time.is_zero());
    let points: Vec<Point> =
        points.map(|(i, step)| Point { number: i + 1, share: step.time.as_secs_f64() / total, step }).collect();
    if !drawable(peaks.fma_f32) || !drawable(peaks.copy) || points.is_empty() {
        return String::new();
    }
    let others = [("f16", peaks.fma_f16), ("matrix units", peaks.matrix)];
    let others: Vec<_> =
        others.into_iter().filter_map(|(name, peak)| Some((name, peak.filter(|&p| drawable(p))?))).collect();

    let intensities = points.iter().map(|point| point.step.intensity());
    let x = Axis::log10("intensity, FLOP/byte", intensities.chain([peaks.ridge() / 4.0, peaks.ridge() * 16.0]));
    let speeds = points.iter().map(|point| point.step.flops_per_second() / 1e9);
    let roofs = others.iter().map(|(_, peak)| peak / 1e9).chain([peaks.fma_f32 / 1e9]);
    let y = Axis::log10("GFLOP/s", speeds.chain(roofs));
    let svg = plot("Roofline", WIDE, &x, &y, |canvas| {
        let [left, right] = [canvas.x.range.start, canvas.x.range.end].map(|place| 10_f64.powf(place));
        for (name, peak) in others.iter().copied().chain([("f32", peaks.fma_f32)]) {
            let corner = peak / peaks.copy;
            let pattern = if name == "f32" { Pattern::Solid } else { Pattern::Dashed };
            if name == "f32" {
                // The slope is clipped at the lower edge, not bent along it.
                let start = left.max(10_f64.powf(canvas.y.range.start) * 1e9 / peaks.copy).min(corner);
                canvas.line(&[(start, start * peaks.copy / 1e9), (corner, peak / 1e9)], INK, 2, Pattern::Solid);
                let place = (start * corner).sqrt();
                let label = si(peaks.copy, "B/s");
                canvas.text((place, place * peaks.copy / 1e9), (14.0, 4.0), &label);
            } else if peak > peaks.fma_f32 {
                let ridge = peaks.ridge();
                canvas.line(&[(ridge, peaks.fma_f32 / 1e9), (corner, peak / 1e9)], INK, 1, Pattern::Dashed);
            }
            canvas.line(&[(corner, peak / 1e9), (right.max(corner), peak / 1e9)], INK, 2, pattern);
            let label = format!("{name}: {}", si(peak, "FLOP/s"));
            canvas.text((right, peak / 1e9), (6.0, 5.0), &label);
        }
        // Long steps come first, so that none hides another.
        let mut by_time: Vec<&Point> = points.iter().collect();
        by_time.sort_by_key(|point| Reverse(point.step.time));
        for Point { number, share, step } in &by_time {
            let gflops = step.flops_per_second() / 1e9;
            let radius = (2.5_f64.powi(2) + 500.0 * share).sqrt();
            let (name, share, of) = (&step.name, percent(*share), step.limit());
            let tip = format!("{number} {name}: {} GFLOP/s, {share} of the time, bound by {of}", figure(gflops));
            canvas.disc((step.intensity(), gflops), radius, colour(step.floor.bound), &tip);
        }
        for Point { number, share, step } in by_time.iter().take(LABELLED) {
            let radius = (2.5_f64.powi(2) + 500.0 * share).sqrt();
            let place = (step.intensity(), step.flops_per_second() / 1e9);
            canvas.label(place, radius, &number.to_string());
        }
    });
    let missing = match profile.steps.len() - points.len() {
        0 => String::new(),
        1 => " One step without arithmetic has no place here.".into(),
        missing => format!(" {missing} steps without arithmetic have no place here."),
    };
    let note = format!(
        "Each disc is a step, its area its share of the time; numbers are those of the table above, of the {} longest steps. \
        Below the slope memory limits, below the level part arithmetic. Bytes are those that a step must read and write: \
        what it finds in a cache may lift it above the slope.{missing}",
        LABELLED.min(points.len())
    );
    section(
        "Roofline",
        &format!(r#"<figure class="roomy">{svg}</figure>{}<p class="note">{note}</p>"#, super::profile::legend()),
    )
}
