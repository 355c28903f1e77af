//! Measurements on the adapter: peaks, profiles, sweeps. The results must fit the known work and the clock.

use pollster::block_on;
use shadernet::kernel::Caps;
use shadernet::measure::{Bench, Effort, Environment, Method, Peaks, Profile, Sweep, SweepOptions, Unit, step_times};
use shadernet::models::{digits_weights, find};
use shadernet::{BATCH, Constant, Context, ContextOptions, Graph, Model, Precision, Weights, seeded_input};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Opens a shared context, and runs one test at a time: measurements disturb each other.
fn context() -> (MutexGuard<'static, ()>, &'static Context) {
    static ALONE: Mutex<()> = Mutex::new(());
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let context = CONTEXT.get_or_init(|| {
        let context = block_on(Context::with(&ContextOptions::from_env()));
        context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
    });
    (alone, context)
}

fn peaks(context: &Context) -> Peaks {
    Peaks::measure(context).unwrap_or_else(|error| panic!("{error}"))
}

fn digits() -> Graph {
    let weights = digits_weights().expect("the crate ships them");
    find("digits").and_then(|network| network.graph(&weights, None)).expect("they fit")
}

/// Builds matrix products of known size, one after the other.
fn products(sizes: &[usize]) -> Graph {
    let mut graph = Graph::new();
    let mut x = graph.input("x", [BATCH, sizes[0]]);
    for pair in sizes.windows(2) {
        let shape = [pair[1], pair[0]];
        let weight = Constant::new(format!("w{}", pair[1]), shape, seeded_input(1, &shape.into())).unwrap();
        x = graph.linear(x, weight, None).expect("it fits");
    }
    graph.output("y", x);
    graph
}

const FEW: Effort = Effort::Frames(9);

#[test]
fn peaks_are_what_a_device_can_have() {
    let (_alone, context) = context();
    let peaks = peaks(context);
    println!("{peaks:?}");
    // Plausible rates lie between a processor of the nineties and more than any device has.
    assert!((1e8..1e16).contains(&peaks.fma_f32), "{peaks:?}");
    assert!((1e8..1e14).contains(&peaks.copy), "{peaks:?}");
    assert_eq!(peaks.fma_f16.is_some(), context.device().features().contains(shadernet::wgpu::Features::SHADER_F16));
    assert!(peaks.dispatch > Duration::ZERO && peaks.dispatch < Duration::from_millis(50), "{peaks:?}");
    assert!(peaks.readback > peaks.dispatch, "{peaks:?}");
    // The promise is 300 ms; the limit is larger, since other work on the machine may slow it down.
    assert!(peaks.took < Duration::from_millis(900), "{peaks:?}");
}

