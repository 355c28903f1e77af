//! The report for people: one self-contained page.

mod activations;
mod axis;
mod canvas;
mod figure;
mod profile;
mod roofline;
mod sweep;
mod table;

use super::{Answer, Report};
use crate::Shape;
use crate::measure::{Environment, Measured, Peaks, Summary};
use figure::{bytes, count, escape, figure, ms, percent, si};
use table::{Table, numbers, words};

/// The sizes of plots in pixels: two in a row, three in a row, one alone.
const PLOT: (u32, u32) = (560, 350);
const SMALL: (u32, u32) = (370, 240);
const WIDE: (u32, u32) = (1120, 440);

impl Report {
    /// Returns the report as one HTML page, with tables and plots. It loads nothing and runs no script.
    pub fn to_html(&self) -> String {
        let environment = self.environment.as_ref().map_or_else(String::new, environment);
        let parts = [
            self.tiles(),
            environment,
            self.answers(),
            self.bench.as_ref().map_or_else(String::new, sweep::sweep),
            self.profile.as_ref().map_or_else(String::new, profile::profile),
            self.peaks
                .as_ref()
                .zip(self.profile.as_ref())
                .map_or_else(String::new, |(p, of)| roofline::roofline(p, of)),
            self.peaks.as_ref().map_or_else(String::new, peaks),
            self.activations.as_ref().map_or_else(String::new, activations::activations),
            self.summary.as_ref().map_or_else(String::new, summary),
        ];
        let (name, style) = (escape(&self.network.name), include_str!("page.css"));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n\
            <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
            <meta name=\"color-scheme\" content=\"light dark\" />\n\
            <title>{name}: shadernet report</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n\
            <header><h1>{name}</h1>{}</header>\n{}</main>\n</body>\n</html>\n",
            self.subtitle(),
            parts.concat()
        )
    }

    /// Returns the line with the adapter, the inputs and the weights.
    fn subtitle(&self) -> String {
        let shapes = self.network.input_shapes.iter().map(|shape| Shape::from(shape.clone()).to_string());
        let shapes = shapes.collect::<Vec<_>>().join(", ");
        let on = self.environment.as_ref().map_or_else(String::new, |on| format!("on {} · ", escape(&on.adapter)));
        let (inputs, weights) = (escape(shapes), escape(&self.network.weights));
        format!("<p>{on}inputs {inputs} · weights: {weights}</p>")
    }

    /// Returns the figures that most readers come for.
    fn tiles(&self) -> String {
        let mut tiles = String::new();
        let mut tile = |value: String, unit: &str, what: String| {
            tiles +=
                &format!("<div><strong>{value} <small>{unit}</small></strong><span>{}</span></div>\n", escape(what));
        };
        let batches = self.bench.iter().flat_map(|sweep| &sweep.batches);
        let all: Vec<(usize, &Measured)> =
            batches.flat_map(|at| at.in_flight.iter().map(move |measured| (at.batch, measured))).collect();
        if let Some((batch, least)) = all.iter().min_by_key(|(_, measured)| measured.latency.p50) {
            let what = format!("latency, batch {batch}, {} in flight (p50)", least.in_flight);
            tile(figure(ms(least.latency.p50)), "ms", what);
        }
        if let Some((batch, most)) = all.iter().max_by(|a, b| a.1.throughput.total_cmp(&b.1.throughput)) {
            let what = format!("throughput, batch {batch}, {} in flight", most.in_flight);
            tile(figure(most.throughput), "images/s", what);
        }
        if let Some(profile) = &self.profile {
            let what = format!("a frame on the device, batch {}", profile.batch);
            tile(figure(ms(profile.frame.p50)), "ms", what);
            let floor = profile.floor();
            if !floor.is_zero() {
                let times = profile.total().as_secs_f64() / floor.as_secs_f64();
                tile(figure(times), "×", "the least time by the roofline".into());
            }
        }
        if let Some(summary) = &self.summary {
            tile(si(summary.parameters as f64, ""), "", "parameters".into());
            tile(si(summary.macs as f64, ""), "", "multiply-accumulates".into());
        }
        if tiles.is_empty() { tiles } else { format!("<div class=\"tiles\">{tiles}</div>\n") }
    }

    fn answers(&self) -> String {
        let pair = |of: &Answer| format!("<dt>{}</dt><dd>{}</dd>\n", escape(&of.question), escape(&of.answer));
        match self.answers.is_empty() {
            true => String::new(),
            false => section(
                "Questions and answers",
                &format!("<dl class=\"answers\">{}</dl>", self.answers.iter().map(pair).collect::<String>()),
            ),
        }
    }
}

