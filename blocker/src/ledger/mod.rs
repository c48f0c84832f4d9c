//! The ledger: the bans in force, and the one truth about them.
//!
//! Takes [`Ban`]s, weighs them against the allowlist, and hands on [`Change`]s for the firewall. It is kept in memory: when the
//! agent ends, its bans end with it. How a change is enforced may not enter.

mod allowlist;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;

use jiff::Timestamp;

pub use self::allowlist::{Allowlist, own_addresses};
use crate::ban::{Ban, Change, Enforced, Expiry, JailId};

/// Bans in force that the ledger holds at most, so that hostile lines cannot fill the memory.
pub const MAX_BANS: usize = 2_000_000;

/// What the ledger makes of a ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is in force from now on.
    New(Change),
    /// The jail had banned the address already; the ban now ends later.
    Extended(Change),
    /// The jail had banned the address already, for at least as long.
    Known,
    /// The allowlist covers the address.
    Allowed,
    /// The ledger holds as many bans as it may.
    Full,
}

/// The bans in force.
pub struct Ledger {
    allowlist: Allowlist,
    /// At most one ban a jail for each address.
    bans: HashMap<IpAddr, Vec<Ban>>,
    /// How many of them each jail has made.
    active: HashMap<JailId, usize>,
    count: usize,
    /// When to look at which ban, soonest first: once for each that ends. An extended ban is found still in force at its former
    /// end, and put down for its new one then, so that extending costs no memory.
    ends: BinaryHeap<Reverse<(Timestamp, IpAddr, JailId)>>,
}

impl Ledger {
    /// A ledger without bans.
    #[must_use]
    pub fn new(allowlist: Allowlist) -> Self {
        Self {
            allowlist,
            bans: HashMap::new(),
            active: HashMap::new(),
            count: 0,
            ends: BinaryHeap::new(),
        }
    }

    /// Enters a ban.
    pub fn enter(&mut self, ban: Ban) -> Entry {
        if self.allowlist.covers(ban.address) {
            return Entry::Allowed;
        }
        let (address, jail, until) = (ban.address, ban.jail, ban.until);
        let bans = self.bans.entry(address).or_default();
        let extended = match bans.iter_mut().find(|known| known.jail == ban.jail) {
            Some(known) if known.until >= until => return Entry::Known,
            Some(known) => {
                known.until = until;
                known.failures = known.failures.saturating_add(ban.failures);
                true
            }
            None if self.count >= MAX_BANS => {
                if bans.is_empty() {
                    self.bans.remove(&address);
                }
                return Entry::Full;
            }
            None => {
                *self.active.entry(ban.jail).or_default() += 1;
                self.count += 1;
                bans.push(ban);
                false
            }
        };
        if let (false, Expiry::At(end)) = (extended, until) {
            self.ends.push(Reverse((end, address, jail)));
        }
        let change = self.change(address);
        if extended {
            Entry::Extended(change)
        } else {
            Entry::New(change)
        }
    }

    /// Takes out the bans that are over at `now`, and says which they were and what that changes.
    pub fn expire(&mut self, now: Timestamp) -> (Vec<Ban>, Vec<Change>) {
        let (mut over, mut changes) = (Vec::new(), Vec::new());
        while let Some(Reverse((end, address, jail))) = self.ends.peek().copied() {
            if end > now {
                break;
            }
            self.ends.pop();
            let Some(bans) = self.bans.get_mut(&address) else {
                continue;
            };
            let Some(at) = bans.iter().position(|ban| ban.jail == jail) else {
                continue;
            };
            match bans[at].until {
                Expiry::At(until) if until > now => self.ends.push(Reverse((until, address, jail))),
                Expiry::Never => {}
                Expiry::At(_) => {
                    over.push(bans.swap_remove(at));
                    self.count -= 1;
                    *self.active.entry(jail).or_default() -= 1;
                    if bans.is_empty() {
                        self.bans.remove(&address);
                    }
                    changes.push(self.change(address));
                }
            }
        }
        (over, changes)
    }

    /// When the next ban ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.peek().map(|Reverse((end, ..))| *end)
    }

    /// How many bans of this jail are in force.
    #[must_use]
    pub fn active(&self, jail: JailId) -> usize {
        self.active.get(&jail).copied().unwrap_or(0)
    }

    /// What the kernel is to hold for the address.
    #[must_use]
    pub fn change(&self, address: IpAddr) -> Change {
        let bans = self.bans.get(&address).into_iter().flatten();
        Change {
            address,
            bans: bans
                .map(|ban| Enforced {
                    jail: ban.jail,
                    until: ban.until,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
