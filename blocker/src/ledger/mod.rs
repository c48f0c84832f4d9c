//! The ledger: the bans in force, and the one truth about them.
//!
//! Takes [`Ban`]s, weighs them against the allowlist, and hands on [`Change`]s for the firewall. [`Ledger`] answers from memory;
//! [`Store`](store::Store) has it on disk, where it outlives the agent. How a change is enforced may not enter.

mod allowlist;
mod bans;
pub mod brake;
pub mod fail2ban;
pub mod import;
mod lift;
mod renumber;
pub mod store;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use jiff::{SignedDuration, Timestamp};

pub use self::allowlist::{Allowlist, Covering, own_addresses};
use self::bans::{Bans, Place};
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
    bans: Bans,
    /// How many of them each jail has made.
    active: HashMap<JailId, usize>,
    /// When to look at the bans of which place, soonest first: once for each that ends. Where none of them is over by then, as after one
    /// was extended, the soonest of their ends is put down instead, so that extending costs no memory.
    ends: BinaryHeap<Reverse<(Timestamp, Place)>>,
}

impl Ledger {
    /// A ledger without bans.
    #[must_use]
    pub fn new(allowlist: Allowlist) -> Self {
        Self {
            allowlist,
            bans: Bans::default(),
            active: HashMap::new(),
            ends: BinaryHeap::new(),
        }
    }

    /// Enters a ban.
    pub fn enter(&mut self, ban: Ban) -> Entry {
        if self.allowlist.covers(ban.subject) {
            return Entry::Allowed;
        }
        let (subject, jail, until) = (ban.subject, ban.jail, ban.until);
        let is_full = self.bans.len() >= MAX_BANS;
        let extended = match self.bans.get_mut(subject, jail) {
            Some(known) if known.until >= until => return Entry::Known,
            Some(known) => {
                known.until = until;
                known.since = known.since.max(ban.since);
                known.failures = known.failures.saturating_add(ban.failures);
                true
            }
            None if is_full => return Entry::Full,
            None => {
                *self.active.entry(jail).or_default() += 1;
                let place = self.bans.insert(ban);
                if let Expiry::At(end) = until {
                    self.ends.push(Reverse((end, place)));
                }
                false
            }
        };
        let change = self.change(subject);
        if extended {
            Entry::Extended(change)
        } else {
            Entry::New(change)
        }
    }

    /// Takes out the bans that are over at `now`, and says which they were and what that changes.
    pub fn expire(&mut self, now: Timestamp) -> (Vec<Ban>, Vec<Change>) {
        let (mut over, mut changes) = (Vec::new(), Vec::new());
        while let Some(Reverse((end, place))) = self.ends.peek().copied() {
            if end > now {
                break;
            }
            self.ends.pop();
            let soonest = self.bans.soonest(place);
            match soonest.map(|ban| (ban.until, ban.subject, ban.jail)) {
                Some((Expiry::At(until), ..)) if until > now => self.ends.push(Reverse((until, place))),
                Some((Expiry::At(_), subject, jail)) => {
                    over.extend(self.bans.remove(subject, jail));
                    *self.active.entry(jail).or_default() -= 1;
                    changes.push(self.change(subject));
                }
                Some((Expiry::Never, ..)) | None => {}
            }
        }
        if !over.is_empty() {
            self.shrink();
        }
        (over, changes)
    }

    /// Moves every ban with the wall clock, which was set by `step`: each has as long to go as before.
    pub fn clock_was_set(&mut self, step: SignedDuration) {
        for ban in self.bans.all_mut() {
            *ban = ban.moved(step);
        }
        let ends = std::mem::take(&mut self.ends).into_iter();
        self.ends = ends
            .map(|Reverse((end, place))| Reverse((moved(end, step), place)))
            .collect();
    }

    /// Gives back what more bans than these have needed.
    fn shrink(&mut self) {
        self.bans.shrink();
        self.ends.shrink_to(self.bans.len() * 2);
    }

    /// The bans that end until `end`, in no order.
    pub fn ending(&self, end: Timestamp) -> impl Iterator<Item = &Ban> {
        self.bans.all().filter(move |ban| ban.until <= Expiry::At(end))
    }

    /// When the next ban ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.peek().map(|Reverse((end, _))| *end)
    }

    /// How many bans of this jail are in force.
    #[must_use]
    pub fn active(&self, jail: JailId) -> usize {
        self.active.get(&jail).copied().unwrap_or(0)
    }

    /// A jail's ban of a host or network.
    #[must_use]
    pub fn get(&self, subject: Subject, jail: JailId) -> Option<&Ban> {
        self.bans.get(subject, jail)
    }

    /// The bans of a host or network itself, one a jail at the most.
    pub fn of(&self, subject: Subject) -> impl Iterator<Item = &Ban> {
        self.bans.of(subject)
    }

    /// All bans in force.
    pub fn bans(&self) -> impl Iterator<Item = &Ban> {
        self.bans.all()
    }

    /// How many bans are in force.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bans.len()
    }

    /// What the kernel is to hold, all of it.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        self.bans.subjects().map(|subject| self.change(subject))
    }

    /// How many hosts and networks are banned.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bans.subject_count()
    }

    /// Whether no ban is in force.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The allowlist.
    #[must_use]
    pub const fn allowlist(&self) -> &Allowlist {
        &self.allowlist
    }

    /// What the kernel is to hold for a host or network.
    #[must_use]
    pub fn change(&self, subject: Subject) -> Change {
        // Nearly always there is one: made to measure, it takes a fourth of what a list that can grow would.
        let mut bans = Vec::with_capacity(self.bans.of(subject).count());
        bans.extend(self.bans.of(subject).map(|ban| Enforced {
            jail: ban.jail,
            until: ban.until,
        }));
        bans.sort_by_key(|ban: &Enforced| ban.jail);
        Change { subject, bans }
    }
}

#[cfg(test)]
mod tests;
