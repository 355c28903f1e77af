//! The page for people: it is well-formed, loads nothing, and its plots draw the measurements.

use crate::drawn::{Page, Plot, text};
use crate::synthetic::{bounds, empty, environment, full, peaks};
use resvg::usvg::roxmltree::Node;
use shadernet::measure::{Answer, Bound, Unit};

const BLUE: [u8; 3] = [0x00, 0x72, 0xB2];
const VERMILLION: [u8; 3] = [0xD5, 0x5E, 0x00];
const GREEN: [u8; 3] = [0x00, 0x9E, 0x73];
const ORANGE: [u8; 3] = [0xE6, 0x9F, 0x00];
const PURPLE: [u8; 3] = [0xCC, 0x79, 0xA7];
const SKY: [u8; 3] = [0x56, 0xB4, 0xE9];
const INK: [u8; 3] = [0x3D, 0x44, 0x4D];

#[test]
fn a_full_report_has_all_parts() {
    let report = full();
    let page = Page::of(&report);
    // The file is for inspection.
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/report.html"), report.to_html()).unwrap();
    let sections = [
        "Environment",
        "Questions and answers",
        "Latency and throughput",
        "Device time, step by step",
        "Roofline",
        "What the device can do",
        "Activations over time",
        "Static cost, layer by layer",
    ];
    assert_eq!(page.sections(), sections);
    for part in
        ["2023-11-14T22:13:20Z", "synthetic driver 1.2.3", "0123456789ab", "10.0 TFLOP/s", "400 GB/s", "11,689,512"]
    {
        assert!(page.0.contains(part), "{part} isn't in the page");
    }
    assert_eq!(
        page.document().descendants().filter(|node| node.has_tag_name("h1")).map(text).collect::<String>(),
        "synthetic"
    );
    assert!(!page.0.contains("Other work was going on"));
    assert!(page.0.contains("batch no longer pay?") && page.0.contains("latency by 83 %"));
    for plot in page.plots("") {
        plot.check("full");
    }
}

#[test]
fn the_page_loads_nothing() {
    let page = Page::of(&full());
    let rest = page.0.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for what in ["http:", "https:", "<script", "<link", "<img", "src=", "href=", "@import", "url("] {
        assert!(!rest.contains(what), "{what} is in the page");
    }
}

#[test]
fn latency_and_throughput_have_a_point_for_each_measurement() {
    let page = Page::of(&full());
    for (title, ends) in [("Latency over", ["1", "32", "2", "100"]), ("Throughput over", ["1", "32", "0", "2,500"])] {
        let plot = page.plot(title);
        assert_eq!(plot.marks("circle").len(), 6 * 3, "{title}");
        for colour in [BLUE, VERMILLION, GREEN] {
            assert!(plot.painted(colour) > 100, "{title}: {} pixels of {colour:?}", plot.painted(colour));
        }
        plot.has(&ends);
        plot.has(&["batch, images"]);
    }
    // Each point has a bar from the median to the 90th percentile, and one to the 99th.
    assert_eq!(page.plot("Latency over").marks("rect").len(), 2 * 6 * 3);
    // More images per frame take longer: the points of a series rise.
    let plot = page.plot("Latency over");
    let series: Vec<f64> =
        plot.marks("circle").iter().filter(|mark| mark.colour == "#0072B2").map(|mark| mark.middle.1).collect();
    assert!(series.len() == 6 && series.is_sorted_by(|a, b| a > b), "{series:?}");
}

#[test]
fn a_histogram_has_a_bar_for_each_bin_with_frames() {
    let report = full();
    let plots = Page::of(&report).plots("Distribution");
    let batches = &report.bench.as_ref().unwrap().batches;
    assert_eq!(plots.len(), batches.len());
    for (plot, at) in plots.iter().zip(batches) {
        let bins: Vec<usize> = at.in_flight[0].latency.histogram.iter().copied().filter(|&frames| frames > 0).collect();
        let bars = plot.marks("rect");
        assert_eq!(bars.len(), bins.len());
        // The bars are as tall as their number of frames.
        let scale = bars[0].height / bins[0] as f64;
        for (bar, &frames) in bars.iter().zip(&bins) {
            assert!((bar.height - scale * frames as f64).abs() < 1.0, "{}: {} pixels", bar.tip, bar.height);
        }
        assert!(plot.painted(SKY) > 1000 && plot.painted(INK) > 50);
        plot.has(&["latency, ms", "frames", "0"]);
    }
}

#[test]
fn each_step_has_a_row_with_a_bar_and_a_word() {
    let report = full();
    let page = Page::of(&report);
    let document = page.document();
    let profile = report.profile.unwrap();
    let rows: Vec<Node> = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("bar"))
        .map(|bar| bar.ancestors().find(|node| node.has_tag_name("tr")).unwrap())
        .collect();
    assert_eq!(rows.len(), profile.steps.len());
    for ((row, step), bound) in rows.iter().zip(&profile.steps).zip(bounds(&profile)) {
        let (word, colour) = match bound {
            Bound::Compute => ("compute", "#0072B2"),
            Bound::Memory => ("memory", "#E69F00"),
            Bound::Launch => ("launch", "#CC79A7"),
        };
        let word = if step.unit == Unit::Matrix { format!("{word}, matrix units") } else { word.to_owned() };
        let row_text = text(*row);
        assert!(row_text.contains(&step.name) && row_text.ends_with(&word), "{row_text}");
        let styles: String = row.descendants().filter_map(|node| node.attribute("style")).collect();
        assert_eq!(styles.matches(colour).count(), 2, "{styles}");
    }
    let total = format!("{:.3}", 1e3 * profile.total().as_secs_f64());
    assert!(text(document.root()).contains(&total[..4]), "{total}");
    for part in
        ["timestamps at the boundaries of passes", "(timestamps inside passes aren&#39;t to be had)", "30 frames"]
    {
        assert!(page.0.contains(part), "{part}");
    }
}

