//! The built command: its output, its files, its failures.
#![cfg(feature = "cli")]

mod denoise;
mod devices;
mod measure;
mod refusals;
mod run;

use shadernet::Weights;
use shadernet::import::npy;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SEVEN: &str = "assets/digits/seven.png";

/// A temporary folder of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Returns the path of a file in the folder.
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), bytes).unwrap();
        self.path(name)
    }

    fn write_npy(&self, name: &str, shape: &[usize], values: &[f32]) -> String {
        npy::write(&self.0.join(name), shape, values).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shadernet"));
    // Without a run-time directory, Mesa's drivers write to standard error. The cache goes to this folder too.
    let folder = env!("CARGO_TARGET_TMPDIR");
    command.args(args).env("XDG_RUNTIME_DIR", folder).env("XDG_CACHE_HOME", folder).env_remove("RUST_LOG");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Returns the output of a successful run.
fn prints(args: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(args).output().unwrap();
    assert!(status.success() && stderr.is_empty(), "{args:?}: {status}\n{}", text(&stderr));
    text(&stdout).to_owned()
}

/// Checks that a run fails with one line that contains all of `what`.
fn fails(args: &[&str], what: &[&str]) {
    fails_with(&mut command(args), what);
}

fn fails_with(command: &mut Command, what: &[&str]) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let stderr = text(&stderr);
    assert_eq!(status.code(), Some(1), "{command:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.trim_end().lines().count() == 1, "{command:?}: {stderr}");
    for what in what {
        assert!(stderr.contains(what), "{command:?}: \"{what}\" isn't in: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
}

/// Returns the first `count` held-out digits, and PyTorch's logits for them.
fn digits(count: usize) -> (Vec<f32>, Vec<f32>) {
    let test = Weights::open("assets/digits/test.safetensors").unwrap();
    let get = |name: &str, shape: &[usize]| test.get(name, shape).unwrap().values();
    (get("images", &[360, 1, 8, 8])[..count * 64].to_vec(), get("logits", &[360, 10])[..count * 10].to_vec())
}

#[test]
fn each_subcommand_explains_itself() {
    for name in ["devices", "run", "summary", "bench", "profile", "tune", "compare", "selftest", "denoise", "demo"] {
        assert!(prints(&[name, "--help"]).contains(&format!("Usage: shadernet {name}")));
        assert!(prints(&["--help"]).contains(name));
    }
    assert!(prints(&["bench", "--help"]).contains("mobilenet_v2"));
    assert_eq!(command(&["run", "digits"]).output().unwrap().status.code(), Some(2));
}

/// The script runs on machines where it can't be mended, so the command must know each of its arguments.
#[test]
fn the_command_knows_what_on_gpu_asks() {
    let script = std::fs::read_to_string("scripts/on-gpu.sh").unwrap();
    let known =
        [("$what", "bench"), ("$network", "resnet50"), ("$time", "1"), ("$1", "1"), ("$name", "name"), ("\"", "")];
    let mut asked = 0;
    for line in script.lines().map(str::trim).filter(|line| line.starts_with("part ")) {
        let line = known.iter().fold(line.to_owned(), |line, (name, value)| line.replace(name, value));
        let Some((_, arguments)) = line.split_once(" shadernet ") else { continue };
        // Arguments are read in order: help is printed only if all before it are known.
        prints(&arguments.split_whitespace().chain(["--help"]).collect::<Vec<_>>());
        asked += 1;
    }
    assert!(asked >= 6, "the script runs the command {asked} times");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        command(&["summary", "resnet152", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert!(status.success() && stderr.is_empty(), "{status}: {}", text(&stderr));
}
