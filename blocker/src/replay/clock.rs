//! The clock of a log: what time it was when a line was written.

use jiff::{SignedDuration, Timestamp};

/// How far the next line may lie from the clock and be taken at its word.
const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// Follows the times of lines, as the machine's clock went when they were written.
///
/// Lines lie out of order by some seconds, so the clock goes on to the latest time and not back with the next line. A single line whose
/// date is far off, be it wrong or forged, must not carry the clock away, or every line after it would be too old for anything: the
/// clock follows only when the next line says the same, as it does after a gap, or when the machine's clock was set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    now: Option<Timestamp>,
    /// A time far off that one line has told.
    doubtful: Option<Timestamp>,
}

impl Clock {
    /// Takes note of a line's time, and gives the time by the clock.
    pub(super) fn see(&mut self, time: Timestamp) -> Timestamp {
        let now = match self.now {
            None => time,
            Some(now) if is_near(now, time) => now.max(time),
            Some(now) => {
                if self.doubtful.is_none_or(|doubtful| !is_near(doubtful, time)) {
                    self.doubtful = Some(time);
                    return now;
                }
                time
            }
        };
        self.doubtful = None;
        self.now = Some(now);
        now
    }
}

fn is_near(a: Timestamp, b: Timestamp) -> bool {
    a.duration_since(b).abs() <= NEAR
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000;
    const YEAR: i64 = 365 * 24 * 3600;

    /// What the clock says after each of these times, all relative to one.
    fn after(times: &[i64]) -> Vec<i64> {
        let mut clock = Clock::default();
        let see = |time: &i64| clock.see(Timestamp::from_second(NOW + time).unwrap()).as_second() - NOW;
        times.iter().map(see).collect()
    }

    #[test]
    fn lines_out_of_order_do_not_turn_it_back() {
        assert_eq!(after(&[0, 5, 3, 4, 6, -3600]), [0, 5, 5, 5, 6, 6]);
    }

    #[test]
    fn a_single_line_far_off_does_not_carry_it_away() {
        assert_eq!(after(&[0, YEAR, 1, -YEAR, 2, YEAR, -YEAR, 3]), [0, 0, 1, 1, 2, 2, 2, 3]);
    }

    #[test]
    fn it_follows_lines_that_agree() {
        assert_eq!(after(&[0, YEAR, YEAR + 1, YEAR + 2]), [0, 0, YEAR + 1, YEAR + 2]);
        assert_eq!(after(&[YEAR, 0, 1]), [YEAR, YEAR, 1]);
    }

    #[test]
    fn it_bears_the_ends_of_time() {
        let mut clock = Clock::default();
        for time in [Timestamp::MIN, Timestamp::MAX, Timestamp::MAX] {
            clock.see(time);
        }
        assert_eq!(clock.see(Timestamp::MIN), Timestamp::MAX);
    }
}
