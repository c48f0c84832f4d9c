//! What the page is told, as JSON: no more than it shows. docs/page.md describes it.

use jiff::Timestamp;
use serde::Serialize;

use crate::api::model::{Ban, Interface, Source, Why};

/// How the agent is.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// What somebody should look at, in words; nothing where all is well.
    pub(super) problems: Vec<String>,
    pub(super) version: String,
    pub(super) started: Timestamp,
    /// The agent's clock.
    pub(super) now: Timestamp,
    pub(super) dry_run: bool,
    pub(super) firewall: String,
    pub(super) interfaces: Vec<Interface>,
    pub(super) sources: Vec<Source>,
    pub(super) bans: u64,
    pub(super) enforced_ratio: f64,
    pub(super) ledger_durable: bool,
    pub(super) brake_engaged: bool,
    pub(super) dropped_packets: u64,
    /// What happened a second, over the last seconds; absent in the first ones.
    pub(super) rate: Option<Rate>,
    pub(super) jails: Vec<Jail>,
}

/// What happened a second.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    pub(super) dropped: f32,
    pub(super) bans: f32,
    pub(super) failures: f32,
}

/// A jail.
#[derive(Debug, Serialize)]
pub(super) struct Jail {
    pub(super) name: String,
    pub(super) scope: String,
    pub(super) failures: u64,
    pub(super) bans_made: u64,
    pub(super) bans: u64,
    pub(super) dropped_packets: u64,
    /// Packets dropped a second, over the last seconds.
    pub(super) dropped: Option<f32>,
}

/// What happened a second, slot by slot, the latest last.
#[derive(Debug, Serialize)]
pub(super) struct Past {
    /// The length of a slot in seconds.
    pub(super) slot: u64,
    /// When the last slot ended; absent where there is none yet.
    pub(super) end: Option<Timestamp>,
    pub(super) dropped: Vec<f32>,
    pub(super) bans: Vec<f32>,
    pub(super) failures: Vec<f32>,
    /// The jails that have dropped the most, of all jails where there are few.
    pub(super) jails: Vec<JailPast>,
}

/// A jail's part of it.
#[derive(Debug, Serialize)]
pub(super) struct JailPast {
    pub(super) name: String,
    pub(super) dropped: Vec<f32>,
}

/// Bans that were searched for.
#[derive(Debug, Serialize)]
pub(super) struct Bans {
    pub(super) bans: Vec<Ban>,
    /// How many there are before and after them, with them.
    pub(super) matching: u64,
    /// All bans in force.
    pub(super) counts: Vec<Count>,
}

/// How many bans a jail has of an origin.
#[derive(Debug, Serialize)]
pub(super) struct Count {
    pub(super) jail: String,
    pub(super) origin: &'static str,
    pub(super) bans: u64,
}

/// Why a host or network is banned.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    #[serde(flatten)]
    pub(super) why: Why,
    /// Whether the page may show lines of logs.
    pub(super) lines_shown: bool,
}
