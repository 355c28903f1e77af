//! The on-disk cache: one file per adapter, driver and backend.

use crate::error::{ErrorKind, Result};
use crate::files;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The adapter, driver and version that wrote a cached file. A file of another origin isn't used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) adapter: String,
    pub(crate) driver: String,
    pub(crate) backend: String,
    pub(crate) version: String,
}

impl Origin {
    pub(crate) fn new(info: &wgpu::AdapterInfo) -> Origin {
        Origin {
            adapter: info.name.clone(),
            driver: driver(info),
            backend: info.backend.to_str().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Returns the driver and its version.
pub(crate) fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

/// Returns the path of a kind of file for an adapter. The name tells the adapter: `peaks-llvmpipe-..-vulkan.json`.
pub(crate) fn path(folder: &Path, kind: &str, info: &wgpu::AdapterInfo) -> PathBuf {
    let name = format!("{} {} {} {}", info.name, info.driver, info.driver_info, info.backend.to_str()).to_lowercase();
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    folder.join(format!("{kind}-{}.json", words.collect::<Vec<_>>().join("-")))
}

/// Writes a file into a folder, and creates the folder if it is missing.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder).map_err(|error| ErrorKind::file(folder, error))?;
    files::write_whole(path, bytes)
}
