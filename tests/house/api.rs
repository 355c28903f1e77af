//! The public API, as rustdoc shows it, against the committed listing docs/api.txt.

use super::root as file;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns HTML as text in one line.
fn text(html: &str) -> String {
    let mut text = String::new();
    for (i, part) in html.split('<').enumerate() {
        text.push_str(if i == 0 { part } else { part.split_once('>').map_or("", |(_, after)| after) });
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    text.replace("&amp;", "&").replace('§', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the parts of a page between a beginning and the next end, as text.
fn all<'a>(page: &'a str, begin: &'a str, end: &'a str) -> impl Iterator<Item = String> + 'a {
    page.split(begin).skip(1).map(move |part| text(part.split(end).next().unwrap_or_default()))
}

/// Lists each public item: its path and kind, its declaration, its methods, the traits that it implements.
fn listing(folder: &Path) -> (String, Vec<(String, String)>) {
    // Pages of items that are gone stay in the folder; this one names those that there are.
    let index = fs::read_to_string(folder.join("all.html")).expect("rustdoc writes it");
    let mut links: Vec<&str> =
        index.split("<li><a href=\"").skip(1).filter_map(|link| link.split('"').next()).collect();
    links.sort_unstable();
    let (mut listing, mut types) = (String::new(), Vec::new());
    for link in links {
        let (module, file) = link.rsplit_once('/').unwrap_or(("", link));
        let Some((kind, name)) = file.trim_end_matches(".html").split_once('.') else { continue };
        let path: String = module.split('/').filter(|part| !part.is_empty()).map(|part| format!("{part}::")).collect();
        let path = path + name;
        if ["struct", "enum", "trait", "union", "type"].contains(&kind) {
            types.push((name.to_owned(), path.clone()));
        }
        let page = fs::read_to_string(folder.join(link)).unwrap_or_else(|error| panic!("{link}: {error}"));
        let declared = all(&page, "<pre class=\"rust item-decl\">", "</pre>").next().unwrap_or_default();
        writeln!(listing, "{kind} {path}\n    {declared}").expect("a String takes it");
        // What the type has from everybody's blanket implementations says nothing about it.
        let own = page.split("id=\"synthetic-implementations\"").next().unwrap_or_default();
        let own = own.split("id=\"blanket-implementations\"").next().unwrap_or_default();
        let (inherent, traits) = own.split_once("id=\"trait-implementations\"").unwrap_or((own, ""));
        // The methods of slices, which a shape derefs to, are the standard library's.
        let inherent = inherent.split("id=\"deref-methods-").next().unwrap_or_default();
        let (inherent, foreign) = inherent.split_once("id=\"foreign-impls\"").unwrap_or((inherent, ""));
        let methods = all(inherent, "<h4 class=\"code-header\">", "</h4>");
        let implemented =
            [foreign, traits].into_iter().flat_map(|part| all(part, "<h3 class=\"code-header\">", "</h3>"));
        for line in methods.chain(implemented).filter(|line| !line.contains("StructuralPartialEq")) {
            writeln!(listing, "    {line}").expect("a String takes it");
        }
    }
    (listing, types)
}

/// Returns the folder of the documents, brought up to date by cargo, with the features of `make test`.
fn documents() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    let folder = target.join("doc/shadernet");
    // Cargo takes this page for the whole: pages of other features would count as these.
    let _missing = fs::remove_file(folder.join("index.html"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["doc", "--release", "--locked", "--features", "cli", "--no-deps", "--quiet", "--target-dir"])
        .arg(target);
    cargo.current_dir(file(""));
    let status = cargo.env("RUSTDOCFLAGS", "-D warnings").status().expect("cargo runs");
    assert!(status.success(), "cargo doc");
    folder
}

#[test]
fn the_public_api_is_the_listed_one() {
    let folder = documents();
    let (items, types) = listing(&folder);
    let toolchain = Command::new(env!("CARGO")).arg("--version").output().expect("cargo runs").stdout;
    let listing = String::from_utf8_lossy(&toolchain).split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let listing = listing + "\n" + &items;
    let path = file("docs/api.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &listing).expect("it can be written");
    }
    let known = fs::read_to_string(&path).expect("it is committed");
    // Another rustdoc may write declarations in other words: the items then are what counts.
    let same_words = listing.lines().next() == known.lines().next();
    let counts = |line: &&str| same_words || !(line.starts_with(' ') || line.starts_with("cargo "));
    let lines = |text: &str| text.lines().filter(counts).map(str::to_owned).collect::<Vec<_>>();
    let (listing, known) = (lines(&listing), lines(&known));
    let first = |of: &[String], than: &[String]| of.iter().find(|line| !than.contains(line)).cloned();
    assert!(
        listing == known,
        "the public API differs from docs/api.txt; UPDATE_DOCS=1 cargo test --features cli --test house writes it.\n\
         new: {:?}\ngone: {:?}",
        first(&listing, &known),
        first(&known, &listing)
    );

    let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    types.iter().for_each(|(name, path)| paths.entry(name).or_default().push(path));
    let twice: Vec<_> = paths.into_iter().filter(|(_, paths)| paths.len() > 1).collect();
    assert!(twice.is_empty(), "two public types share a name: {twice:?}");
    let modules: BTreeSet<&str> = types.iter().filter_map(|(_, path)| Some(path.rsplit_once("::")?.0)).collect();
    let mut again = Vec::new();
    for module in modules.into_iter().chain([""]) {
        let index = folder.join(module.replace("::", "/")).join("index.html");
        let index = fs::read_to_string(&index).unwrap_or_else(|error| panic!("{}: {error}", index.display()));
        again.extend(all(&index, "<code>pub use ", "</code>").filter(|path| path != "wgpu;"));
    }
    assert!(again.is_empty(), "these types have two public paths: {again:?}");
}
