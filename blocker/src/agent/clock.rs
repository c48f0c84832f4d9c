//! The wall clock, and whether somebody has set it.
//!
//! Lines and bans go by the wall clock, which jumps when it is set: by hand, or once the network's time is known. The kernel's
//! `CLOCK_BOOTTIME` does not, and runs at the same speed otherwise, so the two drift apart by nothing else.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

/// Smaller steps are let pass, until together they are as large: no ban is about them.
const STEP: SignedDuration = SignedDuration::from_secs(1);
/// Readings of both clocks, of which the closest counts: a thread may be put to sleep between one clock and the other.
const READINGS: usize = 3;

/// The wall clock.
#[derive(Debug)]
pub(super) struct WallClock {
    /// How far it was ahead of the kernel's clock when last looked at.
    ahead: SignedDuration,
}

/// Both clocks, read together.
struct Reading {
    wall: Timestamp,
    ahead: SignedDuration,
    /// By how much that may be wrong.
    doubt: SignedDuration,
}

impl WallClock {
    /// From now on it is told when the clock was set.
    pub(super) fn new() -> Self {
        Self {
            ahead: Reading::take().ahead,
        }
    }

    /// What time it is, and by how much the clock was set since this was asked last, if it was.
    pub(super) fn read(&mut self) -> (Timestamp, Option<SignedDuration>) {
        let Reading { wall, ahead, doubt } = Reading::take();
        let step = ahead - self.ahead;
        if step.abs() < STEP || doubt >= STEP {
            return (wall, None);
        }
        self.ahead = ahead;
        (wall, Some(step))
    }
}

impl Reading {
    fn take() -> Self {
        let mut best = Self::once();
        for _ in 1..READINGS {
            let next = Self::once();
            if next.doubt <= best.doubt {
                best = next;
            }
        }
        best
    }

    fn once() -> Self {
        let before = since_boot();
        let wall = Timestamp::now();
        let doubt = since_boot() - before;
        Self {
            wall,
            ahead: wall.duration_since(Timestamp::UNIX_EPOCH) - before,
            doubt,
        }
    }
}

fn since_boot() -> SignedDuration {
    // The call can only fail for a clock that does not exist; kernels have this one since 2.6.39.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    SignedDuration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_sets_is_not_taken_for_one_that_was_set() {
        let mut clock = WallClock::new();
        let before = Timestamp::now();
        for _ in 0..10_000 {
            let (now, step) = clock.read();
            assert_eq!(step, None);
            assert!(now >= before);
        }
    }

    #[test]
    fn a_step_is_told_once_and_small_ones_when_they_are_enough() {
        let second = SignedDuration::from_secs(1);
        let mut clock = WallClock::new();
        for step in [86_400 * second, -86_400 * second, 2 * second] {
            clock.ahead -= step;
            let told = clock.read().1.unwrap();
            assert!((told - step).abs() < second / 2, "{told:?} and not {step:?}");
            assert_eq!(clock.read().1, None);
        }
        let small = second * 3 / 4;
        clock.ahead -= small;
        assert_eq!(clock.read().1, None);
        clock.ahead -= small;
        assert!(clock.read().1.unwrap() > second);
    }
}
