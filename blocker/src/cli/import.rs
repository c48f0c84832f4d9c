//! `blocker import fail2ban`: takes over the bans in fail2ban's own database.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::{Options, json, written};
use crate::config::OnBroken;
use crate::ledger::fail2ban::Fail2banDatabase;
use crate::ledger::import::Import;
use crate::ledger::own_addresses;
use crate::problem::printable;

/// What `import` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// Take over the bans in fail2ban's own database, for the next start of the agent
    Fail2ban(Fail2ban),
}

#[derive(Debug, clap::Args)]
struct Fail2ban {
    /// fail2ban's database
    #[arg(long, value_name = "FILE", default_value = "/var/lib/fail2ban/fail2ban.sqlite3")]
    database: PathBuf,
    /// Folder laid out like /etc/fail2ban [default: /etc/blocker, or the compiled-in jails if it has none]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Folder of the ledger [default: as in blocker.toml, else /var/lib/blocker]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Say what came of it as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn import(arguments: Arguments) -> Result<ExitCode> {
    let From::Fail2ban(from) = arguments.from;
    let options = Options {
        config: from.config,
        state: from.state,
        ..Options::default()
    };
    let settings = options.settings(OnBroken::Skip)?;
    let foreign = Fail2banDatabase::open(&from.database)?;
    let own = own_addresses().context("cannot list the machine's own addresses, which must never be banned")?;
    let mut import = Import::begin(settings, own, Timestamp::now())?;
    let progress = ProgressBar::new(foreign.count()?).with_style(
        ProgressStyle::with_template("{wide_bar} {pos} of {len} bans, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    foreign.bans(|ban| {
        progress.inc(1);
        import.take(ban)
    })?;
    let result = import.finish()?;
    progress.finish_and_clear();
    let mut out = io::stdout().lock();
    if from.json {
        return written(json::write(&result, &mut out));
    }
    written(writeln!(out, "{}", printable(&result.to_string())))
}
