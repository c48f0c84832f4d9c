//! What is said on the control socket, as JSON. docs/control.openapi.yaml describes it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How the agent is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// blocker's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
    /// Since when it runs.
    pub started: Timestamp,
    /// Where its configuration comes from.
    pub configuration: String,
    /// Whether what would be dropped is only counted.
    pub dry_run: bool,
    /// What enforces bans: `xdp`, `nftables`, `xdp+nftables`, or `none`.
    pub firewall: String,
    /// How each interface is covered.
    pub interfaces: Vec<Interface>,
    /// The jails that run.
    pub jails: Vec<Jail>,
    /// Jails that are enabled and do not run, since their configuration is wrong.
    pub broken_jails: Vec<String>,
    /// The logs that are read.
    pub sources: Vec<Source>,
    /// Bans in force.
    pub bans: u64,
    /// How much of them the kernel enforces, from 0 to 1.
    pub enforced_ratio: f64,
    /// Packets of banned hosts that were dropped.
    pub dropped_packets: u64,
    /// Whether bans are on disk before they are enforced.
    pub ledger_durable: bool,
    /// Whether new bans are held back, since there are suspiciously many.
    pub brake_engaged: bool,
}

/// An interface, and what enforces bans on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name; `all` where nftables looks at all of them.
    pub interface: String,
    /// `driver`, `generic`, `nftables`, or `nothing`; the firewall where none is told apart.
    pub mode: String,
}

/// A jail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jail {
    /// Its name.
    pub name: String,
    /// What its bans cover, as in `tcp/25,465`.
    pub scope: String,
    /// The logs that it watches.
    pub logs: Vec<String>,
    /// Failures that its filter found since the agent started.
    pub failures: u64,
    /// Bans that it made since then.
    pub bans_made: u64,
    /// Its bans in force.
    pub bans: u64,
    /// Packets that its bans dropped.
    pub dropped_packets: u64,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its path or pattern, the journal's matches, or `standard input`.
    pub name: String,
    /// Lines read since the agent started.
    pub lines: u64,
    /// Seconds by which what is read is behind what was written; 0 when all is read.
    pub lag_seconds: f64,
}

/// A ban in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// The host or network.
    pub address: String,
    /// The jail that has banned it, whose scope is covered.
    pub jail: String,
    /// Who has asked for it: `jail` or `manual`.
    pub origin: String,
    /// From when it is reckoned: the last failure that led to it.
    pub since: Timestamp,
    /// When it ends; absent where it does not by itself.
    pub until: Option<Timestamp>,
    /// Failures that led to it.
    pub failures: u32,
    /// Packets of the host or network that came since it is banned, by any jail; absent where the kernel does not tell.
    pub packets: Option<u64>,
    /// When the last of them came.
    pub last_knock: Option<Timestamp>,
    /// Whether the kernel enforces it.
    pub enforced: bool,
}

/// What `POST /v1/bans` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBan {
    /// An address or network.
    pub address: String,
    /// The jail whose scope is to be covered; without it, those of all jails.
    #[serde(default)]
    pub jail: Option<String>,
    /// For how many seconds; without it, for as long as the jail bans.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banned {
    /// The bans that are in force now.
    pub bans: Vec<Ban>,
}

/// What became of `DELETE /v1/bans`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbanned {
    /// How many bans were lifted.
    pub lifted: u64,
}

/// What is known of a host or network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The host or network.
    pub address: String,
    /// The bans in force that cover it, each with its reason.
    pub bans: Vec<Reason>,
    /// What on the allowlist covers it; absent where nothing does.
    pub allowed: Option<Allowed>,
    /// The jails that ignore it, or have counted failures of it that led to no ban yet.
    pub jails: Vec<Counted>,
    /// Earlier bans of it and of networks around it, the latest first; 20 at the most.
    pub past: Vec<PastBan>,
    /// How many earlier bans the ledger's history has.
    pub past_total: u64,
}

/// A ban in force, and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The ban.
    #[serde(flatten)]
    pub ban: Ban,
    /// What it covers, as in `tcp/25,465`.
    pub scope: String,
    /// The how-many-th ban it is, of those that count for its length.
    pub nth: u32,
    /// Whether bans of its jail grow for who comes back.
    pub grows: bool,
    /// How many seconds the next one lasts, at the least; absent where it does not end by itself.
    pub next_seconds: Option<u64>,
    /// The lines that led to it, the earliest first: the last ten, as far as they are known.
    pub lines: Vec<FailedLine>,
}

/// A line in which a failure was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedLine {
    /// When it was written.
    pub time: Timestamp,
    /// Its first 512 bytes; where there were more, they end in `…`.
    pub line: String,
    /// The number, from 0, of the failregex that found it.
    pub number: u16,
    /// That failregex.
    pub failregex: String,
}

/// What on the allowlist covers a host or network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// `networks` or `looked-up` of `[allow]`, `own` for the machine's own address, or `together` where no entry covers it alone.
    pub by: String,
    /// The network, where it stands in the configuration.
    pub entry: Option<String>,
}

/// What a jail makes of a host or network that it has not banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The jail.
    pub jail: String,
    /// Whether its `ignoreip` covers the host or network.
    pub ignores: bool,
    /// By which entry, where it is an address or network.
    pub ignored_by: Option<String>,
    /// Failures that count now. Where the filter counts by more than the address, the most of one account.
    pub failures: u32,
    /// How many make a ban.
    pub max_retry: u32,
    /// The seconds within which they must lie.
    pub find_seconds: u64,
    /// Their lines, the earliest first, as far as they are known.
    pub lines: Vec<FailedLine>,
}

/// A ban that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastBan {
    /// The host or network.
    pub address: String,
    /// The jail.
    pub jail: String,
    /// From when it was reckoned: the last failure that led to it at first.
    pub since: Timestamp,
    /// When it ended, or was to end; absent where it had no end.
    pub until: Option<Timestamp>,
    /// Whether somebody lifted it before that. Known until that time.
    pub lifted: bool,
    /// The lines that led to it, as far as they are known.
    pub lines: Vec<FailedLine>,
}

/// What became of `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Jails that run since then.
    pub added: Vec<String>,
    /// Jails that ended with it.
    pub removed: Vec<String>,
    /// Bans of theirs that were lifted.
    pub lifted: usize,
}

/// What is wrong with a request, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem it is: nothing beyond the status.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, and what to do.
    pub detail: String,
    /// Each problem of a configuration that was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

#[cfg(test)]
pub(crate) mod samples;
