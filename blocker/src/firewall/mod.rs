//! What enforces the ledger in the kernel.
//!
//! [`Firewall`] is what the rest of the agent knows: it is told for a host or network which bans are in force, and says what
//! became of packets. [`Xdp`](xdp::Xdp) and [`Nftables`](nftables::Nftables) are its two implementations; [`open`] picks one. Why an
//! address is banned, and whether it should be, may not enter.

mod choice;
pub mod nftables;
pub mod xdp;

use std::fmt;

pub use self::choice::{Wanted, clear, open};

use blocker_common::map::Outcome;
use blocker_common::packet::Family;
use ipnet::IpNet;
use jiff::Timestamp;

use crate::ban::{Change, Expiry, JailId, Scope, Subject};

/// A firewall's name in configuration, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An XDP program in front of the kernel's stack.
    Xdp,
    /// Sets in an nftables table of blocker's own.
    Nftables,
}

impl Kind {
    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Nftables => "nftables",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A jail as a firewall knows it; its [`JailId`] is its place in the list.
#[derive(Clone, Debug)]
pub struct JailScope {
    /// The jail's name: letters, digits, `-` and `_`, at most 64 of them.
    pub name: String,
    /// What its bans cover.
    pub scope: Scope,
}

/// What the kernel would not take.
#[derive(Debug)]
pub struct Rejected {
    /// Index into the changes that were applied.
    pub change: usize,
    /// Why.
    pub error: anyhow::Error,
}

/// Packets that bans of one jail covered since the firewall was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The jail.
    pub jail: JailId,
    /// The packets' IP version.
    pub family: Family,
    /// What became of them.
    pub outcome: Outcome,
    /// Packets.
    pub packets: u64,
    /// Bytes: from the link layer on with XDP, from the IP header on with nftables.
    pub bytes: u64,
}

/// A ban that an agent before this one has left in force in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The name of the jail that it counts for.
    pub jail: String,
    /// Who is banned.
    pub subject: Subject,
    /// When it ends.
    pub until: Expiry,
}

/// Enforces bans in the kernel. What it enforces stays in force when it is dropped.
pub trait Firewall: Send {
    /// Which one it is.
    fn kind(&self) -> Kind;

    /// Where and how it works, for people: `eth0 (driver)`, `table inet blocker`.
    fn place(&self) -> String;

    /// Makes the kernel hold exactly the bans that each change names for its host or network; of several for one, the last counts. `now` is the wall clock's time, from which
    /// the kernel's end of each ban is reckoned.
    ///
    /// When this returns, the kernel has confirmed every change that is not among the rejected.
    fn apply(&mut self, changes: &[Change], now: Timestamp) -> Vec<Rejected>;

    /// The bans that an agent before this one has left in force. They stay so until this one takes
    /// their place, when [`open`] is done with it.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell them.
    fn inherited(&mut self, now: Timestamp) -> anyhow::Result<Vec<Inherited>>;

    /// What differs between the kernel and `wanted`, which is everything that it is to hold: changes that mend it.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell what it holds.
    fn compare(&mut self, wanted: &[Change], now: Timestamp) -> anyhow::Result<Vec<Change>>;

    /// Makes the kernel's allowlist exactly these networks: their packets are never dropped, whatever is banned.
    ///
    /// # Errors
    ///
    /// When the kernel does not take them. What it has taken until then is in force.
    fn allow(&mut self, networks: &[IpNet]) -> anyhow::Result<()>;

    /// What became of packets that bans cover, for every jail, family and outcome, in that order.
    ///
    /// # Errors
    ///
    /// When the kernel's counters cannot be read.
    fn counters(&self) -> anyhow::Result<Vec<Counted>>;
}
