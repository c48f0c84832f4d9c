//! blocker's own chores, as `cargo xtask COMMAND`. One file a command.

mod bench;
mod build;
mod deny;
mod fuzz;
mod guide;
mod package;
mod run;
mod setup;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "blocker's own chores", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what this machine lacks for building and testing; the other commands do so by themselves
    Setup,
    /// Build everything
    Build(build::Arguments),
    /// Show blocker at work in a sandbox, or run the agent itself as root
    Run(run::Arguments),
    /// Run all tests
    Test(test::Arguments),
    /// Compare blocker with its peers on this machine, and write docs/benchmarks.md
    Bench(bench::Arguments),
    /// Make the guide a book, in target/guide
    Guide,
    /// Make the Debian package, and its bill of materials, in target/package
    Package(package::Arguments),
    /// Check licences, sources and duplicates of what others wrote; with --advisories also its known vulnerabilities
    Deny(deny::Arguments),
    /// Try random input on whatever reads what others wrote, until something fails or the time is up
    Fuzz(fuzz::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Chore::Setup => setup::setup().map(|()| ExitCode::SUCCESS),
        Chore::Build(arguments) => build::build(&arguments).map(|()| ExitCode::SUCCESS),
        Chore::Run(arguments) => run::run(arguments),
        Chore::Test(arguments) => test::test(&arguments).map(|()| ExitCode::SUCCESS),
        Chore::Bench(arguments) => Err(bench::bench(&arguments)),
        Chore::Guide => guide::guide().map(|()| ExitCode::SUCCESS),
        Chore::Package(arguments) => package::package(&arguments).map(|()| ExitCode::SUCCESS),
        Chore::Deny(arguments) => deny::deny(&arguments).map(|()| ExitCode::SUCCESS),
        Chore::Fuzz(arguments) => fuzz::fuzz(&arguments).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// The workspace's folder.
fn workspace() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(folder.context("the package lies in the workspace's folder")?.to_owned())
}

/// The cargo that runs us, in the workspace's folder.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if let Ok(workspace) = workspace() {
        command.current_dir(workspace);
    }
    command
}
