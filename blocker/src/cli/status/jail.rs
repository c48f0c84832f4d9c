//! `blocker status JAIL`: how one jail is, and whom it has banned.

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::super::client::Client;
use super::super::figures::grouped;
use crate::api::model::{Ban, Jail, Status};
use crate::problem::{did_you_mean, printable};

/// Addresses that are shown; `blocker bans` has them all.
const MOST: u64 = 50;

/// A jail, and the latest of its bans.
#[derive(Debug, Serialize)]
pub(super) struct OneJail {
    #[serde(flatten)]
    jail: Jail,
    /// At most [`MOST`], the latest first.
    banned: Vec<String>,
}

impl OneJail {
    /// Asks the agent for it.
    pub(super) fn ask(client: &Client, name: &str) -> Result<Self> {
        let status: Status = client.get("/v1/status", &[])?;
        let jail = find(status, name)?;
        let query = [
            ("jail", name.to_owned()),
            ("sort", "since".to_owned()),
            ("limit", MOST.to_string()),
        ];
        let mut banned: Vec<String> = Vec::new();
        client.lines("/v1/bans", &query, |line| {
            let ban: Ban = serde_json::from_str(line)?;
            banned.push(ban.address);
            Ok(true)
        })?;
        Ok(Self { jail, banned })
    }

    /// What people are shown.
    pub(super) fn text(&self) -> String {
        let jail = &self.jail;
        let mut lines: Vec<String> = Vec::new();
        let mut row = |what: &str, value: String| lines.push(format!("{what:<11}{value}"));
        row("jail", printable(&jail.name));
        row("scope", printable(&jail.scope));
        for log in &jail.logs {
            row("log", printable(log));
        }
        row("failures", grouped(jail.failures));
        row(
            "bans",
            format!(
                "{} in force, {} made so far",
                grouped(jail.bans),
                grouped(jail.bans_made)
            ),
        );
        row("dropped", format!("{} packets", grouped(jail.dropped_packets)));
        for (n, addresses) in self.banned.chunks(5).enumerate() {
            row(if n == 0 { "banned" } else { "" }, printable(&addresses.join("  ")));
        }
        let shown = u64::try_from(self.banned.len()).unwrap_or(u64::MAX);
        if shown >= MOST && jail.bans > shown {
            let more = grouped(jail.bans - shown);
            row(
                "",
                format!("and {more} more: `blocker bans --jail {}`", printable(&jail.name)),
            );
        }
        lines.join("\n") + "\n"
    }
}

fn find(status: Status, name: &str) -> Result<Jail> {
    let names: Vec<String> = status.jails.iter().map(|jail| jail.name.clone()).collect();
    if status.broken_jails.iter().any(|broken| broken == name) {
        return Err(anyhow!("the jail `{name}` does not run: `blocker check` says why"));
    }
    status.jails.into_iter().find(|jail| jail.name == name).ok_or_else(|| {
        let hint = match did_you_mean(name, names.iter().map(String::as_str)) {
            hint if hint.is_empty() => format!("there are {}", names.join(", ")),
            hint => hint,
        };
        anyhow!("there is no jail `{name}`; {hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bans: u64) -> OneJail {
        OneJail {
            jail: Jail {
                name: "spam\u{1b}".to_owned(),
                scope: "tcp/25".to_owned(),
                logs: vec!["/var/log/mail.log".to_owned()],
                failures: 1234,
                bans_made: bans,
                bans,
                dropped_packets: 7,
            },
            banned: (0..bans.min(MOST)).map(|n| format!("192.0.2.{n}")).collect(),
        }
    }

    #[test]
    fn a_jail_is_shown_with_its_addresses_and_says_how_many_are_not_shown() {
        let text = one(2).text();
        assert!(text.contains("jail       spam\\u{1b}\n"), "{text}");
        assert!(text.contains("failures   1,234\n"), "{text}");
        assert!(text.ends_with("banned     192.0.2.0  192.0.2.1\n"), "{text}");
        let text = one(1050).text();
        assert!(
            text.ends_with("and 1,000 more: `blocker bans --jail spam\\u{1b}`\n"),
            "{text}"
        );
    }
}
