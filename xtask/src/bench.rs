//! `cargo xtask bench`: blocker against its peers, on this machine.
//!
//! What is compared and how is the business of `tests/bench`; here it is built and started as root.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Error, Result, ensure};

use crate::{cargo, setup, workspace};

/// What was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only this comparison; a name that there is not has all of them listed
    name: Option<String>,

    /// Print one JSON object on standard output at the end, and everything else on standard error
    #[arg(long)]
    json: bool,

    /// See whether it works: two rounds of everything, and nothing is written
    #[arg(long)]
    quick: bool,
}

/// Builds what is compared, and replaces this process by the comparison; returns only if that fails.
pub(crate) fn bench(arguments: &Arguments) -> Error {
    match command(arguments) {
        Ok(mut command) => {
            let error = command.exec();
            Error::new(error).context(format!("cannot start {}", command.get_program().display()))
        }
        Err(error) => error,
    }
}

fn command(arguments: &Arguments) -> Result<Command> {
    setup::setup()?;
    let status = cargo()
        .args(["build", "--quiet", "--release"])
        .args(["--package", "blocker", "--package", "blocker-bench"])
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the build failed; cargo's words are above");
    let program = workspace()?.join("target/release/blocker-bench");
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new(program)
    } else {
        eprintln!("bench: running the comparisons through sudo, since they make network namespaces");
        let mut sudo = Command::new("sudo");
        sudo.arg(program);
        sudo
    };
    command.args(&arguments.name);
    command
        .args(arguments.json.then_some("--json"))
        .args(arguments.quick.then_some("--quick"));
    Ok(command)
}
