//! `cargo xtask build`: everything, into `target/debug` or `target/release`.

use anyhow::{Context as _, Result, ensure};

use crate::{cargo, setup};

/// What was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Optimise, into target/release
    #[arg(long)]
    release: bool,
}

/// Sets up what is missing and builds the workspace.
pub(crate) fn build(arguments: &Arguments) -> Result<()> {
    setup::setup()?;
    let release = arguments.release.then_some("--release");
    let status = cargo()
        .arg("build")
        .args(release)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the build failed; cargo's words are above");
    Ok(())
}

/// Sets up what is missing and builds the agent for the sandbox and the tests.
pub(crate) fn agent() -> Result<()> {
    setup::setup()?;
    let status = cargo()
        .args(["build", "--quiet", "--package", "blocker"])
        .status()
        .context("cannot start cargo")?;
    ensure!(
        status.success(),
        "the agent could not be built; cargo's words are above"
    );
    Ok(())
}
