//! The licences of what others wrote and the agent contains, each text with the crates that it is for.

use std::path::Path;

use anyhow::Result;

use super::{run, tool};

/// The tool for it.
pub(super) const CARGO_ABOUT: (&str, &str) = ("cargo-about", "0.9.3");

/// Writes them into one file.
pub(super) fn collect(tools: &Path, workspace: &Path, to: &Path) -> Result<()> {
    let mut command = tool(tools, workspace, CARGO_ABOUT);
    // Texts come from the crates themselves, and not from somebody's server.
    command.args(["about", "generate", "--locked", "--offline", "--fail"]);
    command
        .arg("--config")
        .arg(workspace.join("packaging/licences/about.toml"));
    command.arg("--manifest-path").arg(workspace.join("blocker/Cargo.toml"));
    command.arg("--output-file").arg(to);
    run(command.arg(workspace.join("packaging/licences/third-party.hbs"))).map(drop)
}
