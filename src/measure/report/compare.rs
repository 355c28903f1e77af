//! Two reports of what should be the same: what became faster, what slower, and what is only noise.

use super::{Network, Report};
use crate::error::{Error, ErrorKind, Result};
use crate::measure::{Distribution, Environment, Profile, Sweep};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A report that was read from a file, as far as two can be compared. Fields that it doesn't know are passed over.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recorded {
    /// Where and when.
    pub environment: Option<Environment>,
    /// The network.
    pub network: Network,
    /// How fast it ran.
    pub bench: Option<Sweep>,
    /// Where the time went.
    pub profile: Option<Profile>,
}

impl Recorded {
    /// Reads a report that [`Report::to_json`] wrote.
    ///
    /// An error names the file and what is wrong with it: it can't be read, it isn't JSON or is cut off, it is another document,
    /// one of a newer version, or its figures can't have been measured.
    pub fn open(path: impl AsRef<Path>) -> Result<Recorded> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| ErrorKind::file(path, error))?;
        parse(&bytes).map_err(|problem| Error::from(ErrorKind::file(path, problem)))
    }
}

/// What tells a report from other documents.
#[derive(Deserialize)]
struct Header {
    schema: Option<String>,
    schema_version: Option<u64>,
}

fn parse(json: &[u8]) -> Result<Recorded, String> {
    let (schema, version) = (Report::SCHEMA, Report::VERSION);
    let wanted = format!("wanted a {schema} of version {version}");
    let value: serde_json::Value = serde_json::from_slice(json).map_err(|error| format!("{wanted}: {error}"))?;
    let header = Header::deserialize(&value).map_err(|error| format!("{wanted}: {error}"))?;
    match (header.schema.as_deref(), header.schema_version) {
        (Some(got), _) if got != schema => return Err(format!("{wanted}, got the schema \"{}\"", got.escape_debug())),
        (None, _) => return Err(format!("{wanted}, got JSON without a schema")),
        (_, Some(got)) if got == u64::from(version) => {}
        (_, Some(got)) if got > u64::from(version) => {
            return Err(format!("{wanted}, got version {got}: a newer shadernet wrote it"));
        }
        (_, Some(got)) => return Err(format!("{wanted}, got version {got}")),
        (_, None) => return Err(format!("{wanted}, got no schema_version")),
    }
    let recorded: Recorded = serde_json::from_value(value).map_err(|error| format!("{wanted}: {error}"))?;
    recorded.check()?;
    Ok(recorded)
}

impl Recorded {
    /// Whether its figures can have been measured.
    fn check(&self) -> Result<(), String> {
        for at in self.bench.iter().flat_map(|sweep| &sweep.batches) {
            check(&format!("batch {}, device_ms", at.batch), &at.device)?;
            for measured in &at.in_flight {
                let what = format!("batch {}, in flight {}", at.batch, measured.in_flight);
                check(&format!("{what}, latency_ms"), &measured.latency)?;
                if !measured.throughput.is_finite() || measured.throughput < 0.0 {
                    return Err(format!("{what}, throughput: wanted a positive number, got {}", measured.throughput));
                }
            }
        }
        self.profile.iter().try_for_each(|profile| check("profile, frame_ms", &profile.frame))
    }
}

fn check(what: &str, times: &Distribution) -> Result<(), String> {
    let Distribution { min, p50, p90, p99, max, median_interval: [low, high], .. } = times;
    if [min, p50, p90, p99, max].is_sorted() && [min, low, p50, high, max].is_sorted() {
        return Ok(());
    }
    Err(format!("{what}: wanted times in ascending order from min to max, got {times:?}"))
}

/// What two reports say about the same thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What was measured.
    pub what: String,
    /// Its median in the first report.
    pub before: Duration,
    /// Its median in the second.
    pub after: Duration,
    /// What that means.
    pub verdict: Verdict,
}

/// Whether a difference means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes less time.
    Faster,
    /// It takes more.
    Slower,
    /// Measured again it might be the other way round.
    WithinNoise,
}

impl Change {
    /// How many times as long it takes as before: 1 if neither takes any time.
    pub fn ratio(&self) -> f64 {
        let (before, after) = (self.before.as_secs_f64(), self.after.as_secs_f64());
        if before == after { 1.0 } else { after / before }
    }

    /// `noise` is the difference, as a part of the time before, that says nothing.
    fn of(what: String, before: Duration, after: Duration, noise: f64) -> Change {
        let mut change = Change { what, before, after, verdict: Verdict::WithinNoise };
        let ratio = change.ratio();
        if (ratio - 1.0).abs() >= noise {
            change.verdict = if ratio < 1.0 { Verdict::Faster } else { Verdict::Slower };
        }
        change
    }

    fn of_medians(what: String, before: &Distribution, after: &Distribution) -> Change {
        let ([a, b], [c, d]) = (before.median_interval, after.median_interval);
        let noise = if a <= d && c <= b { f64::INFINITY } else { Comparison::NOISE };
        Change::of(what, before.p50, after.p50, noise)
    }
}