/// Returns a section of the page.
fn section(title: &str, body: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{body}\n</section>\n")
}

/// Returns a list of names with their values.
fn pairs<const N: usize>(pairs: [(&str, String); N]) -> String {
    let pair = |(what, value): (&str, String)| format!("<div><dt>{what}</dt><dd>{}</dd></div>\n", escape(value));
    format!("<dl class=\"pairs\">{}</dl>", pairs.map(pair).concat())
}

fn environment(of: &Environment) -> String {
    let load = of.load.map_or("unknown".into(), figure);
    let warning = match of.is_loaded() {
        false => String::new(),
        true => format!(
            "<p class=\"warning\"><strong>Other work was going on</strong> when this was measured: the load average was {load} on {} \
            cores. Times may be longer than they would be on a quiet machine.</p>",
            of.cores
        ),
    };
    let time = i64::try_from(of.unix_time).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let rows = pairs([
        ("adapter", format!("{} ({})", of.adapter, of.device_type)),
        ("driver", of.driver.clone()),
        ("backend", of.backend.clone()),
        ("kernel profile", of.kernel_profile.clone()),
        ("precision", of.precision.clone()),
        ("platform", format!("{}, {} cores", of.platform, of.cores)),
        ("load average", load),
        ("shadernet", format!("{} {}", of.version, of.commit.as_deref().unwrap_or("")).trim().to_owned()),
        ("measured", time.map_or("unknown".into(), |time| time.to_string())),
    ]);
    format!("{warning}{}", section("Environment", &rows))
}

fn peaks(of: &Peaks) -> String {
    let flops = |peak: Option<f64>| peak.map_or("none".into(), |peak| si(peak, "FLOP/s"));
    let time = |time| format!("{} µs", figure(1e3 * ms(time)));
    let rows = pairs([
        ("multiply-adds in f32", flops(Some(of.fma_f32))),
        ("multiply-adds in f16", flops(of.fma_f16)),
        ("matrix units", flops(of.matrix)),
        ("copy in memory", si(of.copy, "B/s")),
        ("ridge", format!("{} FLOP/byte", figure(of.ridge()))),
        ("an empty dispatch", time(of.dispatch)),
        ("waiting for the one before", time(of.barrier)),
        ("submission to readback", time(of.readback)),
    ]);
    let note = "Measured, not taken from a data sheet. A copy's bytes count twice: read and written.";
    section("What the device can do", &format!("{rows}<p class=\"note\">{note}</p>"))
}

/// Returns the section on the cost of the layers, which is the same on every device.
fn summary(of: &Summary) -> String {
    let mut header = words(["layer", "op", "output"]);
    header.extend(numbers(["parameters", "MACs", "% of MACs", "FLOPs", "FLOP/B", "receptive field"]));
    let mut table = Table::new(header);
    let some = |number: u64| if number == 0 { String::new() } else { count(number) };
    let intensity = |of: Option<f64>| of.filter(|&of| of > 0.0).map_or_else(String::new, figure);
    for layer in &of.layers {
        let share = if layer.cost.macs == 0 { String::new() } else { percent(layer.cost.macs as f64 / of.macs as f64) };
        table.row([
            escape(&layer.name),
            escape(layer.op),
            layer.output_shape.to_string(),
            some(layer.cost.parameters),
            some(layer.cost.macs),
            share,
            some(layer.flops()),
            intensity(layer.intensity()),
            layer.receptive_field.as_ref().map_or_else(String::new, ToString::to_string),
        ]);
    }
    let layers = format!("{} layers", of.layers.len());
    let (macs, flops, none) = (count(of.macs), count(of.flops), String::new);
    let foot =
        ["total".into(), layers, none(), count(of.parameters), macs, none(), flops, intensity(of.intensity()), none()];
    let mut sizes =
        Summary::STORAGE.map(|(storage, bits)| format!("{} in {storage}", bytes(of.model_bytes(bits)))).to_vec();
    if of.parameter_bytes != of.model_bytes(32) {
        sizes.push(format!("{} as stored at precision {}", bytes(of.parameter_bytes), of.precision));
    }
    let energy = of.energy_estimate();
    let note = format!(
        "<p class=\"note\">Model size: {}. Activations: {} elements in all, {} at most in one layer. As the graph was built, without \
        fusion. Energy can't be read through WebGPU; an estimate for a chip of 2014 (45 nm): {} mJ of arithmetic, {} mJ of DRAM.</p>",
        sizes.join(", "),
        count(of.activations_total),
        count(of.activations_peak),
        figure(1e3 * energy.arithmetic),
        figure(1e3 * energy.memory),
    );
    section("Static cost, layer by layer", &format!("{}{note}", table.html(&foot)))
}
