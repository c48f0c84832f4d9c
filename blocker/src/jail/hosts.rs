//! The hosts that a jail watches, in bounded memory: under a flood of hosts the least suspicious are forgotten.
//!
//! Who has failed once is kept apart from who has failed more often, each up to a bound of its own, and of each the ones quiet for
//! longest go first. So a million hosts that fail once each cannot make a jail forget one that has failed twice.

use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use lru::LruCache;

use super::window::Window;
use crate::ban::{Subject, moved};

/// Hosts that have failed once: about 100 bytes each.
pub(super) const MAX_ONCE: NonZeroUsize = NonZeroUsize::new(50_000).expect("not zero");
/// Hosts that have failed more often: about 200 bytes each, with a `maxretry` of 5.
pub(super) const MAX_MORE: NonZeroUsize = NonZeroUsize::new(50_000).expect("not zero");

/// A host or network, and an identity that it fails by, as a number; 0 where there is none beside the address.
pub type Who = (Subject, u64);

/// Their failures.
pub(super) struct Hosts {
    once: LruCache<Who, Timestamp>,
    more: LruCache<Who, Window>,
}

impl Hosts {
    pub(super) fn new() -> Self {
        Self {
            once: LruCache::sparse(MAX_ONCE),
            more: LruCache::sparse(MAX_MORE),
        }
    }

    /// Takes in a failure, and says how many of the last `max_retry` lie within `find_time`. Who has reached `max_retry` is forgotten.
    pub(super) fn count(&mut self, who: Who, time: Timestamp, find_time: SignedDuration, max_retry: u32) -> u32 {
        if let Some(window) = self.more.get_mut(&who) {
            let failures = window.count(time, find_time, max_retry);
            if failures >= max_retry {
                self.more.pop(&who);
            }
            return failures;
        }
        let mut window = Window::default();
        let first = self.once.pop(&who);
        if let Some(first) = first {
            window.count(first, find_time, max_retry);
        }
        let failures = window.count(time, find_time, max_retry);
        if failures >= max_retry {
            return failures;
        }
        if failures > 1 {
            self.more.put(who, window);
        } else {
            // A first failure, or one so long after it that only the younger counts.
            self.once.put(who, first.map_or(time, |first| first.max(time)));
        }
        failures
    }

    /// How many failures since `oldest` are remembered.
    pub(super) fn remembered(&self, who: &Who, oldest: Timestamp) -> u32 {
        match self.more.peek(who) {
            Some(window) => window.since(oldest),
            None => self.once.peek(who).is_some_and(|time| *time >= oldest).into(),
        }
    }

    /// Moves every failure with the wall clock.
    pub(super) fn clock_was_set(&mut self, step: SignedDuration) {
        for (_, time) in &mut self.once {
            *time = moved(*time, step);
        }
        for (_, window) in &mut self.more {
            window.clock_was_set(step);
        }
    }

    /// How many are watched.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.once.len() + self.more.len()
    }
}
