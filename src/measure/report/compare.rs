//! The comparison of two reports: faster, slower, or only noise.

use super::{NetworkInfo, Report};
use crate::error::{Error, ErrorKind, Result};
use crate::measure::{Distribution, Environment, Profile, Sweep};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A report that was read from a file: the parts that can be compared. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recorded {
    /// The environment.
    pub environment: Option<Environment>,
    /// The network.
    pub network: NetworkInfo,
    /// The latency and throughput.
    pub bench: Option<Sweep>,
    /// The device time, step by step.
    pub profile: Option<Profile>,
}

impl Recorded {
    /// Reads a report that [`Report::to_json`] wrote.
    ///
    /// An error names the file and the problem: it can't be read, it isn't JSON or is cut off, it is another document,
    /// it has another version, or its figures can't have been measured.
    pub fn open(path: impl AsRef<Path>) -> Result<Recorded> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| ErrorKind::file(path, error))?;
        parse(&bytes).map_err(|problem| Error::from(ErrorKind::file(path, problem)))
    }
}

/// The fields that tell a report from other documents.
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
    /// Returns an error if the figures can't have been measured.
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
        if let Some(profile) = &self.profile {
            check("profile, frame_ms", &profile.frame)?;
            profile
                .steps
                .iter()
                .try_for_each(|step| positive(&format!("profile, step {}", step.name), step.shortest))?;
        }
        Ok(())
    }
}

fn check(what: &str, times: &Distribution) -> Result<(), String> {
    let Distribution { min, p50, p90, p99, max, median_interval: [low, high], .. } = times;
    if [min, p50, p90, p99, max].is_sorted() && [min, low, p50, high, max].is_sorted() {
        return positive(what, times.shortest);
    }
    Err(format!("{what}: wanted times in ascending order from min to max, got {times:?}"))
}

fn positive(what: &str, shortest: Option<[f64; 2]>) -> Result<(), String> {
    match shortest.iter().flatten().find(|part| !part.is_finite() || **part < 0.0) {
        Some(part) => Err(format!("{what}, shortest: wanted positive numbers, got {part}")),
        None => Ok(()),
    }
}

/// The change of one figure between two reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The name of the figure.
    pub what: String,
    /// The shortest time in the first report, which the verdict compares: the geometric mean over both halves of its
    /// times. The median if one of the reports has no halves.
    pub before: Duration,
    /// The shortest time in the second report.
    pub after: Duration,
    /// The meaning of the difference.
    pub verdict: Verdict,
}

/// The meaning of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Less time.
    Faster,
    /// More time.
    Slower,
    /// A difference that could be the other way round if measured again.
    WithinNoise,
    /// No verdict: a report has a single time or is too old to say how times scatter, or the timing methods or the
    /// precisions differ.
    NotJudged,
}

impl Change {
    /// Returns the time after as a multiple of the time before; 1 if both are zero.
    pub fn ratio(&self) -> f64 {
        let (before, after) = (self.before.as_secs_f64(), self.after.as_secs_f64());
        if before == after { 1.0 } else { after / before }
    }
}

/// The times to compare: the median, the shortest times of both halves as fractions of it, its interval if known.
#[derive(Clone, Copy)]
struct Times {
    median: Duration,
    shortest: Option<[f64; 2]>,
    interval: Option<[Duration; 2]>,
}

impl Times {
    /// Returns true if the intervals of the medians overlap.
    fn overlaps(&self, other: Times) -> bool {
        self.interval.zip(other.interval).is_some_and(|([a, b], [c, d])| a <= d && c <= b)
    }

    /// Returns the logarithms of the shortest times; of the median if there are none.
    fn logarithms(&self) -> [f64; 2] {
        self.shortest.unwrap_or([1.0; 2]).map(|part| (part * self.median.as_secs_f64()).ln())
    }

    /// Returns the logarithm of the time that is judged.
    fn judged(&self) -> f64 {
        self.logarithms().iter().sum::<f64>() / 2.0
    }
}

/// Returns the logarithm of the ratio of the shortest times: other work on the machine disturbs these the least.
fn difference(before: Times, after: Times) -> f64 {
    let [before, after] = [before, after].map(|times| times.judged());
    if before == after { 0.0 } else { after - before }
}

