//! `cargo xtask guide`: the guide below `docs/` as a book, in `target/guide/docs`.
//!
//! What the guide links to beside itself is copied beside the book, so that those links lead somewhere, too. Whether links do at all is a
//! test's business (tests/tests/guide.rs).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{setup, workspace};

/// Where the book is made, below the workspace.
const BOOK: &str = "target/guide";
/// What pages of the guide link to outside of their folder.
const BESIDE: &str = "packaging";

/// Makes the book.
pub(crate) fn guide() -> Result<()> {
    let mdbook = setup::for_the_guide()?;
    let workspace = workspace()?;
    let book = workspace.join(BOOK);
    // What an earlier one has left must not hide a page that is gone.
    let _ = fs::remove_dir_all(&book);
    let mut make = Command::new(mdbook);
    make.arg("build")
        .arg(&workspace)
        .arg("--dest-dir")
        .arg(book.join("docs"));
    let output = make.stdin(Stdio::null()).output().context("cannot start mdbook")?;
    let said = String::from_utf8_lossy(&output.stderr);
    // It makes a book of a guide with faults, and only warns of them.
    ensure!(
        output.status.success() && !said.contains("WARN") && !said.contains("ERROR"),
        "the guide is no book:\n{said}"
    );
    copy(&workspace.join(BESIDE), &book.join(BESIDE))?;
    eprintln!("guide: {}", book.join("docs/index.html").display());
    Ok(())
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry.with_context(|| from.display().to_string())?;
        let target = to.join(entry.file_name());
        if entry.file_type().with_context(|| from.display().to_string())?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
        }
    }
    Ok(())
}
