//! The jail: counts failures and decides when there were too many.
//!
//! Takes [`Failure`]s and hands on [`Ban`]s. It keeps an exact sliding window: a ban is made when `max_retry` failures lie
//! within `find_time`, each by the clock of its own line, so that going over an old log gives the same decisions. For who was banned
//! before, [`Jail::lengthen`] makes a ban longer. What becomes of a ban is the ledger's business; the kernel may not enter.

mod hosts;
pub mod ignore_command;
mod increment;
mod window;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use self::hosts::Hosts;
pub use self::hosts::Who;
pub use self::increment::{Growth, Increment};
use crate::ban::{Ban, Expiry, Failure, Ipv6Prefix, Networks, Origin, Subject, moved};

/// What clocks of those who write lines may be ahead of the agent's.
const LEEWAY: SignedDuration = SignedDuration::from_mins(1);

/// How long a ban lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanTime {
    /// This long after the last failure.
    For(SignedDuration),
    /// Without an end.
    Forever,
}

/// When a jail bans, and whom never.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Failures that make a ban; at least 1.
    pub max_retry: u32,
    /// The time in which they must lie.
    pub find_time: SignedDuration,
    /// How long the ban lasts.
    pub ban_time: BanTime,
    /// How much longer it lasts for who was banned before.
    pub increment: Option<Increment>,
    /// Whether a ban that is about to end goes on while its host still knocks, and how long after its last failure at the most.
    pub renew: Option<SignedDuration>,
    /// Whose failures are not counted.
    pub ignore: Vec<IpNet>,
    /// What is counted and banned together with an IPv6 address.
    pub ipv6_prefix: Ipv6Prefix,
}

/// What a jail makes of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The host is one of those that are ignored.
    Ignored,
    /// The failure, or the ban it leads to, is over already; or it has led to a ban before.
    Late,
    /// Counted; not enough yet.
    Counted,
    /// Enough.
    Ban(Ban),
}

/// A jail's memory.
pub struct Jail {
    rules: Rules,
    /// Those of its rules, and what the names among them come to.
    ignored: Networks,
    hosts: Hosts,
    /// The last failures that a former agent has banned for: they count no more when lines are read again.
    answered: HashMap<Subject, Timestamp>,
    /// Whether it has counted lines that are read again: not in a former agent, but itself.
    goes_on: bool,
    /// The latest of them. Once it is too old to count, they are forgotten.
    last_answered: Timestamp,
    /// Attackers choose the identities: they are kept as numbers of one length, which nobody can foresee.
    identities: RandomState,
}

