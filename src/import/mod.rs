//! Files to tensors and back: host memory only, no GPU.

#[cfg(feature = "image")]
pub mod image;
pub mod npy;

use crate::error::{ErrorKind, Result};
use std::path::Path;

/// Writes a file under a name beside its own first, so that no half-written one is ever found.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        // It is what could not be written: if it can't be removed either, the first error is the one to tell.
        let _removed = std::fs::remove_file(&partial);
        ErrorKind::file(path, error).into()
    })
}
