//! The examples run, and say what they should.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs an example of this build (cargo builds them with the tests) and returns what it prints.
fn run(name: &str, arguments: &[&str]) -> String {
    let tests = std::env::current_exe().expect("a test has a path");
    let folder: PathBuf = tests.ancestors().nth(2).expect("tests lie in deps").join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(&program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn hello_computes() {
    assert!(run("hello", &[]).contains("[6.5, 0.0]"));
}

#[test]
fn batching_times_four_ways() {
    let printed = run("batching", &["64"]);
    assert_eq!(printed.matches("images/s").count(), 4, "{printed}");
}

#[test]
fn a_host_app_keeps_its_device() {
    let printed = run("host_app", &[]);
    // Upscaling a grey area gives that grey.
    for grey in ["0.25", "0.50", "0.75"] {
        assert!(printed.contains(&format!("a grey of {grey} became {grey}")), "{printed}");
    }
}

#[test]
#[cfg(feature = "image")]
fn a_digit_is_read() {
    assert!(run("classify", &["assets/digits/seven.png"]).contains("class 7"));
}

#[test]
#[cfg(feature = "image")]
fn a_photograph_doubles() {
    let to = std::env::temp_dir().join(format!("shadernet-upscale-{}.png", std::process::id()));
    let printed = run("upscale", &["assets/upscale/photo_half.png", to.to_str().expect("a path of letters")]);
    assert!(printed.contains("[1, 3, 256, 384]"), "{printed}");
    let size = std::fs::metadata(Path::new(&to)).expect("it was written").len();
    assert!(size > 100_000, "{size} bytes for a photograph of 384x256 pixels");
    std::fs::remove_file(&to).expect("it is there");
}

#[test]
fn text_is_generated() {
    let printed = run("generate", &["JULIET:\n", "40", "0.7", "3"]);
    assert!(printed.starts_with("JULIET:\n"), "{printed}");
    let (written, figures) = printed.split_once("\n\non ").expect("figures follow the text");
    assert_eq!(written.chars().count(), "JULIET:\n".len() + 40, "{printed}");
    assert_eq!(figures.matches("tokens/s").count(), 3, "{printed}");
    // The same seed writes the same text.
    assert!(run("generate", &["JULIET:\n", "40", "0.7", "3"]).starts_with(written));
}
