//! The lines of failures that have led to no ban yet, so that somebody can ask for them, and so that a ban can be told with those that led to it.
//!
//! Attackers write them: of so many hosts so many lines are kept, and the hosts that are quiet for longest are forgotten first. What is
//! forgotten here is told to nobody, and counts all the same.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use ahash::RandomState;
use jiff::{SignedDuration, Timestamp};
use lru::LruCache;

use crate::ban::{Evidence, JailId, Subject, moved};
use crate::jail::Who;
use crate::ledger::Renumbering;

/// Hosts whose lines are kept, each once for every jail that it fails in.
const MOST_HOSTS: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");
/// Lines of each, the latest.
pub(super) const MOST_LINES: usize = 10;
/// Bytes of all lines, where those that several jails share count for each.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// They.
pub(in crate::agent) struct Lines {
    hosts: LruCache<(JailId, Who), VecDeque<Evidence>, RandomState>,
    bytes: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            // Attackers choose addresses; they must not be able to choose places.
            hosts: LruCache::with_hasher(MOST_HOSTS, RandomState::new()),
            bytes: 0,
        }
    }
}

impl Lines {
    /// Takes note of a line.
    pub(super) fn note(&mut self, jail: JailId, who: Who, evidence: Evidence) {
        self.bytes += evidence.line.len();
        let key = (jail, who);
        match self.hosts.get_mut(&key) {
            Some(lines) => {
                if lines.len() >= MOST_LINES
                    && let Some(oldest) = lines.pop_front()
                {
                    self.bytes -= oldest.line.len();
                }
                lines.push_back(evidence);
            }
            None => {
                let forgotten = self.hosts.push(key, VecDeque::from([evidence]));
                self.bytes -= forgotten.map_or(0, |(_, lines)| bytes(&lines));
            }
        }
        while self.bytes > MOST_BYTES
            && let Some((_, lines)) = self.hosts.pop_lru()
        {
            self.bytes -= bytes(&lines);
        }
    }

    /// Takes the lines out that led to a ban: at most so many, and none from before `since`.
    pub(super) fn take(&mut self, jail: JailId, who: Who, most: u32, since: Timestamp) -> Vec<Evidence> {
        let mut lines = self.hosts.pop(&(jail, who)).unwrap_or_default();
        self.bytes -= bytes(&lines);
        lines.retain(|line| line.time >= since);
        // Those of several logs may have come out of order.
        lines.make_contiguous().sort_by_key(|line| line.time);
        let superfluous = lines.len().saturating_sub(most as usize);
        lines.into_iter().skip(superfluous).collect()
    }

    /// The lines of a host or network in a jail, each list with who it is that they count for: there are several where the filter counts by
    /// more than the address.
    pub(super) fn of(&self, jail: JailId, subject: Subject) -> impl Iterator<Item = (&Who, &VecDeque<Evidence>)> {
        let all = self.hosts.iter();
        all.filter(move |((of, who), _)| *of == jail && who.0 == subject)
            .map(|((_, who), lines)| (who, lines))
    }

    /// Forgets those of a jail that begins to count anew: its lines are read again.
    pub(in crate::agent) fn forget(&mut self, jail: JailId) {
        self.keep(|of| (of != jail).then_some(of));
    }

    /// Keeps lines under the numbers that jails have after a reload.
    pub(in crate::agent) fn renumber(&mut self, numbers: &Renumbering) {
        self.keep(|jail| numbers.of(jail));
    }

    fn keep(&mut self, jail: impl Fn(JailId) -> Option<JailId>) {
        let before = std::mem::take(self);
        let mut hosts = before.hosts;
        // The ones quiet for longest first, so that they are so afterwards.
        while let Some(((of, who), lines)) = hosts.pop_lru() {
            if let Some(jail) = jail(of) {
                self.bytes += bytes(&lines);
                self.hosts.put((jail, who), lines);
            }
        }
    }

