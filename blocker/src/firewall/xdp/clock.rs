//! The clock of the ledger and the kernel's, read together.

use std::time::Duration;

use blocker_common::map::Ban;
use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

/// The wall clock and the kernel's monotonic one, read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) wall: Timestamp,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) monotonic: u64,
}

impl Clock {
    pub(super) fn at(wall: Timestamp) -> Self {
        // The call can only fail for a clock that does not exist; zero would make every ban end at once, which is the safe side.
        let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        Self {
            wall,
            monotonic: u64::try_from(monotonic.as_nanos()).unwrap_or(0),
        }
    }

    /// The kernel's time for `time`, or `None` where that is past.
    pub(super) fn in_kernel_time(&self, time: Timestamp) -> Option<u64> {
        let left = u64::try_from(time.duration_since(self.wall).as_nanos()).ok()?;
        (left > 0).then(|| self.monotonic.saturating_add(left).min(Ban::FOREVER))
    }

    /// The wall clock's time for one of the kernel's that is past.
    pub(super) fn in_wall_time(&self, time: u64) -> Timestamp {
        let ago = i64::try_from(self.monotonic.saturating_sub(time)).unwrap_or(i64::MAX);
        let time = self.wall.checked_sub(SignedDuration::from_nanos(ago));
        time.unwrap_or(Timestamp::MIN)
    }
}