#[test]
fn the_roofline_has_a_disc_for_each_step_that_computes() {
    let mut report = full();
    let plot = Page::of(&report).plot("Roofline");
    assert_eq!(plot.marks("circle").len(), 30);
    for colour in [BLUE, ORANGE, PURPLE] {
        assert!(plot.painted(colour) > 20, "{colour:?}: {}", plot.painted(colour));
    }
    assert!(plot.painted(INK) > 500, "the roof: {}", plot.painted(INK));
    plot.has(&[
        "intensity, FLOP/byte",
        "GFLOP/s",
        "f32: 10.0 TFLOP/s",
        "matrix units: 80.0 TFLOP/s",
        "f16: 20.0 TFLOP/s",
    ]);
    let numbers =
        |plot: &Plot| plot.labels.iter().filter(|label| ["1", "5", "9", "13"].contains(&label.as_str())).count();
    assert!(numbers(&plot) >= 3, "{:?}", plot.labels);
    // A larger share of the time makes a larger disc; a faster step lies higher.
    let steps = &mut report.profile.as_mut().unwrap().steps;
    steps.truncate(2);
    steps[1].flops = 10 * steps[0].flops;
    steps[1].time = steps[0].time;
    let plot = Page::of(&report).plot("Roofline");
    let height = |number: &str| {
        plot.marks("circle").iter().find(|mark| mark.tip.starts_with(number)).expect("its disc").middle.1
    };
    assert!(height("2 ") < height("1 "));
}

#[test]
fn the_peak_of_the_activations_is_marked_and_named() {
    let report = full();
    let page = Page::of(&report);
    let activations = report.activations.unwrap();
    let plot = page.plot("Activations");
    let bars = plot.marks("rect");
    assert_eq!(bars.len(), activations.alive.len());
    let (peak, most) = activations.peak().unwrap();
    assert_eq!(bars.iter().filter(|bar| bar.colour == "#D55E00").count(), 1);
    assert_eq!(bars[peak].colour, "#D55E00");
    for (bar, &alive) in bars.iter().zip(&activations.alive) {
        let expected = bars[peak].height * alive as f64 / most as f64;
        let [base, of_peak] = [bar, bars[peak]].map(|bar| bar.middle.1 + bar.height / 2.0);
        assert!((base - of_peak).abs() < 0.5, "{}: stands at {base}", bar.tip);
        assert!((bar.height - expected).abs() < 0.5, "{}: {} pixels, expected {expected}", bar.tip, bar.height);
    }
    assert!(plot.painted(VERMILLION) > 100 && plot.painted(SKY) > 100 && plot.painted(INK) > 100);
    plot.has(&["0", "step", "alive, MiB"]);
    assert!(page.0.contains(&format!("in step {}, {}", peak + 1, activations.names[peak])));
}

#[test]
fn hostile_names_stay_text() {
    let hostile = "</script><b onload='x'>&\"]]>\u{0}\u{1b}[31m";
    let mut report = full();
    report.network.name = hostile.into();
    report.network.weights = hostile.into();
    let environment = report.environment.as_mut().unwrap();
    for text in
        [&mut environment.adapter, &mut environment.driver, &mut environment.precision, &mut environment.version]
    {
        *text = hostile.into();
    }
    environment.commit = Some(hostile.into());
    report.answers.push(Answer { question: hostile.into(), answer: hostile.into() });
    let profile = report.profile.as_mut().unwrap();
    profile.note = Some(hostile.into());
    for step in &mut profile.steps {
        (step.name, step.op) = (hostile.into(), hostile.into());
    }
    report.activations.as_mut().unwrap().names.iter_mut().for_each(|name| *name = hostile.into());
    for layer in &mut report.summary.as_mut().unwrap().layers {
        layer.name = hostile.into();
    }
    let page = Page::of(&report);
    assert!(!page.0.contains("<b ") || !page.0.contains("onload='"), "a name became an element");
    assert!(page.0.matches("&lt;/script&gt;&lt;b onload=&#39;x&#39;&gt;").count() > 100);
    let document = page.document();
    assert!(document.descendants().all(|node| node.attribute("onload").is_none()));
}

#[test]
fn an_empty_report_is_a_page_without_parts() {
    let page = Page::of(&empty());
    assert_eq!((page.sections().len(), page.plots("").len()), (0, 0));
    assert!(page.0.contains("synthetic"));
    // Peaks without steps draw no roofline.
    let mut report = empty();
    report.peaks = Some(peaks());
    assert_eq!(Page::of(&report).sections(), ["What the device can do"]);
}

#[test]
fn work_beside_the_measurement_is_a_warning() {
    let mut report = full();
    report.environment.as_mut().unwrap().load = Some(3.5);
    assert!(Page::of(&report).0.contains("Other work was going on"));
    let mut report = empty();
    report.environment = Some(shadernet::measure::Environment { load: None, ..environment() });
    assert!(!Page::of(&report).0.contains("Other work was going on"));
}
