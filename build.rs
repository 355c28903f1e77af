//! Tells the crate which commit it is built from, so that measurements can say it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(top) = git(&["rev-parse", "--show-toplevel"]) else { return };
    // As somebody's dependency it may lie in another repository.
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize();
    if here.is_err() || here.ok() != Path::new(&top).canonicalize().ok() {
        return;
    }
    // The log of HEAD grows with each commit and each checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    for path in ["src", "shaders", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let tracked = ["status", "--porcelain", "--untracked-files=no", "--", "src", "shaders", "Cargo.toml", "Cargo.lock"];
    if let (Some(commit), Some(changes)) = (git(&["rev-parse", "--short=12", "HEAD"]), git(&tracked)) {
        let dirty = if changes.is_empty() { "" } else { "-dirty" };
        println!("cargo::rustc-env=SHADERNET_COMMIT={commit}{dirty}");
    }
}

/// What git says; none without git or a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