impl Jail {
    /// A jail that has seen nothing.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            ignored: rules.ignore.iter().copied().collect(),
            rules,
            hosts: Hosts::new(),
            answered: HashMap::new(),
            goes_on: false,
            last_answered: Timestamp::MIN,
            identities: RandomState::new(),
        }
    }

    /// The same jail by other rules: it keeps what it has counted. Failures that are read again after this it has counted before.
    #[must_use]
    pub fn go_on_by(self, rules: Rules) -> Self {
        Self {
            ignored: rules.ignore.iter().copied().collect(),
            rules,
            goes_on: true,
            ..self
        }
    }

    /// Ignores these beside those of its rules, from now on and in the place of those it was told before.
    pub fn ignore_also(&mut self, networks: &[IpNet]) {
        self.ignored = self.rules.ignore.iter().chain(networks).copied().collect();
    }

    /// Takes note that failures of a host or network up to this one have led to a ban, although it does not know them.
    pub fn has_answered(&mut self, subject: Subject, last: Timestamp) {
        self.answered.insert(subject, last);
        self.last_answered = self.last_answered.max(last);
    }

    /// Moves what it remembers with the wall clock, which was set by `step`.
    pub fn clock_was_set(&mut self, step: SignedDuration) {
        self.hosts.clock_was_set(step);
        for last in self.answered.values_mut() {
            *last = moved(*last, step);
        }
        self.last_answered = moved(self.last_answered, step);
    }

    /// The time in which failures must lie.
    #[must_use]
    pub const fn find_time(&self) -> SignedDuration {
        self.rules.find_time
    }

    /// Failures that make a ban.
    #[must_use]
    pub const fn max_retry(&self) -> u32 {
        self.rules.max_retry
    }

    /// The `ignoreip` that covers all of a host or network, where it is one that was written down as it stands.
    #[must_use]
    pub fn ignored_by(&self, subject: Subject) -> Option<IpNet> {
        let entries = self.rules.ignore.iter();
        entries.copied().find(|entry| entry.contains(&subject.network()))
    }

    /// How long its bans last, before they grow.
    #[must_use]
    pub const fn ban_time(&self) -> BanTime {
        self.rules.ban_time
    }

    /// Whether it ignores all of a host or network.
    #[must_use]
    pub fn ignores(&self, subject: Subject) -> bool {
        self.ignored.cover(subject)
    }

    /// Counts a failure. With IPv6, neighbours are banned together; but not for what a host did that `is_allowed` says may never be
    /// banned. `now` is the time by the clock that decides: the wall's, or a log's.
    pub fn decide(&mut self, failure: &Failure, is_allowed: impl FnOnce(Subject) -> bool, now: Timestamp) -> Decision {
        let subject = self.counted_as(failure.address, is_allowed);
        self.count_for(failure, subject, now)
    }

    /// What failures of a host are counted for: itself, or with IPv6 the network around it, unless a host that is ignored lives there.
    pub fn counted_as(&self, address: IpAddr, is_allowed: impl FnOnce(Subject) -> bool) -> Subject {
        let host = Subject::host(address);
        let around = Subject::around(address, self.rules.ipv6_prefix);
        if around == host || is_allowed(host) || self.ignored.touch(around) {
            host
        } else {
            around
        }
    }

    /// Who it is that a failure counts for, where it counts for this host or network.
    #[must_use]
    pub fn who(&self, failure: &Failure, subject: Subject) -> Who {
        let identity = failure.identity.as_ref();
        (
            subject,
            identity.map_or(0, |identity| self.identities.hash_one(identity)),
        )
    }

    /// How many failures count now, of those that have led to no ban.
    #[must_use]
    pub fn counted(&self, who: &Who, now: Timestamp) -> u32 {
        let oldest = now.saturating_sub(self.rules.find_time).unwrap_or(Timestamp::MIN);
        self.hosts.remembered(who, oldest)
    }

    /// Counts a failure for whom [`Jail::counted_as`] says; `now` as with [`Jail::decide`].
    pub fn count_for(&mut self, failure: &Failure, subject: Subject, now: Timestamp) -> Decision {
        if self.goes_on && failure.again {
            return Decision::Late;
        }
        if self.ignores(Subject::host(failure.address)) {
            return Decision::Ignored;
        }
        // Read before it was written: the clock was put back since then, and nobody knows by how much. A former agent has counted it.
        if failure.again && failure.time.duration_since(now) > LEEWAY {
            return Decision::Late;
        }
        // A line from the future is a line of now: nobody is banned for longer because a clock is wrong.
        let time = failure.time.min(now);
        let oldest = now.saturating_sub(self.rules.find_time).unwrap_or(Timestamp::MIN);
        if time < oldest {
            return Decision::Late;
        }
        if self.last_answered < oldest && !self.answered.is_empty() {
            self.answered = HashMap::new();
        }
        // What was written down of a ban has microseconds.
        let answered = self.answered.get(&subject);
        if answered.is_some_and(|last| time.as_microsecond() <= last.as_microsecond()) {
            return Decision::Late;
        }
        let who = self.who(failure, subject);
        let Rules {
            find_time, max_retry, ..
        } = self.rules;
        let failures = self.hosts.count(who, time, find_time, max_retry);
        if failures < max_retry {
            return Decision::Counted;
        }
        let until = match self.rules.ban_time {
            BanTime::Forever => Expiry::Never,
            BanTime::For(time_banned) => Expiry::At(time.saturating_add(time_banned).unwrap_or(Timestamp::MAX)),
        };
        // One that grows may be in force for longer.
        if until <= Expiry::At(now) && self.rules.increment.is_none() {
            return Decision::Late;
        }
        Decision::Ban(Ban {
            subject,
            jail: failure.jail,
            origin: Origin::Jail,
            since: time,
            until,
            failures,
        })
    }

    /// Whether bans of hosts that still knock go on.
    #[must_use]
    pub const fn renews(&self) -> bool {
        self.rules.renew.is_some()
    }

    /// The end of a ban that is about to be over, whose host has knocked last at this time; `None` where that is too long ago, or the
    /// ban has gone on for as long as it may.
    #[must_use]
    pub fn renewed(&self, ban: &Ban, knocked: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let (Some(longest), BanTime::For(ban_time)) = (self.rules.renew, self.rules.ban_time) else {
            return None;
        };
        if now.duration_since(knocked) > self.rules.find_time {
            return None;
        }
        let last = ban.since.saturating_add(longest).unwrap_or(Timestamp::MAX);
        let until = now.saturating_add(ban_time).unwrap_or(Timestamp::MAX).min(last);
        (Expiry::At(until) > ban.until).then_some(until)
    }

    /// How bans grow here for who was banned before.
    #[must_use]
    pub const fn increment(&self) -> Option<&Increment> {
        self.rules.increment.as_ref()
    }

    /// How long a ban lasts after so many earlier ones, at the least; `None` where it has no end.
    #[must_use]
    pub fn length_after(&self, earlier: u32) -> Option<SignedDuration> {
        match (&self.rules.increment, self.rules.ban_time) {
            (_, BanTime::Forever) => None,
            (Some(increment), BanTime::For(ban_time)) => Some(increment.lengthen(ban_time, earlier, 0.0)),
            (None, BanTime::For(ban_time)) => Some(ban_time),
        }
    }

    /// The ban as it is after so many earlier ones.
    #[must_use]
    pub fn lengthen(&self, ban: Ban, earlier: u32, now: Timestamp) -> Ban {
        let (Some(increment), BanTime::For(ban_time)) = (&self.rules.increment, self.rules.ban_time) else {
            return ban;
        };
        let random = increment::random(&self.identities, ban.subject, now);
        let length = increment.lengthen(ban_time, earlier, random);
        let until = Expiry::At(ban.since.saturating_add(length).unwrap_or(Timestamp::MAX));
        Ban { until, ..ban }
    }
}

#[cfg(test)]
mod tests;
