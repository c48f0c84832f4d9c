//! What enforces the ledger in the kernel.
//!
//! [`Firewall`] is what the rest of the agent knows: it is told for an address which bans are in force, and says what was
//! dropped. [`Xdp`](xdp::Xdp) and [`Nftables`](nftables::Nftables) are its two implementations; [`open`] picks one. Why an
//! address is banned, and whether it should be, may not enter.

mod choice;
pub mod nftables;
pub mod xdp;

use std::fmt;

pub use self::choice::{Wanted, open};

use blocker_common::packet::Family;
use jiff::Timestamp;

use crate::ban::{Change, JailId, Scope};

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

/// Packets dropped for one jail and family since the firewall was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops {
    /// The jail.
    pub jail: JailId,
    /// The packets' IP version.
    pub family: Family,
    /// Packets.
    pub packets: u64,
    /// Bytes: from the link layer on with XDP, from the IP header on with nftables.
    pub bytes: u64,
}

/// Enforces bans in the kernel. Dropping it lifts what it enforces.
pub trait Firewall: Send {
    /// Which one it is.
    fn kind(&self) -> Kind;

    /// Where and how it works, for people: `eth0 (driver)`, `table inet blocker`.
    fn place(&self) -> String;

    /// Makes the kernel hold exactly the bans that each change names for its address. `now` is the wall clock's time, from which
    /// the kernel's end of each ban is reckoned.
    ///
    /// When this returns, the kernel has confirmed every change that is not among the rejected.
    fn apply(&mut self, changes: &[Change], now: Timestamp) -> Vec<Rejected>;

    /// What was dropped, for every jail and family, in that order.
    ///
    /// # Errors
    ///
    /// When the kernel's counters cannot be read.
    fn drops(&self) -> anyhow::Result<Vec<Drops>>;
}
