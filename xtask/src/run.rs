//! `cargo xtask run`: blocker at work in a sandbox, or the agent itself.
//!
//! The sandbox is the lab: a relay with a real Postfix, hosts that spam it and an honest host. What is shown at the end is
//! counted from Postfix's log and from the packets on the spammers' side, never from what the agent says of itself. While it runs,
//! the agent can be asked from another terminal, and the show itself tries the commands for that.

mod agent;
mod commands;
mod escalate;
mod hosts;
mod metrics;
mod screen;
mod show;
mod tally;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{build, workspace};

/// What was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Let the show last this many seconds; on a terminal it goes on until Ctrl-C even so
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,

    /// Go on until Ctrl-C also where no terminal shows it
    #[arg(long)]
    hold: bool,

    /// Print one JSON object on standard output at the end, and everything else on standard error
    #[arg(long)]
    json: bool,

    /// What drops the packets
    #[arg(long, value_enum, value_name = "KIND", default_value = "auto")]
    firewall: Firewall,

    /// Run the agent itself with these arguments, as root, instead of the show
    #[arg(last = true, value_name = "ARGS")]
    agent: Vec<OsString>,
}

/// The firewalls that the agent knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Firewall {
    /// A program on the interface, before the network stack
    Xdp,
    /// Rules in the kernel's packet filter
    Nftables,
    /// The agent's own choice
    Auto,
}

impl Firewall {
    const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Nftables => "nftables",
            Self::Auto => "auto",
        }
    }
}

/// Builds the agent, becomes root, and does what was asked for.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let agent = workspace()?.join("target/debug/blocker");
    if !escalate::after_escalation() {
        build::agent()?;
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(escalate::through_sudo());
    }
    if !arguments.agent.is_empty() {
        let error = Command::new(&agent).args(&arguments.agent).exec();
        return Err(error).context(agent.display().to_string());
    }
    show::run(&arguments, &agent)
}
