//! `blocker status`: how the agent is, or one jail of it.

mod jail;

use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use jiff::Timestamp;

use self::jail::OneJail;
use super::client::{Client, Where};
use super::figures::{grouped, since};
use super::{json, written};
use crate::api::health::problems;
use crate::api::model::Status;
use crate::problem::printable;

/// What `status` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this jail, with the addresses that it has banned
    jail: Option<String>,
    #[command(flatten)]
    place: Where,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn status(arguments: &Arguments) -> Result<ExitCode> {
    let client = Client::new(&arguments.place)?;
    if let Some(name) = &arguments.jail {
        return one_jail(&OneJail::ask(&client, name)?, arguments.json);
    }
    let status: Status = client.get("/v1/status", &[])?;
    let mut out = anstream::stdout().lock();
    if arguments.json {
        return written(json::write(&status, &mut out));
    }
    written(out.write_all(text(&status, Timestamp::now()).as_bytes()))
}

fn one_jail(jail: &OneJail, as_json: bool) -> Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    if as_json {
        return written(json::write(jail, &mut out));
    }
    written(out.write_all(jail.text().as_bytes()))
}

/// The status for people: what is wrong first.
fn text(status: &Status, now: Timestamp) -> String {
    let mut lines: Vec<String> = Vec::new();
    let bad = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    for problem in problems(status) {
        lines.push(format!("{bad}! {problem}{bad:#}"));
    }
    if status.dry_run {
        lines.push("this is a dry run: what would be dropped is counted, and nothing is dropped".to_owned());
    }
    let mut row = |what: &str, value: String| lines.push(format!("{what:<11}{value}"));
    row(
        "agent",
        format!(
            "blocker {}, process {}, for {}",
            printable(&status.version),
            status.pid,
            since(status.started, now)
        ),
    );
    row("reads", printable(&status.configuration).to_string());
    let interfaces = status.interfaces.iter();
    let interfaces: Vec<String> = interfaces
        .map(|one| format!("{} ({})", printable(&one.interface), printable(&one.mode)))
        .collect();
    row(
        "firewall",
        format!("{} on {}", printable(&status.firewall), interfaces.join(", ")),
    );
    row(
        "bans",
        format!(
            "{} in force, {:.1} % of them enforced",
            grouped(status.bans),
            status.enforced_ratio * 100.0
        ),
    );
    row("dropped", format!("{} packets", grouped(status.dropped_packets)));
    lines.push(String::new());
    let width = |names: &mut dyn Iterator<Item = usize>, least| names.max().unwrap_or(0).max(least);
    let jail = width(&mut status.jails.iter().map(|jail| jail.name.len()), "jail".len());
    lines.push(format!(
        "{:<jail$}  {:>9}  {:>11}  {:>9}  {:>13}  scope",
        "jail", "bans", "made so far", "failures", "dropped"
    ));
    for one in &status.jails {
        lines.push(format!(
            "{:<jail$}  {:>9}  {:>11}  {:>9}  {:>13}  {}",
            printable(&one.name).to_string(),
            grouped(one.bans),
            grouped(one.bans_made),
            grouped(one.failures),
            grouped(one.dropped_packets),
            printable(&one.scope)
        ));
    }
    lines.push(String::new());
    let source = width(&mut status.sources.iter().map(|source| source.name.len()), "log".len());
    lines.push(format!("{:<source$}  {:>13}  behind", "log", "lines"));
    for one in &status.sources {
        let lag = if one.lag_seconds < 1.0 {
            "no".to_owned()
        } else {
            format!("{:.0} s", one.lag_seconds)
        };
        lines.push(format!(
            "{:<source$}  {:>13}  {lag}",
            printable(&one.name).to_string(),
            grouped(one.lines)
        ));
    }
    lines.join("\n") + "\n"
}
