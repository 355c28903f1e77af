//! The comparison of two reports: in the library, and by the command.

// Long because it has simulated machines beside the cases.

use crate::synthetic::{empty, full, profile, times};
use serde_json::{Value, json};
use shadernet::measure::{Comparison, Recorded, Verdict};
use shadernet::measure::{Distribution, Method, Report};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A temporary folder of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compare-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn recorded(folder: &Folder, report: &Report) -> Recorded {
    Recorded::open(folder.write("report.json", report.to_json())).unwrap()
}

fn compare(name: &str, before: &Report, after: &Report) -> Comparison {
    let folder = Folder::new(name);
    Comparison::new(&recorded(&folder, before), &recorded(&folder, after))
}

#[test]
fn a_report_is_within_the_noise_of_itself() {
    let comparison = compare("itself", &full(), &full());
    // Six batches with three numbers of frames in flight, each batch on the device, the profiled frame.
    assert_eq!((comparison.frames.len(), comparison.steps.len()), (6 * 3 + 6 + 1, 30));
    let all = || comparison.frames.iter().chain(&comparison.steps);
    assert!(all().all(|change| change.verdict == Verdict::WithinNoise && change.ratio() == 1.0));
    assert!(comparison.warnings.is_empty() && comparison.only_before.is_empty() && comparison.only_after.is_empty());
    assert_eq!(comparison.slower().count(), 0);
}

#[test]
fn frames_are_told_apart_by_their_intervals() {
    let (before, mut after) = (full(), full());
    let batches = &mut after.bench.as_mut().unwrap().batches;
    // The times are far apart, then apart by a percent, then overlapping with different medians.
    batches[0].in_flight[0].latency = times(3.0, 200);
    batches[1].in_flight[0].latency = times(2.5 / 2.0, 200);
    batches[2].in_flight[0].latency = times(3.5 * 1.012, 200);
    let wide = &mut batches[3].in_flight[0].latency;
    (wide.p50, wide.p90, wide.p99, wide.max) = (wide.max, wide.max * 2, wide.max * 2, wide.max * 2);
    wide.median_interval[1] = wide.max;
    let comparison = compare("frames", &before, &after);
    let of = |what: &str| comparison.frames.iter().find(|change| change.what == what).unwrap();
    assert_eq!(of("batch 1, 1 in flight").verdict, Verdict::Slower);
    assert!((of("batch 1, 1 in flight").ratio() - 1.5).abs() < 0.01);
    assert_eq!(of("batch 2, 1 in flight").verdict, Verdict::Faster);
    assert_eq!(of("batch 4, 1 in flight").verdict, Verdict::WithinNoise);
    assert!(of("batch 4, 1 in flight").ratio() > 1.01);
    assert_eq!(of("batch 8, 1 in flight").verdict, Verdict::WithinNoise);
    assert!(of("batch 8, 1 in flight").ratio() > 1.05);
    assert_eq!(comparison.slower().map(|change| change.what.as_str()).collect::<Vec<_>>(), ["batch 1, 1 in flight"]);
}

#[test]
fn steps_are_matched_by_name_and_occurrence() {
    let (mut before, mut after) = (full(), full());
    let steps = &mut before.profile.as_mut().unwrap().steps;
    steps[1].name = steps[0].name.clone();
    let steps = &mut after.profile.as_mut().unwrap().steps;
    steps[1].name = steps[0].name.clone();
    steps[0].time = steps[0].time.mul_f64(1.08);
    steps[1].time = steps[1].time.mul_f64(1.25);
    steps[2].time = steps[2].time.mul_f64(0.8);
    steps[3].name = "new".into();
    let comparison = compare("steps", &before, &after);
    let verdicts: Vec<_> = comparison.steps[..3].iter().map(|step| (step.what.as_str(), step.verdict)).collect();
    let expected = [
        ("batch 8, layer0.0", Verdict::WithinNoise),
        ("batch 8, layer0.0 (2)", Verdict::Slower),
        ("batch 8, layer0.2", Verdict::Faster),
    ];
    assert_eq!(verdicts, expected);
    assert_eq!(comparison.only_before, ["batch 8, layer0.3"]);
    assert_eq!(comparison.only_after, ["batch 8, new"]);
    // Steps of zero time are as long as before, or infinitely longer; nothing panics.
    let mut zero = before.clone();
    zero.profile.as_mut().unwrap().steps.iter_mut().for_each(|step| step.time = Duration::ZERO);
    assert_eq!(compare("zero", &zero, &zero).slower().count(), 0);
    assert_eq!(compare("from-zero", &zero, &before).slower().count(), 30);
    assert_eq!(compare("to-zero", &before, &zero).slower().count(), 0);
}

