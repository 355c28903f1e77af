//! The imports among the files of the ONNX importer, which go one way.

use super::files;
use super::floors::{code, heads};
use std::collections::{BTreeMap, BTreeSet};

const FOLDER: &str = "src/import/onnx/";

/// Returns the files that each file imports, by their paths in the importer's folder. A `mod.rs` imports all files that it
/// declares.
fn imports(files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let files: BTreeMap<&str, String> =
        files.iter().map(|(path, text)| (path.trim_start_matches(FOLDER), code(text))).collect();
    // A name in a folder is a file, an item that `mod.rs` imports from a file below it, or an item of `mod.rs`.
    let file = |folder: &str, name: &str| {
        let paths = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")];
        paths.into_iter().find(|path| files.contains_key(&path[..]))
    };
    let resolved = |folder: &str, name: &str| {
        let all = format!("{folder}mod.rs");
        let uses = files[&all[..]].split(';').filter_map(|line| line.split_once("use "));
        let mut named = uses.filter(|(_, path)| path.split(|c: char| !c.is_alphanumeric()).any(|word| word == name));
        let origin = || named.find_map(|(_, path)| file(folder, path.split("::").next()?));
        file(folder, name).or_else(origin).unwrap_or(all)
    };
    let imported = |(path, code): (&&str, &String)| {
        let folder = path.rfind('/').map_or("", |slash| &path[..=slash]);
        let mut imported: BTreeSet<String> =
            heads(code, "crate::import::onnx::").into_iter().map(|name| resolved("", name)).collect();
        let above = if *path == "mod.rs" { None } else { Some(if path.ends_with("/mod.rs") { "" } else { folder }) };
        let names = heads(code, "super::");
        imported.extend(above.iter().flat_map(|above| names.iter().map(|name| resolved(above, name))));
        if path.ends_with("mod.rs") {
            let declared = code.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
            imported.extend(declared.map(|name| resolved(folder, name)));
        }
        imported.remove(*path);
        ((*path).to_owned(), imported)
    };
    files.iter().map(imported).collect()
}

/// Returns files of which each imports the next and the last imports the first, if there are any.
fn cycle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<&str>> {
    let mut left: BTreeSet<&str> = imports.keys().map(|file| &file[..]).collect();
    let next = |left: &BTreeSet<&str>, file: &str| imports[file].iter().find(|file| left.contains(&file[..]));
    while let Some(leaf) = left.iter().copied().find(|file| next(&left, file).is_none()) {
        left.remove(leaf);
    }
    let mut way = vec![*left.first()?];
    loop {
        let next = next(&left, way[way.len() - 1]).expect("it is no leaf");
        match way.iter().position(|file| file == next) {
            Some(first) => return Some(way.split_off(first)),
            None => way.push(next),
        }
    }
}

#[test]
fn the_importer_has_no_circle_of_files() {
    let imports = imports(&files(FOLDER.trim_end_matches('/'), ".rs"));
    let some = [("walk.rs", "ops/mod.rs"), ("ops/mod.rs", "ops/control.rs"), ("ops/control.rs", "builder.rs")];
    assert!(some.iter().all(|(file, imported)| imports[*file].contains(*imported)), "{imports:#?}");
    assert_eq!(cycle(&imports), None);
    // An operator sees neither the file nor the names of other nodes.
    for (file, imported) in imports.iter().filter(|(file, _)| file.starts_with("ops/")) {
        for hidden in ["network.rs", "scope.rs", "shared.rs"] {
            assert!(!imported.contains(hidden), "{file} imports {hidden}");
        }
    }
}

#[test]
fn a_circle_of_files_is_found() {
    let with = |thing: &str, sum: &str| {
        let file = |path: &str, text: &str| (format!("{FOLDER}{path}"), text.to_owned());
        imports(&[
            file("mod.rs", "mod walk;\nmod thing;\nmod ops;\npub use thing::{Other, Thing};\npub struct Own;"),
            file("walk.rs", "use super::{ops, thing::Thing};"),
            file("thing.rs", thing),
            file("ops/mod.rs", "mod sum;\nmod product;"),
            file("ops/sum.rs", sum),
            file("ops/product.rs", "/// [`sum`](super::sum)\nuse super::sum;"),
        ])
    };
    assert_eq!(cycle(&with("", "use crate::import::onnx::{Thing, thing};")), None);
    let through = with("use super::walk::Walk;", "use crate::import::onnx::Thing;");
    assert_eq!(cycle(&through), Some(vec!["ops/mod.rs", "ops/product.rs", "ops/sum.rs", "thing.rs", "walk.rs"]));
    assert_eq!(cycle(&with("", "fn f() { super::product::g() }")), Some(vec!["ops/product.rs", "ops/sum.rs"]));
    assert!(cycle(&with("use super::Own;", "")).is_some_and(|files| files.contains(&"mod.rs")));
}
