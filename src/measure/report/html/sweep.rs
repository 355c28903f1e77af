//! The section on latency and throughput over batch sizes, and on the distribution of latency.

use super::axis::Axis;
use super::canvas::{BLUE, Canvas, GREEN, INK, ORANGE, PURPLE, Pattern, SKY, VERMILLION, hex, plot};
use super::figure::{count, figure, ms};
use super::table::{Table, numbers};
use super::{PLOT, SMALL, section};
use crate::measure::{AtBatch, Distribution, Measured, Sweep};
use plotters::style::RGBColor;

/// The colours of series: as many as readers can tell apart.
const SERIES: [RGBColor; 6] = [BLUE, VERMILLION, GREEN, SKY, PURPLE, ORANGE];

/// The measurements with one number of frames in flight, by batch size.
struct Series<'a> {
    in_flight: usize,
    colour: RGBColor,
    points: Vec<(usize, &'a Measured)>,
}

fn series(sweep: &Sweep) -> Vec<Series<'_>> {
    let all = || sweep.batches.iter().flat_map(|at| at.in_flight.iter().map(|measured| (at.batch, measured)));
    let mut in_flight: Vec<usize> = all().map(|(_, measured)| measured.in_flight).collect();
    in_flight.sort_unstable();
    in_flight.dedup();
    let of = |(i, &in_flight): (usize, &usize)| Series {
        in_flight,
        colour: SERIES[i % SERIES.len()],
        points: all().filter(|(_, measured)| measured.in_flight == in_flight).collect(),
    };
    in_flight.iter().enumerate().map(of).collect()
}

/// Returns the section on latency and throughput; an empty string if nothing was measured.
pub(super) fn sweep(sweep: &Sweep) -> String {
    let series = series(sweep);
    if series.is_empty() {
        return String::new();
    }
    let legend: String = series
        .iter()
        .map(|series| {
            let s = if series.in_flight == 1 { "" } else { "s" };
            format!(
                r#"<span><i style="background:{}"></i>{} frame{s} in flight</span>"#,
                hex(series.colour),
                series.in_flight
            )
        })
        .collect();
    let bound = sweep.latency_bound.map_or("", |_| " The dashed line is the latency that was allowed.");
    let note = format!("Discs: the median. Bars: from the median to the 90th percentile, thin to the 99th.{bound}");
    let plots = format!(
        r#"<div class="plots"><figure>{}</figure><figure>{}</figure></div><p class="legend">{legend}</p><p class="note">{note}</p>"#,
        latency(sweep, &series),
        throughput(sweep, &series)
    );
    let histograms: String = sweep.batches.iter().filter_map(histogram).collect();
    let histograms = match histograms.is_empty() {
        true => String::new(),
        false => format!(
            r#"<h3>Distribution of the latency, one frame in flight</h3><div class="plots small">{histograms}</div>
            <p class="note">Frames by how long they took. The line is the median, the dashed one the 99th percentile.</p>"#
        ),
    };
    section("Latency and throughput", &format!("{plots}{}{histograms}", table(sweep)))
}

fn batches(sweep: &Sweep) -> Axis {
    Axis::log2("batch, images", &sweep.batches.iter().map(|at| at.batch).collect::<Vec<_>>())
}

fn latency(sweep: &Sweep, series: &[Series]) -> String {
    let all = series.iter().flat_map(|series| &series.points);
    let times = all.flat_map(|(_, measured)| [ms(measured.latency.p50), ms(measured.latency.p99)]);
    let (x, y) = (batches(sweep), Axis::log10("latency, ms", times.chain(sweep.latency_bound.map(ms))));
    plot("Latency over batch size", PLOT, &x, &y, |canvas| {
        if let Some(bound) = sweep.latency_bound.map(ms) {
            canvas.line(&[(f64::MIN_POSITIVE, bound), (f64::MAX, bound)], INK, 1, Pattern::Dashed);
        }
        each(
            canvas,
            series,
            |measured| ms(measured.latency.p50),
            |canvas, series, x, measured| {
                let Distribution { p50, p90, p99, .. } = measured.latency;
                let [p50, p90, p99] = [p50, p90, p99].map(ms);
                let figures = [p50, p90, p99].map(figure);
                let tip = format!("p50 {} ms, p90 {} ms, p99 {} ms", figures[0], figures[1], figures[2]);
                canvas.whisker(x, [p50, p99], 2.0, series.colour, &tip);
                canvas.whisker(x, [p50, p90], 7.0, series.colour, &tip);
                canvas.disc((x, p50), 4.5, series.colour, &tip);
            },
        );
    })
}

