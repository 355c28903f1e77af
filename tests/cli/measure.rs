//! `shadernet summary`, `bench`, `profile` and `tune`: tables, reports and files.

use super::{Folder, command, fails, prints, text};
use serde_json::Value;
use shadernet::Weights;
use std::process::Output;

#[test]
fn summary_lists_the_rules_that_rewrote_a_network() {
    let (plain, more) = (prints(&["summary", "resnet18"]), prints(&["summary", "resnet18", "--rewrites"]));
    let rules = more.strip_prefix(&plain).expect("the rules follow the table");
    let (head, rules) = rules.split_once('\n').expect("a line counts the rules");
    assert!(
        head.starts_with(&rules.lines().count().to_string()) && head.ends_with("from 69 operations to 23:"),
        "{head}"
    );
    assert!(rules.lines().count() > 10 && rules.lines().all(|line| line.contains(" -> ")), "{rules}");
}

#[test]
fn summary_counts_as_the_lecture_does() {
    let json: Value = serde_json::from_str(&prints(&["summary", "alexnet_original", "--json"])).unwrap();
    assert_eq!((&json["schema"], &json["environment"]), (&"shadernet-report".into(), &Value::Null));
    let summary = &json["summary"];
    for (what, expected) in [
        ("weights", 60_954_656),
        ("parameters", 60_965_224),
        ("macs", 724_406_816),
        ("activations_total", 932_264),
        ("activations_peak", 440_928),
    ] {
        assert_eq!(summary[what], expected, "{what}");
    }
    let first = &summary["layers"][0];
    assert_eq!((&first["name"], &first["op"]), (&"features.0".into(), &"conv2d".into()));
    assert_eq!(first["output_shape"], serde_json::json!([1, 96, 55, 55]));
    assert_eq!((&first["cost"]["parameters"], &first["cost"]["macs"]), (&34_944.into(), &105_415_200.into()));

    let table = prints(&["summary", "alexnet_original", "--batch", "2"]);
    let graph =
        shadernet::models::find("alexnet_original").and_then(|network| network.graph(&Weights::seeded(0), None));
    let summary = shadernet::measure::Summary::new(&graph.unwrap(), 2).unwrap();
    assert!(table.starts_with(&format!("{summary}\n")), "the library's text is another:\n{summary}\n{table}");
    for what in ["classifier.6", "[2, 96, 55, 55]", "60,954,656", "1,448,813,632", "1,864,528", "243,860,896"] {
        assert!(table.contains(what), "{what} isn't in:\n{table}");
    }
    // Beside the exact totals: short numbers, receptive fields, a plan's allocations, model sizes, the energy estimate.
    for what in [
        "51x51 /8 @-18",
        "115.14",
        "2,910,808,208",
        "13,180,944 beside",
        "60,965,224 bytes",
        "is allocated",
        "not a measurement",
    ] {
        assert!(table.contains(what), "{what} isn't in:\n{table}");
    }
    for network in ["resnet50", "vit_b_16"] {
        let table = prints(&["summary", network]);
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 148), "{widest:?} columns:\n{table}");
    }
    let huge = prints(&["summary", "vgg16", "--batch", "65536"]);
    assert!(huge.contains("what is allocated") && huge.contains("needs"), "{huge}");
    assert!(prints(&["summary", "resnet50", "--size", "64x96"]).contains("[1, 64, 32, 48]"));
}