/// The printed times are those that are judged, whatever the medians are.
#[test]
fn the_ratio_is_that_of_the_shortest_times() {
    let (before, mut after) = (full(), full());
    let steps = &mut after.profile.as_mut().unwrap().steps;
    steps[0].time *= 2;
    steps[0].shortest = steps[0].shortest.map(|halves| halves.map(|half| half / 2.0));
    steps[1].shortest = steps[1].shortest.map(|halves| halves.map(|half| half * 2.0));
    let comparison = compare("ratio", &before, &after);
    let ratios = comparison.steps[..2].iter().map(|step| (step.verdict, (step.ratio() * 1e3).round()));
    assert_eq!(ratios.collect::<Vec<_>>(), [(Verdict::WithinNoise, 1000.0), (Verdict::Slower, 2000.0)]);
}

/// A generator of fixed random numbers between 0 and 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}

/// Returns a profile of this number of frames with 40 steps, on a machine with a random slowness in each run. Other
/// work interrupts a part of the steps, for about as long as they take. The eighth step takes `slow` times as long.
fn measured(random: &mut Random, frames: usize, interrupted: f64, slow: f64) -> Report {
    let machine = 1.0 + 0.3 * random.next();
    let step = |i: usize, random: &mut Random| {
        let ms = 0.2 * (1 + i) as f64 * if i == 7 { slow } else { 1.0 };
        // A factor of the process's memory placement, which no frame of this run can show.
        let placed = 1.0 + 0.06 * random.next();
        let time = |random: &mut Random| {
            let late = if random.next() < interrupted { 0.5 + 2.0 * random.next() } else { 0.0 };
            Duration::from_secs_f64(ms * machine * placed * (1.0 + 0.08 * random.next() + late) / 1e3)
        };
        Distribution::new((0..frames).map(|_| time(random)).collect()).expect("one or more")
    };
    let mut report = empty();
    let mut of = profile(40);
    for (i, step_time) in of.steps.iter_mut().enumerate() {
        let times = step(i, random);
        (step_time.time, step_time.shortest) = (times.p50, times.shortest);
    }
    of.frame = times(160.0 * machine, frames);
    report.profile = Some(of);
    report
}

/// Both kinds of error, on simulated machines: equal times aren't called slower, and times 1.5 times as long are.
#[test]
fn noise_is_told_from_a_change() {
    let folder = Folder::new("noise");
    // Frames, the interrupted part of the steps, the least number of changes found out of 50.
    for (frames, interrupted, least) in [(24, 0.02, 49), (60, 0.5, 45), (11, 0.6, 0)] {
        let mut random = Random(1);
        let (mut wrong, mut found) = (0, 0);
        for _ in 0..50 {
            let [a, b, c] = [1.0, 1.0, 1.5].map(|slow| {
                let report = measured(&mut random, frames, interrupted, slow);
                recorded(&folder, &report)
            });
            wrong += usize::from(Comparison::new(&a, &b).steps.iter().any(|step| step.verdict != Verdict::WithinNoise));
            let changed = Comparison::new(&a, &c);
            found += usize::from(changed.steps[7].verdict == Verdict::Slower);
        }
        println!("{frames} frames, {interrupted} interrupted: {wrong} of 50 wrong, {found} of 50 found");
        assert!(wrong <= 1, "{frames} frames, {interrupted} interrupted: {wrong} of 50 wrong");
        assert!(found >= least, "{frames} frames, {interrupted} interrupted: {found} of 50 found");
    }
}

/// Load explains that frames take longer, but not that a single step does.
#[test]
fn load_widens_the_bound_of_frames() {
    let (before, mut after) = (full(), full());
    for frame in &mut after.bench.as_mut().unwrap().batches[0].in_flight {
        frame.latency = times(6.0, 200);
    }
    after.profile.as_mut().unwrap().steps[3].time *= 2;
    assert!(compare("quiet", &before, &after).slower().count() >= 2);
    after.environment.as_mut().unwrap().load = Some(40.0);
    let loaded = compare("loaded", &before, &after);
    assert_eq!(loaded.slower().map(|change| change.what.as_str()).collect::<Vec<_>>(), ["batch 8, layer0.3"]);
}

