//! The clock of a log: what time it was when a line was written.

use jiff::{SignedDuration, Timestamp};

/// How far the next line may lie from the clock and be taken at its word.
const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// Follows the times of lines, as the machine's clock went when they were written.
///
/// Lines lie out of order by some seconds, so the clock goes on to the latest time and not back with the next line. A single line whose
/// date is far off, be it wrong or forged, must not carry the clock away, or every line after it would be too old for anything: the
/// clock follows only where the next line goes on from there, as it does after a gap, or when the machine's clock was set. Until that is
/// known, the line is in doubt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    now: Option<Timestamp>,
    /// The time of a line in doubt.
    doubtful: Option<Timestamp>,
}

/// What a line's time says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The time by the clock for the lines that were in doubt, where they no longer are.
    pub(super) settled: Option<Timestamp>,
    /// The time by the clock for this line; none where it is in doubt.
    pub(super) now: Option<Timestamp>,
}

impl Clock {
    /// Takes note of a line's time.
    pub(super) fn see(&mut self, time: Timestamp) -> Seen {
        let mut seen = Seen::default();
        if let (Some(now), Some(doubtful)) = (self.now, self.doubtful) {
            if time == doubtful {
                // As all lines of one second, and those without a date that follow: they say nothing new.
                return seen;
            }
            let goes_on = !is_near(now, time)
                && (time > now) == (doubtful > now)
                && time >= doubtful.saturating_sub(NEAR).unwrap_or(Timestamp::MIN);
            if goes_on {
                self.now = Some(doubtful);
            }
            self.doubtful = None;
            seen.settled = self.now;
        }
        match self.now {
            Some(now) if !is_near(now, time) => self.doubtful = Some(time),
            Some(now) => seen.now = Some(now.max(time)),
            None => seen.now = Some(time),
        }
        self.now = seen.now.or(self.now);
        seen
    }

    /// The time for the lines that are in doubt, where no other comes: then nothing speaks against them.
    pub(super) fn settle(&mut self) -> Option<Timestamp> {
        let doubtful = self.doubtful.take();
        self.now = doubtful.or(self.now);
        doubtful
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

    /// What the clock says for each of these times, all relative to one, when it is settled.
    fn at(times: &[i64]) -> Vec<i64> {
        let mut clock = Clock::default();
        let mut said: Vec<Timestamp> = Vec::new();
        let mut doubtful = 0;
        for time in times {
            let seen = clock.see(Timestamp::from_second(NOW + time).unwrap());
            if let Some(settled) = seen.settled {
                said.extend(std::iter::repeat_n(settled, std::mem::take(&mut doubtful)));
            }
            match seen.now {
                Some(now) => said.push(now),
                None => doubtful += 1,
            }
        }
        if let Some(settled) = clock.settle() {
            said.extend(std::iter::repeat_n(settled, doubtful));
        }
        said.iter().map(|time| time.as_second() - NOW).collect()
    }

    #[test]
    fn lines_out_of_order_do_not_turn_it_back() {
        assert_eq!(at(&[0, 5, 3, 4, 6, -3600]), [0, 5, 5, 5, 6, 6]);
    }

    #[test]
    fn a_single_line_far_off_does_not_carry_it_away() {
        assert_eq!(
            at(&[0, YEAR, YEAR, 1, -YEAR, 2, YEAR, -YEAR, 3]),
            [0, 0, 0, 1, 1, 2, 2, 2, 3]
        );
    }

    #[test]
    fn it_follows_lines_that_go_on_from_there() {
        assert_eq!(
            at(&[0, YEAR, YEAR, YEAR + 1, YEAR]),
            [0, YEAR, YEAR, YEAR + 1, YEAR + 1]
        );
        assert_eq!(at(&[YEAR, 0, 1, 2]), [YEAR, 0, 1, 2]);
        assert_eq!(at(&[YEAR, 0]), [YEAR, 0]);
    }

    #[test]
    fn it_goes_on_where_lines_are_years_apart() {
        assert_eq!(at(&[0, YEAR, 2 * YEAR, 3 * YEAR]), [0, YEAR, 2 * YEAR, 3 * YEAR]);
    }

    #[test]
    fn it_bears_the_ends_of_time() {
        let mut clock = Clock::default();
        for time in [Timestamp::MIN, Timestamp::MAX, Timestamp::MIN, Timestamp::MAX] {
            clock.see(time);
        }
        assert_eq!(clock.settle(), Some(Timestamp::MAX));
    }
}