fn throughput(sweep: &Sweep, series: &[Series]) -> String {
    let all = series.iter().flat_map(|series| &series.points);
    let (x, y) =
        (batches(sweep), Axis::from_zero("throughput, images/s", all.map(|(_, measured)| measured.throughput)));
    plot("Throughput over batch size", PLOT, &x, &y, |canvas| {
        each(
            canvas,
            series,
            |measured| measured.throughput,
            |canvas, series, x, measured| {
                let tip = format!("{} images/s", figure(measured.throughput));
                canvas.disc((x, measured.throughput), 4.5, series.colour, &tip);
            },
        );
    })
}

/// Draws a line along each series, and a mark at each of its points.
fn each(
    canvas: &mut Canvas,
    series: &[Series],
    height: impl Fn(&Measured) -> f64,
    mut mark: impl FnMut(&mut Canvas, &Series, f64, &Measured),
) {
    for series in series {
        let line: Vec<_> = series.points.iter().map(|(batch, measured)| (*batch as f64, height(measured))).collect();
        canvas.line(&line, series.colour, 2, Pattern::Solid);
        for (batch, measured) in &series.points {
            mark(canvas, series, *batch as f64, measured);
        }
    }
}

/// Returns the histogram of the latency of a batch with one frame in flight.
fn histogram(at: &AtBatch) -> Option<String> {
    let latency = &at.in_flight.iter().find(|measured| measured.in_flight == 1)?.latency;
    let (min, max, bins) = (ms(latency.min), ms(latency.max), latency.histogram.len());
    // Times that are all alike fill one bin, which needs some width to be seen.
    let width = if max > min { (max - min) / bins.max(1) as f64 } else { 0.01 * min.max(1e-6) };
    let x = Axis::linear("latency, ms", [min, max]);
    let y = Axis::from_zero("frames", latency.histogram.iter().map(|&frames| frames as f64));
    let title = format!("batch {}", at.batch);
    let svg = plot(&format!("Distribution of the latency, {title}"), SMALL, &x, &y, |canvas| {
        for (i, &frames) in latency.histogram.iter().enumerate().filter(|(_, frames)| **frames > 0) {
            let (from, to) = (min + i as f64 * width, min + (i + 1) as f64 * width);
            let tip = format!("{frames} frames from {} to {} ms", figure(from), figure(to));
            canvas.bar((from, 0.0), (to, frames as f64), SKY, &tip);
        }
        for (time, pattern) in [(ms(latency.p50), Pattern::Solid), (ms(latency.p99), Pattern::Dashed)] {
            canvas.line(&[(time, 0.0), (time, f64::MAX)], INK, 1, pattern);
        }
    });
    Some(format!("<figure>{svg}<figcaption>{title}: {} frames</figcaption></figure>", count(latency.count as u64)))
}

fn table(sweep: &Sweep) -> String {
    let header =
        ["batch", "in flight", "p50 ms", "± 95 %", "p90 ms", "p99 ms", "min ms", "images/s", "frames", "device ms"];
    let mut table = Table::new(numbers(header));
    for at in &sweep.batches {
        for measured in &at.in_flight {
            let latency = &measured.latency;
            let [p50, p90, p99, min] =
                [latency.p50, latency.p90, latency.p99, latency.min].map(|time| figure(ms(time)));
            table.row([
                at.batch.to_string(),
                measured.in_flight.to_string(),
                p50,
                if latency.count > 1 { format!("{:.1} %", 50.0 * latency.uncertainty()) } else { "–".into() },
                p90,
                p99,
                min,
                figure(measured.throughput),
                count(latency.count as u64),
                figure(ms(at.device.p50)),
            ]);
        }
    }
    let note = "From inputs in host memory to outputs in host memory; ± is half of the median's 95 % confidence interval. \
        Device: a frame on the device alone, its median.";
    format!("{}<p class=\"note\">{note}</p>", table.html(&[]))
}
