//! An on-disk cache of compiled pipelines, for backends that hand them out.

use super::cache;
use crate::hash::fnv1a;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// wgpu's pipeline cache, and its file.
pub(crate) struct Compiled {
    pub(super) cache: wgpu::PipelineCache,
    path: PathBuf,
    /// The bytes of pipelines loaded from the file.
    pub(super) loaded: usize,
    /// The hash of the file's data.
    kept: Mutex<u64>,
}

impl Compiled {
    /// Opens a device's cache; `None` if the device lacks the feature. A damaged file counts as none.
    pub(super) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Compiled> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(format!("{}.bin", wgpu::util::pipeline_cache_key(info)?));
        let file = std::fs::read(&path).unwrap_or_default();
        let data = checked(&file);
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("shadernet"), data, fallback: true };
        // SAFETY: as far as a process can know, these bytes came from `get_data` through `keep`: no others follow their
        // own hash by accident. Nobody can prove that nobody else writes to the folder; `ContextOptions::cache`
        // requires that only trusted users do. wgpu and the driver check in their own headers that the data are of this
        // device and this driver; `fallback` makes an empty cache of others.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        let loaded = data.map_or(0, <[u8]>::len);
        Some(Compiled { cache, path, loaded, kept: Mutex::new(data.map_or(0, fnv1a)) })
    }

    /// Writes the pipelines compiled since the last write. After a failed write they are compiled again the next time.
    pub(super) fn keep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(data) = self.cache.get_data() else { return };
        let hash = fnv1a(&data);
        if hash == *kept {
            return;
        }
        match cache::write(&self.path, &[&hash.to_le_bytes(), &data[..]].concat()) {
            Ok(()) => *kept = hash,
            Err(error) => log::warn!("the compiled pipelines aren't kept: {error}"),
        }
    }
}

/// Returns the data behind the hash, if the hash is right.
fn checked(file: &[u8]) -> Option<&[u8]> {
    let (hash, data) = file.split_first_chunk()?;
    (!data.is_empty() && u64::from_le_bytes(*hash) == fnv1a(data)).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_read() {
        let data = [7; 100];
        let file = [&fnv1a(&data).to_le_bytes(), &data[..]].concat();
        assert_eq!(checked(&file), Some(&data[..]));
        for length in 0..file.len() {
            assert_eq!(checked(&file[..length]), None, "{length} bytes of {}", file.len());
        }
        for place in 0..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert_eq!(checked(&changed), None, "byte {place} is another");
        }
    }
}
