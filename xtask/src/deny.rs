//! `cargo xtask deny`: what we take from others, held to the rules in `deny.toml`.
//!
//! Licences, sources and duplicates need nothing but the lock file and cargo's own copies of the crates. Advisories need the RustSec
//! database, which is fetched anew: that is asked for by itself, where it can be reached.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::setup::cargo_tool::{Features, Speed};
use crate::{setup, workspace};

/// The tool that checks.
const CARGO_DENY: (&str, &str) = ("cargo-deny", "0.20.2");

/// What was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Look into the RustSec database as well, for known vulnerabilities; fetches it
    #[arg(long)]
    advisories: bool,
}

/// Checks.
pub(crate) fn deny(arguments: &Arguments) -> Result<()> {
    let tool = setup::cargo_tool::install(&setup::tools()?, CARGO_DENY, Features::Default, Speed::Least)?;
    let mut command = Command::new(tool);
    command.current_dir(workspace()?);
    command.args([
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]);
    command.args(arguments.advisories.then_some("advisories"));
    let status = command.status().context("cannot start cargo-deny")?;
    ensure!(
        status.success(),
        "what is above is not allowed by deny.toml, which says what to do"
    );
    Ok(())
}
