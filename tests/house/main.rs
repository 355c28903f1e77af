//! Rules of the house that a compiler doesn't know: no forgotten files, no uncounted GPU objects, no overlong files.

mod api;
mod floors;
mod lists;
mod onnx;
mod shaders;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the files under a folder with this extension: their paths from the repository's root, and their texts.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(root(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    for entry in entries {
        let entry = entry.expect("it can be listed");
        let path = format!("{folder}/{}", entry.file_name().to_str().expect("a name in ASCII"));
        if entry.path().is_dir() {
            files.extend(self::files(&path, extension));
        } else if path.ends_with(extension) {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_else(|error| panic!("{path}: {error}"));
            files.push((path, text));
        }
    }
    files.sort();
    files
}

/// Returns the file's name without folder and extension.
fn stem(path: &str) -> String {
    Path::new(path).file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned()
}

#[test]
fn every_shader_is_named_by_an_operation() {
    let mut ops = files("src/ops", ".rs");
    // Denoising, device measurements and texture conversions have shaders too.
    ops.extend(files("src/denoise", ".rs"));
    ops.extend(files("src/measure", ".rs"));
    ops.extend(files("src/texture", ".rs"));
    ops.extend(files("src/gpu", ".rs"));
    let shaders = files("shaders", ".wgsl");
    for (path, _) in &shaders {
        let name = stem(path);
        // `Shader::wgsl` adds these to shaders with texels, by their stored form.
        if ["half", "texel"].contains(&name.as_str()) {
            continue;
        }
        let named =
            if path.starts_with("shaders/lib/") { format!(", \"{name}\"") } else { format!("shader!(\"{name}\"") };
        let uses = ops.iter().flat_map(|(_, text)| text.lines()).filter(|line| line.contains("shader!("));
        assert!(uses.filter(|line| line.contains(&named)).count() > 0, "no operation names {path}");
    }
}

#[test]
fn every_operation_has_a_table_and_refusals() {
    let implementing = |(_, text): &(String, String)| text.contains(" Op for ");
    // An operation too large for a file has a folder of its own.
    let name = |path: &str| match path.split_once("ops/").and_then(|(_, path)| path.split_once('/')) {
        Some((folder, _)) => folder.to_owned(),
        None => stem(path),
    };
    let ops: BTreeSet<String> =
        files("src/ops", ".rs").into_iter().filter(implementing).map(|(path, _)| name(&path)).collect();
    assert!(ops.contains("conv"), "{ops:?}");
    let list = std::fs::read_to_string(root("src/selftest/ops/mod.rs")).expect("it is there");
    let list: String = list.split_whitespace().collect();
    let tested = std::fs::read_to_string(root("tests/ops/main.rs")).expect("it is there");
    let tables = files("src/selftest/ops", ".rs");
    for op in &ops {
        assert!(list.contains(&format!("table!({op},")), "src/selftest/ops/mod.rs lacks a table of {op}");
        let file = tables.iter().find(|(path, _)| name(path) == *op);
        let (_, text) = file.unwrap_or_else(|| panic!("there is no src/selftest/ops/{op}.rs"));
        assert!(text.contains(".check"), "src/selftest/ops/{op}.rs checks nothing");
        // Integer operations see no NaN or infinity, and `append` needs more than one frame.
        let folder = format!("src/selftest/ops/{op}/");
        let mut all = tables.iter().filter(|(path, _)| name(path) == *op || path.starts_with(&folder));
        let planted = all.any(|(_, text)| text.contains(".check_not_finite"));
        let exempt = ["append", "integer_conv2d", "integer_matmul"].contains(&op.as_str());
        assert!(planted != exempt, "src/selftest/ops/{op}.rs: what becomes of NaN and infinities?");
        let refusals = std::fs::read_to_string(root(&format!("tests/ops/{op}.rs")));
        let refusals = refusals.unwrap_or_else(|error| panic!("tests/ops/{op}.rs, what {op} refuses: {error}"));
        assert!(refusals.contains("#[test]"), "tests/ops/{op}.rs tests nothing");
        assert!(tested.contains(&format!("\nmod {op};\n")), "tests/ops/main.rs lacks `mod {op};`");
    }
    // A table without an operation is an error too.
    for (path, _) in &tables {
        let name = name(path);
        assert!(name == "mod" || ops.contains(&name), "{path} tests no file of src/ops");
    }
}

