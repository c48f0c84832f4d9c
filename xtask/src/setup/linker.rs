//! bpf-linker, built from source: it takes LLVM out of the Rust compiler that builds it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::say;
use crate::cargo;

/// Reads LLVM 22; later versions need a later compiler.
const VERSION: &str = "0.10.3";

/// Builds it into `tools/bin`, unless it is there.
pub(super) fn install(tools: &Path, llvm: u32) -> Result<()> {
    if is_there(&tools.join("bin/bpf-linker")) {
        return Ok(());
    }
    say(&format!(
        "building bpf-linker {VERSION} (LLVM {llvm}); this takes a minute or two, once"
    ));
    let start = Instant::now();
    let status = cargo()
        .args([
            "install",
            "bpf-linker",
            "--version",
            VERSION,
            "--locked",
            "--force",
            "--quiet",
        ])
        .arg("--root")
        .arg(tools)
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(
        status.success(),
        "bpf-linker {VERSION} could not be built; cargo's words are above"
    );
    say(&format!("bpf-linker is built, in {} s", start.elapsed().as_secs()));
    Ok(())
}

fn is_there(linker: &Path) -> bool {
    let output = Command::new(linker).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(VERSION))
}
