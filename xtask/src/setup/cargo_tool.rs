//! Tools of cargo's that are built from source, below `target/tools` and never in the user's home.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::say;
use crate::cargo;

/// What of a tool is built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Features {
    /// What it has by default.
    Default,
    /// These, with commas between.
    Only(&'static str),
}

/// How much a tool is optimised.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speed {
    /// As its authors say: it is run with each build.
    Theirs,
    /// Not at all: it is run now and then for a second or two more, and is built in a part of the minutes.
    Least,
}

/// What has a tool built soon, whatever its authors say.
const SOON: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

/// Builds `name` into `tools/bin` unless this very version is there, and says where it is.
pub(crate) fn install(
    tools: &Path,
    (name, version): (&str, &str),
    features: Features,
    speed: Speed,
) -> Result<PathBuf> {
    let tool = tools.join("bin").join(name);
    // Cargo's own list: not every tool tells its version when it is asked.
    let installed = fs::read_to_string(tools.join(".crates.toml")).unwrap_or_default();
    if installed.contains(&format!("\"{name} {version} (")) && tool.exists() {
        return Ok(tool);
    }
    say(&format!("building {name} {version}; this takes a minute or two, once"));
    let start = Instant::now();
    let mut build = cargo();
    build.args(["install", name, "--version", version]);
    if let Features::Only(features) = features {
        build.args(["--no-default-features", "--features", features]);
    }
    if let Speed::Least = speed {
        build.envs(SOON);
    }
    let status = build
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
