//! `blocker why`: the whole story of a host.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use jiff::Timestamp;

use super::client::{Client, Where};
use super::figures::{grouped, length, since};
use super::{json, written};
use crate::api::model::{Allowed, Counted, FailedLine, PastBan, Reason, Why};
use crate::problem::printable;

/// Where the right column begins: behind a blank after `119 min ago`, the longest there is to the left.
const INDENT: usize = 12;

/// What `why` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An address, or a network as in 192.0.2.0/24
    address: String,
    #[command(flatten)]
    place: Where,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn why(arguments: &Arguments) -> Result<ExitCode> {
    let query = [("address", arguments.address.clone())];
    let why: Why = Client::new(&arguments.place)?.get("/v1/why", &query)?;
    let mut out = anstream::stdout().lock();
    if arguments.json {
        return written(json::write(&why, &mut out));
    }
    written(out.write_all(text(&why, Timestamp::now()).as_bytes()))
}

/// The story for people: what is so now, then why, then what was before, then what to do.
fn text(why: &Why, now: Timestamp) -> String {
    let mut text = Text::default();
    let address = printable(&why.address);
    text.head(why, &address, now);
    if let Some(allowed) = &why.allowed {
        text.row("allowed", &covering(allowed));
    }
    for reason in &why.bans {
        text.blank();
        text.reason(reason, &why.address, now);
    }
    for counted in &why.jails {
        text.blank();
        text.counted(counted, now);
    }
    if !why.past.is_empty() {
        text.blank();
        text.past(why, now);
    }
    if !why.bans.is_empty() {
        text.blank();
        text.undo(why, &address);
    }
    text.0
}

fn covering(allowed: &Allowed) -> String {
    match (allowed.by.as_str(), &allowed.entry) {
        ("networks", Some(entry)) => format!("by `{}` in `networks` under [allow] in blocker.toml", printable(entry)),
        ("own", _) => "it is this machine's own address".to_owned(),
        ("looked-up", _) => "by what `names` or `spf` under [allow] in blocker.toml come to".to_owned(),
        _ => "by a loopback network, or by several entries under [allow] in blocker.toml together".to_owned(),
    }
}