/// Two reports beside each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Why they might differ for another reason than the code.
    pub warnings: Vec<String>,
    /// Whole frames: latencies by batch and frames in flight, frames on the device.
    pub frames: Vec<Change>,
    /// The steps of the profiles.
    pub steps: Vec<Change>,
    /// What only the first has.
    pub only_before: Vec<String>,
    /// What only the second has.
    pub only_after: Vec<String>,
}

impl Comparison {
    /// Medians of frames that differ by less say nothing, and neither do those whose 95 % confidence intervals overlap.
    pub const NOISE: f64 = 0.02;
    /// The same for steps, of which no interval is known.
    pub const STEP_NOISE: f64 = 0.05;

    /// Compares frames of the same batch and frames in flight, steps of the same name: the first of a name with the first, the
    /// second with the second. Steps of profiles of different batches have nothing in common.
    pub fn of(before: &Recorded, after: &Recorded) -> Comparison {
        let mut comparison = Comparison { warnings: warnings(before, after), ..Comparison::default() };
        for (what, before, after) in comparison.pair(frames(before), frames(after)) {
            comparison.frames.push(Change::of_medians(what, before, after));
        }
        for (what, before, after) in comparison.pair(steps(before), steps(after)) {
            comparison.steps.push(Change::of(what, before, after, Comparison::STEP_NOISE));
        }
        comparison
    }

    /// What is slower beyond noise.
    pub fn slower(&self) -> impl Iterator<Item = &Change> {
        self.frames.iter().chain(&self.steps).filter(|change| change.verdict == Verdict::Slower)
    }

    /// What both have, in the order of the first. The rest is noted.
    fn pair<T>(&mut self, before: Vec<(String, T)>, after: Vec<(String, T)>) -> Vec<(String, T, T)> {
        let after = numbered(after);
        let order: Vec<_> = after.iter().map(|(key, _)| key.clone()).collect();
        let mut after: BTreeMap<_, _> = after.into_iter().collect();
        let mut both = Vec::new();
        for (key, before) in numbered(before) {
            match after.remove(&key) {
                Some(after) => both.push((title(&key), before, after)),
                None => self.only_before.push(title(&key)),
            }
        }
        self.only_after.extend(order.iter().filter(|key| after.contains_key(key)).map(title));
        both
    }
}

/// A name, and which one of that name.
type Key = (String, usize);

fn numbered<T>(named: Vec<(String, T)>) -> Vec<(Key, T)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let number = |(name, value): (String, T)| {
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        ((name, *count), value)
    };
    named.into_iter().map(number).collect()
}

fn title((name, number): &Key) -> String {
    if *number == 1 { name.clone() } else { format!("{name} ({number})") }
}

fn frames(of: &Recorded) -> Vec<(String, &Distribution)> {
    let mut frames = Vec::new();
    for at in of.bench.iter().flat_map(|sweep| &sweep.batches) {
        for measured in &at.in_flight {
            frames.push((format!("batch {}, {} in flight", at.batch, measured.in_flight), &measured.latency));
        }
        frames.push((format!("batch {}, on the device", at.batch), &at.device));
    }
    frames.extend(of.profile.iter().map(|profile| (format!("batch {}, profiled frame", profile.batch), &profile.frame)));
    frames
}

fn steps(of: &Recorded) -> Vec<(String, Duration)> {
    let steps = |profile: &Profile| {
        let name = |name: &str| format!("batch {}, {name}", profile.batch);
        profile.steps.iter().map(|step| (name(&step.name), step.time)).collect::<Vec<_>>()
    };
    of.profile.iter().flat_map(steps).collect()
}

/// Where the reports differ beside their figures, and what else may have changed those.
fn warnings(before: &Recorded, after: &Recorded) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut same = |what: &str, before: &str, after: &str| {
        if before != after {
            warnings.push(format!("{what}: {before} before, {after} after"));
        }
    };
    same("network", &before.network.name, &after.network.name);
    let shapes = |of: &Recorded| format!("{:?}", of.network.input_shapes);
    same("input shapes", &shapes(before), &shapes(after));
    if let (Some(before), Some(after)) = (&before.environment, &after.environment) {
        same("adapter", &before.adapter, &after.adapter);
        same("driver", &before.driver, &after.driver);
        same("backend", &before.backend, &after.backend);
        same("kernel profile", &before.kernel_profile, &after.kernel_profile);
        same("precision", &before.precision, &after.precision);
        same("platform", &before.platform, &after.platform);
    }
    if let (Some(before), Some(after)) = (&before.profile, &after.profile) {
        same("method of the profile", &format!("{:?}", before.method), &format!("{:?}", after.method));
    }
    for (which, of) in [("first", before), ("second", after)] {
        match &of.environment {
            None => warnings.push(format!("the {which} report doesn't say where it was measured")),
            Some(of) if of.is_loaded() => {
                let load = of.load.unwrap_or_default();
                warnings.push(format!("the {which} was measured under load: {load} on {} cores", of.cores));
            }
            Some(_) => {}
        }
    }
    warnings
}
