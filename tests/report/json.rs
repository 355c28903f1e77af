//! The report and the trace for machines.

use crate::synthetic::{empty, full, profile};
use serde_json::Value;
use shadernet::measure::{Report, Unit};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Collects every key of a document by its path: `profile.steps[].ms`.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                found.push(path.clone());
                paths(value, &path, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| paths(value, &format!("{path}[]"), found)),
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/report.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut found = Vec::new();
    paths(&json(&full().to_json()), "", &mut found);
    found.sort();
    found.dedup();
    assert!(found.len() > 80, "{found:?}");
    // The figures of a distribution are documented once.
    let distributions = ["bench.batches[].device_ms.", "bench.batches[].in_flight[].latency_ms.", "profile.frame_ms."];
    for path in &found {
        let path = distributions.iter().fold(path.clone(), |path, of| path.replace(of, "DISTRIBUTION."));
        assert!(text.contains(&format!("| `{path}` |")), "docs/report.md doesn't say what `{path}` is");
    }
    // Every documented key exists.
    let documented = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(path, _)| path);
    for path in documented {
        let suffix = path.trim_start_matches("DISTRIBUTION");
        assert!(found.iter().any(|found| found.ends_with(suffix)), "docs/report.md has `{path}`, a report hasn't");
    }
}

#[test]
fn what_follows_from_the_times_is_beside_them() {
    let report = full();
    let (json, profile) = (json(&report.to_json()), report.profile.unwrap());
    assert_eq!((&json["schema"], &json["schema_version"]), (&Report::SCHEMA.into(), &Report::VERSION.into()));
    let of = &json["profile"];
    let close = |got: &Value, expected: f64| {
        let got = got.as_f64().unwrap_or_else(|| panic!("{got} isn't a number"));
        assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{got}, expected {expected}");
    };
    let sum =
        |field: &str| of["steps"].as_array().unwrap().iter().map(|step| step[field].as_f64().unwrap()).sum::<f64>();
    close(&of["total_ms"], sum("ms"));
    close(
        &of["floor_ms"],
        of["steps"].as_array().unwrap().iter().map(|step| step["floor"]["ms"].as_f64().unwrap()).sum(),
    );
    assert!((sum("share") - 1.0).abs() < 1e-9);
    let shares = ["compute", "memory", "launch"].map(|bound| of["share"][bound].as_f64().unwrap());
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.iter().all(|&share| share > 0.0), "{shares:?}");
    for (step, json) in profile.steps.iter().zip(of["steps"].as_array().unwrap()) {
        let ms = json["ms"].as_f64().unwrap();
        close(&json["gflops_per_second"], step.flops as f64 / ms / 1e6);
        close(&json["gb_per_second"], step.bytes as f64 / ms / 1e6);
        close(&json["intensity"], step.flops as f64 / step.bytes as f64);
        close(&json["times_floor"], ms / json["floor"]["ms"].as_f64().unwrap());
    }
    close(&json["peaks"]["ridge"], 25.0);
}

#[test]
fn a_report_of_nothing_is_a_document_too() {
    let json = json(&empty().to_json());
    assert!(json["profile"].is_null() && json["peaks"].is_null() && json["network"]["name"] == "synthetic");
}

#[test]
fn the_trace_is_the_profile() {
    let report = full();
    let trace = json(&report.to_trace());
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |phase: &str, track: u64| -> Vec<&Value> {
        events.iter().filter(|event| event["ph"] == phase && (track == 0 || event["tid"] == track)).collect()
    };
    let profile = report.profile.unwrap();
    let steps = of("X", 1);
    assert_eq!(steps.len(), profile.steps.len());
    let mut end = 0.0;
    for (event, step) in steps.iter().zip(&profile.steps) {
        let [start, time] = ["ts", "dur"].map(|field| event[field].as_f64().unwrap());
        assert!((start - end).abs() < 1e-6, "{}: begins at {start}, the one before ends at {end}", step.name);
        assert!((time - step.time.as_secs_f64() * 1e6).abs() < 1e-6, "{}", step.name);
        assert_eq!((&event["name"], &event["args"]["flops"]), (&step.name.clone().into(), &step.flops.into()));
        assert_eq!(event["args"]["bytes"], step.bytes);
        assert_eq!(event["args"]["unit"], if step.unit == Unit::Matrix { "matrix" } else { "f32" });
        assert!(["compute", "memory", "launch"].contains(&event["args"]["bound"].as_str().unwrap()));
        end = start + time;
    }
    assert!((end - profile.total().as_secs_f64() * 1e6).abs() < 1e-6);
    let frame = of("X", 2);
    assert_eq!(frame.len(), 1);
    assert!((frame[0]["dur"].as_f64().unwrap() - profile.frame.p50.as_secs_f64() * 1e6).abs() < 1e-6);
    let names: Vec<&Value> = of("M", 0).iter().map(|event| &event["name"]).collect();
    assert_eq!(names, ["process_name", "thread_name", "thread_name"]);
    assert_eq!(of("M", 0)[0]["args"]["name"], "synthetic");

    let nothing = json(&empty().to_trace());
    assert_eq!(nothing["traceEvents"].as_array().unwrap().len(), 1);
    let mut hostile = empty();
    hostile.profile = Some(profile);
    hostile.profile.as_mut().unwrap().steps[0].name = "\"}]\u{0}</script>".into();
    assert_eq!(json_name(&hostile), "\"}]\u{0}</script>");
}

/// Returns the name of the first step in the trace.
fn json_name(report: &Report) -> String {
    let trace = json(&report.to_trace());
    trace["traceEvents"].as_array().unwrap().iter().find(|event| event["ph"] == "X").unwrap()["name"]
        .as_str()
        .unwrap()
        .into()
}

#[test]
fn two_hundred_steps_are_two_hundred_events() {
    let mut report = empty();
    report.profile = Some(profile(200));
    assert_eq!(json(&report.to_trace())["traceEvents"].as_array().unwrap().len(), 200 + 1 + 3);
}