/// Times without a known spread, and times measured in another way, are read and not judged.
#[test]
fn what_cannot_be_judged_is_not() {
    let (mut before, mut after) = (full(), full());
    after.profile.as_mut().unwrap().steps.iter_mut().for_each(|step| step.time *= 3);
    assert!(compare("judged", &before, &after).slower().count() >= 30);
    let method = |report: &mut Report, method| report.profile.as_mut().unwrap().method = method;
    method(&mut after, Method::Submissions);
    assert!(compare("ways", &before, &after).steps.iter().all(|step| step.verdict == Verdict::NotJudged));
    method(&mut after, Method::TimestampsAtPasses);
    before.profile.as_mut().unwrap().steps.iter_mut().for_each(|step| step.shortest = None);
    let old = compare("old", &before, &after);
    assert!(old.steps.iter().all(|step| step.verdict == Verdict::NotJudged) && old.warnings.len() == 1, "{old:?}");
    assert_eq!(old.slower().count(), 0);
    // A single time isn't judged; the others still are.
    let (before, mut after) = (full(), full());
    let batches = &mut after.bench.as_mut().unwrap().batches;
    batches[0].device = times(9.0, 1);
    batches[1].device = times(90.0, 3);
    let some = compare("some", &before, &after);
    let of = |what: &str| some.frames.iter().find(|change| change.what == what).unwrap().verdict;
    assert_eq!(of("batch 1, on the device"), Verdict::NotJudged);
    assert_eq!(of("batch 2, on the device"), Verdict::Slower);
    assert!(
        some.warnings.len() == 1 && some.warnings[0].contains("no more than one time for 1 of 55 figures"),
        "{some:?}"
    );
    // The report is older than the `shortest` field.
    let folder = Folder::new("before");
    let mut json: Value = serde_json::from_str(&full().to_json()).unwrap();
    json["profile"]["steps"][0].as_object_mut().unwrap().remove("shortest");
    json["profile"]["frame_ms"].as_object_mut().unwrap().remove("shortest");
    assert!(Recorded::open(folder.write("old.json", json.to_string())).is_ok());
}

/// Another precision computes other results: less time for them is no speed-up, more is no slowdown.
#[test]
fn no_verdict_compares_precisions() {
    let (before, mut after) = (full(), full());
    let change = |report: &mut Report, factor: f64| {
        for step in &mut report.profile.as_mut().unwrap().steps {
            step.time = step.time.mul_f64(factor);
        }
        report.bench.as_mut().unwrap().batches[0].in_flight[0].latency = times(2.0 * factor, 200);
    };
    for factor in [0.2, 5.0] {
        change(&mut after, factor);
        let judged = compare("one-precision", &before, &after);
        assert!(judged.precisions.is_none() && judged.frames[0].verdict != Verdict::NotJudged, "{judged:?}");
        after.environment.as_mut().unwrap().precision = "f16".into();
        let other = compare("precisions", &before, &after);
        assert_eq!(other.precisions, Some(["f32".into(), "f16".into()]));
        assert!(other.frames.iter().chain(&other.steps).all(|change| change.verdict == Verdict::NotJudged));
        assert_eq!(other.frames[0].ratio(), judged.frames[0].ratio(), "the ratio is there all the same");
        after = full();
    }
    after.environment = None;
    assert!(compare("unknown-precision", &before, &after).precisions.is_none());
}

#[test]
fn what_only_one_has_is_said() {
    let (before, mut after) = (full(), full());
    after.bench.as_mut().unwrap().batches.remove(0);
    after.profile = None;
    let comparison = compare("only", &before, &after);
    assert_eq!(comparison.only_before.len(), 4 + 1 + 30, "{:?}", comparison.only_before);
    assert!(comparison.only_before.contains(&"batch 1, 4 in flight".to_owned()));
    let (mut eight, mut one) = (empty(), empty());
    (eight.profile, one.profile) = (Some(profile(3)), Some(profile(3)));
    one.profile.as_mut().unwrap().batch = 1;
    let comparison = compare("batches", &eight, &one);
    assert!(comparison.steps.is_empty() && comparison.frames.is_empty());
}

/// A change in the second report.
type Change = fn(&mut Report);

#[test]
fn other_circumstances_are_warnings() {
    let before = full();
    let changes: [(&str, Change); 8] = [
        ("adapter: synthetic before, other after", |report| {
            report.environment.as_mut().unwrap().adapter = "other".into()
        }),
        ("driver: ", |report| report.environment.as_mut().unwrap().driver = "other".into()),
        ("kernel profile: ", |report| report.environment.as_mut().unwrap().kernel_profile = "llvmpipe".into()),
        ("platform: ", |report| report.environment.as_mut().unwrap().platform = "aarch64-macos".into()),
        ("the second was measured under load: 4", |report| report.environment.as_mut().unwrap().load = Some(4.0)),
        ("network: ", |report| report.network.name = "other".into()),
        ("input shapes: ", |report| report.network.input_shapes = vec![]),
        ("the second report doesn't say where", |report| report.environment = None),
    ];
    for (expected, change) in changes {
        let mut after = before.clone();
        change(&mut after);
        let warnings = compare("warnings", &before, &after).warnings;
        assert_eq!(warnings.len(), 1, "{expected}: {warnings:?}");
        assert!(warnings[0].starts_with(expected), "{warnings:?}");
    }
}

