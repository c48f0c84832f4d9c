//! What enforces the ledger in the kernel.
//!
//! [`Firewall`] is what the rest of the agent knows: it is told for a host or network which bans are in force, and says what
//! became of packets. [`Xdp`](xdp::Xdp) and [`Nftables`](nftables::Nftables) are its two implementations, [`PerInterface`] joins them;
//! [`open`] picks one. Why an address is banned, and whether it should be, may not enter.

mod choice;
mod coverage;
pub mod interfaces;
pub mod nftables;
mod per_interface;
pub mod view;
pub mod xdp;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

pub use self::choice::{Wanted, clear, open};
pub use self::coverage::{Coverage, CoveredBy};
pub use self::per_interface::PerInterface;
pub use self::view::View;

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
    /// XDP on some interfaces, nftables for the others.
    Both,
}

impl Kind {
    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Nftables => "nftables",
            Self::Both => "xdp+nftables",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A jail as a firewall knows it; its [`JailId`] is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The firewall that counted; never [`Kind::Both`].
    pub firewall: Kind,
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

/// Packets of a banned host or network that its bans covered, whatever became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knocks {
    /// Who is banned.
    pub subject: Subject,
    /// Packets since it was banned; an extension of the ban and a restart of the agent do not change them.
    pub packets: u64,
    /// When the latest of them came, to a hundredth of a second; none when none came, or when the kernel does not keep it.
    pub last: Option<Timestamp>,
}

/// A ban that an agent before this one has left in force in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The name of the jail that it counts for.
    pub jail: Arc<str>,
    /// Who is banned.
    pub subject: Subject,
    /// When it ends.
    pub until: Expiry,
}

/// The ledger, as far as a firewall needs it that is being opened.
pub trait InForce {
    /// Takes in the bans that an agent before this one has left in force.
    fn take_over(&mut self, left: Vec<Inherited>);

    /// Makes a firewall that is not in force yet hold everything that is to be.
    ///
    /// # Errors
    ///
    /// When the firewall takes nothing of it.
    fn fill(&mut self, firewall: &mut dyn Firewall) -> anyhow::Result<()>;
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

    /// What can be read of it without it, while it is busy.
    fn view(&self) -> View;

    /// As [`View::counters`].
    ///
    /// # Errors
    ///
    /// When the kernel's counters cannot be read.
    fn counters(&self) -> anyhow::Result<Vec<Counted>> {
        self.view().counters()
    }

    /// Hands the knocks of every host and network that is banned in the kernel to `each`, in no order. `now` is the wall clock's time.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell them.
    fn knocks(&self, now: Timestamp, each: &mut dyn FnMut(Knocks)) -> anyhow::Result<()>;

    /// The knocks of those among `subjects` that are banned in the kernel, in no order.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell them.
    fn knocks_of(&self, subjects: &[Subject], now: Timestamp) -> anyhow::Result<Vec<Knocks>>;

    /// Looks at the machine's interfaces, and covers those that are new or have changed. To be called now and then, and when
    /// [`LinkWatch`](interfaces::LinkWatch) says so.
    fn refresh(&mut self, in_force: &mut dyn InForce, now: Instant);
}
