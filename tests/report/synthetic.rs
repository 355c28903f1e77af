//! Reports with made-up figures: nothing here was measured.

use shadernet::kernel::Caps;
use shadernet::measure::{
    Activations, Answer, AtBatch, Bound, Distribution, Environment, Measured, Method, NetworkInfo, Peaks, Profile,
    Report, StepTime, Summary, Sweep, Unit,
};
use shadernet::plan::Plan;
use shadernet::{Weights, models};
use std::time::Duration;

/// Returns times around `ms` with a tail; the same arguments give the same times.
pub(crate) fn times(ms: f64, count: usize) -> Distribution {
    let noise = |i: usize| ((i * 7919 + 13) % 101) as f64 / 100.0;
    let time = |i| Duration::from_secs_f64(ms * (1.0 + 0.6 * noise(i).powi(4) + 0.01 * noise(i + 50)) / 1e3);
    Distribution::new((0..count).map(time).collect()).expect("one or more")
}

pub(crate) fn environment() -> Environment {
    Environment {
        adapter: "synthetic".into(),
        device_type: "Other".into(),
        backend: "vulkan".into(),
        driver: "synthetic driver 1.2.3".into(),
        kernel_profile: "portable".into(),
        precision: "f32".into(),
        version: "0.0.0".into(),
        commit: Some("0123456789ab".into()),
        platform: "x86_64-linux".into(),
        cores: 8,
        load: Some(0.1),
        unix_time: 1_700_000_000,
    }
}

pub(crate) fn peaks() -> Peaks {
    Peaks {
        fma_f32: 10e12,
        fma_f16: Some(20e12),
        matrix: Some(80e12),
        copy: 400e9,
        dispatch: Duration::from_nanos(800),
        barrier: Duration::from_nanos(1200),
        readback: Duration::from_micros(45),
        took: Duration::from_secs(1),
    }
}

pub(crate) fn at_batch(batch: usize, in_flight: &[usize]) -> AtBatch {
    let ms = 1.5 + 0.5 * batch as f64;
    let measured = |&in_flight: &usize| {
        let overlap = 1.0 + 0.3 * (1.0 - 1.0 / in_flight as f64);
        let latency = times(ms * in_flight as f64 / overlap, 200);
        Measured { in_flight, latency, throughput: batch as f64 * overlap / ms * 1e3 }
    };
    AtBatch {
        batch,
        session: Duration::from_millis(100),
        first: Duration::from_millis(120),
        tuned: 2,
        device: times(0.8 * ms, 50),
        device_method: Method::TimestampsAtPasses,
        in_flight: in_flight.iter().map(measured).collect(),
    }
}

pub(crate) fn sweep(batches: &[usize]) -> Sweep {
    let batches = batches.iter().map(|&batch| at_batch(batch, &[1, 2, 4])).collect();
    Sweep { batches, latency_bound: Some(Duration::from_millis(20)) }
}

/// Returns a profile of this number of steps, of all kinds.
pub(crate) fn profile(steps: usize) -> Profile {
    let peaks = peaks();
    let step = |i: usize| {
        let (flops, bytes) = match i % 4 {
            0 => (2_000_000_000 / (1 + i as u64), 1_500_000),
            1 => (60_000_000, 24_000_000 / (1 + i as u64 / 2)),
            2 => (2_000, 8_000),
            _ => (400_000_000, 3_000_000 + 9_000 * i as u64),
        };
        let unit = if i % 8 == 3 { Unit::Matrix } else { Unit::F32 };
        let floor = peaks.floor(unit, flops, bytes, 1);
        let time = floor.time.mul_f64(1.1 + 0.37 * (i % 7) as f64);
        let op = ["conv2d", "add", "pool2d", "linear"][i % 4].to_owned();
        StepTime {
            name: format!("layer{}.{}", i / 4, i % 4),
            op,
            dispatches: 1,
            time,
            shortest: Some([0.97, 0.98]),
            flops,
            bytes,
            unit,
            floor,
        }
    };
    let steps: Vec<StepTime> = (0..steps).map(step).collect();
    let total = steps.iter().map(|step| step.time).sum::<Duration>().as_secs_f64();
    Profile {
        batch: 8,
        method: Method::TimestampsAtPasses,
        note: Some("timestamps inside passes aren't to be had".into()),
        tuned: 2,
        frames: 30,
        frame: times(950.0 * total.max(1e-6), 40),
        launch_share: 0.03,
        steps,
    }
}

/// Returns a report with nothing but a name.
pub(crate) fn empty() -> Report {
    Report::new(NetworkInfo {
        name: "synthetic".into(),
        input_shapes: vec![vec![8, 3, 64, 64]],
        weights: "seed 0".into(),
    })
}

/// Returns a report with all parts.
pub(crate) fn full() -> Report {
    let graph = models::find("resnet18").unwrap().graph(&Weights::seeded(0), Some([64, 64])).unwrap();
    let question = "Where does more batch no longer pay?".to_owned();
    let answer = "At batch 16: from 8 to 16 throughput rises by 9 %, latency by 83 %.".to_owned();
    Report {
        environment: Some(environment()),
        peaks: Some(peaks()),
        bench: Some(sweep(&[1, 2, 4, 8, 16, 32])),
        answers: vec![Answer { question, answer }],
        profile: Some(profile(30)),
        activations: Some(Activations::new(&Plan::new(&graph.fused(), 8, &Caps::portable()).unwrap())),
        summary: Some(Summary::new(&graph, 8).unwrap()),
        ..empty()
    }
}

/// Returns the bounds of a profile's steps, in order.
pub(crate) fn bounds(profile: &Profile) -> Vec<Bound> {
    profile.steps.iter().map(|step| step.floor.bound).collect()
}
