//! What happens a second, from two statuses: the live view's and the page's rates.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Serialize;

use super::model::{Jail, Status};

/// What happened a second between two statuses.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Rates {
    /// Seconds between them.
    pub(crate) seconds: f64,
    /// Of all jails.
    #[serde(flatten)]
    pub(crate) all: Rate,
    /// Of each jail that both know.
    pub(crate) jails: BTreeMap<String, Rate>,
}

/// What happened a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Rate {
    /// Packets dropped.
    #[serde(rename = "dropped_packets_per_second")]
    pub(crate) dropped: f64,
    /// Bans made.
    #[serde(rename = "bans_per_second")]
    pub(crate) bans: f64,
    /// Failures found.
    #[serde(rename = "failures_per_second")]
    pub(crate) failures: f64,
}

impl Rates {
    /// The rates between two statuses, unless they are of two agents, whose counters have nothing to do with each other.
    pub(crate) fn between(before: &Status, after: &Status, elapsed: Duration) -> Option<Self> {
        let seconds = elapsed.as_secs_f64();
        if (before.pid, before.started) != (after.pid, after.started) || seconds <= 0.0 {
            return None;
        }
        let known: HashMap<&str, &Jail> = before.jails.iter().map(|jail| (jail.name.as_str(), jail)).collect();
        let mut rates = Self {
            seconds,
            ..Self::default()
        };
        // By jail, since one that a reload takes away takes its part of a sum with it.
        for jail in &after.jails {
            let Some(before) = known.get(jail.name.as_str()) else {
                continue;
            };
            let rate = Rate::between(before, jail, seconds);
            rates.all.dropped += rate.dropped;
            rates.all.bans += rate.bans;
            rates.all.failures += rate.failures;
            rates.jails.insert(jail.name.clone(), rate);
        }
        Some(rates)
    }
}

impl Rate {
    fn between(before: &Jail, after: &Jail, seconds: f64) -> Self {
        // Somebody may flush the kernel's counters: then nothing is known to have happened, and never less.
        let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        Self {
            dropped: each(before.dropped_packets, after.dropped_packets),
            bans: each(before.bans_made, after.bans_made),
            failures: each(before.failures, after.failures),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::samples::{jail, status};
    use super::*;

    const TWO: Duration = Duration::from_secs(2);

    #[test]
    fn a_rate_is_a_difference_over_the_time_it_took() {
        let before = status([jail("spam", 100), jail("auth", 7)]);
        let mut after = status([jail("spam", 150), jail("auth", 8)]);
        after.jails[0].bans_made += 3;
        let rates = Rates::between(&before, &after, TWO).unwrap();
        assert_eq!((rates.all.dropped, rates.all.bans), (25.5, 1.5));
        assert_eq!(rates.jails["spam"].dropped, 25.0);
        assert_eq!(rates.jails["auth"].dropped, 0.5);
    }

    #[test]
    fn counters_that_fall_give_nothing_and_never_less_than_nothing() {
        let before = status([jail("spam", 1000), jail("auth", 10)]);
        let after = status([jail("spam", 5), jail("auth", 30)]);
        let rates = Rates::between(&before, &after, TWO).unwrap();
        assert_eq!(rates.all.dropped, 10.0);
        assert_eq!(rates.jails["spam"].dropped, 0.0);
    }

    #[test]
    fn a_jail_that_comes_or_goes_with_a_reload_is_no_flood() {
        let before = status([jail("old", 1_000_000), jail("stays", 10)]);
        let after = status([jail("stays", 12), jail("new", 500_000)]);
        let rates = Rates::between(&before, &after, TWO).unwrap();
        assert_eq!(rates.all.dropped, 1.0);
        assert!(!rates.jails.contains_key("new"));
    }

    #[test]
    fn between_two_agents_and_within_no_time_there_is_no_rate() {
        let before = status([jail("spam", 10)]);
        let mut after = status([jail("spam", 20)]);
        assert_eq!(Rates::between(&before, &after, Duration::ZERO), None);
        after.pid += 1;
        assert_eq!(Rates::between(&before, &after, TWO), None);
    }
}
