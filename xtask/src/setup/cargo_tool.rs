//! Tools of cargo's that are built from source, below `target/tools` and never in the user's home.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::say;
use crate::cargo;

/// Builds `name` into `tools/bin` unless this very version is there, and says where it is.
pub(crate) fn install(tools: &Path, name: &str, version: &str) -> Result<PathBuf> {
    let tool = tools.join("bin").join(name);
    let output = Command::new(&tool).arg("--version").output();
    if output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(version)) {
        return Ok(tool);
    }
    say(&format!("building {name} {version}; this takes a minute or two, once"));
    let start = Instant::now();
    let status = cargo()
        .args(["install", name, "--version", version])
        .args(["--locked", "--force", "--quiet", "--root"])
        .arg(tools)
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(
        status.success(),
        "{name} {version} could not be built; cargo's words are above"
    );
    say(&format!("{name} is built, in {} s", start.elapsed().as_secs()));
    Ok(tool)
}
