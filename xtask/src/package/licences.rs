//! The licences of what others have written and the package holds: their texts go wherever the program goes.
//!
//! Each crate of the bills of materials brings its texts along in cargo's own copy of it, and Rust's standard library in the compiler's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::run;
use crate::cargo;

/// What the two files are called in the package.
const CRATES: &str = "third-party-licences.txt";
const LIBRARY: &str = "rust-library-licences.html";

/// How names of files begin that hold licences, or what licences ask to be handed on.
const BEGINNINGS: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];

/// What stands before the texts.
const HEADING: &str = "\
The program and what it loads into the kernel contain the work of others. Each is named here with the licence that its authors
give it to you under, and with the numbers of the texts that come with it, which stand below. Where you are given a choice of
licences, it is yours too. What Rust's own standard library contains is in rust-library-licences.html.gz.

";

/// Writes the texts for what the bills name, and for the libraries that are in no bill, compressed, into `stage`.
pub(super) fn make(workspace: &Path, bills: &[PathBuf], stage: &Path) -> Result<()> {
    let mut listed = String::from(HEADING);
    let mut texts = Texts::default();
    let sources = sources()?;
    for ((name, version), licence) in crates(bills)? {
        let Some(source) = sources.get(&(name.clone(), version.clone())) else {
            continue;
        };
        let mut found = Vec::new();
        gather(source, &mut found)?;
        if found.is_empty() {
            ensure!(
                licence.contains("Apache-2.0"),
                "{name} {version} ({licence}) comes without the text of its licence: look for another crate"
            );
            // It asks for its text to be handed on, and for no name in it.
            found.push(workspace.join("LICENSE-APACHE"));
        }
        texts.list(&mut listed, &format!("{name} {version}: {licence}"), &found)?;
    }
    let uplot = workspace.join("blocker/web/uplot/LICENSE");
    texts.list(&mut listed, "uPlot, on the web page: MIT", &[uplot])?;
    listed.push_str("SQLite, in libsqlite3-sys: its authors have dedicated it to the public domain\n");
    let path = stage.join(CRATES);
    fs::write(&path, listed + &texts.written).with_context(|| path.display().to_string())?;

    let copy = stage.join(LIBRARY);
    let library = sysroot(workspace)?.join("share/doc/rust/COPYRIGHT-library.html");
    fs::copy(&library, &copy).with_context(|| {
        format!(
            "{}: the licences of Rust's library; install Rust by rustup",
            library.display()
        )
    })?;
    // Neither name nor time: the same input makes the same package.
    run(Command::new("gzip")
        .args(["--best", "--no-name", "--force"])
        .args([path, copy]))
    .map(drop)
}

/// Texts of licences, each once however many crates bring it.
#[derive(Default)]
struct Texts {
    /// The number of each by its words, since crates differ in how they break its lines.
    numbers: HashMap<String, usize>,
    written: String,
}

impl Texts {
    /// Adds what holds for one work, and a line with the numbers.
    fn list(&mut self, listed: &mut String, work: &str, files: &[PathBuf]) -> Result<()> {
        let mut numbers = BTreeSet::new();
        for file in files {
            let bytes = fs::read(file).with_context(|| file.display().to_string())?;
            let text = String::from_utf8_lossy(&bytes);
            let words: Vec<&str> = text.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let next = self.numbers.len() + 1;
            let number = *self.numbers.entry(words.join(" ")).or_insert(next);
            if number == next {
                writeln!(self.written, "\n==== {number} ====\n\n{}", text.trim_end())?;
            }
            numbers.insert(number);
        }
        let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
        writeln!(listed, "{work} [{}]", numbers.join(", "))?;
        Ok(())
    }
}

/// The crates of the bills by name and version, each with its licence.
fn crates(bills: &[PathBuf]) -> Result<BTreeMap<(String, String), String>> {
    let mut crates = BTreeMap::new();
    for bill in bills {
        let text = fs::read_to_string(bill).with_context(|| bill.display().to_string())?;
        let bill: Value = serde_json::from_str(&text)?;
        let components = bill["components"].as_array().context("a bill names components")?;
        for component in components {
            let word = |value: &Value| {
                value
                    .as_str()
                    .map(str::to_owned)
                    .context("a bill names crates and licences")
            };
            let key = (word(&component["name"])?, word(&component["version"])?);
            crates.insert(key, word(&component["licenses"][0]["expression"])?);
        }
    }
    Ok(crates)
}

/// Where cargo keeps the source of each crate that is not ours, by name and version.
fn sources() -> Result<HashMap<(String, String), PathBuf>> {
    let mut command = cargo();
    // Of what other systems need, cargo has no copies.
    command.args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        env!("TARGET"),
    ]);
    let metadata: Value = serde_json::from_str(&run(&mut command)?)?;
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let others = packages.iter().filter(|package| !package["source"].is_null());
    Ok(others
        .filter_map(|package| {
            let key = (
                package["name"].as_str()?.to_owned(),
                package["version"].as_str()?.to_owned(),
            );
            let manifest = Path::new(package["manifest_path"].as_str()?);
            Some((key, manifest.parent()?.to_owned()))
        })
        .collect())
}

/// Finds the texts in a folder, also those of what its authors have taken from others, deeper down.
fn gather(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let kind = entry.file_type()?;
        if kind.is_dir() && !name.starts_with('.') {
            gather(&entry.path(), found)?;
        }
        // Not a module of source that is called so.
        if kind.is_file() && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) && !name.ends_with(".rs") {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Where the compiler that builds the program is.
fn sysroot(workspace: &Path) -> Result<PathBuf> {
    let printed = run(Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(workspace))?;
    Ok(PathBuf::from(printed.trim()))
}