/// Text in two columns.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn blank(&mut self) {
        self.line("");
    }

    fn row(&mut self, what: &str, value: &str) {
        self.line(&format!("{what:<INDENT$}{value}"));
    }

    /// Whether it is banned, and for how long.
    fn head(&mut self, why: &Why, address: &str, now: Timestamp) {
        let (colour, head) = match &why.bans[..] {
            [] if why.allowed.is_some() => (
                AnsiColor::Green,
                format!("{address} is not banned, and cannot be: the allowlist covers it"),
            ),
            [] if address.contains('/') => (
                AnsiColor::Green,
                format!(
                    "{address} is not banned as a network; `blocker bans --network {address}` shows hosts in it that are"
                ),
            ),
            [] => (AnsiColor::Green, format!("{address} is not banned")),
            bans => {
                let jails: Vec<String> = bans.iter().map(|reason| printable(&reason.ban.jail)).collect();
                let ends = bans.iter().map(|reason| reason.ban.until);
                // What has no end is the longest.
                let last = ends.reduce(|one, other| Some(one?.max(other?))).flatten();
                let ends = last.map_or_else(
                    || "without an end".to_owned(),
                    |until| format!("for another {}", since(now, until)),
                );
                let (colour, but) = if why.allowed.is_some() {
                    (AnsiColor::Green, "; the allowlist lets it in all the same")
                } else {
                    (AnsiColor::Red, "")
                };
                (
                    colour,
                    format!("{address} is banned by {} {ends}{but}", jails.join(", ")),
                )
            }
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        self.line(&format!("{style}{head}{style:#}"));
    }

    /// A ban in force.
    fn reason(&mut self, reason: &Reason, asked: &str, now: Timestamp) {
        let ban = &reason.ban;
        let scope = match reason.scope.as_str() {
            "" => String::new(),
            scope => format!(", which closes {}", printable(scope)),
        };
        self.row("jail", &format!("{}{scope}", printable(&ban.jail)));
        if ban.address != asked {
            self.row("banned", &format!("all of {}", printable(&ban.address)));
        }
        let cause = match (ban.origin.as_str(), ban.failures) {
            ("manual", _) => "somebody has asked for it by hand".to_owned(),
            (_, 1) => "for 1 failure".to_owned(),
            (_, failures) => format!("for {} failures", grouped(failures.into())),
        };
        self.row("since", &format!("{} ago, {cause}", since(ban.since, now)));
        let ends = ban.until.map_or_else(
            || "never by itself".to_owned(),
            |until| format!("in {}", since(now, until)),
        );
        self.row("ends", &ends);
        let next = match reason.next_seconds {
            None => "; the next one has no end".to_owned(),
            Some(seconds) if reason.grows => format!("; the next one lasts {} or more", length(seconds)),
            Some(seconds) => format!(
                "; the next one lasts {} too: `bantime.increment` is off",
                length(seconds)
            ),
        };
        self.row("ban", &format!("number {}{next}", reason.nth));
        let dropped = match (ban.packets, ban.last_knock) {
            (None, _) => "the kernel does not tell".to_owned(),
            (Some(1), Some(last)) => format!("1 packet, {} ago", since(last, now)),
            (Some(packets), Some(last)) => format!("{} packets, the last {} ago", grouped(packets), since(last, now)),
            (Some(packets), None) => format!("{} packets", grouped(packets)),
        };
        self.row("dropped", &dropped);
        if !ban.enforced {
            self.row("BUT", "the kernel does not enforce it yet; the agent's log says why");
        }
        if reason.lines.is_empty() && ban.origin != "manual" {
            self.row(
                "lines",
                "none that led to it are known: it is too old, or was taken over",
            );
        }
        self.lines(&reason.lines, now);
    }

    /// Lines of failures, each with its failregex's number, and then the failregexes.
    fn lines(&mut self, lines: &[FailedLine], now: Timestamp) {
        for line in lines {
            let ago = format!("{} ago", since(line.time, now));
            self.row(&ago, &format!("#{} {}", line.number, printable(&line.line)));
        }
        let failregexes: BTreeSet<(u16, &str)> = lines
            .iter()
            .map(|line| (line.number, line.failregex.as_str()))
            .collect();
        for (number, failregex) in failregexes {
            self.row("failregex", &format!("#{number} {}", printable(failregex)));
        }
    }

    /// What a jail has counted.
    fn counted(&mut self, counted: &Counted, now: Timestamp) {
        let jail = printable(&counted.jail);
        if counted.ignores {
            let by = counted.ignored_by.as_deref().map(printable);
            let by = by.map_or_else(|| "what a name in it comes to".to_owned(), |entry| format!("`{entry}`"));
            self.row("ignored", &format!("in jail {jail}: its `ignoreip` covers it, by {by}"));
        }
        if counted.failures > 0 {
            let (failures, most) = (counted.failures, counted.max_retry);
            let within = length(counted.find_seconds);
            self.row(
                "counted",
                &format!("{failures} of the {most} failures within {within} for which {jail} bans"),
            );
            self.lines(&counted.lines, now);
        }
    }

    /// Earlier bans.
    fn past(&mut self, why: &Why, now: Timestamp) {
        let bans = if why.past_total == 1 { "ban" } else { "bans" };
        self.row("before", &format!("{} earlier {bans}", grouped(why.past_total)));
        let jail = why.past.iter().map(|past| printable(&past.jail).chars().count()).max();
        let jail = jail.unwrap_or_default();
        for past in &why.past {
            let PastBan { until, lifted, .. } = past;
            let end = match until {
                _ if *lifted => "lifted by hand".to_owned(),
                None => "without an end".to_owned(),
                Some(until) if *until > now => format!("to end in {}", since(now, *until)),
                Some(until) => format!("until {} ago", since(*until, now)),
            };
            let of = if past.address == why.address {
                String::new()
            } else {
                format!(", all of {}", printable(&past.address))
            };
            let ago = format!("{} ago", since(past.since, now));
            self.row(&ago, &format!("{:<jail$}  {end}{of}", printable(&past.jail)));
        }
        if why.bans.is_empty()
            && let Some(last) = why.past.first().filter(|last| !last.lines.is_empty())
        {
            self.row("the last", "of them was made for these lines:");
            self.lines(&last.lines, now);
        }
    }

    /// What to type.
    fn undo(&mut self, why: &Why, address: &str) {
        let networks: BTreeSet<&str> = why.bans.iter().map(|reason| reason.ban.address.as_str()).collect();
        // For a host all bans that cover it are lifted; for a network those that lie in it.
        if address.contains('/') {
            for network in &networks {
                self.row("undo it", &format!("blocker unban {}", printable(network)));
            }
        } else {
            self.row("undo it", &format!("blocker unban {address}"));
        }
        if why.allowed.is_some() {
            return;
        }
        self.row(
            "for good",
            &format!("networks = [\"{address}\"] under [allow] in blocker.toml, for all jails;"),
        );
        let jails: BTreeSet<&str> = why.bans.iter().map(|reason| reason.ban.jail.as_str()).collect();
        for jail in jails {
            self.row(
                "",
                &format!("or ignoreip = {address} in [{}], for that jail alone;", printable(jail)),
            );
        }
        self.row("", "beside what stands there already, and then `blocker reload`");
    }
}

#[cfg(test)]
mod tests;
