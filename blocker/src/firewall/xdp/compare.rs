//! What the kernel holds, against what it is to hold.

use ahash::{HashMap, HashSet};
use anyhow::{Context as _, Result};
use blocker_common::map::{self, Covered, Ends, TICK_SHIFT};
use jiff::Timestamp;

use super::bans::Bans;
use super::clock::Clock;
use super::held::Held;
use super::scope_bits::ScopeBits;
use crate::ban::{Change, Subject};

/// By how much an end may differ: wall clock and monotonic clock are read one after the other, and the former is set now and then.
const TOLERANCE: u64 = 5_000_000_000 >> TICK_SHIFT;

impl Bans {
    /// The changes that make the kernel hold exactly what is wanted.
    pub(super) fn compare(&self, wanted: &[Change], scopes: &ScopeBits, now: Timestamp) -> Result<Vec<Change>> {
        let clock = Clock::at(now);
        let mut ends: HashMap<u32, Ends> = HashMap::default();
        self.ends
            .dump(|key, value| {
                ends.insert(key, value);
            })
            .with_context(|| unread(map::ENDS))?;
        let by_subject: HashMap<Subject, &Change> = wanted.iter().map(|change| (change.subject, change)).collect();
        let mut right: HashSet<Subject> = HashSet::default();
        right.reserve(wanted.len());
        let mut mending = Vec::new();
        self.dump(|subject, ban| {
            let Some(change) = by_subject.get(&subject) else {
                mending.push(Change {
                    subject,
                    bans: Vec::new(),
                });
                return;
            };
            let held = Held::of(&change.bans, subject.network().prefix_len(), scopes, &clock);
            let found = Held {
                ban,
                ends: match ban.terms.covered() {
                    Covered::Several { ends: key } => ends.get(&key).copied(),
                    Covered::One { .. } => None,
                },
            };
            // One that is said to be clear of the allowlist and is not would not be spared.
            let is_unspared = ban.terms.is_clear() && self.is_allowed_in_part(subject);
            if !is_unspared && held.is_some_and(|held| is_same(&held, &found)) {
                right.insert(subject);
            }
        })?;
        let missing = wanted.iter().filter(|change| !right.contains(&change.subject));
        // What is over by now needs no mending.
        let is_due = |change: &&Change| Held::of(&change.bans, 0, scopes, &clock).is_some();
        mending.extend(missing.filter(is_due).cloned());
        Ok(mending)
    }

    /// Hands every ban that the kernel holds to `each`.
    pub(super) fn dump(&self, mut each: impl FnMut(Subject, map::Ban)) -> Result<()> {
        self.ipv4_hosts
            .dump(&mut each)
            .with_context(|| unread(map::IPV4_HOSTS))?;
        self.ipv6_subnets
            .dump(&mut each)
            .with_context(|| unread(map::IPV6_SUBNETS))?;
        self.ipv6_hosts
            .dump(&mut each)
            .with_context(|| unread(map::IPV6_HOSTS))?;
        self.ipv4_networks
            .dump(&mut each)
            .with_context(|| unread(map::IPV4_NETWORKS))?;
        self.ipv6_networks
            .dump(&mut each)
            .with_context(|| unread(map::IPV6_NETWORKS))
    }
}

/// Whether the kernel holds what it is to hold, but for what it counts and where it keeps ends.
fn is_same(wanted: &Held, found: &Held) -> bool {
    let is_near = |a: u64, b: u64| a.abs_diff(b) <= TOLERANCE;
    let (a, b) = (&wanted.ban, &found.ban);
    let ends = match (&wanted.ends, &found.ends) {
        (None, None) => a.terms.covered() == b.terms.covered(),
        (Some(a), Some(b)) => a.jails == b.jails && a.until.iter().zip(&b.until).all(|(a, b)| is_near(*a, *b)),
        (None, Some(_)) | (Some(_), None) => false,
    };
    ends && a.terms.prefix_len() == b.terms.prefix_len() && is_near(a.until.into(), b.until.into())
}

fn unread(map: &str) -> String {
    format!("xdp: the map {map} cannot be read")
}