#[test]
fn summary_counts_the_bytes_of_a_precision() {
    let of = |precision: &str| {
        let args = ["summary", "digits", "--precision", precision];
        let json = serde_json::from_str::<Value>(&prints(&[&args[..], &["--json"]].concat())).unwrap();
        (prints(&args), json)
    };
    let [(whole, whole_json), (half, half_json), (mixed, mixed_json)] = ["f32", "f16", "mixed"].map(of);
    assert!(!whole.contains("stored") && whole.contains("bytes as f32"), "{whole}");
    for (text, precision, values) in [(&half, "f16", "bytes as f16"), (&mixed, "mixed", "bytes as f32")] {
        let stored = text.lines().find(|line| line.starts_with("model size, stored")).unwrap_or_default();
        assert!(stored.contains(&format!("at precision {precision}")) && text.contains(values), "{text}");
    }
    let number =
        |json: &Value, path: &str| json.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}"));
    let [parameters, values] = ["/summary/parameter_bytes", "/summary/activations_peak_bytes"];
    assert_eq!(number(&half_json, values) * 2, number(&whole_json, values));
    assert_eq!(number(&mixed_json, values), number(&whole_json, values));
    assert_eq!(number(&half_json, parameters), number(&mixed_json, parameters));
    assert!(number(&half_json, parameters) * 5 < number(&whole_json, parameters) * 3, "{half}");
    for (json, precision) in [(&whole_json, "f32"), (&half_json, "f16"), (&mixed_json, "mixed")] {
        assert_eq!(
            (&json["summary"]["precision"], &json["activations"]["precision"]),
            (&precision.into(), &precision.into())
        );
    }
    let [weights, allocated] = ["/activations/weights", "/activations/allocated"];
    assert!(number(&half_json, weights) * 5 < number(&whole_json, weights) * 3, "{half}");
    assert!(number(&half_json, allocated) * 5 < number(&whole_json, allocated) * 3, "{half}");
    // The weights of the small first layer stay `f32`s at `Mixed`.
    let few = number(&mixed_json, weights) - number(&half_json, weights);
    assert!((1..number(&whole_json, weights) / 20).contains(&few), "{few}");
}

#[test]
fn bench_measures_each_batch_with_each_number_of_frames_in_flight() {
    let folder = Folder::new("bench");
    let path = folder.path("bench.json");
    let json = format!("--json={path}");
    let said = prints(&["bench", "digits", "--batch", "1,4", "--seed", "1", "--frames", "5", &json]);
    for what in ["adapter: ", "made up", "p50 ms", "images/s", "first ms", "first inference, batch 4: "] {
        assert!(said.contains(what), "{what} isn't in:\n{said}");
    }
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["network"]["name"], "digits");
    let environment = &json["environment"];
    assert!(["adapter", "driver", "backend", "version"].iter().all(|what| environment[what].is_string()), "{json:#}");
    let mut rows = Vec::new();
    for at in json["bench"]["batches"].as_array().unwrap() {
        let number = |value: &Value| value.as_f64().filter(|&number| number > 0.0).unwrap();
        for row in at["in_flight"].as_array().unwrap() {
            rows.push((at["batch"].as_u64().unwrap(), row["in_flight"].as_u64().unwrap()));
            let latency = &row["latency_ms"];
            assert_eq!(latency["count"], 5, "{row:#}");
            let [min, p50, p90, p99] = ["min", "p50", "p90", "p99"].map(|what| number(&latency[what]));
            assert!(min <= p50 && p50 <= p90 && p90 <= p99, "{row:#}");
            assert!(number(&row["throughput"]) > 1.0 && number(&at["first_ms"]) > min, "{row:#}");
        }
    }
    assert_eq!(rows, [(1, 1), (1, 2), (4, 1), (4, 2)]);
    // A report contains everything that the page shows.
    for part in ["peaks", "profile", "activations", "summary"] {
        assert!(json[part].is_object(), "{part}: {json:#}");
    }
    assert_eq!(json["answers"].as_array().unwrap().len(), 2);
    // On standard output, the report replaces the tables.
    // The network after `--json` isn't the name of a file.
    let text = prints(&["bench", "--frames", "5", "--json", "digits"]);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["schema"], "shadernet-report");

    let said =
        prints(&["bench", "digits", "--latency-bound", "1000", "--in-flight", "1", "--frames", "5", "--batch", "2,8"]);
    assert!(said.contains("if a frame may take 1000.0 ms? batch "), "{said}");
}