/// Matrix units are measured if the adapter has some, shaders may use them, and the options request them.
#[test]
fn matrix_units_are_measured_where_there_are_some() {
    use shadernet::wgpu::{
        CooperativeMatrixProperties, CooperativeScalarType::F16, CooperativeScalarType::F32, Features,
    };
    let (_alone, without) = context();
    assert!(without.matrix_units().is_empty() && peaks(without).matrix.is_none(), "nobody asked for them");
    let options = ContextOptions::from_env().matrix_units();
    let context = block_on(Context::with(&options)).expect("there is an adapter");
    let adapters = block_on(options.adapters());
    let adapter = adapters.iter().find(|adapter| adapter.get_info() == *context.info()).expect("it is one of these");
    let has = adapter.features().contains(Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    let units = if has { adapter.cooperative_matrix_properties() } else { Vec::new() };
    assert_eq!(context.matrix_units(), units);
    let plain = block_on(Context::with(&options.plain())).expect("there is an adapter");
    assert!(plain.matrix_units().is_empty(), "a plain device has no optional feature");
    let serves = |unit: &CooperativeMatrixProperties| {
        let square = [8, 16].iter().any(|&side| [unit.m_size, unit.n_size, unit.k_size] == [side; 3]);
        square && [(F16, F32), (F16, F16), (F32, F32)].contains(&(unit.ab_type, unit.cr_type))
    };
    let peaks = peaks(&context);
    println!("{peaks:?} {units:?}");
    assert_eq!(peaks.matrix.is_some(), units.iter().any(serves), "{units:?}");
    assert!(peaks.matrix.is_none_or(|rate| (1e7..1e17).contains(&rate)), "{peaks:?}");
    // A step in matrix units has their floor, any other that of f32. llvmpipe prefers other kernels.
    let peaks = Peaks { matrix: Some(7.0 * peaks.fma_f32), ..peaks };
    let stored = |precision: &Precision| *precision == Precision::F32 || context.caps().packs_f16;
    for precision in [Precision::F32, Precision::F16].into_iter().filter(stored) {
        let model = Model::new(&context, &products(&[512, 512])).expect("it fits").precision(precision);
        let session = model.session(64).expect("it fits");
        let profile = Profile::measure(&session, &peaks, FEW).expect("it runs");
        let (step, in_matrices) = (&profile.steps[0], session.plan().steps[0].matrix_units);
        let unit = if in_matrices { Unit::Matrix } else { Unit::F32 };
        assert!(precision != Precision::F32 || !in_matrices);
        assert_eq!((step.unit, step.floor), (unit, peaks.floor(unit, step.flops, step.bytes, step.dispatches)));
    }
    assert!(peaks.took < Duration::from_millis(900), "{peaks:?}");
}

/// A product [512, 512] x [512, 1024] takes 2 * 512 * 512 * 1024 operations; twice the depth takes about twice as long.
#[test]
fn known_work_is_found() {
    let (_alone, context) = context();
    let model = Model::new(context, &products(&[512, 1024, 1024, 512])).expect("it fits");
    let session = model.session(512).expect("it fits");
    let mut wrong = String::new();
    // Other work on the machine may disturb the times, never the work.
    for _ in 0..5 {
        let peaks = peaks(context);
        let profile = Profile::measure(&session, &peaks, FEW).unwrap_or_else(|error| panic!("{error}"));
        let flops: Vec<u64> = profile.steps.iter().map(|step| step.flops).collect();
        assert_eq!(flops, [2 * 512 * 512 * 1024, 2 * 512 * 1024 * 1024, 2 * 512 * 1024 * 512]);
        let bytes: Vec<u64> = profile.steps.iter().map(|step| step.bytes).collect();
        let of = |m: u64, k: u64, n: u64| 4 * (m * k + k * n + m * n);
        assert_eq!(bytes, [of(512, 512, 1024), of(512, 1024, 1024), of(512, 1024, 512)]);
        // A rate far above the peak is a wrong time or count; a thousandth of the peak is another kind of work.
        let rates: Vec<f64> = profile.steps.iter().map(|step| step.flops_per_second() / peaks.fma_f32).collect();
        let ratio = profile.steps[1].time.as_secs_f64() / profile.steps[0].time.as_secs_f64();
        if rates.iter().all(|rate| (1e-3..1.33).contains(rate)) && (1.2..3.5).contains(&ratio) {
            return;
        }
        wrong = format!("{rates:?} of the peak; twice the work took {ratio} times as long");
    }
    panic!("{wrong}");
}

/// The steps add up to the frame, which is measured separately. The best of fifteen counts: other work may disturb one.
#[test]
fn steps_add_up_to_the_frame() {
    let (_alone, context) = context();
    let peaks = peaks(context);
    let graph =
        find("resnet18").and_then(|network| network.graph(&Weights::seeded(0), Some([64, 64]))).expect("it fits");
    let session =
        Model::new(context, &graph).and_then(|model| model.session(1)).unwrap_or_else(|error| panic!("{error}"));
    let off = |profile: &Profile| {
        let (total, frame) = (profile.total().as_secs_f64(), profile.frame.p50.as_secs_f64());
        (total / frame - 1.0).abs()
    };
    let mut least = f64::INFINITY;
    let mut said = String::new();
    for _ in 0..15 {
        let profile = Profile::measure(&session, &peaks, Effort::Frames(21)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(profile.steps.len(), session.plan().steps.len());
        assert_eq!(profile.note.is_some(), profile.method == Method::Submissions, "{profile:?}");
        said = format!("{} ({:?}): {:?} of {:?}", profile.method, profile.note, profile.total(), profile.frame.p50);
        least = least.min(off(&profile));
        if least < 0.05 {
            break;
        }
    }
    println!("{said}");
    assert!(least < 0.05, "off by {:.1} % at least: {said}", 100.0 * least);
}

#[test]
fn a_device_without_timestamps_is_timed_by_submissions() {
    let (_alone, _) = context();
    let plain = block_on(Context::with(&ContextOptions::from_env().plain())).expect("there is an adapter");
    let session = Model::new(&plain, &digits()).and_then(|model| model.session(4)).expect("it fits");
    let peaks = peaks(&plain);
    let profile = Profile::measure(&session, &peaks, FEW).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((profile.method, profile.batch), (Method::Submissions, 4));
    assert_eq!(profile.note.as_deref(), Some("the device has no timestamps"));
    assert!(profile.steps.iter().all(|step| step.time > Duration::ZERO), "{profile:?}");
    let error = Profile::measure_by(&session, Method::TimestampsAtPasses, &peaks, FEW).expect_err("it has none");
    assert!(error.to_string().contains("timestamps"), "{error}");
    assert_eq!(peaks.fma_f16, None);
}

/// Every kind of measurement takes the time that it is given, and a frame or two more. Earlier, a warm-up, a check of
/// timestamps and five frames came on top: twenty frames and more.
#[test]
fn a_measurement_takes_the_time_that_it_is_given() {
    let (_alone, context) = context();
    let peaks = peaks(context);
    let time = Duration::from_millis(200);
    // A frame takes longer than that on a processor, less on a GPU: both must hold.
    let model = Model::new(context, &products(&[1024; 9])).expect("it fits");
    let session = model.session(256).expect("it fits");
    let bench = Bench::new(&model, 256).expect("it runs");
    let frame = || bench.measure(1, Effort::Frames(1)).map(|measured| measured.latency.max).expect("it runs");
    let measurements: [(&str, &dyn Fn()); 4] = [
        ("step_times", &|| drop(step_times(&session, Effort::within(time)).expect("it runs"))),
        ("Profile", &|| drop(Profile::measure(&session, &peaks, Effort::within(time)).expect("it runs"))),
        ("submissions", &|| {
            let method = Method::Submissions;
            drop(Profile::measure_by(&session, method, &peaks, Effort::within(time)).expect("it runs"));
        }),
        ("Bench", &|| drop(bench.measure(2, Effort::within(time)).expect("it runs"))),
    ];
    for (what, measure) in measurements {
        // The best of three runs counts: other work on the machine may disturb a frame.
        let holds = |_| {
            let before = frame();
            let start = Instant::now();
            measure();
            let (taken, frame) = (start.elapsed(), before.max(frame()));
            println!("{what}: {taken:?}, a frame {frame:?}");
            taken < time * 3 / 2 + 6 * frame
        };
        assert!((0..3).any(holds), "{what} takes longer than {time:?} and a few frames");
    }
}

#[test]
fn a_sweep_measures_what_it_is_told_to() {
    let (_alone, context) = context();
    let model = Model::new(context, &digits()).expect("it fits");
    let options = SweepOptions { batches: vec![4, 1, 4], in_flight: vec![2, 1], effort: FEW, latency_bound: None };
    let mut said = Vec::new();
    let sweep =
        Sweep::measure(&model, &options, |stage| said.push(stage.to_owned())).unwrap_or_else(|error| panic!("{error}"));
    let rows: Vec<_> =
        sweep.rows().map(|(at, measured)| (at.batch, measured.in_flight, measured.latency.count)).collect();
    assert_eq!(rows, [(1, 1, 9), (1, 2, 9), (4, 1, 9), (4, 2, 9)]);
    assert!(said.iter().any(|stage| stage == "batch 4, 2 in flight"), "{said:?}");
    for (at, measured) in sweep.rows() {
        // The device's part of a frame isn't longer than the frame, apart from disturbances by other work.
        assert!(at.device.min < 4 * measured.latency.max, "{at:?}");
        // No frame is longer than the slowest, which bounds the throughput from below.
        let least = at.batch as f64 / measured.latency.max.as_secs_f64();
        assert!(measured.throughput >= 0.99 * least, "{measured:?}");
    }
    assert_eq!(sweep.answers().len(), 2);
    for (batches, in_flight) in [(vec![1], vec![]), (vec![], vec![1]), (vec![0], vec![1]), (vec![1], vec![0])] {
        let options = SweepOptions { batches, in_flight, ..options.clone() };
        assert!(Sweep::measure(&model, &options, |_| ()).is_err(), "{options:?}");
    }
}

/// Without batch sizes, the search goes on until it passes the bound, and finds the best batch within the bound.
#[test]
fn a_sweep_searches_for_the_best_batch_under_a_bound() {
    let (_alone, context) = context();
    let model = Model::new(context, &digits()).expect("it fits");
    let one = Bench::new(&model, 1).and_then(|bench| bench.measure(1, FEW)).expect("it runs");
    let bound = one.latency.max * 3;
    let options = SweepOptions { batches: Vec::new(), in_flight: vec![1], effort: FEW, latency_bound: Some(bound) };
    let sweep = Sweep::measure(&model, &options, |_| ()).unwrap_or_else(|error| panic!("{error}"));
    let batches: Vec<usize> = sweep.batches.iter().map(|at| at.batch).collect();
    assert!(batches.iter().enumerate().all(|(i, &batch)| batch == 1 << i), "{batches:?}");
    let last = &sweep.batches.last().expect("one at least").in_flight[0].latency;
    assert!(last.p99 > bound || *batches.last().expect("one") == 1024, "{batches:?}: {last:?} of {bound:?}");
    if let Some((_, best)) = sweep.best() {
        assert!(best.latency.p99 <= bound);
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that can't be removed stays in the system's temporary folder.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn peaks_are_kept_and_a_corrupt_file_is_not_believed() {
    let (_alone, context) = context();
    let folder = Folder(std::env::temp_dir().join(format!("shadernet-peaks-{}", std::process::id())));
    let first = Peaks::cached(context, &folder.0).expect("it measures");
    let files: Vec<PathBuf> =
        std::fs::read_dir(&folder.0).expect("it is there").map(|file| file.expect("a file").path()).collect();
    let [file] = &files[..] else { panic!("one file: {files:?}") };
    let text = std::fs::read_to_string(file).expect("it is text");
    let read = || Peaks::cached(context, &folder.0).expect("it measures");
    // Peaks from a quiet machine are used unchanged; peaks from a busy one may only improve.
    let quiet = |text: &str| {
        let mut value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        value["environment"]["load"] = 0.0.into();
        value
    };
    let mut better = quiet(&text);
    better["peaks"]["fma_f32"] = 12345e9.into();
    std::fs::write(file, better.to_string()).expect("it can be written");
    assert_eq!(read().fma_f32, 12345e9);
    better["environment"]["load"] = 3.0.into();
    std::fs::write(file, better.to_string()).expect("it can be written");
    assert_eq!(read().fma_f32, 12345e9);
    // Impossible peaks, and another driver's peaks, are measured again.
    let mut wrong = quiet(&text);
    wrong["peaks"]["copy"] = 1e-300.into();
    let mut other = better.clone();
    other["environment"]["driver"] = "another one".into();
    for corrupt in [&text[..text.len() / 2], "", "[]", &wrong.to_string(), &other.to_string()] {
        std::fs::write(file, corrupt).expect("it can be written");
        let again = read();
        assert!(again.copy > 0.0 && again.fma_f32 < 12345e9 && again.fma_f32 > first.fma_f32 / 50.0, "{again:?}");
    }
    // A folder that can't be written to is no error.
    assert!(Peaks::cached(context, &file.join("no folder")).is_ok());
}

#[test]
fn the_environment_says_where() {
    let (_alone, context) = context();
    let of = Environment::new(context);
    assert_eq!(of.adapter, context.info().name);
    assert_eq!((of.version.as_str(), of.precision.as_str()), (env!("CARGO_PKG_VERSION"), "f32"));
    assert_eq!(of.kernel_profile, context.caps().profile());
    assert!(of.unix_time > 1_700_000_000 && of.cores > 0, "{of:?}");
    assert_eq!((Caps::portable().profile(), Caps::llvmpipe().profile()), ("portable", "shuffles"));
}
