//! The section on memory over time.

use super::axis::Axis;
use super::canvas::{INK, Pattern, SKY, VERMILLION, hex, plot};
use super::figure::{byte_unit, bytes, escape};
use super::{WIDE, section};
use crate::measure::report::Activations;

/// Returns the section on memory; an empty string if there are no steps.
pub(super) fn activations(of: &Activations) -> String {
    let Some((peak, most)) = of.peak() else { return String::new() };
    let (scale, unit) = byte_unit(most.max(of.allocated));
    let steps = of.alive.len() as f64;
    let x = Axis::linear("step", [0.0, steps + 1.0]);
    let scaled = |bytes: u64| bytes as f64 / scale;
    let y = Axis::from_zero(format!("alive, {unit}"), [scaled(most), scaled(of.allocated)]);
    let name = of.names.get(peak).map_or("", String::as_str);
    let svg = plot("Activations over time", WIDE, &x, &y, |canvas| {
        for (i, &alive) in of.alive.iter().enumerate() {
            let name = of.names.get(i).map_or("", String::as_str);
            let tip = format!("{} {name}: {}", i + 1, bytes(alive));
            let colour = if i == peak { VERMILLION } else { SKY };
            let number = (i + 1) as f64;
            canvas.bar((number - 0.5, 0.0), (number + 0.5, scaled(alive)), colour, &tip);
        }
        canvas.line(&[(0.0, scaled(of.allocated)), (f64::MAX, scaled(of.allocated))], INK, 1, Pattern::Dashed);
    });
    let note = format!(
        r#"<p class="legend"><span><i style="background:{}"></i>peak: {}, in step {}, {}</span>
        <span><i class="dashed"></i>allocated: {}</span></p>
        <p class="note">Bytes of intermediate values alive in each step, batch {}. Memory that one value no longer needs is
        given to another, so that all steps together need what is allocated.</p>"#,
        hex(VERMILLION),
        bytes(most),
        peak + 1,
        escape(name),
        bytes(of.allocated),
        of.batch
    );
    section("Activations over time", &format!(r#"<figure class="roomy">{svg}</figure>{note}"#))
}