/// The calls that create a GPU object that [`shadernet::Context::created`] counts.
const CREATE: [&str; 6] = [
    ".create_buffer(",
    ".create_buffer_init(",
    ".create_texture(",
    ".create_bind_group(",
    ".create_compute_pipeline(",
    ".create_render_pipeline(",
];

#[test]
fn every_gpu_object_is_counted() {
    let mut found = 0;
    for (path, text) in files("src", ".rs") {
        // Each function that creates objects also counts them.
        for function in text.split("fn ").skip(1) {
            let creates = CREATE.iter().map(|create| function.matches(create).count()).sum::<usize>();
            if creates == 0 {
                continue;
            }
            found += creates;
            let name = function.split('(').next().unwrap_or_default();
            assert!(path.starts_with("src/gpu/") || path.starts_with("src/session/"), "{path} creates in `{name}`");
            let counts = function.matches("count(").count();
            assert!(counts >= creates, "{path}: `{name}` creates {creates} objects and counts {counts}");
            assert!(!["encode", "submit", "run", "run_blocking"].contains(&name), "{path}: `{name}` creates");
        }
    }
    assert!(found >= 5, "the names of wgpu's functions have changed: {found} are left");
}

/// Code that records into a host's encoder leaves the queue, the log and the error handlers to the host.
#[test]
fn textures_leave_the_queue_to_the_host() {
    let files = files("src/texture", ".rs");
    assert!(files.iter().any(|(_, text)| text.contains("fn encode")), "what records is elsewhere");
    for (path, text) in files {
        for word in [".submit(", ".poll(", ".queue()", "log::", "println!", "on_uncaptured_error"] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}

/// A long file says near its top why it is long; no file is longer than a reader can follow.
#[test]
fn no_file_outgrows_its_reader() {
    for (folder, extension, long, most) in
        [("src", ".rs", 400, 500), ("tests", ".rs", 400, 500), ("shaders", ".wgsl", 150, 300)]
    {
        for (path, text) in files(folder, extension) {
            let lines = text.lines().count();
            assert!(lines <= most, "{path} has {lines} lines, {most} are the most");
            let says_why = text.lines().take(20).any(|line| line.starts_with("// Long because "));
            assert!(
                lines <= long || says_why,
                "{path} has {lines} lines: split it, or add a line `// Long because ..`"
            );
            assert!(lines > long || !says_why, "{path} has only {lines} lines: it needs no line `// Long because ..`");
        }
    }
}

/// A table's file begins with a line that names the operation's cases.
#[test]
fn every_table_names_its_cases() {
    for (path, text) in files("src/selftest/ops", ".rs") {
        assert!(text.starts_with("//! "), "{path} begins without a line `//! Cases of ..`");
    }
}

/// A doc comment begins with a noun phrase, or for a function with a verb in the third person.
#[test]
fn no_doc_comment_begins_with_a_clause() {
    const CLAUSES: [&str; 8] = ["What", "Whether", "How", "Of", "Where", "As", "Those", "Which"];
    let mut wrong = Vec::new();
    for (path, text) in files("src", ".rs") {
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        for (i, line) in lines.iter().enumerate() {
            let marks = ["/// ", "//! "].into_iter().find(|marks| line.starts_with(marks));
            let Some(marks) = marks.filter(|marks| i == 0 || !lines[i - 1].starts_with(marks.trim_end())) else {
                continue;
            };
            let first = line[marks.len()..].split_whitespace().next().unwrap_or_default();
            if CLAUSES.contains(&first) {
                wrong.push(format!("{path}:{}: {line}", i + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `Type::of` hides whether it constructs, converts or looks up.
#[test]
fn no_function_is_called_of() {
    let of = |(path, text): (String, String)| text.contains("fn of(").then_some(path);
    let wrong: Vec<String> = files("src", ".rs").into_iter().filter_map(of).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
