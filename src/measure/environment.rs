//! Where and when something was measured.

use crate::Context;
use crate::gpu::cache::{self, Origin};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// What a measurement depends on beside the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The adapter's name.
    pub adapter: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `VirtualGpu`, `Cpu` or `Other`.
    pub device_type: String,
    /// `vulkan`, `metal`, `dx12`, `gl` or `webgpu`.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// The kernels that the device's facts lead to: `portable`, `textures` or `shuffles` (`llvmpipe` in reports of older versions).
    pub kernel_profile: String,
    /// The element type of weights, values and sums.
    pub precision: String,
    /// The version of this crate.
    pub version: String,
    /// The commit that it was built from, with `-dirty` if files had changed; none if it wasn't built in its repository.
    pub commit: Option<String>,
    /// `x86_64-linux`: processor and operating system.
    pub platform: String,
    /// The processor's cores that this process may use.
    pub cores: usize,
    /// How many processes wanted to run, on average over the last minute; none where the system doesn't say.
    pub load: Option<f64>,
    /// Seconds since 1970, UTC.
    pub unix_time: u64,
}

impl Environment {
    /// The environment of this moment.
    pub fn of(context: &Context) -> Environment {
        let info = context.info();
        Environment {
            adapter: info.name.clone(),
            device_type: format!("{:?}", info.device_type),
            backend: info.backend.to_str().to_owned(),
            driver: cache::driver(info),
            kernel_profile: context.caps().profile().to_owned(),
            precision: "f32".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("SHADERNET_COMMIT").map(str::to_owned),
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load(),
            unix_time: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        }
    }

    /// Of what it says something.
    pub(crate) fn origin(&self) -> Origin {
        let Environment { adapter, driver, backend, version, .. } = self.clone();
        Origin { adapter, driver, backend, version }
    }

    /// Whether other work may have slowed a measurement down: more than half a core was busy before it began.
    pub fn is_loaded(&self) -> bool {
        self.load.is_some_and(|load| load > 0.5)
    }
}

/// Linux's load average of the last minute.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
