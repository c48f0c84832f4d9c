//! What a rate was over the last minutes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many values are kept: 20 minutes at two seconds each, and more than a terminal has columns.
const MOST: usize = 600;

/// A value for each slot of time, the latest last; none where nobody knows it.
#[derive(Clone, Debug)]
pub(super) struct History {
    slot: Duration,
    /// When the first value came, and the slot of the latest, counted from there.
    latest: Option<(Instant, u64)>,
    values: VecDeque<Option<f64>>,
}

impl History {
    /// An empty one with slots of this length.
    pub(super) fn new(slot: Duration) -> Self {
        Self {
            slot,
            latest: None,
            values: VecDeque::new(),
        }
    }

    /// The length of a slot.
    pub(super) const fn slot(&self) -> Duration {
        self.slot
    }

    /// Takes a value that holds since the last one: it fills the slots between, so that the picture is true to time.
    pub(super) fn put(&mut self, at: Instant, value: Option<f64>) {
        let (began, last) = self.latest.map_or((at, None), |(began, last)| (began, Some(last)));
        let elapsed = at.saturating_duration_since(began).as_secs_f64();
        // A float becomes the nearest number there is.
        let number = (elapsed / self.slot.as_secs_f64()).round() as u64;
        let new = match last {
            None => 1,
            Some(last) => usize::try_from(number.saturating_sub(last)).unwrap_or(MOST).min(MOST),
        };
        if new == 0 {
            // Two in a slot: the later one stands for it.
            self.values.pop_back();
        }
        self.values.extend(std::iter::repeat_n(value, new.max(1)));
        let over = self.values.len().saturating_sub(MOST);
        self.values.drain(..over);
        self.latest = Some((began, number.max(last.unwrap_or(0))));
    }

    /// The values, the latest first.
    pub(super) fn latest_first(&self) -> impl Iterator<Item = Option<f64>> {
        self.values.iter().rev().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Duration = Duration::from_secs(2);

    fn after(puts: &[(u64, Option<f64>)]) -> Vec<Option<f64>> {
        let began = Instant::now();
        let mut history = History::new(SLOT);
        for (milliseconds, value) in puts {
            history.put(began + Duration::from_millis(*milliseconds), *value);
        }
        let mut values: Vec<_> = history.latest_first().collect();
        values.reverse();
        values
    }

    #[test]
    fn each_poll_has_its_slot_though_it_is_a_little_late() {
        let values = after(&[(0, Some(1.0)), (2100, Some(2.0)), (4300, None), (5900, Some(4.0))]);
        assert_eq!(values, [Some(1.0), Some(2.0), None, Some(4.0)]);
    }

    #[test]
    fn a_value_that_comes_late_stands_for_all_the_time_since_the_last() {
        let values = after(&[(0, None), (6000, Some(3.0))]);
        assert_eq!(values, [None, Some(3.0), Some(3.0), Some(3.0)]);
    }

    #[test]
    fn of_two_values_in_a_slot_the_later_one_stands() {
        assert_eq!(
            after(&[(0, None), (2000, Some(1.0)), (2100, Some(2.0))]),
            [None, Some(2.0)]
        );
    }

    #[test]
    fn it_is_bounded_however_long_nothing_came() {
        let days = 30 * 24 * 3600 * 1000;
        let mut puts: Vec<_> = (0..1000).map(|n| (n * 2000, Some(1.0))).collect();
        assert_eq!(after(&puts).len(), MOST);
        puts.push((days, Some(2.0)));
        assert_eq!(after(&puts), vec![Some(2.0); MOST]);
    }
}
