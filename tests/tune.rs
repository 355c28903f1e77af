//! The tuner: kernels chosen by measuring, and the choices that outlive a process.

use pollster::block_on;
use shadernet::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader};
use shadernet::measure::Outcome;
use shadernet::measure::Tuning;
use shadernet::models::{digits_weights, find};
use shadernet::{BATCH, Context, ContextOptions, ErrorKind, Graph, Io, Model, Op, Result, Shape, seeded_input, wgpu};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Runs one test at a time: measurements disturb each other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(options: &ContextOptions) -> Context {
    block_on(Context::with(options)).unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
}

fn context() -> Context {
    open(&ContextOptions::from_env())
}

/// A temporary folder of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tune-{name}-{}", std::process::id())));
        // An earlier process with the same number may have left a folder.
        let _none = std::fs::remove_dir_all(&folder.0);
        folder
    }

    /// Opens a context that uses the folder.
    fn context(&self) -> Context {
        open(&ContextOptions::from_env().cache(&self.0))
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(files) = std::fs::read_dir(&self.0) else { return Vec::new() };
        files.map(|file| file.expect("it can be listed").path()).collect()
    }

    /// Returns the only file whose name begins with `start`.
    fn file(&self, start: &str) -> PathBuf {
        let name = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
        let found: Vec<PathBuf> = self.files().into_iter().filter(name).collect();
        let [file] = &found[..] else { panic!("one file {start}: {:?}", self.files()) };
        file.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that can't be removed stays in the build's folder.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// Doubles each element after `ROUNDS` rounds of work that no compiler removes, then adds the `f32` of bits `more`.
const DOUBLE: &str = "
override ROUNDS: u32 = 0;
struct Params { size: u32, more: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.size { return; }
    let value = x[id.x];
    var part = 0.0;
    for (var i = 0u; i < ROUNDS; i++) { part = fract(part * 1.37 + value); }
    y[id.x] = 2.0 * value + select(0.0, 1.0, part > 2.0) + bitcast<f32>(params.more);
}";

/// A way to double, right or wrong.
#[derive(Clone, Copy, Debug)]
enum Way {
    Rounds(u32),
    Plus(f32),
    Broken,
}

/// An operation with several kernels, in the order of its cost model.
#[derive(Debug)]
struct Double(Vec<Way>);

impl Op for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let size = io.outputs[0].elements();
        let kernel = |&way: &Way| {
            let (shader, more) = match way {
                Way::Rounds(rounds) => (Shader::new("double", DOUBLE, &[]).set("ROUNDS", rounds), 0.0),
                Way::Plus(more) => (Shader::new("plus", DOUBLE, &[]), more),
                Way::Broken => (Shader::new("broken", "fn main(", &[]), 0.0),
            };
            let params = [size as u32, more.to_bits()];
            let dispatch =
                Dispatch::new(shader, &params, vec![Binding::Input(0), Binding::Output(0)], size.div_ceil(64));
            Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)
        };
        Ok(self.0.iter().map(kernel).collect())
    }
}

const SIZE: usize = 1 << 11;

/// Builds the same problem twice, between operations without a choice.
fn doubles(ways: &[Way]) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, SIZE]);
    let x = graph.push(Double(ways.to_vec()), &[x]).expect("it fits");
    let x = graph.push(Double(ways.to_vec()), &[x]).expect("it fits");
    let x = graph.relu(x).expect("it fits");
    graph.output("y", x);
    graph
}

fn tuned(context: &Context, graph: &Graph, batch: usize, budget: Duration) -> Tuning {
    let model = Model::new(context, graph).expect("it has an output");
    Tuning::measure(&model, batch, budget, |_| ()).unwrap_or_else(|error| panic!("{error}"))
}

const SLOW: Way = Way::Rounds(3000);
const FAST: Way = Way::Rounds(3);
/// A budget that suffices for all of these kernels.
const BUDGET: Duration = Duration::from_secs(60);

