//! Files: mapped into memory to read them, written whole.

use crate::error::{ErrorKind, Result};
use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The most links that lead to a file one after another, as on Linux.
const MOST_LINKS: usize = 40;

/// The bytes of a file: mapped into memory, part of the program, or the caller's.
#[derive(Debug)]
pub(crate) enum Mapped {
    File(Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl Mapped {
    /// Maps a file.
    pub(crate) fn open(path: &Path) -> Result<Mapped> {
        let failed = |problem: &dyn std::fmt::Display| ErrorKind::file(path, problem);
        if path.is_dir() {
            return Err(failed(&"a folder, not a file").into());
        }
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        // SAFETY: as with every mapped file, this process fails or reads other numbers if somebody truncates or
        // rewrites it meanwhile. They are only numbers: no index is taken from the file after it was checked.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| failed(&error))?;
        Ok(Mapped::File(map))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Mapped::File(map) => map,
            Mapped::Static(bytes) => bytes,
            Mapped::Owned(bytes) => bytes,
        }
    }

    /// Lets the system take back the pages of a range, which otherwise count as this process's until they are needed.
    pub(crate) fn done_with(&self, range: &Range<usize>) {
        #[cfg(not(unix))]
        let _unused = range;
        #[cfg(unix)]
        if let Mapped::File(map) = self {
            // SAFETY: the mapping is of a file and read-only, so that no page is lost: a later read loads the page from
            // the file again.
            let advised = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
            if let Err(error) = advised {
                log::debug!("the pages of weights that have been read stay: {error}");
            }
        }
    }
}

/// Writes a file under a temporary name beside its own, then renames it: a half-written file is never found. A link stays, and
/// so do the permissions of a file that was there. What is no file, such as a pipe, is written into.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // Several threads or processes may write the same file at once.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let failed = |error| ErrorKind::file(path, error).into();
    let there = std::fs::metadata(path).ok();
    if there.as_ref().is_some_and(|there| !there.is_file() && !there.is_dir()) {
        return std::fs::write(path, bytes).map_err(failed);
    }
    let target = target(path).map_err(failed)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut partial = target.as_os_str().to_owned();
    partial.push(format!(".{}-{number}.partial", std::process::id()));
    let written = std::fs::write(&partial, bytes)
        .and_then(|()| there.map_or(Ok(()), |there| std::fs::set_permissions(&partial, there.permissions())))
        .and_then(|()| std::fs::rename(&partial, &target));
    written.map_err(|error| {
        // If the partial file can't be removed either, the first error is the one to report.
        let _removed = std::fs::remove_file(&partial);
        failed(error)
    })
}

/// Returns the path that a chain of links leads to, whether there is a file or not.
fn target(path: &Path) -> std::io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&target) {
            // A relative link starts from the folder that it is in.
            Ok(next) => target = target.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(std::io::Error::other(format!("more than {MOST_LINKS} links in a row")))
}
