//! What is put to the judge, who knows the bans, and how it answers.

use std::time::Duration;

use ipnet::IpNet;
use jiff::SignedDuration;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::api::model;
use crate::ban::{JailId, Origin, Subject};

/// What the judge is asked. Who has asked may be gone when it answers.
#[derive(Debug)]
pub enum Ask {
    /// Which bans are in force.
    Bans(Query, oneshot::Sender<Page>),
    /// To ban.
    Ban(Newly, oneshot::Sender<Result<Vec<model::Ban>, Refusal>>),
    /// To lift bans; says how many they were.
    Unban(Which, oneshot::Sender<Result<u64, Refusal>>),
    /// Which bans somebody searches for, and what all of them come to.
    Search(Search, oneshot::Sender<Found>),
    /// Why a host or network is banned, or what else is known of it.
    Why(Subject, oneshot::Sender<model::Why>),
}

/// Bans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this jail.
    pub jail: Option<String>,
    /// That cover this.
    pub covering: Option<Subject>,
    /// That lie in this.
    pub within: Option<IpNet>,
}

/// In which order bans are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// By address.
    #[default]
    Address,
    /// The latest first.
    Since,
    /// The one that ends first, first.
    Until,
    /// The one with the most failures first.
    Failures,
    /// The one with the most packets first.
    Packets,
}

/// Some of the bans in force, in an order.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which.
    pub which: Which,
    /// In which order.
    pub sort: Sort,
    /// Those after this one.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
}

/// A ban's place in an order.
pub type Cursor = (i128, Subject, JailId);

/// Some of the bans.
#[derive(Debug)]
pub struct Page {
    /// The bans.
    pub bans: Vec<model::Ban>,
    /// Where the next ones begin; none where these are the last.
    pub next: Option<Cursor>,
}

/// What somebody who looks at bans searches for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Which.
    pub which: Which,
    /// From there.
    pub origin: Option<Origin>,
    /// Where this is part of the jail's name, or the beginning of the address; in small letters.
    pub text: Option<String>,
    /// In which order.
    pub sort: Sort,
    /// So many are passed over.
    pub skip: usize,
    /// At most so many after them.
    pub limit: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The bans.
    pub bans: Vec<model::Ban>,
    /// How many there are, with those before and after them.
    pub matching: u64,
    /// How many bans there are in all, by jail and origin.
    pub counts: Vec<(String, Origin, u64)>,
    /// How long it took.
    pub took: Duration,
}

/// A ban that somebody wants.
#[derive(Clone, Debug)]
pub struct Newly {
    /// Whom.
    pub subject: Subject,
    /// In this jail, or in each.
    pub jail: Option<String>,
    /// For so long, or as long as the jail bans.
    pub length: Option<SignedDuration>,
}

/// Why the judge does not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No jail has this name.
    #[error("there is no jail `{name}`; there are {}", jails.join(", "))]
    NoSuchJail {
        /// The name.
        name: String,
        /// Those that there are.
        jails: Vec<String>,
    },
    /// The allowlist always wins.
    #[error("{0} is not banned: the allowlist covers it")]
    Allowed(Subject),
    /// The ledger holds as many bans as it may.
    #[error("the ledger is full")]
    Full,
}
