//! `cargo xtask setup`: whatever this machine lacks for building and testing.
//!
//! Four things: system packages, a compiler for the kernel program, its linker, and the tests' Prometheus and nginx. Each is looked for first,
//! so that the second time takes a moment; what has to be installed is named before it is. Compiler and linker are found by
//! `blocker/build.rs` and `.cargo/config.toml`.

pub(crate) mod cargo_tool;
mod packages;
mod toolchain;
mod unpacked;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use self::cargo_tool::{Features, Speed};
use crate::workspace;

/// The linker for the kernel program takes LLVM out of the Rust compiler that builds it. This version reads LLVM 22; later ones need
/// a later compiler.
const LINKER: &str = "0.10.3";
/// What makes a book of the guide.
const BOOK: &str = "0.5.4";

/// Installs what is missing.
pub(crate) fn setup() -> Result<()> {
    packages::install(packages::NEEDED)?;
    let tools = tools()?;
    toolchain::choose(&tools)?;
    unpacked::unpack(&tools)?;
    cargo_tool::install(&tools, ("bpf-linker", LINKER), Features::Default, Speed::Theirs).map(drop)
}

/// Builds what makes a book of the guide, without what serves one, and says where it is.
pub(crate) fn for_the_guide() -> Result<PathBuf> {
    cargo_tool::install(&tools()?, ("mdbook", BOOK), Features::Only("search"), Speed::Least)
}

/// Installs what libFuzzer needs beside that.
pub(crate) fn for_fuzzing() -> Result<()> {
    packages::install(packages::FUZZING)
}

/// Installs what packaging needs beside that, and says where cargo's tools are to be.
pub(crate) fn for_packaging() -> Result<PathBuf> {
    packages::install(packages::PACKAGING)?;
    tools()
}

/// Where tools are put: below `target`, never in the user's home.
pub(crate) fn tools() -> Result<PathBuf> {
    let tools = workspace()?.join("target/tools");
    fs::create_dir_all(&tools).with_context(|| tools.display().to_string())?;
    Ok(tools)
}

fn say(what: &str) {
    eprintln!("setup: {what}");
}
