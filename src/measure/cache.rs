//! Peaks that outlive a process.

use super::{Environment, Peaks};
use crate::Context;
use crate::error::Result;
use crate::gpu::cache::{self, Origin};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Cached {
    environment: Environment,
    peaks: Peaks,
}

impl Peaks {
    /// The peaks of this adapter with this driver, as a file of that folder has them; measured and written there if none has, or if
    /// those were measured while the machine had other work, or on a device with fewer features. Then the better ones of both are
    /// kept: they are peaks.
    ///
    /// A file that can't be read is as good as none, and one that can't be written is measured again the next time.
    pub fn cached(context: &Context, folder: &Path) -> Result<Peaks> {
        match Peaks::read(context, folder) {
            Some(cached) if !cached.environment.is_loaded() && cached.peaks.has_all(context) => Ok(cached.peaks),
            _ => Peaks::refresh(context, folder),
        }
    }

    /// Measures them again, and keeps the better ones of the file and these.
    pub fn refresh(context: &Context, folder: &Path) -> Result<Peaks> {
        let environment = Environment::of(context);
        let mut peaks = Peaks::measure(context)?;
        if let Some(before) = Peaks::read(context, folder) {
            peaks = peaks.or_better(&before.peaks);
        }
        let cached = Cached { environment, peaks };
        let text = serde_json::to_string_pretty(&cached).expect("they are numbers and names");
        if let Err(error) = cache::write(&path(context, folder), text.as_bytes()) {
            log::warn!("the device's peaks aren't kept: {error}");
        }
        Ok(cached.peaks)
    }

    fn read(context: &Context, folder: &Path) -> Option<Cached> {
        let text = std::fs::read(path(context, folder)).ok()?;
        let cached: Cached = serde_json::from_slice(&text).ok()?;
        (cached.environment.origin() == Origin::of(context.info()) && cached.peaks.is_plausible()).then_some(cached)
    }

    /// The higher rates and the lower costs of two measurements.
    fn or_better(self, other: &Peaks) -> Peaks {
        let higher = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a.max(b)).or(a).or(b);
        Peaks {
            fma_f32: self.fma_f32.max(other.fma_f32),
            fma_f16: higher(self.fma_f16, other.fma_f16),
            matrix: higher(self.matrix, other.matrix),
            copy: self.copy.max(other.copy),
            dispatch: self.dispatch.min(other.dispatch),
            barrier: self.barrier.min(other.barrier),
            readback: self.readback.min(other.readback),
            took: self.took,
        }
    }

    /// Whether all is there that this device could be asked for.
    fn has_all(&self, context: &Context) -> bool {
        let half = context.device().features().contains(wgpu::Features::SHADER_F16);
        (self.fma_f16.is_some() || !half) && (self.matrix.is_some() || context.matrix_units().is_empty())
    }

    /// Whether a file holds what a device could have.
    fn is_plausible(&self) -> bool {
        let rates = [Some(self.fma_f32), Some(self.copy), self.fma_f16, self.matrix];
        let times = [self.dispatch, self.barrier, self.readback];
        rates.into_iter().flatten().all(|rate| (1e3..1e21).contains(&rate)) && times.iter().all(|time| time.as_secs() == 0)
    }
}

fn path(context: &Context, folder: &Path) -> PathBuf {
    cache::path(folder, "peaks", context.info())
}
