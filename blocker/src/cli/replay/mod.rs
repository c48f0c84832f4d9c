//! `blocker replay`: the bans that the configured jails would have made over logs.

mod json;
mod report;

use std::io::{self, BufWriter, IsTerminal as _, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;

use self::report::{BanLine, Colour, Report};
use super::{progress, written};
use crate::ban::{Ban, Subject};
use crate::config::{self, Folder, JailSettings, OnBroken};
use crate::ledger::{Allowlist, own_addresses};
use crate::problem::did_you_mean;
use crate::replay::{Replay, Stopped};
use crate::source::stored::StoredLog;

/// What `replay` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Log files in any order, also compressed with gzip; `-` for standard input
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// Folder laid out like /etc/fail2ban [default: /etc/blocker, or the compiled-in jails if it has none]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Only this jail; may be given several times [default: all that are enabled]
    #[arg(long = "jail", value_name = "NAME")]
    jails: Vec<String>,
    /// Address or network that is never banned, beside those of the configuration; may be given several times
    #[arg(long = "allow", value_name = "NET")]
    allow: Vec<Subject>,
    /// Print one JSON object a ban, and one with the sums
    #[arg(long)]
    json: bool,
}

pub(super) fn replay(arguments: &Arguments) -> Result<ExitCode> {
    let logs = logs(&arguments.logs)?;
    let (jails, allow) = configured(arguments)?;
    let own = own_addresses().context("cannot list the machine's own addresses, which are never banned")?;
    let mut replay = Replay::new(jails, Allowlist::new(allow, own));
    let mut out = Output::new(arguments.json, &replay, logs.iter().map(|log| log.len).sum());
    let begun = Instant::now();
    let progress = out.progress.clone();
    let watch = |input| -> Box<dyn Read> { Box::new(progress.wrap_read(input)) };
    let read = replay.run(&logs, &watch, |jail, ban| out.ban(jail, ban));
    out.progress.finish_and_clear();
    match read {
        Ok(()) => {}
        Err(Stopped::Unreadable(error)) => {
            // The bans so far are true.
            written(out.writer.flush())?;
            return Err(error.into());
        }
        Err(Stopped::Told(error)) => return written(Err(error)),
    }
    let report = Report {
        jails: replay.names().collect(),
        tally: replay.tally(),
        logs: logs.len(),
        taken: begun.elapsed(),
        colour: out.colour,
    };
    let answer = if arguments.json {
        json::summary(replay.tally(), report.taken, &mut out.writer)
    } else {
        write!(out.writer, "{report}")
    };
    written(answer.and_then(|()| out.writer.flush()))
}

/// Finds the logs, each once: one that is read twice would count every failure twice.
fn logs(names: &[PathBuf]) -> Result<Vec<StoredLog>> {
    let mut logs: Vec<StoredLog> = Vec::with_capacity(names.len());
    for name in names {
        let log = StoredLog::new(name).with_context(|| format!("{}: the log cannot be opened", name.display()))?;
        match logs.iter().find(|known| known.is_same(&log)) {
            Some(known) => {
                let (log, known) = (name.display(), known.path().display());
                tracing::warn!(%log, %known, "the log was named already, and is read once");
            }
            None => logs.push(log),
        }
    }
    Ok(logs)
}

/// The jails that are replayed, and the networks that they never ban.
fn configured(arguments: &Arguments) -> Result<(Vec<JailSettings>, Vec<ipnet::IpNet>)> {
    let folder = arguments.config.as_deref().map_or(Folder::Default, Folder::Given);
    // Where some jails are asked for, what is wrong with others does not matter.
    let on_broken = if arguments.jails.is_empty() {
        OnBroken::Refuse
    } else {
        OnBroken::Skip
    };
    let settings = config::load(folder, on_broken)?;
    for name in &arguments.jails {
        if settings.jails.iter().any(|jail| jail.name == *name) {
            continue;
        }
        if let Some(broken) = settings.broken.into_iter().find(|jail| jail.name == *name) {
            return Err(broken.problems.into());
        }
        let known: Vec<&str> = settings.jails.iter().map(|jail| jail.name.as_str()).collect();
        let hint = match did_you_mean(name, known.iter().copied()) {
            hint if hint.is_empty() => format!("there are {}", known.join(", ")),
            hint => hint,
        };
        bail!("--jail {name}: no jail of this name is enabled; {hint}");
    }
    let wanted = |jail: &JailSettings| arguments.jails.is_empty() || arguments.jails.contains(&jail.name);
    let jails = settings.jails.into_iter().filter(wanted).collect();
    let allow = arguments.allow.iter().map(Subject::network);
    Ok((jails, settings.allow.into_iter().chain(allow).collect()))
}

/// Where bans go as they are made.
struct Output {
    writer: BufWriter<io::StdoutLock<'static>>,
    is_terminal: bool,
    is_json: bool,
    colour: Colour,
    /// Width of the jails' column.
    width: usize,
    progress: ProgressBar,
}

impl Output {
    fn new(is_json: bool, replay: &Replay, bytes: u64) -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            writer: BufWriter::new(io::stdout().lock()),
            is_terminal,
            is_json,
            colour: Colour::on(is_terminal),
            width: replay.names().map(str::len).max().unwrap_or(0),
            progress: progress::bar(bytes),
        }
    }

    fn ban(&mut self, jail: &str, ban: &Ban) -> io::Result<()> {
        if !self.is_terminal {
            return self.write(jail, ban);
        }
        // The bar stands in the same terminal, below what is said.
        let progress = self.progress.clone();
        progress.suspend(|| {
            self.write(jail, ban)?;
            self.writer.flush()
        })
    }

    fn write(&mut self, jail: &str, ban: &Ban) -> io::Result<()> {
        if self.is_json {
            return json::ban(jail, ban, &mut self.writer);
        }
        let line = BanLine {
            jail,
            ban,
            width: self.width,
            colour: self.colour,
        };
        writeln!(self.writer, "{line}")
    }
}
