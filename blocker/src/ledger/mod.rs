//! The ledger: the bans in force, and the one truth about them.
//!
//! Takes [`Ban`]s, weighs them against the allowlist, and hands on [`Change`]s for the firewall. [`Ledger`] answers from memory;
//! [`Store`](store::Store) has it on disk, where it outlives the agent. How a change is enforced may not enter.

mod allowlist;
pub mod brake;
pub mod fail2ban;
pub mod import;
mod lift;
mod renumber;
pub mod store;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use jiff::{SignedDuration, Timestamp};

pub use self::allowlist::{Allowlist, own_addresses};
pub use self::lift::Lifted;
pub use self::renumber::Renumbering;
use crate::ban::{Ban, Change, Enforced, Expiry, JailId, Subject, moved};

/// Bans in force that the ledger holds at most, so that hostile lines cannot fill the memory.
pub const MAX_BANS: usize = 2_000_000;

/// What the ledger makes of a ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is in force from now on.
    New(Change),
    /// The jail had banned it already; the ban now ends later.
    Extended(Change),
    /// The jail had banned it already, for at least as long.
    Known,
    /// The allowlist covers all of it.
    Allowed,
    /// The ledger holds as many bans as it may.
    Full,
}

/// The bans in force.
pub struct Ledger {
    allowlist: Allowlist,
    /// At most one ban a jail for each host or network.
    bans: HashMap<Subject, Vec<Ban>>,
    /// How many of them each jail has made.
    active: HashMap<JailId, usize>,
    count: usize,
    /// When to look at which ban, soonest first: once for each that ends. An extended ban is found still in force at its former
    /// end, and put down for its new one then, so that extending costs no memory.
    ends: BinaryHeap<Reverse<(Timestamp, Subject, JailId)>>,
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
        if self.allowlist.covers(ban.subject) {
            return Entry::Allowed;
        }
        let (subject, jail, until) = (ban.subject, ban.jail, ban.until);
        // Nearly always there is one.
        let bans = self.bans.entry(subject).or_insert_with(|| Vec::with_capacity(1));
        let extended = match bans.iter_mut().find(|known| known.jail == ban.jail) {
            Some(known) if known.until >= until => return Entry::Known,
            Some(known) => {
                known.until = until;
                known.since = known.since.max(ban.since);
                known.failures = known.failures.saturating_add(ban.failures);
                true
            }
            None if self.count >= MAX_BANS => {
                if bans.is_empty() {
                    self.bans.remove(&subject);
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
            self.ends.push(Reverse((end, subject, jail)));
        }
        let change = self.change(subject);
        if extended {
            Entry::Extended(change)
        } else {
            Entry::New(change)
        }
    }

    fn take_out(&mut self, subject: Subject, at: usize) -> Option<Ban> {
        let bans = self.bans.get_mut(&subject)?;
        let ban = bans.swap_remove(at);
        self.count -= 1;
        *self.active.entry(ban.jail).or_default() -= 1;
        if bans.is_empty() {
            self.bans.remove(&subject);
        }
        Some(ban)
    }

    /// Takes out the bans that are over at `now`, and says which they were and what that changes.
    pub fn expire(&mut self, now: Timestamp) -> (Vec<Ban>, Vec<Change>) {
        let (mut over, mut changes) = (Vec::new(), Vec::new());
        while let Some(Reverse((end, subject, jail))) = self.ends.peek().copied() {
            if end > now {
                break;
            }
            self.ends.pop();
            let Some(bans) = self.bans.get_mut(&subject) else {
                continue;
            };
            let Some(at) = bans.iter().position(|ban| ban.jail == jail) else {
                continue;
            };
            match bans[at].until {
                Expiry::At(until) if until > now => self.ends.push(Reverse((until, subject, jail))),
                Expiry::Never => {}
                Expiry::At(_) => {
                    over.extend(self.take_out(subject, at));
                    changes.push(self.change(subject));
                }
            }
        }
        (over, changes)
    }

    /// Moves every ban with the wall clock, which was set by `step`: each has as long to go as before.
    pub fn clock_was_set(&mut self, step: SignedDuration) {
        for ban in self.bans.values_mut().flatten() {
            *ban = ban.moved(step);
        }
        let ends = std::mem::take(&mut self.ends).into_iter();
        self.ends = ends
            .map(|Reverse((end, subject, jail))| Reverse((moved(end, step), subject, jail)))
            .collect();
    }

    /// The bans that end until `end`, in no order.
    pub fn ending(&self, end: Timestamp) -> impl Iterator<Item = &Ban> {
        let all = self.bans.values().flatten();
        all.filter(move |ban| ban.until <= Expiry::At(end))
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

    /// A jail's ban of a host or network.
    #[must_use]
    pub fn get(&self, subject: Subject, jail: JailId) -> Option<&Ban> {
        self.bans.get(&subject)?.iter().find(|ban| ban.jail == jail)
    }

    /// All bans in force.
    pub fn bans(&self) -> impl Iterator<Item = &Ban> {
        self.bans.values().flatten()
    }

    /// How many bans are in force.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// What the kernel is to hold, all of it.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        self.bans.keys().map(|subject| self.change(*subject))
    }

    /// How many hosts and networks are banned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bans.len()
    }

    /// Whether no ban is in force.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// The allowlist.
    #[must_use]
    pub const fn allowlist(&self) -> &Allowlist {
        &self.allowlist
    }

    /// What the kernel is to hold for a host or network.
    #[must_use]
    pub fn change(&self, subject: Subject) -> Change {
        let bans = self.bans.get(&subject).into_iter().flatten();
        Change {
            subject,
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
