//! Compiled pipelines that outlive a process, where the backend hands them out.

use super::cache;
use crate::hash::fnv1a;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// wgpu's cache of pipelines, and the file that it came from and goes to.
pub(crate) struct Compiled {
    pub(super) cache: wgpu::PipelineCache,
    path: PathBuf,
    /// The bytes that the file had for it.
    pub(super) loaded: usize,
    /// The hash of what the file holds.
    kept: Mutex<u64>,
}

impl Compiled {
    /// None where the device hasn't got the feature. A file that isn't as it was written is as good as none.
    pub(super) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Compiled> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(format!("{}.bin", wgpu::util::pipeline_cache_key(info)?));
        let file = std::fs::read(&path).unwrap_or_default();
        let data = checked(&file);
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("shadernet"), data, fallback: true };
        // SAFETY: the data are bytes that `get_data` gave to `keep`, as far as a process can know: no others have this hash
        // before them by accident. Nobody can prove that nobody else writes to the folder: `ContextOptions::cache` says that it
        // has to be one where only those write whom the user trusts. wgpu and the driver check in their own headers that the data
        // are this device's and this driver's; `fallback` makes an empty cache of others.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        let loaded = data.map_or(0, <[u8]>::len);
        Some(Compiled { cache, path, loaded, kept: Mutex::new(data.map_or(0, fnv1a)) })
    }

    /// Writes what was compiled since. A file that can't be written is compiled again the next time.
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

/// What is behind its own hash.
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