    /// Moves them with the wall clock, which was set by `step`.
    pub(in crate::agent) fn clock_was_set(&mut self, step: SignedDuration) {
        for (_, lines) in &mut self.hosts {
            for line in lines {
                line.time = moved(line.time, step);
            }
        }
    }
}

fn bytes(lines: &VecDeque<Evidence>) -> usize {
    lines.iter().map(|line| line.line.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const JAIL: JailId = JailId(0);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn host(n: u32) -> Who {
        (Subject::host(IpAddr::from(n.to_be_bytes())), 0)
    }

    fn line(second: i64, text: &str) -> Evidence {
        Evidence {
            time: at(second),
            line: text.into(),
            number: 0,
            failregex: "^x".into(),
        }
    }

    fn taken(lines: &mut Lines, jail: JailId, who: Who) -> Vec<String> {
        let taken = lines.take(jail, who, u32::MAX, at(0));
        taken.iter().map(|line| line.line.to_string()).collect()
    }

    #[test]
    fn of_many_lines_of_a_host_the_latest_stay() {
        let mut lines = Lines::default();
        for n in 0..1000 {
            lines.note(JAIL, host(7), line(n, &n.to_string()));
        }
        let kept = taken(&mut lines, JAIL, host(7));
        assert_eq!(
            (kept.len(), kept[0].as_str(), kept[9].as_str()),
            (MOST_LINES, "990", "999")
        );
        assert_eq!(lines.bytes, 0);
        assert!(taken(&mut lines, JAIL, host(7)).is_empty(), "they are told once");
    }

    #[test]
    fn a_ban_is_told_with_the_failures_that_it_counted() {
        let mut lines = Lines::default();
        for second in [5, 1, 90, 92, 91] {
            lines.note(JAIL, host(7), line(second, &second.to_string()));
        }
        let led = |lines: &mut Lines, most, since| {
            let led = lines.take(JAIL, host(7), most, at(since)).into_iter();
            led.map(|line| line.time.as_second()).collect::<Vec<i64>>()
        };
        assert_eq!(led(&mut lines, 9, 3), [5, 90, 91, 92]);
        for second in 0..5 {
            lines.note(JAIL, host(7), line(second, "x"));
        }
        assert_eq!(led(&mut lines, 2, 0), [3, 4]);
    }

    #[test]
    fn neither_many_hosts_nor_long_lines_fill_the_memory() {
        let mut lines = Lines::default();
        for n in 0..100_000 {
            lines.note(JAIL, host(n), line(0, "short"));
        }
        assert_eq!(lines.hosts.len(), MOST_HOSTS.get());
        assert_eq!(lines.bytes, MOST_HOSTS.get() * 5);
        let long = "x".repeat(512);
        for n in 0..100_000 {
            lines.note(JAIL, host(n / 10), line(0, &long));
            assert!(lines.bytes <= MOST_BYTES);
        }
        assert_eq!(
            lines.hosts.iter().map(|(_, lines)| bytes(lines)).sum::<usize>(),
            lines.bytes
        );
        assert_eq!(
            taken(&mut lines, JAIL, host(9999)).len(),
            MOST_LINES,
            "the last one is whole"
        );
    }

    #[test]
    fn lines_follow_their_jail_to_another_number_and_go_with_it() {
        let mut lines = Lines::default();
        for jail in 0..3 {
            lines.note(JailId(jail), host(7), line(9, &jail.to_string()));
        }
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        lines.renumber(&Renumbering::new(&names(&["a", "b", "c"]), &names(&["c", "x", "a"])));
        assert_eq!(taken(&mut lines, JailId(0), host(7)), ["2"]);
        assert!(taken(&mut lines, JailId(1), host(7)).is_empty());
        lines.clock_was_set(SignedDuration::from_secs(10));
        let (_, moved) = lines.of(JailId(2), host(7).0).next().unwrap();
        assert_eq!(moved[0].time, at(19));
        lines.forget(JailId(2));
        assert_eq!((lines.hosts.len(), lines.bytes), (0, 0));
    }
}