#[test]
fn profile_writes_tables_a_page_and_a_trace() {
    let folder = Folder::new("profile");
    let [json, html, trace] = ["p.json", "p.html", "p.trace"].map(|name| folder.path(name));
    let to_json = format!("--json={json}");
    let args = ["profile", "digits", "--batch", "2", "--frames", "5", &to_json, "--html", &html, "--trace", &trace];
    let said = prints(&args);
    for what in ["x floor", "conv1", "a whole frame", "launch share", "timed by", "FMA "] {
        assert!(said.contains(what), "{what} isn't in:\n{said}");
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let report: Value = serde_json::from_str(&read(&json)).unwrap();
    let steps = report["profile"]["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["ms"].as_f64().unwrap() > 0.0), "{steps:?}");
    assert_eq!(report["profile"]["batch"], 2);
    let page = read(&html);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg") && page.contains("digits"), "{page}");
    let events: Value = serde_json::from_str(&read(&trace)).unwrap();
    let timed = events["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").count();
    // The trace has the steps, and the frame on a track of its own.
    assert_eq!(timed, steps.len() + 1);
    // A report of another process, compared with itself, shows nothing beyond noise.
    let same = prints(&["compare", &json, &json]);
    assert!(same.contains("within noise") && !same.contains("slower"), "{same}");

    let devices = prints(&["devices", "--peaks"]);
    assert!(devices.contains("GFLOP/s in f32"), "{devices}");
}

/// The digits' layers have several kernels on every GPU. Which one is fastest depends on the device.
#[test]
fn tune_says_what_it_found_and_keeps_it() {
    let folder = Folder::new("tune");
    let tune = |more: &[&str]| {
        let mut command = command(&[&["tune", "digits", "--portable"], more].concat());
        command.env("XDG_CACHE_HOME", folder.path("")).env("HOME", folder.path(""));
        let Output { status, stdout, stderr } = command.output().unwrap();
        assert!(status.success() && stderr.is_empty(), "{more:?}: {}", text(&stderr));
        text(&stdout).to_owned()
    };
    // Enough beside other work, too: most of the time is compilation.
    let said = tune(&["--budget", "120", "--batch", "2"]);
    for what in ["adapter: ", "| linear [2, ", "gemv", "rounds: ", "kept in ", "tuned-"] {
        assert!(said.contains(what), "{what} isn't in:\n{said}");
    }
    let path = said.lines().last().and_then(|line| line.strip_prefix("kept in ")).unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let problems = kept["problems"].as_object().unwrap();
    let (name, tuned) = problems.iter().find(|(name, _)| name.starts_with("linear [2, ")).unwrap();
    let times = tuned["ms"].as_object().unwrap();
    assert!(times.len() >= 2 && times.values().all(|ms| ms.as_f64().is_some_and(|ms| ms > 0.0)), "{kept:#}");
    // The choice is used, and reported. Here, a file names the choice.
    let other = times.keys().find(|kernel| !kernel.starts_with("gemv")).unwrap();
    let chosen = Value::from(other.as_str());
    let mut changed = kept.clone();
    changed["problems"][name]["kernel"] = chosen;
    assert!(tuned["kernel"].is_string());
    std::fs::write(path, changed.to_string()).unwrap();
    let profile = |more: &[&str]| {
        let mut command =
            command(&[&["profile", "digits", "--portable", "--batch", "2", "--frames", "5"], more].concat());
        text(&command.env("XDG_CACHE_HOME", folder.path("")).env("HOME", folder.path("")).output().unwrap().stdout)
            .to_owned()
    };
    let said = profile(&[]);
    assert!(said.contains("; tuned: "), "{said}");
    assert!(!profile(&["--no-cache"]).contains("tuned"));
    let said = tune(&["--budget", "0.001"]);
    assert!(said.contains("the time was up") && !said.contains("kept in"), "{said}");
    assert!(tune(&["--no-cache", "--budget", "0.001"]).contains("kept nowhere"));
    fails(&["tune", "digits", "--budget", "0"], &["--budget", "0.001 to 86400"]);
    fails(&["tune", "digits", "--batch", "0"], &["--batch", "1 to"]);
    fails(&["tune", "abacus"], &["abacus"]);
}
