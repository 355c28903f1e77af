//! The environment of a measurement.

use crate::gpu::cache::{self, Origin};
use crate::{Context, Precision};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// The facts that a measurement depends on, beside the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The adapter's name.
    pub adapter: String,
    /// The type of device: `DiscreteGpu`, `IntegratedGpu`, `VirtualGpu`, `Cpu` or `Other`.
    pub device_type: String,
    /// The backend: `vulkan`, `metal`, `dx12`, `gl` or `webgpu`.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// The kernels for the device's facts: `portable`, `textures` or `shuffles` (`llvmpipe` in older reports).
    pub kernel_profile: String,
    /// The [`Precision`] of the network: `f32`, `f16` or `mixed`.
    pub precision: String,
    /// The version of this crate.
    pub version: String,
    /// The commit of the build, with `-dirty` if files had changed; `None` if it wasn't built in its repository.
    pub commit: Option<String>,
    /// The processor and the operating system: `x86_64-linux`.
    pub platform: String,
    /// The processor's cores that this process may use.
    pub cores: usize,
    /// The processes that wanted to run, on average over the last minute; `None` if the system doesn't say.
    pub load: Option<f64>,
    /// The time in seconds since 1970, UTC.
    pub unix_time: u64,
}

impl Environment {
    /// Returns the environment at this moment.
    pub fn new(context: &Context) -> Environment {
        let info = context.info();
        Environment {
            adapter: info.name.clone(),
            device_type: format!("{:?}", info.device_type),
            backend: info.backend.to_str().to_owned(),
            driver: cache::driver(info),
            kernel_profile: context.caps().profile().to_owned(),
            precision: Precision::F32.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("SHADERNET_COMMIT").map(str::to_owned),
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load(),
            unix_time: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        }
    }

    /// Sets the precision of the network.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Environment {
        Environment { precision: precision.to_string(), ..self }
    }

    /// Returns the adapter, driver, backend and version that the environment describes.
    pub(crate) fn origin(&self) -> Origin {
        let Environment { adapter, driver, backend, version, .. } = self.clone();
        Origin { adapter, driver, backend, version }
    }

    /// Returns true if other work may have slowed a measurement down: more than half a core was busy before it began.
    pub fn is_loaded(&self) -> bool {
        self.load.is_some_and(|load| load > 0.5)
    }
}

/// Returns Linux's load average of the last minute.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
