//! Reports that are hard to draw.

use crate::drawn::Page;
use crate::synthetic::{at_batch, full, profile, sweep};
use shadernet::Precision;
use shadernet::measure::{Activations, Distribution, Measured, Report};
use std::time::Duration;

/// Returns the reports that the page must bear, beside the usual ones.
fn edges() -> Vec<(&'static str, Report)> {
    let with = |change: &dyn Fn(&mut Report)| {
        let mut report = full();
        change(&mut report);
        report
    };
    let alike = Distribution::new(vec![Duration::from_millis(2); 40]).unwrap();
    let zero = Distribution::new(vec![Duration::ZERO; 5]).unwrap();
    let in_flight = |latency: &Distribution| Measured { in_flight: 1, latency: latency.clone(), throughput: 0.0 };
    let at = |latency: &Distribution| {
        let mut at = at_batch(3, &[]);
        at.in_flight.push(in_flight(latency));
        at
    };
    vec![
        ("one step", with(&|report| report.profile = Some(profile(1)))),
        ("200 steps", with(&|report| report.profile = Some(profile(200)))),
        ("no steps", with(&|report| report.profile = Some(profile(0)))),
        ("no FLOPs", with(&|report| report.profile.as_mut().unwrap().steps.iter_mut().for_each(|step| step.flops = 0))),
        ("no bytes", with(&|report| report.profile.as_mut().unwrap().steps.iter_mut().for_each(|step| step.bytes = 0))),
        (
            "no time",
            with(&|report| {
                report.profile.as_mut().unwrap().steps.iter_mut().for_each(|step| step.time = Duration::ZERO)
            }),
        ),
        ("a step of no time", with(&|report| report.profile.as_mut().unwrap().steps[0].time = Duration::ZERO)),
        ("a huge step", with(&|report| report.profile.as_mut().unwrap().steps[0].flops = u64::MAX)),
        ("one batch", with(&|report| report.bench = Some(sweep(&[16])))),
        ("many batches", with(&|report| report.bench = Some(sweep(&Vec::from_iter(1..=20))))),
        ("no batch", with(&|report| report.bench = Some(sweep(&[])))),
        (
            "nothing in flight",
            with(&|report| report.bench.as_mut().unwrap().batches.iter_mut().for_each(|at| at.in_flight.clear())),
        ),
        ("equal latencies", with(&|report| report.bench.as_mut().unwrap().batches = vec![at(&alike)])),
        ("latencies of nothing", with(&|report| report.bench.as_mut().unwrap().batches = vec![at(&zero)])),
        (
            "peaks of nothing",
            with(&|report| {
                let peaks = report.peaks.as_mut().unwrap();
                (peaks.fma_f32, peaks.copy, peaks.matrix) = (0.0, f64::NAN, Some(f64::INFINITY));
            }),
        ),
        (
            "only f32",
            with(&|report| {
                let peaks = report.peaks.as_mut().unwrap();
                (peaks.fma_f16, peaks.matrix) = (None, None);
            }),
        ),
        ("f16 slower than f32", with(&|report| report.peaks.as_mut().unwrap().fma_f16 = Some(1e12))),
        (
            "no activations",
            with(&|report| {
                report.activations = Some(Activations {
                    batch: 1,
                    precision: Precision::F32,
                    weights: 0,
                    names: vec![],
                    alive: vec![],
                    allocated: 0,
                });
            }),
        ),
        (
            "activations of nothing",
            with(&|report| {
                report.activations = Some(Activations {
                    batch: 1,
                    precision: Precision::F32,
                    weights: 0,
                    names: vec!["x".into()],
                    alive: vec![0],
                    allocated: 0,
                });
            }),
        ),
        ("no date", with(&|report| report.environment.as_mut().unwrap().unix_time = u64::MAX)),
    ]
}

#[test]
fn whatever_was_measured_can_be_drawn() {
    for (what, report) in edges() {
        let page = Page::of(&report);
        for plot in page.plots("") {
            plot.check(what);
        }
        assert!(!page.0.contains("NaN") && !page.0.contains("inf<") && !page.0.contains("inf "), "{what}");
        let rows = page.0.matches("class=\"bar\"").count();
        assert_eq!(rows, report.profile.as_ref().map_or(0, |profile| profile.steps.len()), "{what}");
        // JSON and trace bear them too.
        assert!(report.to_json().ends_with("}\n") && report.to_trace().ends_with("}\n"), "{what}");
    }
}

#[test]
fn equal_latencies_are_one_bar() {
    let (_, report) = edges().into_iter().find(|(what, _)| *what == "equal latencies").unwrap();
    let plot = Page::of(&report).plot("Distribution");
    assert_eq!(plot.marks("rect").len(), 1);
    assert!(plot.painted([0x56, 0xB4, 0xE9]) > 100, "{}", plot.painted([0x56, 0xB4, 0xE9]));
}
