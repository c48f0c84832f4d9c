//! The command line: one file a subcommand, and no logic of its own.

mod bans;
mod check;
mod client;
mod fail2ban;
mod figures;
mod import;
mod json;
mod progress;
mod reload;
mod replay;
mod run;
mod status;
mod stop;
mod test;
mod top;
mod why;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use self::client::NoAgent;
use crate::config::{FirewallChoice, Folder, OnBroken, Settings};
use crate::firewall::interfaces::Pattern;
use crate::problem::{Problems, printable};

/// The exit code of a command that needs a running agent, where there is none.
const NO_AGENT: u8 = 3;

/// The exit code of a command that is not understood, which is clap's too.
const USAGE: u8 = 2;

/// Drops abusive mail hosts in the kernel, on the mail ports only and for a limited time.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent: read logs, ban abusive hosts, until it is told to stop
    Run(RunOptions),
    /// Check the configuration and the machine; changes nothing
    Check(Options),
    /// End the agent; its bans stay in force in the kernel until they end
    Stop(stop::Arguments),
    /// Show how the agent is: firewall, jails, logs, and what is wrong
    Status(status::Arguments),
    /// Watch the agent live: what is dropped, who is banned, what is wrong
    Top(top::Arguments),
    /// Show which bans are in force
    Bans(bans::ListArguments),
    /// Show why a host is banned, by which lines, and how to undo it
    Why(why::Arguments),
    /// Ban a host or network, until the time is over or somebody lifts it
    Ban(bans::BanArguments),
    /// Lift bans before their time
    Unban(bans::UnbanArguments),
    /// Have the agent read its configuration anew; one that is not whole changes nothing
    Reload(reload::Arguments),
    /// Take over another program's bans into the ledger
    Import(import::Arguments),
    /// Show what a filter finds in a log
    Test(test::Arguments),
    /// Show the bans that the jails would have made over logs
    Replay(replay::Arguments),
}

/// What `run` takes.
#[derive(Debug, clap::Args)]
struct RunOptions {
    #[command(flatten)]
    options: Options,
    /// Run the other jails where one cannot run because its configuration is wrong
    #[arg(long)]
    skip_broken_jails: bool,
    /// Count what would be dropped, and drop nothing
    #[arg(long)]
    dry_run: bool,
}

/// What both commands take.
#[derive(Clone, Debug, Default, clap::Args)]
struct Options {
    /// Folder laid out like /etc/fail2ban [default: /etc/blocker, or the compiled-in jails if it has none]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Interface for XDP, or a glob as in `eth*`; may be given several times [default: those with a default route]
    #[arg(long = "interface", value_name = "NAME")]
    interfaces: Vec<Pattern>,
    /// What enforces bans [default: as in blocker.toml, else auto]
    #[arg(long, value_enum)]
    firewall: Option<FirewallChoice>,
    /// Where Prometheus metrics are served, or `off` [default: as in blocker.toml, else 127.0.0.1:9919]
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// Folder of the ledger [default: as in blocker.toml, else /var/lib/blocker]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Options {
    /// The checked configuration, with what was typed over it.
    fn settings(self, on_broken: OnBroken) -> anyhow::Result<Settings> {
        let folder = self.config.as_deref().map_or(Folder::Default, Folder::Given);
        let mut settings = crate::config::load(folder, on_broken)?;
        if let Some(firewall) = self.firewall {
            settings.firewall = firewall;
        }
        if !self.interfaces.is_empty() {
            settings.interfaces = self.interfaces;
        }
        if let Some(state) = self.state {
            settings.state = state;
        }
        match self.metrics.as_deref() {
            None => {}
            Some("off") => settings.metrics = None,
            Some(address) => {
                let parsed = address.parse().map_err(|_| {
                    anyhow::anyhow!("--metrics {address}: no address with a port; write 127.0.0.1:9919 or off")
                })?;
                settings.metrics = Some(parsed);
            }
        }
        Ok(settings)
    }
}

/// The command line as clap knows it, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    log_to_stderr();
    let result = match cli.command {
        Command::Run(options) => run::run(options),
        Command::Check(options) => check::check(options),
        Command::Stop(arguments) => stop::stop(&arguments),
        Command::Status(arguments) => status::status(&arguments),
        Command::Top(arguments) => top::top(&arguments),
        Command::Bans(arguments) => bans::list(&arguments),
        Command::Why(arguments) => why::why(&arguments),
        Command::Ban(arguments) => bans::ban(arguments),
        Command::Unban(arguments) => bans::unban(&arguments),
        Command::Reload(arguments) => reload::reload(&arguments),
        Command::Import(arguments) => import::import(arguments),
        Command::Test(arguments) => test::test(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            explain(&error);
            if error.is::<NoAgent>() {
                ExitCode::from(NO_AGENT)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// What was typed is no command of ours: it may be fail2ban's, or was to show help.
fn misunderstood(error: &clap::Error) -> ExitCode {
    let typed: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match fail2ban::answer(&typed).filter(|_| error.use_stderr()) {
        Some(answer) => {
            explain(&anyhow::Error::msg(answer));
            ExitCode::from(USAGE)
        }
        None => error.exit(),
    }
}

/// One line an event, for `journalctl` and for log pipelines. `BLOCKER_LOG` chooses what is said, as in `BLOCKER_LOG=debug`.
fn log_to_stderr() {
    // What the resolver has to say is said with the name that was looked up.
    let usual = || EnvFilter::new("info,hickory_net=off,hickory_proto=off,hickory_resolver=off");
    let filter = EnvFilter::try_from_env("BLOCKER_LOG").unwrap_or_else(|_| usual());
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(colour)
        .with_writer(io::stderr)
        // An agent whose log nobody takes any more goes on; to complain of it there would end the thread that does.
        .log_internal_errors(false)
        .init();
}

/// What became of an answer. A reader that has read enough, as `head`, is no failure.
fn written(answer: io::Result<()>) -> anyhow::Result<ExitCode> {
    match answer {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the answer"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Problems one a line, other errors with their causes.
fn explain(error: &anyhow::Error) {
    let text = match error.downcast_ref::<Problems>() {
        Some(problems) => problems.to_string(),
        None => format!("{error:#}"),
    };
    for line in text.lines() {
        // If nobody reads it, the exit status says that something is wrong.
        let _ = writeln!(io::stderr(), "blocker: {}", printable(line));
    }
}
