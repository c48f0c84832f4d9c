//! blocker's own chores, as `cargo xtask COMMAND`.

mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "blocker's own chores")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show blocker at work in a sandbox, or run the agent itself as root
    Run(run::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run::run(arguments),
    };
    done.unwrap_or_else(|error: anyhow::Error| {
        eprintln!("Error: {error:#}");
        ExitCode::FAILURE
    })
}