/// Returns the quantile `part` of the finite numbers; 0 if there are none.
fn quantile(numbers: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut numbers: Vec<f64> = numbers.filter(|number| number.is_finite()).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let rank = (numbers.len() as f64 * part).ceil() as usize;
    numbers.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Returns the noise of a report: the 90th percentile of the distance between the two halves of its times. If `common`,
/// the median distance doesn't count: all times have it in common. Infinite if no time has halves.
fn scatter(times: &[Times], common: bool) -> f64 {
    let known = || times.iter().filter(|times| times.shortest.is_some());
    if known().count() == 0 {
        return f64::INFINITY;
    }
    let apart = || known().map(|times| times.logarithms()).map(|[a, b]| a - b);
    let middle = if common { quantile(apart(), 0.5) } else { 0.0 };
    quantile(apart().map(|apart| (apart - middle).abs()), 0.9)
}

/// Returns the logarithm of the slowdown that other work can explain: processes that want to run share the cores.
fn load(of: &Recorded) -> f64 {
    let loaded = of.environment.as_ref().filter(|environment| environment.is_loaded());
    loaded.map_or(0.0, |of| (of.load.unwrap_or(0.0) / of.cores.max(1) as f64).ln_1p())
}

/// The comparison of two reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The precisions, before and after, if they differ. Then nothing is judged: another precision computes other
    /// results, and less time for them is no speed-up.
    pub precisions: Option<[String; 2]>,
    /// The other reasons than the code why the reports might differ.
    pub warnings: Vec<String>,
    /// Whole frames: latencies by batch and frames in flight, frames on the device.
    pub frames: Vec<Change>,
    /// The steps of the profiles.
    pub steps: Vec<Change>,
    /// The names that only the first report has.
    pub only_before: Vec<String>,
    /// The names that only the second report has.
    pub only_after: Vec<String>,
    /// The noise of frames, as the logarithm of a ratio. Infinite if the reports don't say how their times scatter.
    pub frame_noise: f64,
    /// The noise of steps, as the logarithm of a ratio, apart from `common`.
    pub step_noise: f64,
    /// The logarithm of the ratio that all steps have in common, as far as it is attributed to the machine.
    pub common: f64,
}

impl Comparison {
    /// The noise between reports, as a logarithm, which no report can see: the place of a process in memory, a
    /// processor's clock, the neighbours of a virtual machine.
    pub const BETWEEN: f64 = 0.1;
    /// The factor on the noise within a report: reports differ by more than the halves of one report.
    pub const FACTOR: f64 = 1.5;

    /// Compares frames of the same batch and frames in flight, and steps of the same name, in order if several have the
    /// name. Steps of profiles of different batches aren't compared.
    ///
    /// The noise of a report is the distance between two halves of its own times. A difference counts if it exceeds
    /// [`BETWEEN`](Comparison::BETWEEN) plus [`FACTOR`](Comparison::FACTOR) times the noise of both reports. Frames may
    /// also differ by the slowdown that the load explains, and the 95 % intervals of their medians mustn't overlap. The
    /// change that all steps have in common is attributed to the machine, up to the noise of frames; half of it counts
    /// as noise, since some steps have more of it than others. Steps that were timed in different ways aren't judged, and
    /// nothing is between reports of different precisions.
    pub fn new(before: &Recorded, after: &Recorded) -> Comparison {
        let (precisions, warnings) = (precisions(before, after), warnings(before, after));
        let mut comparison = Comparison { precisions, warnings, ..Comparison::default() };
        let noise = |pairs: &[(String, Times, Times)], common| {
            let (before, after): (Vec<_>, Vec<_>) = pairs.iter().map(|&(_, before, after)| (before, after)).unzip();
            Comparison::BETWEEN + Comparison::FACTOR * (scatter(&before, common) + scatter(&after, common))
        };
        let frames = comparison.pair(frames(before), frames(after));
        comparison.frame_noise = noise(&frames, false) + load(before).max(load(after));
        let steps = comparison.pair(steps(before), steps(after));
        let method = |of: &Recorded| of.profile.as_ref().map(|profile| profile.method);
        let alike = method(before) == method(after);
        comparison.step_noise = if alike { noise(&steps, true) } else { f64::INFINITY };
        let common = quantile(steps.iter().map(|&(_, before, after)| difference(before, after)), 0.5);
        let most = if comparison.frame_noise.is_finite() { comparison.frame_noise } else { 0.0 };
        comparison.common = common.clamp(-most, most);
        comparison.step_noise += comparison.common.abs() / 2.0;

        let judge = |(what, before, after): (String, Times, Times), common: f64, noise: f64| {
            let beyond = difference(before, after) - common;
            let unknown = comparison.precisions.is_some()
                || noise.is_infinite()
                || before.shortest.is_none()
                || after.shortest.is_none();
            let verdict = match () {
                () if unknown => Verdict::NotJudged,
                () if beyond.abs() <= noise || before.overlaps(after) => Verdict::WithinNoise,
                () if beyond < 0.0 => Verdict::Faster,
                () => Verdict::Slower,
            };
            // A file may hold any numbers.
            let shortest = |times: Times| Duration::try_from_secs_f64(times.judged().exp()).unwrap_or(Duration::MAX);
            let both = before.shortest.is_some() && after.shortest.is_some();
            let [before, after] = [before, after].map(|times| if both { shortest(times) } else { times.median });
            Change { what, before, after, verdict }
        };
        comparison.frames = frames.into_iter().map(|pair| judge(pair, 0.0, comparison.frame_noise)).collect();
        comparison.steps =
            steps.into_iter().map(|pair| judge(pair, comparison.common, comparison.step_noise)).collect();
        comparison
    }

