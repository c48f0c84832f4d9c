//! Where links lead, and that every page is in the book.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::page::Page;
use super::workspace;

/// The book's folder, and its list of chapters.
const BOOK: &str = "docs";
const SUMMARY: &str = "docs/SUMMARY.md";
/// What `cargo xtask guide` puts beside the book, so that links out of it lead somewhere.
const BESIDE_THE_BOOK: [&str; 1] = ["packaging"];

/// Every page below a folder of the workspace, in order.
pub fn pages_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join(folder)).expect("the folder can be read");
    let mut pages = Vec::new();
    for entry in entries {
        let path = folder.join(entry.expect("the folder can be read").file_name());
        if workspace().join(&path).is_dir() {
            pages.extend(pages_below(&path));
        } else if path.extension().is_some_and(|end| end == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    pages
}

/// Links of a page that lead nowhere, in the repository or in the book that is made of it.
pub fn problems(page: &Page) -> Vec<String> {
    let chapters = chapters();
    let mut problems = Vec::new();
    for (line, link) in &page.links {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if path.is_empty() {
            page.file.clone()
        } else {
            plain(&page.file.parent().unwrap_or(Path::new("")).join(path))
        };
        let is_page = target.extension().is_some_and(|end| end == "md");
        if !workspace().join(&target).exists() {
            problems.push(page.problem(*line, format!("`{link}` leads nowhere")));
        } else if is_page && !anchor.is_empty() && !Page::read(&target).anchors.iter().any(|known| known == anchor) {
            problems.push(page.problem(*line, format!("{} has no heading `#{anchor}`", target.display())));
        } else if page.file.starts_with(BOOK) {
            let is_there = if target.starts_with(BOOK) {
                !is_page || chapters.contains(&target)
            } else {
                BESIDE_THE_BOOK.iter().any(|folder| target.starts_with(folder))
            };
            if !is_there {
                problems.push(page.problem(*line, format!("`{link}` leads out of the book")));
            }
        }
    }
    problems
}

/// Pages of the book's folder that its list does not have, or not under their names.
pub fn left_out() -> Vec<PathBuf> {
    let mut chapters = chapters();
    chapters.insert(SUMMARY.into());
    let pages = pages_below(Path::new(BOOK));
    // The book has those called README.md under another name, and links to them would lead nowhere.
    let is_in = |page: &PathBuf| chapters.contains(page) && !page.ends_with("README.md");
    pages.into_iter().filter(|page| !is_in(page)).collect()
}

fn chapters() -> BTreeSet<PathBuf> {
    let summary = Page::read(Path::new(SUMMARY));
    summary
        .links
        .iter()
        .map(|(_, link)| Path::new(BOOK).join(link))
        .collect()
}

/// The path without `..`, as far as that can be said without a look at the disk.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
