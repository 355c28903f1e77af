//! Kernels chosen by measurement: by the user, or before this crate was shipped.

use super::cache::{self, Origin};
use crate::plan::Choices;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The stored result for a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tuned {
    /// The chosen kernel.
    pub(crate) kernel: String,
    /// The time of each kernel's steps in a frame, in milliseconds; `None` if the kernel was refused or not timed.
    pub(crate) ms: BTreeMap<String, Option<f64>>,
}

/// The contents of the file.
#[derive(Serialize, Deserialize)]
struct Kept {
    origin: Origin,
    problems: BTreeMap<String, Tuned>,
}

/// Returns the measured choices. Only this function ranks their sources: first the user's measurements, then the
/// shipped table. For all other problems the cost model decides: each operation lists its kernels best first.
pub(super) fn choices(info: &wgpu::AdapterInfo, folder: Option<&Path>) -> Choices {
    let measured = folder.map(|folder| read(info, folder)).unwrap_or_default();
    first_of(measured, include_str!("tuned.json"), &info.name)
}

fn first_of(measured: BTreeMap<String, Tuned>, table: &str, adapter: &str) -> Choices {
    let measured: Choices = measured.into_iter().map(|(problem, tuned)| (problem, tuned.kernel)).collect();
    measured.or(shipped(table, adapter))
}

/// The shipped choices for adapters whose names contain `adapter`.
#[derive(Deserialize)]
struct Shipped {
    adapter: String,
    choices: Choices,
}

fn shipped(table: &str, adapter: &str) -> Choices {
    let table: Vec<Shipped> = serde_json::from_str(table).expect("a test reads it");
    let of = |shipped: &Shipped| adapter.to_lowercase().contains(&shipped.adapter);
    table.into_iter().filter(of).fold(Choices::new(), |known, shipped| known.or(shipped.choices))
}

fn path(info: &wgpu::AdapterInfo, folder: &Path) -> PathBuf {
    cache::path(folder, "tuned", info)
}

/// Returns the folder's results for this adapter with this driver. An unreadable file counts as none.
fn read(info: &wgpu::AdapterInfo, folder: &Path) -> BTreeMap<String, Tuned> {
    let kept = std::fs::read(path(info, folder)).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
    kept.filter(|kept| kept.origin == Origin::new(info)).map(|kept| kept.problems).unwrap_or_default()
}

/// Adds these results to those stored for other problems. Returns the file.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn keep(info: &wgpu::AdapterInfo, folder: &Path, new: BTreeMap<String, Tuned>) -> crate::Result<PathBuf> {
    let mut problems = read(info, folder);
    problems.extend(new);
    let kept = Kept { origin: Origin::new(info), problems };
    let text = serde_json::to_string_pretty(&kept).expect("they are numbers and names");
    let path = path(info, folder);
    cache::write(&path, text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_serves_the_adapters_that_it_names() {
        let table = r#"[
            {"adapter": "radeon", "choices": {"a": "one", "b": "two"}},
            {"adapter": "radeon 9000", "choices": {"b": "three", "c": "four"}}
        ]"#;
        let of = |adapter: &str| {
            let choices = shipped(table, adapter);
            ["a", "b", "c"].map(|problem| choices.get(problem).unwrap_or("-").to_owned())
        };
        assert_eq!(of("AMD Radeon 9000 (RADV)"), ["one", "two", "four"]);
        assert_eq!(of("Radeon 100"), ["one", "two", "-"]);
        assert_eq!(of("llvmpipe"), ["-"; 3]);
        // The user's measurement comes first, even if it says that the default is the best.
        let measured = Tuned { kernel: "default".into(), ms: BTreeMap::new() };
        let all = first_of(BTreeMap::from([("a".into(), measured)]), table, "Radeon 100");
        assert_eq!((all.get("a"), all.get("b"), all.len()), (Some("default"), Some("two"), 2));
        // The crate's table is valid, and its adapter names are in lower case, as the search needs them.
        let ours: Vec<Shipped> = serde_json::from_str(include_str!("tuned.json")).unwrap();
        assert!(
            ours.iter().all(|shipped| shipped.adapter == shipped.adapter.to_lowercase() && !shipped.choices.is_empty())
        );
    }
}
