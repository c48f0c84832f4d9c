//! What a replay has counted.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::ban::{JailId, Subject};

/// Hosts that are counted one by one; those that come later are only counted in the sums.
pub const MAX_HOSTS: usize = 1_000_000;

/// What was counted so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Lines without a date that can be read.
    pub undated: u64,
    /// Lines that were longer than what is read of one.
    pub cut: u64,
    /// Failures of hosts without an address that could be banned; they are not among the others. Names are not looked up: the answers
    /// of today are not those of then.
    pub unbannable: u64,
    /// Searches that were given up at the backtracking limit.
    pub given_up: u64,
    /// Bans that the allowlist did not let happen.
    pub vetoes: u64,
    /// Bans for which the ledger had no room.
    pub no_room: u64,
    /// All jails together.
    pub all: Counts,
    /// By jail, in the order of the configuration.
    pub jails: Vec<Counts>,
    /// By host, or by the network that is banned with it.
    pub hosts: HashMap<Subject, Counts>,
    /// Whether there were more hosts than are counted one by one.
    pub more_hosts: bool,
    /// The earliest and the latest time by the clock.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// What is counted of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Failures.
    pub failures: u64,
    /// Those of them that came while the host would have been banned.
    pub saved: u64,
    /// Bans.
    pub bans: u64,
}

impl Tally {
    /// For so many jails.
    pub(super) fn new(jails: usize) -> Self {
        Self {
            jails: vec![Counts::default(); jails],
            ..Self::default()
        }
    }

    /// Counts for all, for a jail and for a host.
    pub(super) fn count(&mut self, jail: JailId, subject: Subject, count: impl Fn(&mut Counts)) {
        count(&mut self.all);
        if let Some(counts) = self.jails.get_mut(usize::from(jail.0)) {
            count(counts);
        }
        if self.hosts.len() < MAX_HOSTS {
            count(self.hosts.entry(subject).or_default());
        } else if let Some(counts) = self.hosts.get_mut(&subject) {
            count(counts);
        } else {
            self.more_hosts = true;
        }
    }

    /// Takes note of the time by the clock.
    pub(super) fn at(&mut self, now: Timestamp) {
        self.span = Some(match self.span {
            None => (now, now),
            Some((first, last)) => (first.min(now), last.max(now)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_hosts_does_not_grow_the_memory() {
        let mut tally = Tally::new(1);
        let count = |tally: &mut Tally, n: u32| {
            let subject = Subject::host(std::net::Ipv4Addr::from_bits(n).into());
            tally.count(JailId(0), subject, |counts| counts.failures += 1);
        };
        let flood = MAX_HOSTS as u32 + 9;
        (0..flood).for_each(|n| count(&mut tally, n));
        count(&mut tally, 0);
        assert_eq!((tally.hosts.len(), tally.more_hosts), (MAX_HOSTS, true));
        assert_eq!(tally.all.failures, u64::from(flood) + 1);
        assert_eq!(tally.hosts[&Subject::host([0, 0, 0, 0].into())].failures, 2);
    }
}
