//! The clock of the ledger and the kernel's, read together.

use std::time::Duration;

use blocker_common::map::{Ban, TICK_SHIFT};
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

    /// The tick of the kernel's in which `time` has come, or `None` where that is past.
    pub(super) fn in_kernel_time(&self, time: Timestamp) -> Option<u32> {
        let left = time.duration_since(self.wall).as_nanos();
        // What is further away than the kernel can tell is not past.
        let left = (left > 0).then(|| u64::try_from(left).unwrap_or(u64::MAX))?;
        let ticks = self.monotonic.saturating_add(left).div_ceil(1 << TICK_SHIFT);
        Some(u32::try_from(ticks).unwrap_or(Ban::FOREVER))
    }

    /// The wall clock's time for a tick of the kernel's that is past.
    pub(super) fn in_wall_time(&self, tick: u32) -> Timestamp {
        let time = u64::from(tick) << TICK_SHIFT;
        let ago = i64::try_from(self.monotonic.saturating_sub(time)).unwrap_or(i64::MAX);
        let time = self.wall.checked_sub(SignedDuration::from_nanos(ago));
        time.unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_beyond_what_the_kernel_can_tell_never_comes_and_is_not_past() {
        let clock = Clock {
            wall: Timestamp::UNIX_EPOCH,
            monotonic: 5,
        };
        let years = |years: i64| SignedDuration::from_hours(years * 365 * 24);
        for until in [
            clock.wall + years(300),
            clock.wall + years(600),
            clock.wall + years(1000),
            Timestamp::MAX,
        ] {
            assert_eq!(clock.in_kernel_time(until), Some(Ban::FOREVER), "{until}");
        }
        for until in [clock.wall, Timestamp::MIN] {
            assert_eq!(clock.in_kernel_time(until), None, "{until}");
        }
    }
}
