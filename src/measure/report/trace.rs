//! A frame as a trace.

use super::Report;
use serde_json::{Value, json};
use std::time::Duration;

/// The tracks: the steps, and the frame as a whole.
const STEPS: u32 = 1;
const FRAME: u32 = 2;

impl Report {
    /// Returns one frame as [trace events], which Perfetto and `chrome://tracing` open.
    ///
    /// It is a frame that never was: each step takes its median time, and the steps lie end to end. A second track has
    /// the median of whole frames. Times are in microseconds, as in the format. Without a profile the trace is empty.
    ///
    /// [trace events]: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    pub fn to_trace(&self) -> String {
        let adapter = self.environment.as_ref().map_or("device", |environment| &environment.adapter);
        let mut events = vec![name("process_name", None, adapter)];
        if let Some(profile) = &self.profile {
            events.push(name("thread_name", Some(STEPS), "steps: medians, end to end"));
            events.push(name("thread_name", Some(FRAME), "frame: median, measured as a whole"));
            let mut start = Duration::ZERO;
            for step in &profile.steps {
                let bound = step.floor.bound;
                let mut event = span(STEPS, &step.name, &step.op, start, step.time);
                event["args"] = json!({
                    "op": step.op, "dispatches": step.dispatches, "flops": step.flops, "bytes": step.bytes,
                    "unit": step.unit, "bound": bound, "floor_us": us(step.floor.time),
                });
                events.push(event);
                start = start.saturating_add(step.time);
            }
            let what = format!("{}, batch {}", self.network.name, profile.batch);
            events.push(span(FRAME, &what, "frame", Duration::ZERO, profile.frame.p50));
        }
        let json = json!({ "displayTimeUnit": "ms", "traceEvents": events });
        format!("{json:#}\n")
    }
}

/// Returns the event that names a track, or the process if `track` is `None`.
fn name(what: &str, track: Option<u32>, name: &str) -> Value {
    json!({ "ph": "M", "pid": 1, "tid": track.unwrap_or(0), "name": what, "args": { "name": name } })
}

fn span(track: u32, name: &str, category: &str, start: Duration, time: Duration) -> Value {
    json!({ "ph": "X", "pid": 1, "tid": track, "name": name, "cat": category, "ts": us(start), "dur": us(time) })
}

/// Returns microseconds, to the nanosecond.
fn us(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}
