//! `shadernet devices`, the choice of an adapter and of kernels, and `shadernet selftest`.

use super::{Folder, SEVEN, command, fails, fails_with, prints, text};
use serde_json::Value;

#[test]
fn devices_marks_the_one_that_is_taken() {
    let all = prints(&["devices"]);
    assert_eq!(all.lines().filter(|line| line.starts_with("* ")).count(), 1, "{all}");
    for what in ["driver", "kernel profile", "subgroups", "f16", "timestamps", "max buffer", "max texture"] {
        assert!(all.contains(what), "{what} isn't in:\n{all}");
    }
    fails(&["devices", "--adapter", "abacus"], &["no GPU adapter", "abacus"]);
    let logging = command(&["devices"]).env("RUST_LOG", "debug").output().unwrap();
    assert!(!logging.stderr.is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_it_says_how_to_get_one() {
    for args in [&["devices"][..], &["run", "digits", "--input", SEVEN], &["bench", "digits"], &["demo"]] {
        let mut command = command(args);
        command.env("VK_ICD_FILENAMES", "/nonexistent").env("VK_DRIVER_FILES", "/nonexistent");
        fails_with(&mut command, &["no GPU adapter", "install a Vulkan driver"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_backend_can_be_asked_for() {
    let taken = prints(&["run", "digits", "--backend", "vulkan", "--input", SEVEN, "--top", "1"]);
    assert!(taken.starts_with("digit 7 "), "{taken}");
    fails(&["run", "digits", "--backend", "metal", "--input", SEVEN], &["no GPU adapter", "METAL"]);
}

/// An adapter without matrix units ignores the option.
#[test]
fn matrix_units_can_be_asked_for() {
    let devices = prints(&["devices", "--matrix-units"]);
    assert_eq!(devices.lines().filter(|line| line.starts_with("* ")).count(), 1, "{devices}");
    fails(&["summary", "digits", "--matrix-units"], &["--matrix-units", "a subcommand that uses an adapter"]);
}

#[test]
fn the_portable_kernels_can_be_asked_for() {
    let devices = prints(&["devices", "--portable"]);
    let taken = devices.split_once("* ").expect("one is taken").1;
    let profile = taken.lines().find(|line| line.contains("kernel profile")).expect("it has a profile");
    assert!(profile.ends_with(" portable"), "{devices}");
    assert!(prints(&["run", "digits", "--portable", "--input", SEVEN, "--top", "1"]).starts_with("digit 7 "));
}

#[test]
fn the_self_test_tells_what_it_found() {
    let folder = Folder::new("selftest");
    let path = folder.path("report.json");
    let to_json = format!("--json={path}");
    let said = prints(&["selftest", "--op", "softmax", &to_json]);
    assert!(said.starts_with("softmax ") && said.ends_with(": passed\n"), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(report["passed"] == true && report["ops"][0]["op"] == "softmax", "{report}");
    assert!(report["ops"][0]["cases"].as_u64().unwrap() > 20, "{report}");
    assert!(report["ops"][0]["in_f16"].is_u64() && report["ops"][0]["in_matrix_units"] == 0, "{report}");
    assert!(said.contains(" in f16, 0 in matrix units), "), "{said}");
    let portable = prints(&["selftest", "--op", "softmax", "--quick", "--portable"]);
    assert!(portable.contains("tiers: portable\n"), "{portable}");

    // The command can fail.
    let args = ["selftest", "--op", "softmax", "--quick", "--sabotage", "softmax", &to_json];
    fails(&args, &["this adapter computes wrong results"]);
    let said = command(&args).output().unwrap();
    assert!(text(&said.stdout).ends_with(": FAILED in softmax\n"), "{}", text(&said.stdout));
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let failure = &report["ops"][0]["failures"][0];
    assert!(report["passed"] == false && failure["kernel"].as_str().unwrap().starts_with("softmax "), "{report}");

    fails(&["selftest", "--op", "hardmax"], &["op: wanted one of activation, ", "got hardmax"]);
    fails(&["selftest", "--op", "softmax", "--quick", "--json=no/such/folder.json"], &["no/such/folder.json"]);
    let json = prints(&["selftest", "--op", "softmax", "--quick", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["passed"], true, "{json}");
}
