//! The report as JSON.

use super::{Profile, Report, Summary};
use crate::measure::Bound;
use serde_json::{Value, json};

impl Report {
    /// Returns the report as JSON: the measured figures, and those that follow from them. `docs/report.md` describes
    /// them. Numbers that aren't finite are `null`.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_value(self).expect("its keys are strings");
        if let Some(profile) = &self.profile {
            times(profile, &mut json["profile"]);
        }
        if let Some(peaks) = &self.peaks {
            json["peaks"]["ridge"] = json!(peaks.ridge());
        }
        if let Some(summary) = &self.summary {
            cost(summary, &mut json["summary"]);
        }
        format!("{json:#}\n")
    }
}

/// Adds the figures that follow from a profile's times.
fn times(profile: &Profile, json: &mut Value) {
    let total = profile.total().as_secs_f64();
    json["total_ms"] = json!(1e3 * total);
    json["floor_ms"] = json!(1e3 * profile.floor().as_secs_f64());
    let share = |bound| profile.share(bound);
    json["share"] = json!({
        "compute": share(Bound::Compute),
        "memory": share(Bound::Memory),
        "launch": share(Bound::Launch),
    });
    for (i, step) in profile.steps.iter().enumerate() {
        let json = &mut json["steps"][i];
        json["share"] = json!(step.time.as_secs_f64() / total.max(1e-12));
        json["gflops_per_second"] = json!(step.flops_per_second() / 1e9);
        json["gb_per_second"] = json!(step.bytes_per_second() / 1e9);
        json["intensity"] = json!(step.intensity());
        json["times_floor"] = json!(step.times_floor());
    }
}

/// Adds the figures that follow from a network's cost.
fn cost(summary: &Summary, json: &mut Value) {
    let sizes = Summary::STORAGE.map(|(storage, bits)| (storage.to_owned(), json!(summary.model_bytes(bits))));
    json["model_bytes"] = Value::Object(sizes.into_iter().collect());
    json["intensity"] = json!(summary.intensity());
    let energy = summary.energy_estimate();
    json["energy_estimate"] = json!({ "arithmetic": energy.arithmetic, "memory": energy.memory });
    for (layer, json) in summary.layers.iter().zip(json["layers"].as_array_mut().into_iter().flatten()) {
        json["flops"] = json!(layer.flops());
        json["intensity"] = json!(layer.intensity());
    }
}
