//! An on-disk cache of a device's peaks.

use super::{Environment, Peaks};
use crate::Context;
use crate::error::Result;
use crate::gpu::cache::{self, Origin};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The contents of a cache file.
#[derive(Serialize, Deserialize)]
struct Cached {
    environment: Environment,
    peaks: Peaks,
}

impl Peaks {
    /// Returns the peaks of this adapter and driver from a file in `folder`. It measures them and writes the file if
    /// there is none, or if the file's peaks were measured under load or on a device with fewer features. Then it keeps
    /// the better of both: they are peaks.
    ///
    /// An unreadable file counts as missing. If the file can't be written, the peaks are measured again the next time.
    pub fn cached(context: &Context, folder: &Path) -> Result<Peaks> {
        match Peaks::read(context, folder) {
            Some(cached) if !cached.environment.is_loaded() && cached.peaks.has_all(context) => Ok(cached.peaks),
            _ => Peaks::refresh(context, folder),
        }
    }

    /// Measures the peaks again, and keeps the better of the file's and the new ones.
    pub fn refresh(context: &Context, folder: &Path) -> Result<Peaks> {
        let environment = Environment::new(context);
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
        (cached.environment.origin() == Origin::new(context.info()) && cached.peaks.is_plausible()).then_some(cached)
    }

    /// Returns the higher rates and the lower costs of two measurements.
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

    /// Returns true if no peak is missing that this device has.
    fn has_all(&self, context: &Context) -> bool {
        let half = context.device().features().contains(wgpu::Features::SHADER_F16);
        (self.fma_f16.is_some() || !half) && (self.matrix.is_some() || context.matrix_units().is_empty())
    }

    /// Returns true if a device could have these peaks.
    fn is_plausible(&self) -> bool {
        let rates = [Some(self.fma_f32), Some(self.copy), self.fma_f16, self.matrix];
        let times = [self.dispatch, self.barrier, self.readback];
        rates.into_iter().flatten().all(|rate| (1e3..1e16).contains(&rate))
            && times.iter().all(|time| time.as_secs() == 0)
    }
}

fn path(context: &Context, folder: &Path) -> PathBuf {
    cache::path(folder, "peaks", context.info())
}
