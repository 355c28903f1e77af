//! The options that a context of this crate's own is opened with: the adapter, the features, the folder of its files.

use super::context::Context;
use crate::error::{ErrorKind, Result};
use std::path::PathBuf;

/// The choice of an adapter, and of the features and kernels to use.
#[derive(Clone, Debug, Default)]
pub struct ContextOptions {
    adapter: Option<String>,
    backends: Option<wgpu::Backends>,
    pub(crate) portable: bool,
    pub(super) plain: bool,
    matrix_units: bool,
    pub(super) guarded: bool,
    pub(super) cache: Option<PathBuf>,
}

impl ContextOptions {
    /// Returns all adapters that wgpu sees, for [`ContextOptions::adapter`] to choose from.
    pub async fn adapters(&self) -> Vec<wgpu::Adapter> {
        self.instance().enumerate_adapters(self.backends.unwrap_or(wgpu::Backends::all())).await
    }

    /// Returns the default options: the adapter that wgpu prefers, the fastest.
    pub fn new() -> ContextOptions {
        ContextOptions::default()
    }

    /// Returns the options given by wgpu's own environment variables, `WGPU_ADAPTER_NAME` and `WGPU_BACKEND`.
    pub fn from_env() -> ContextOptions {
        ContextOptions {
            adapter: std::env::var("WGPU_ADAPTER_NAME").ok(),
            backends: wgpu::Backends::from_env(),
            ..ContextOptions::default()
        }
    }

    /// Allows only an adapter whose name contains this, ignoring case.
    #[must_use]
    pub fn adapter(self, name: impl Into<String>) -> ContextOptions {
        ContextOptions { adapter: Some(name.into()), ..self }
    }

    /// Allows only these backends.
    #[must_use]
    pub fn backends(self, backends: wgpu::Backends) -> ContextOptions {
        ContextOptions { backends: Some(backends), ..self }
    }

    /// Uses only the kernels that every WebGPU device runs, even if others suit this device better.
    #[must_use]
    pub fn portable(self) -> ContextOptions {
        ContextOptions { portable: true, ..self }
    }

    /// Asks for no more than every WebGPU device promises: default limits, no optional feature. Implies the portable
    /// kernels.
    #[must_use]
    pub fn plain(self) -> ContextOptions {
        ContextOptions { portable: true, plain: true, ..self }
    }

    /// Lets shaders use the adapter's matrix units, if any, by wgpu's `EXPERIMENTAL_COOPERATIVE_MATRIX`. wgpu calls it
    /// experimental: its bugs may let shaders touch memory that isn't theirs. Products of models whose
    /// [precision](crate::Model::precision) isn't `f32` use the units, once a [check](Context::probe) has passed; so does
    /// [`Peaks`](crate::measure), to measure them. [Plain](ContextOptions::plain) devices lack it.
    #[must_use]
    pub fn matrix_units(self) -> ContextOptions {
        ContextOptions { matrix_units: true, ..self }
    }

    /// Lets wgpu guard memory accesses, loops and divisions of this crate's own shaders too, and clear their workgroup
    /// memory. They don't need it, as runs with and without guards can show. Kernels take longer.
    #[must_use]
    pub fn guarded(self) -> ContextOptions {
        ContextOptions { guarded: true, ..self }
    }

    /// Reads and writes files in this folder, which is created at the first write. The context uses the kernels that
    /// [`Tuning`](crate::measure::Tuning) has chosen, and keeps compiled pipelines between processes if the backend has
    /// them (wgpu's `PIPELINE_CACHE`, of Vulkan). Without this option a context touches no file.
    ///
    /// Drivers hardly check compiled pipelines: only trusted users may write to the folder.
    #[must_use]
    pub fn cache(self, folder: impl Into<PathBuf>) -> ContextOptions {
        ContextOptions { cache: Some(folder.into()), ..self }
    }

    /// Returns the features to request from an adapter.
    pub(super) fn features(&self, adapter: &wgpu::Adapter) -> wgpu::Features {
        let compiled = if self.cache.is_some() { wgpu::Features::PIPELINE_CACHE } else { wgpu::Features::empty() };
        let optional = match self {
            ContextOptions { plain: true, .. } => wgpu::Features::empty(),
            ContextOptions { matrix_units: true, .. } => Context::required_features(adapter) | MATRIX_UNITS,
            _ => Context::required_features(adapter),
        } | compiled;
        adapter.features() & optional
    }

    /// Returns true if only portable kernels are wanted.
    pub fn is_portable(&self) -> bool {
        self.portable
    }

    fn instance(&self) -> wgpu::Instance {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = self.backends.unwrap_or(wgpu::Backends::all());
        wgpu::Instance::new(descriptor)
    }

    pub(super) async fn request(&self) -> Result<wgpu::Adapter> {
        let backends = self.backends.unwrap_or(wgpu::Backends::all());
        let error = |there: &[String]| {
            let name = self.adapter.as_ref().map(|name| format!(" whose name contains \"{name}\""));
            let of = self.backends.map(|backends| format!(" of {backends:?}"));
            let built = backends & wgpu::Instance::enabled_backend_features();
            let hint = match (there, built.contains(wgpu::Backends::VULKAN)) {
                _ if built.is_empty() => FEATURES.into(),
                ([], true) => INSTALL.into(),
                ([], false) => "there is vulkan, and metal on macOS, dx12 on Windows".into(),
                _ => format!("there is {}", there.join(", ")),
            };
            ErrorKind::NoAdapter { wanted: name.unwrap_or_default() + &of.unwrap_or_default(), hint }.into()
        };
        let instance = self.instance();
        if let Some(name) = &self.adapter {
            let adapters = instance.enumerate_adapters(backends).await;
            let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
            let found = names.iter().position(|found| found.to_lowercase().contains(&name.to_lowercase()));
            return found.and_then(|i| adapters.into_iter().nth(i)).ok_or_else(|| error(&names));
        }
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        instance.request_adapter(&options).await.map_err(|why| {
            log::debug!("{why}");
            error(&[])
        })
    }
}

pub(super) const MATRIX_UNITS: wgpu::Features = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;

const FEATURES: &str = "this build has no such backend: enable the feature vulkan, metal, dx12 or gl of shadernet";

const INSTALL: &str =
    "install a Vulkan driver; a software one is Mesa's llvmpipe (Debian: mesa-vulkan-drivers and libvulkan1)";