#[test]
fn the_fastest_of_those_that_compute_the_same_is_chosen() {
    let _alone = alone();
    let context = context();
    let ways =
        [SLOW, Way::Plus(0.01), Way::Rounds(300), Way::Broken, Way::Plus(f32::NAN), FAST, Way::Plus(f32::INFINITY)];
    // The wrong kernels share a name, and a kernel with another's name is no further candidate.
    for (wrong, why) in [(1, "instead of"), (4, "NaN instead of"), (6, "inf instead of")] {
        let kept = |i: usize| !matches!(ways[i], Way::Plus(_)) || i == wrong;
        let ways: Vec<Way> = (0..ways.len()).filter(|&i| kept(i)).map(|i| ways[i]).collect();
        let graph = doubles(&ways);
        let tuning = tuned(&context, &graph, 2, BUDGET);
        let [problem] = &tuning.problems[..] else { panic!("{:?}", tuning.problems) };
        assert!(problem.name.starts_with(&format!("double [2, {SIZE}] -> [2, {SIZE}] ")), "{}", problem.name);
        assert_eq!((problem.steps, problem.candidates.len()), (2, 5));
        let best = &problem.candidates[problem.best];
        assert_eq!((tuning.verdict.clone(), best.kernel.as_str()), (Outcome::Faster, "double ROUNDS=3"), "{tuning:?}");
        for candidate in &problem.candidates {
            let (refused, kernel) = (candidate.refused.clone().unwrap_or_default(), candidate.kernel.as_str());
            let expected = match kernel {
                "plus" => why,
                "broken" => "doesn't run",
                _ => "",
            };
            assert!(refused.contains(expected) && refused.is_empty() == expected.is_empty(), "{kernel}: {refused}");
            assert_eq!(candidate.time.is_some(), refused.is_empty(), "what is refused isn't timed: {candidate:?}");
        }
        let [before, after] = tuning.frames.as_ref().expect("they were compared");
        assert!(after.p50 < before.p50, "{tuning:?}");

        let model = Model::new(&context, &graph).expect("it has an output");
        let chosen = model.session_with(2, &tuning.choices()).expect("it fits");
        assert_eq!(chosen.plan().tuned(), 1, "{}", chosen.plan());
        let input = seeded_input(3, &Shape::from([2, SIZE]));
        let outputs = |session: shadernet::Session| session.run_blocking(&[&input]).expect("it runs");
        assert_eq!(outputs(chosen), outputs(model.session(2).expect("it fits")));
    }
}

#[test]
fn nothing_is_chosen_without_a_reason() {
    let _alone = alone();
    let context = context();
    let folder = Folder::new("reason");
    // The first kernel is the best right one; a faster one is wrong.
    let tuning = tuned(&context, &doubles(&[Way::Rounds(300), SLOW, Way::Plus(1.0)]), 1, BUDGET);
    assert_eq!((tuning.verdict.clone(), tuning.problems[0].best), (Outcome::AsItWas, 0), "{tuning:?}");
    assert!(tuning.choices().is_empty() && tuning.rounds >= 3);
    // This result is worth keeping.
    assert!(tuning.keep(&context, &folder.0).expect("it can be written").is_some());
    assert_eq!(folder.context().choices().get(&tuning.problems[0].name), Some("double ROUNDS=300"));

    let tuning = tuned(&context, &doubles(&[FAST]), 1, BUDGET);
    assert_eq!((tuning.verdict.clone(), tuning.problems.len()), (Outcome::NoChoice, 0));
    assert_eq!(tuning.keep(&context, &folder.0).expect("there is nothing to write"), None);
}

/// The tuner stops when the time is up, says so, and keeps nothing: a median of a round or two says nothing.
#[test]
fn the_budget_bounds_the_whole() {
    let _alone = alone();
    let context = context();
    let folder = Folder::new("budget");
    let graph = doubles(&[SLOW, FAST]);
    let whole = tuned(&context, &graph, 1, BUDGET);
    assert_eq!(whole.verdict, Outcome::Faster, "{whole:?}");
    for ms in [0, 1, 30] {
        let start = Instant::now();
        let tuning = tuned(&context, &graph, 1, Duration::from_millis(ms));
        assert!(start.elapsed() < Duration::from_secs(10), "{ms} ms took {:?}", start.elapsed());
        assert_eq!(tuning.verdict, Outcome::Unfinished, "{tuning:?}");
        assert!(tuning.rounds < 3 && tuning.frames.is_none() && tuning.choices().is_empty(), "{tuning:?}");
        assert!(tuning.verdict.to_string().contains("the time was up"));
        assert_eq!(tuning.keep(&context, &folder.0).expect("there is nothing to write"), None);
    }
    assert!(folder.files().is_empty());
}

