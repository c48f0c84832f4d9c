//! The brake: stops new bans when there are suspiciously many.
//!
//! A filter gone wild, or a log that somebody floods, bans whoever writes to the relay. Two limits tell that from spam: so many new
//! bans within a minute, and bans wanted for so large a share of the distinct hosts that logs have named lately. Beyond either no new ban
//! is made, and failures are counted on; when fewer bans are wanted, it lets go by itself. It never lifts a ban.
//!
//! The share counts the hosts that are to be banned, and not those that were: else those held back would make room for themselves, by
//! being seen.

mod seen;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub use self::seen::Seen;
use crate::ban::Subject;

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// The part of the largest share below which the brake lets go.
const RELEASE: f64 = 0.95;

/// How many bans are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// New bans within a minute.
    pub bans_per_minute: u32,
    /// Hosts to be banned among the distinct hosts that were seen in the last five to ten minutes: above 0, at most 1, which is never
    /// exceeded.
    pub share: f64,
    /// So many hosts to be banned at least, before the share is looked at: of a few hundred all may be bad.
    pub share_from: u32,
}

/// A relay under a botnet's spam makes some hundred bans a minute, of hosts that are nine of ten that it sees; a filter that takes every line
/// for a failure bans all that it sees.
impl Default for Limits {
    fn default() -> Self {
        Self {
            bans_per_minute: 1000,
            share: 0.95,
            share_from: 300,
        }
    }
}

/// Why a ban is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// As many bans within a minute as there may be.
    Rate,
    /// As large a share of the hosts seen lately.
    Share,
}

/// What became of the brake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It holds, since now.
    Engaged(Reason),
    /// It has let go; it held back so many bans.
    Released {
        /// How many.
        held_back: u64,
    },
}

/// The brake.
#[derive(Debug)]
pub struct Brake {
    limits: Limits,
    seen: Arc<Seen>,
    /// When bans of the last minute were made, oldest first; never more than the limit.
    minute: VecDeque<Timestamp>,
    /// The hosts that were to be banned lately.
    wanted: Seen,
    /// When a ban was last held back, and how many were since the brake holds.
    engaged: Option<(Timestamp, u64)>,
}

impl Brake {
    /// A brake that has seen no ban; `seen` are the hosts that logs name.
    #[must_use]
    pub fn new(limits: Limits, seen: Arc<Seen>) -> Self {
        Self {
            limits,
            wanted: seen.alike(),
            seen,
            minute: VecDeque::new(),
            engaged: None,
        }
    }

    /// The same brake with other limits: what it has seen stays.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether a new ban may be made at `now`.
    ///
    /// # Errors
    ///
    /// Why it must not.
    pub fn admit(&mut self, subject: Subject, now: Timestamp) -> Result<(), Reason> {
        self.wanted.host(subject.network().addr(), now);
        // A clock that was put back must not make bans last here.
        let is_old = |made: &Timestamp| now.duration_since(*made).abs() >= MINUTE;
        while self.minute.front().is_some_and(is_old) {
            self.minute.pop_front();
        }
        if self.minute.len() >= self.limits.bans_per_minute as usize {
            return Err(Reason::Rate);
        }
        if self.is_large_share(now) {
            return Err(Reason::Share);
        }
        Ok(())
    }

    /// Takes note of a ban that was made.
    pub fn made(&mut self, now: Timestamp) {
        self.minute.push_back(now);
    }

    /// Takes note of a ban that was held back, and says whether that is the first.
    pub fn held_back(&mut self, reason: Reason, now: Timestamp) -> Option<Turn> {
        let before = self.engaged.map(|(_, held_back)| held_back);
        self.engaged = Some((now, before.unwrap_or(0) + 1));
        before.is_none().then_some(Turn::Engaged(reason))
    }

    /// Lets go when nothing was held back for a minute.
    pub fn tick(&mut self, now: Timestamp) -> Option<Turn> {
        let (last, held_back) = self.engaged?;
        // A clock that was put back must not keep it engaged.
        if now.duration_since(last).abs() < MINUTE {
            return None;
        }
        self.engaged = None;
        Some(Turn::Released { held_back })
    }

    /// Whether bans are being held back.
    #[must_use]
    pub const fn is_engaged(&self) -> bool {
        self.engaged.is_some()
    }

    fn is_large_share(&self, now: Timestamp) -> bool {
        if self.limits.share >= 1.0 {
            return false;
        }
        let limit = match self.engaged {
            // It lets go below what has engaged it, and not again with each host that is seen.
            Some(_) => self.limits.share * RELEASE,
            None => self.limits.share,
        };
        let wanted = self.wanted.count(now);
        wanted > f64::from(self.limits.share_from) && wanted > self.seen.count(now) * limit
    }
}

#[cfg(test)]
mod tests;