#[test]
fn unknown_fields_are_passed_over() {
    let folder = Folder::new("unknown");
    let mut json: Value = serde_json::from_str(&full().to_json()).unwrap();
    json["later"] = json!({ "and": ["more"] });
    json["bench"]["batches"][0]["in_flight"][0]["later"] = json!(1);
    json["summary"] = json!("something else");
    let path = folder.write("later.json", json.to_string());
    assert_eq!(Recorded::open(path).unwrap(), recorded(&folder, &full()));
}

/// Returns files that aren't reports, with their error messages.
fn foreign() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = full().to_json();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut json: Value = serde_json::from_str(&good).unwrap();
        change(&mut json);
        json.to_string().into_bytes()
    };
    let latency = |field: &'static str, value: Value| {
        with(&move |json| json["bench"]["batches"][0]["in_flight"][0]["latency_ms"][field] = value.clone())
    };
    vec![
        ("empty", vec![], "EOF"),
        ("truncated", good.as_bytes()[..good.len() / 2].to_vec(), "EOF"),
        ("binary", vec![0xFF, 0xD8, 0x00], "expected value"),
        ("not-a-number", b"{\"schema\": NaN}".to_vec(), "expected value"),
        ("foreign", b"{\"results\": []}".to_vec(), "JSON without a schema"),
        ("list", b"[1, 2]".to_vec(), "wanted a shadernet-report of version 1"),
        ("deep", "[".repeat(100_000).into_bytes(), "recursion limit"),
        ("other", with(&|json| json["schema"] = json!("lighthouse\u{1b}")), "got the schema \"lighthouse\\u{1b}\""),
        ("newer", with(&|json| json["schema_version"] = json!(2)), "got version 2: a newer shadernet wrote it"),
        ("older", with(&|json| json["schema_version"] = json!(0)), "got version 0"),
        ("no-version", with(&|json| json["schema_version"] = Value::Null), "no schema_version"),
        ("no-network", with(&|json| json["network"] = Value::Null), "wanted a shadernet-report"),
        ("null-time", latency("p50", Value::Null), "invalid type: null"),
        ("negative-time", latency("p50", json!(-1.0)), "negative"),
        ("huge-time", latency("max", json!(1e300)), "too big"),
        ("disorder", latency("p50", json!(1e9)), "ascending order"),
        ("interval", latency("median_interval", json!([1e3, 1.0])), "ascending order"),
        ("short-interval", latency("median_interval", json!([1.0])), "invalid length"),
        ("infinite", good.replace("\"throughput\": ", "\"throughput\": 1e999, \"was\": ").into_bytes(), "out of range"),
        (
            "idle",
            with(&|json| json["bench"]["batches"][0]["in_flight"][0]["throughput"] = json!(-3)),
            "throughput: wanted",
        ),
        ("half-an-image", with(&|json| json["bench"]["batches"][0]["batch"] = json!(0.5)), "floating point"),
        ("step", with(&|json| json["profile"]["steps"][0]["ms"] = json!(-1)), "negative"),
        ("bound", with(&|json| json["profile"]["steps"][0]["floor"]["bound"] = json!("luck")), "unknown variant"),
    ]
}

#[test]
fn what_is_no_report_is_an_error_that_names_the_file() {
    let folder = Folder::new("foreign");
    for (name, bytes, expected) in foreign() {
        let path = folder.write(name, bytes);
        let error = Recorded::open(&path).expect_err(name).to_string();
        assert!(error.starts_with(path.to_str().unwrap()) && error.contains(expected), "{name}: {error}");
    }
    let missing = Recorded::open(folder.0.join("missing")).expect_err("it isn't there").to_string();
    assert!(missing.contains("missing: "), "{missing}");
}

#[test]
fn the_longest_times_are_compared() {
    // A file may claim ages for many steps: their sum exceeds a duration.
    let folder = Folder::new("ages");
    let mut json: Value = serde_json::from_str(&full().to_json()).unwrap();
    for step in json["profile"]["steps"].as_array_mut().unwrap() {
        step["ms"] = json!(1.8e22);
    }
    let ages = Recorded::open(folder.write("ages.json", json.to_string())).unwrap();
    assert_eq!(Comparison::new(&recorded(&folder, &full()), &ages).slower().count(), 30);
}

