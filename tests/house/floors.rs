//! The imports between the crate's folders: the table of ARCHITECTURE.md, against every `crate::` path of the code.

use super::{files, root};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the module of a file of `src`, such as `ops` or `weights`; `None` for `lib.rs` and `main.rs`.
fn module(path: &str) -> Option<&str> {
    let path = path.strip_prefix("src/")?;
    let first = path.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main"].contains(&first)).then_some(first)
}

/// Returns the code of a file without comments and without its tests, which may import anything.
pub(super) fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the first names of all paths after `prefix`: `a`, `b` of `crate::{a::c, b}` after `crate::`.
pub(super) fn heads<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let name = |text: &str| text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let mut heads = BTreeSet::new();
    for path in code.split(prefix).skip(1) {
        let Some(list) = path.strip_prefix('{') else {
            heads.insert(&path[..name(path)]);
            continue;
        };
        // A name follows a comma or the brace, outside of inner braces.
        let (mut depth, mut begins) = (0, true);
        for (i, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                letter if letter.is_alphabetic() && depth == 0 && begins => {
                    heads.insert(&list[i..i + name(&list[i..])]);
                    begins = false;
                }
                _ => {}
            }
        }
    }
    heads
}

/// Returns the module of each name at the crate's root, by the `pub use` lines of `lib.rs`.
fn origins(lib: &str) -> BTreeMap<&str, &str> {
    let mut origins = BTreeMap::new();
    for line in code(lib).lines().filter(|line| line.starts_with("pub use ")) {
        let line = &lib[lib.find(line).expect("it is a part of it")..][..line.len()];
        let path = line.trim_start_matches("pub use ");
        let Some((module, rest)) = path.split_once("::") else { continue };
        let names = rest.rsplit("::").next().unwrap_or(rest);
        let names = names.trim_matches(|letter| "{};".contains(letter));
        origins.extend(names.split(',').map(|name| (name.trim(), module)));
    }
    origins
}

/// Returns the table of ARCHITECTURE.md: each module, and the modules that it may import.
fn table(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let section = text.split("## Floors").nth(1).expect("ARCHITECTURE.md has floors");
    let section = section.split("\n## ").next().expect("it ends");
    let rows = section.lines().filter(|line| line.starts_with("| `src/"));
    let words = |cell: &str| cell.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect();
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let folder = cells[1].trim_matches('`').trim_start_matches("src/");
        let mut allowed: BTreeSet<String> = words(cells[2]);
        allowed.remove("");
        (folder.trim_end_matches('/').trim_end_matches(".rs").to_owned(), allowed)
    })
    .collect()
}

/// The floors on which everything is plain data: no GPU object, so that plans need no GPU.
const PURE: [&str; 9] = ["kernel", "graph", "weights", "ops", "rewrite", "plan", "import", "tensor", "dtype"];

/// Returns the imports of the code that a table doesn't allow, as `ops/conv.rs imports session`.
fn upward(table: &[(String, BTreeSet<String>)], lib: &str, files: &[(String, String)]) -> Vec<String> {
    let origins = origins(lib);
    let mut upward = Vec::new();
    for (path, text) in files {
        let Some(module) = module(path) else { continue };
        let Some((_, allowed)) = table.iter().find(|(folder, _)| folder == module) else {
            upward.push(format!("{path} is on no floor of ARCHITECTURE.md"));
            continue;
        };
        let code = code(text);
        if PURE.contains(&module) && code.contains("wgpu::") {
            upward.push(format!("{path} names wgpu"));
        }
        for head in heads(&code, "crate::") {
            let imported = origins.get(head).copied().unwrap_or(head);
            if imported != module && !allowed.contains(imported) {
                upward.push(format!("{path} imports {imported}"));
            }
        }
    }
    upward
}

#[test]
fn no_folder_imports_from_above() {
    let read = |path| std::fs::read_to_string(root(path)).expect("it is there");
    let table = table(&read("ARCHITECTURE.md"));
    let upward = upward(&table, &read("src/lib.rs"), &files("src", ".rs"));
    assert!(upward.is_empty(), "{upward:#?}");
    // Each row names only rows below it, so the imports have no cycles.
    for (i, (folder, allowed)) in table.iter().enumerate() {
        for name in allowed {
            let at = table.iter().position(|(other, _)| other == name);
            assert!(at.is_some_and(|at| at > i), "{folder} may import {name}, which isn't below it");
        }
    }
}

#[test]
fn an_import_from_above_is_found() {
    let table = vec![("session".to_owned(), ["plan".to_owned()].into()), ("plan".to_owned(), BTreeSet::new())];
    let lib = "pub use session::{Bound, Session};\npub use plan::Plan;";
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [
        file("src/session/mod.rs", "use crate::{Plan, plan::{memory, Step}};\nuse crate::Session;"),
        file(
            "src/plan/mod.rs",
            "/// [`x`](crate::session::Frame)\nfn f() { crate::session::g() }\n#[cfg(test)]\nuse crate::cli;",
        ),
        file("src/plan/other.rs", "use crate::{memory::{Bound, x}, Bound};"),
        file("src/plan/device.rs", "fn f(_: &wgpu::Device) {}"),
        file("src/new.rs", ""),
    ];
    let wanted = [
        "src/plan/mod.rs imports session",
        "src/plan/other.rs imports session",
        "src/plan/other.rs imports memory",
        "src/plan/device.rs names wgpu",
        "src/new.rs is on no floor of ARCHITECTURE.md",
    ];
    let mut found = upward(&table, lib, &files);
    let mut wanted: Vec<String> = wanted.map(str::to_owned).into();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}
