//! The times of a host's latest failures.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::ban::moved;

/// Failures within `find_time`, at most `max_retry` of them.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Timestamp>);

impl Window {
    /// Takes in a failure, forgets those too old by now, and says how many remain.
    pub(super) fn count(&mut self, time: Timestamp, find_time: SignedDuration, max_retry: u32) -> u32 {
        // Lines of several sources may arrive out of order; the newest time seen is what "old" is measured against.
        let newest = self.0.back().map_or(time, |last| time.max(*last));
        let oldest = newest.saturating_sub(find_time).unwrap_or(Timestamp::MIN);
        let at = self.0.partition_point(|known| *known <= time);
        self.0.insert(at, time);
        while self.0.front().is_some_and(|first| *first < oldest) || self.0.len() > max_retry as usize {
            self.0.pop_front();
        }
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// How many lie not before `oldest`.
    pub(super) fn since(&self, oldest: Timestamp) -> u32 {
        let young = self.0.iter().filter(|time| **time >= oldest).count();
        u32::try_from(young).unwrap_or(u32::MAX)
    }

    /// Moves every failure with the wall clock.
    pub(super) fn clock_was_set(&mut self, step: SignedDuration) {
        for time in &mut self.0 {
            *time = moved(*time, step);
        }
    }
}