#[cfg(feature = "cli")]
mod command {
    use super::{Folder, foreign, full};
    use crate::synthetic::{empty, times};
    use std::path::Path;
    use std::process::Command;

    /// Returns the command's exit code, standard output and standard error.
    fn run(before: &Path, after: &Path, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shadernet"));
        let output = command.arg("compare").arg(before).arg(after).args(args).env_remove("RUST_LOG").output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    #[test]
    fn it_prints_what_changed() {
        let folder = Folder::new("command");
        let mut after = full();
        after.bench.as_mut().unwrap().batches[0].in_flight[0].latency = times(4.0, 200);
        after.environment.as_mut().unwrap().driver = "other \u{1b}[31m".into();
        let last = after.profile.as_mut().unwrap().steps.last_mut().unwrap();
        last.name = "new".into();
        let (a, b) = (folder.write("a.json", full().to_json()), folder.write("b.json", after.to_json()));
        let (code, out, err) = run(&a, &b, &[]);
        assert!(code == Some(0) && err.is_empty(), "{err}");
        let row = out.lines().find(|line| line.contains("batch 1, 1 in flight")).unwrap();
        assert!(row.contains("2.000") && row.trim_end_matches(" |").ends_with("slower"), "{row}");
        for part in [
            "warning: driver: ",
            "?[31m",
            "within noise: less than ",
            "after division by 1.000, the ratio that all steps share",
            "batch 8, layer0.0",
        ] {
            assert!(out.contains(part), "{part} isn't in:\n{out}");
        }
        assert!(out.contains("a.json: batch 8, layer7.1\n") && out.contains("b.json: batch 8, new\n"), "{out}");
        assert!(!out.contains('\u{1b}'));
        // The columns are aligned.
        let widths: Vec<usize> = out.lines().filter(|line| line.contains("in flight")).map(str::len).collect();
        assert!(widths.len() == 18 && widths.iter().all(|&width| width == widths[0]), "{widths:?}");

        let (code, _, err) = run(&a, &b, &["--fail-if-slower"]);
        assert_eq!(code, Some(1));
        assert!(err.starts_with("error: slower beyond noise: 1, most of all batch 1, 1 in flight: 2.0"), "{err}");
        assert_eq!(run(&b, &a, &["--fail-if-slower"]).0, Some(0));
    }

    #[test]
    fn it_calls_no_other_precision_a_speed_up() {
        let folder = Folder::new("command-precision");
        let mut after = full();
        after.environment.as_mut().unwrap().precision = "f16\u{1b}".into();
        after.bench.as_mut().unwrap().batches[0].in_flight[0].latency = times(0.5, 200);
        let (a, b) = (folder.write("a.json", full().to_json()), folder.write("b.json", after.to_json()));
        let (code, out, err) = run(&a, &b, &[]);
        assert!(code == Some(0) && err.is_empty(), "{err}");
        assert!(out.starts_with("NOT THE SAME PRECISION: f32 before, f16? after. "), "{out}");
        let row = out.lines().find(|line| line.contains("batch 1, 1 in flight")).unwrap();
        assert!(row.trim_end_matches(" |").ends_with("not judged"), "{row}");
        let verdicts = out.lines().filter(|line| line.starts_with('|'));
        assert!(verdicts.clone().count() > 40 && verdicts.clone().all(|line| !line.contains("faster")), "{out}");
        let (code, _, err) = run(&a, &b, &["--fail-if-slower"]);
        assert!(code == Some(1) && err.contains("the precisions of the reports differ"), "{err}");
    }

    #[test]
    fn it_fails_in_a_line() {
        let folder = Folder::new("command-foreign");
        let good = folder.write("good.json", full().to_json());
        for (name, bytes, _) in foreign() {
            let bad = folder.write(name, bytes);
            for (a, b) in [(&good, &bad), (&bad, &good)] {
                let (code, out, err) = run(a, b, &[]);
                assert!(code == Some(1) && out.is_empty(), "{name}: {code:?} {out}");
                assert!(err.starts_with("error: ") && err.lines().count() == 1 && err.contains(name), "{name}: {err}");
            }
        }
        let nothing = folder.write("nothing.json", empty().to_json());
        let (code, out, err) = run(&good, &nothing, &[]);
        assert!(code == Some(1) && err.contains("nothing in it can be compared") && out.contains("only in"), "{err}");
    }
}