    /// Returns the changes that are slower beyond noise.
    pub fn slower(&self) -> impl Iterator<Item = &Change> {
        self.frames.iter().chain(&self.steps).filter(|change| change.verdict == Verdict::Slower)
    }

    /// Pairs the entries that both reports have, in the order of the first. Records the names of the others.
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

/// A name, and the number of its occurrence, from 1.
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

fn frames(of: &Recorded) -> Vec<(String, Times)> {
    let times = |of: &Distribution| Times { median: of.p50, shortest: of.shortest, interval: Some(of.median_interval) };
    let mut frames = Vec::new();
    for at in of.bench.iter().flat_map(|sweep| &sweep.batches) {
        for measured in &at.in_flight {
            frames.push((format!("batch {}, {} in flight", at.batch, measured.in_flight), times(&measured.latency)));
        }
        frames.push((format!("batch {}, on the device", at.batch), times(&at.device)));
    }
    let profiled = |profile: &Profile| (format!("batch {}, profiled frame", profile.batch), times(&profile.frame));
    frames.extend(of.profile.iter().map(profiled));
    frames
}

fn steps(of: &Recorded) -> Vec<(String, Times)> {
    let steps = |profile: &Profile| {
        let name = |name: &str| format!("batch {}, {name}", profile.batch);
        profile
            .steps
            .iter()
            .map(|step| (name(&step.name), Times { median: step.time, shortest: step.shortest, interval: None }))
            .collect::<Vec<_>>()
    };
    of.profile.iter().flat_map(steps).collect()
}

/// Returns the precisions of two reports, if they differ.
fn precisions(before: &Recorded, after: &Recorded) -> Option<[String; 2]> {
    let [before, after] = [before, after].map(|of| of.environment.as_ref().map(|of| of.precision.clone()));
    before.zip(after).filter(|(before, after)| before != after).map(|(before, after)| [before, after])
}

/// Returns the differences beside the figures, and everything else that may have changed the figures.
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
        // Reports of version 0.1.0 have the driver's name there.
        let profile = |of: &str| if of == "llvmpipe" { "shuffles".to_owned() } else { of.to_owned() };
        same("kernel profile", &profile(&before.kernel_profile), &profile(&after.kernel_profile));
        same("platform", &before.platform, &after.platform);
    }
    if let (Some(before), Some(after)) = (&before.profile, &after.profile) {
        same("method of the profile", &format!("{:?}", before.method), &format!("{:?}", after.method));
    }
    for (which, of) in [("first", before), ("second", after)] {
        let all = [frames(of), steps(of)].concat();
        let single = all.iter().filter(|(_, times)| times.shortest.is_none()).count();
        if single > 0 {
            let part = format!("{single} of {} figures", all.len());
            let why = "which aren't judged: measure longer (--time)";
            warnings.push(format!("the {which} report has no more than one time for {part}, {why}"));
        }
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
