//! What outlives a process: files of a folder, each for one adapter with one driver and one backend.

use crate::error::{ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a kept file is of. What another driver or another version of this crate has left says nothing of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) adapter: String,
    pub(crate) driver: String,
    pub(crate) backend: String,
    pub(crate) version: String,
}

impl Origin {
    pub(crate) fn of(info: &wgpu::AdapterInfo) -> Origin {
        Origin {
            adapter: info.name.clone(),
            driver: driver(info),
            backend: info.backend.to_str().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The driver and its version.
pub(crate) fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

/// The file of such a kind for an adapter, with a name that says which: `peaks-llvmpipe-..-vulkan.json`.
pub(crate) fn path(folder: &Path, kind: &str, info: &wgpu::AdapterInfo) -> PathBuf {
    let name = format!("{} {} {} {}", info.name, info.driver, info.driver_info, info.backend.to_str()).to_lowercase();
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    folder.join(format!("{kind}-{}.json", words.collect::<Vec<_>>().join("-")))
}

/// Writes a file into a folder, which is made if it isn't there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder).map_err(|error| ErrorKind::file(folder, error))?;
    write_whole(path, bytes)
}

/// Writes a file under a name beside its own first, so that no half-written one is ever found.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // Several may write the same file at once.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}-{number}.partial", std::process::id()));
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        // It is what could not be written: if it can't be removed either, the first error is the one to tell.
        let _removed = std::fs::remove_file(&partial);
        ErrorKind::file(path, error).into()
    })
}

/// The 64-bit FNV-1a hash (Fowler, Noll and Vo): the same in every process, and no protection against malice.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    /// By the authors' test vectors.
    #[test]
    fn the_hash_is_fnvs() {
        assert_eq!(super::hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(super::hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
