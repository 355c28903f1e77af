//! Lists that the documents repeat, against the code: networks, optional features of a device, features of the crate.

use super::root;
use shadernet::{Context, models};
use std::collections::BTreeSet;

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the part of a document below a heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, section) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    section.split("\n## ").next().unwrap_or_default()
}

/// Returns the words in backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_readme_lists_every_network() {
    let readme = read("README.md");
    let list = section(&readme, "## Networks").split("\n\n").find(|paragraph| paragraph.starts_with("`digits`"));
    let mut listed = quoted(list.expect("a paragraph lists the networks"));
    listed.remove("--weights");
    let names: BTreeSet<&str> = models::all().iter().map(|network| network.name).collect();
    assert_eq!(listed, names);
}

#[test]
fn the_guide_for_hosts_lists_every_optional_feature() {
    let guide = read("docs/guest.md");
    let table = section(&guide, "## The device").split("| feature |").nth(1).expect("a table lists the features");
    let rows = table.split("\n\n").next().unwrap_or_default().lines();
    let listed: BTreeSet<&str> = rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect();
    let features = Context::optional_features();
    let names: BTreeSet<&str> =
        features.iter().flat_map(|(feature, _)| feature.iter_names()).map(|(name, _)| name).collect();
    assert_eq!(listed, names);
}

#[test]
fn the_documents_list_every_feature_of_the_crate() {
    let (manifest, readme, lib) = (read("Cargo.toml"), read("README.md"), read("src/lib.rs"));
    let features = manifest.split("\n[features]\n").nth(1).expect("it has features");
    let features = features.split("\n[").next().unwrap_or_default().lines();
    let names = features.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim());
    let names: BTreeSet<&str> = names.filter(|name| !name.starts_with('#') && *name != "default").collect();
    assert!(names.contains("vulkan") && names.contains("onnx"), "{names:?}");
    let guide = lib.split("//! # Features\n").nth(1).expect("lib.rs lists the features");
    let guide = guide.split("\n\n").next().unwrap_or_default();
    for (document, text) in [("README.md", section(&readme, "## Features and versions")), ("src/lib.rs", guide)] {
        let missing: Vec<_> = names.difference(&quoted(text)).copied().collect();
        assert!(missing.is_empty(), "{document} doesn't mention the features {missing:?}");
    }
}