/// Kept choices serve only contexts with that folder, and only on this device.
#[test]
fn what_was_chosen_is_kept_for_the_next_context() {
    let _alone = alone();
    let (context, folder) = (context(), Folder::new("kept"));
    let graph = doubles(&[SLOW, FAST]);
    let session =
        |context: &Context, batch| Model::new(context, &graph).and_then(|model| model.session(batch)).expect("it fits");
    let one = tuned(&context, &graph, 1, BUDGET);
    let path = one.keep(&context, &folder.0).expect("it can be written").expect("there is something");
    assert_eq!(path, folder.file("tuned-"));
    let known = folder.context();
    assert_eq!(
        (known.choices().len(), session(&known, 1).plan().tuned(), session(&known, 3).plan().tuned()),
        (1, 1, 0)
    );
    assert_eq!((context.choices().len(), session(&context, 1).plan().tuned()), (0, 0));
    // Another problem joins the file; the same problem is replaced.
    let three = tuned(&context, &graph, 3, BUDGET);
    three.keep(&context, &folder.0).expect("it can be written");
    let known = folder.context();
    assert_eq!(
        (known.choices().len(), session(&known, 1).plan().tuned(), session(&known, 3).plan().tuned()),
        (2, 1, 1)
    );
    let again = Tuning { verdict: Outcome::WithinNoise, ..one.clone() };
    again.keep(&context, &folder.0).expect("it can be written");
    let known = folder.context();
    assert_eq!(
        (known.choices().len(), session(&known, 1).plan().tuned(), session(&known, 3).plan().tuned()),
        (2, 0, 1)
    );

    // The file holds the times of all kernels.
    one.keep(&context, &folder.0).expect("it can be written");
    let text = std::fs::read_to_string(&path).expect("it is text");
    let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let entry = &json["problems"][&one.problems[0].name];
    let ms = |kernel: &str| entry["ms"][kernel].as_f64().unwrap_or_else(|| panic!("{text}"));
    assert!(entry["kernel"] == "double ROUNDS=3" && ms("double ROUNDS=3") < ms("double ROUNDS=3000"), "{text}");

    // A damaged file, and a file of another driver, adapter or version, counts as none.
    let foreign = |what: &str| {
        let mut json = json.clone();
        json["origin"][what] = "another".into();
        json.to_string()
    };
    let foreign = ["adapter", "driver", "backend", "version"].map(foreign);
    let corrupt = [&text[..text.len() / 2], "", "[]", "{}", "\u{0}"].map(str::to_owned);
    for text in foreign.iter().chain(&corrupt) {
        std::fs::write(&path, text).expect("it can be written");
        assert!(folder.context().choices().is_empty(), "{text}");
    }
    // The file is written anew.
    three.keep(&context, &folder.0).expect("it can be written");
    assert_eq!(folder.context().choices().len(), 1);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("it is there")).expect("it is JSON");
    assert_eq!(json["origin"]["adapter"], context.info().name);
    // Unknown kernels' names are ignored; a folder that can't be written to is an error.
    std::fs::write(&path, text.replace("double ROUNDS=3\"", "double ROUNDS=4\"")).expect("it can be written");
    let known = folder.context();
    assert_eq!((known.choices().len(), session(&known, 1).plan().tuned()), (2, 0));
    assert!(three.keep(&context, &path.join("no folder")).is_err());
}

fn digits() -> Graph {
    let weights = digits_weights().expect("the crate ships them");
    find("digits").and_then(|network| network.graph(&weights, None)).expect("they fit")
}

#[test]
fn compiled_pipelines_are_kept_and_a_corrupt_file_is_not_believed() {
    let _alone = alone();
    let folder = Folder::new("pipelines");
    let (none, first) = (context(), folder.context());
    assert_eq!(none.loaded_pipelines(), None, "nobody asked for it");
    let has = first.device().features().contains(wgpu::Features::PIPELINE_CACHE);
    assert_eq!(first.loaded_pipelines(), has.then_some(0));
    let run = |context: &Context| {
        let session = Model::new(context, &digits()).and_then(|model| model.session(1)).expect("it fits");
        session.run_blocking(&[vec![0.5; 64]]).expect("it runs")
    };
    let expected = run(&none);
    assert_eq!(run(&first), expected);
    if !has {
        assert!(folder.files().is_empty(), "{:?}", folder.files());
        return;
    }
    let path = folder.file("wgpu_pipeline_cache_");
    let bytes = std::fs::read(&path).expect("it is there");
    let second = folder.context();
    assert_eq!((second.loaded_pipelines(), run(&second)), (Some(bytes.len() - 8), expected.clone()));
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 0x10;
    for corrupt in [&bytes[..bytes.len() - 1], &bytes[..7], &[], &changed, &[0; 64]] {
        std::fs::write(&path, corrupt).expect("it can be written");
        let context = folder.context();
        assert_eq!((context.loaded_pipelines(), run(&context)), (Some(0), expected.clone()));
        // The file is written anew.
        assert!(folder.context().loaded_pipelines().is_some_and(|bytes| bytes > 0));
    }
    // A folder that can't be created is no obstacle.
    let context = open(&ContextOptions::from_env().cache(path.join("no folder")));
    assert_eq!((context.loaded_pipelines(), run(&context)), (Some(0), expected));
}

/// The threads that requested the operation's kernels.
static THREADS: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Watched;

impl Op for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        THREADS.lock().expect("nobody panics").push(std::thread::current().id());
        Double(vec![FAST]).kernels(io, caps)
    }
}

#[test]
fn a_session_is_made_off_the_callers_thread() {
    let _alone = alone();
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 2]);
    let y = graph.push(Watched, &[x]).expect("it fits");
    graph.output("y", y);
    let model = Model::new(&context(), &graph).expect("it has an output");
    let (one, two) = (model.session_in_background(1), model.session_in_background(2));
    drop(model);
    let (two, one) = (block_on(two).expect("it fits"), block_on(one).expect("it fits"));
    assert_eq!(one.run_blocking(&[[1.0, 2.0]]).expect("it runs"), [[2.0, 4.0]]);
    assert_eq!(two.run_blocking(&[[1.0, 2.0, 3.0, 4.0]]).expect("it runs"), [[2.0, 4.0, 6.0, 8.0]]);
    let threads = THREADS.lock().expect("nobody panics");
    assert!(threads.len() == 2 && !threads.contains(&std::thread::current().id()), "{threads:?}");
    let model = Model::new(&context(), &doubles(&[FAST])).expect("it has an output");
    let error = block_on(model.session_in_background(1 << 40)).expect_err("no device holds that");
    assert!(matches!(error.kind, ErrorKind::Limit { .. }), "{error}");
}
