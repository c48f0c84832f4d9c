//! Bans and their sums, for people.

use std::fmt;
use std::time::Duration;

use super::super::figures::grouped;
use crate::ban::{Ban, Subject};
use crate::problem::printable;
use crate::replay::{Counts, MAX_HOSTS, Tally};

/// Hosts that are shown.
const HOSTS: usize = 10;
/// Width of an address or an IPv6 network, of all but the longest.
const ADDRESS: usize = 24;

/// Whether what is written may be coloured.
#[derive(Clone, Copy)]
pub(super) struct Colour(bool);

impl Colour {
    /// On a terminal, unless somebody wants none.
    pub(super) fn on(is_terminal: bool) -> Self {
        Self(is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    const fn bold(self) -> &'static str {
        if self.0 { "\u{1b}[1m" } else { "" }
    }

    const fn green(self) -> &'static str {
        if self.0 { "\u{1b}[32m" } else { "" }
    }

    const fn plain(self) -> &'static str {
        if self.0 { "\u{1b}[0m" } else { "" }
    }
}

/// A ban in one line.
pub(super) struct BanLine<'a> {
    pub(super) jail: &'a str,
    pub(super) ban: &'a Ban,
    /// Width of the jails' column.
    pub(super) width: usize,
    pub(super) colour: Colour,
}

impl fmt::Display for BanLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            jail,
            ban,
            width,
            colour,
        } = self;
        let (time, until, failures) = (ban.since, ban.until.to_string(), ban.failures);
        let (bold, plain) = (colour.bold(), colour.plain());
        let address = ban.subject.to_string();
        write!(
            f,
            "{time:.0}  {jail:<width$}  {bold}{address:<ADDRESS$}{plain}  until {until:<20}  failures {failures}",
            jail = printable(jail),
        )
    }
}

/// The sums.
pub(super) struct Report<'a> {
    pub(super) jails: Vec<&'a str>,
    pub(super) tally: &'a Tally,
    /// How many logs were read.
    pub(super) logs: usize,
    pub(super) taken: Duration,
    pub(super) colour: Colour,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        if tally.all.bans > 0 {
            writeln!(f)?;
        }
        let seconds = self.taken.as_secs_f64();
        let logs = match self.logs {
            1 => "1 log".to_owned(),
            logs => format!("{} logs", grouped(logs as u64)),
        };
        self.sum(
            f,
            "lines",
            tally.lines,
            &format!(
                "of {logs}, in {seconds:.2} s, {} a second",
                grouped((tally.lines as f64 / seconds.max(1e-6)) as u64)
            ),
        )?;
        if let Some((first, last)) = tally.span {
            writeln!(f, "{:22}from {first:.0} to {last:.0}", "")?;
        }
        self.sum(
            f,
            "failures",
            tally.all.failures,
            &self.addresses(|counts| counts.failures),
        )?;
        self.saved(f)?;
        self.sum(f, "bans", tally.all.bans, &self.addresses(|counts| counts.bans))?;
        self.doubts(f)?;
        self.jails(f)?;
        self.hosts(f)
    }
}

impl Report<'_> {
    fn sum(&self, f: &mut fmt::Formatter<'_>, name: &str, count: u64, meaning: &str) -> fmt::Result {
        let (bold, plain) = (self.colour.bold(), self.colour.plain());
        writeln!(f, "{bold}{name:<9}{plain} {:>11} {meaning}", grouped(count))
    }

    /// How many hosts have some of what is counted.
    fn addresses(&self, of: impl Fn(&Counts) -> u64) -> String {
        let count = self.tally.hosts.values().filter(|counts| of(counts) > 0).count();
        let least = if self.tally.more_hosts { "at least " } else { "" };
        match count {
            1 => format!("of {least}1 address"),
            count => format!("of {least}{} addresses", grouped(count as u64)),
        }
    }

    fn saved(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { failures, saved, .. } = self.tally.all;
        let (green, plain) = (self.colour.green(), self.colour.plain());
        let share = 100.0 * saved as f64 / failures.max(1) as f64;
        writeln!(
            f,
            "{green}{:<9} {:>11} failures, {share:.1} %, of hosts that would have been banned by then{plain}",
            "saved",
            grouped(saved),
        )
    }

    /// What the figures leave out.
    fn doubts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        let more = if tally.more_hosts { MAX_HOSTS as u64 } else { 0 };
        for (name, count, meaning) in [
            (
                "undated",
                tally.undated,
                "lines in which no date was found, and which no filter has seen",
            ),
            ("cut", tally.cut, "lines longer than what is read of a line"),
            ("given up", tally.given_up, "searches that went back and forth too long"),
            (
                "unnamed",
                tally.unbannable,
                "failures without an address; names are not looked up",
            ),
            ("allowed", tally.vetoes, "bans that the allowlist did not let happen"),
            ("no room", tally.no_room, "bans that the ledger has no room for"),
            ("addresses", more, "are counted one by one, later ones only in the sums"),
        ] {
            if count > 0 {
                self.sum(f, name, count, meaning)?;
            }
        }
        Ok(())
    }

    fn jails(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jails = self.jails.iter().zip(&self.tally.jails);
        self.table(f, "jail", jails.map(|(name, counts)| (printable(name), counts)))
    }

    fn hosts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hosts: Vec<(&Subject, &Counts)> = self.tally.hosts.iter().collect();
        if hosts.is_empty() {
            return Ok(());
        }
        hosts.sort_unstable_by(|(a, most), (b, counts)| counts.failures.cmp(&most.failures).then(a.cmp(b)));
        let hosts = hosts.into_iter().take(HOSTS);
        self.table(
            f,
            "address with most failures",
            hosts.map(|(host, counts)| (host.to_string(), counts)),
        )
    }

    fn table<'a>(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        rows: impl Iterator<Item = (String, &'a Counts)>,
    ) -> fmt::Result {
        let (bold, plain) = (self.colour.bold(), self.colour.plain());
        writeln!(
            f,
            "\n{bold}{:>11}  {:>11}  {:>11}  {title}{plain}",
            "failures", "saved", "bans"
        )?;
        for (name, Counts { failures, saved, bans }) in rows {
            let [failures, saved, bans] = [*failures, *saved, *bans].map(grouped);
            writeln!(f, "{failures:>11}  {saved:>11}  {bans:>11}  {name}")?;
        }
        Ok(())
    }
}
