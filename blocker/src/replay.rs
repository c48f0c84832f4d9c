//! The bans that jails would have made over logs, by the logs' own clock.
//!
//! Joins filter, jail and ledger as the agent does, but without a firewall, and without the machine's clock: every decision is made at
//! the time that the lines themselves tell. What a log says of a host that would have been banned at the time is not counted against it
//! again, since it would not have come to pass: the kernel would have dropped the host's packets.

mod clock;
mod logs;
mod past;
mod tally;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::clock::{Clock, Seen};
pub use self::logs::Unreadable;
use self::logs::{Logs, OpenWith, Reading};
use self::past::Past;
pub use self::tally::{Counts, MAX_HOSTS, Tally};
use crate::ban::{Ban, Expiry, Failure, Ipv6Prefix, JailId, Ports, Scope, Subject};
use crate::config::JailSettings;
use crate::filter::Filter;
use crate::filter::log::{Dated, Finding, JailFilter, LineResult, LogFilters, LogLine};
use crate::filter::matcher::{Matcher, Search};
use crate::jail::{Decision, Jail};
use crate::ledger::{Allowlist, Entry, Ledger};
use crate::source::stored::StoredLog;

/// Failures that may wait until their time is known: those of some lines of one second.
const MAX_HELD: usize = 1000;

/// Jails at work on logs of the past.
pub struct Replay {
    jails: Vec<ReplayedJail>,
    ledger: Ledger,
    past: Past,
    clock: Clock,
    tally: Tally,
    /// What was found in the line at hand.
    found: Vec<Failure>,
    /// What was found in lines whose time is in doubt.
    held: Vec<Failure>,
}

struct ReplayedJail {
    name: String,
    filter: Arc<Filter>,
    zone: TimeZone,
    jail: Jail,
    ipv6_prefix: Ipv6Prefix,
    /// The jails whose bans keep a host out of all that this one watches.
    kept_out_by: Vec<(JailId, Ipv6Prefix)>,
}

/// What ended a replay early.
#[derive(Debug, thiserror::Error)]
pub enum Stopped<E> {
    /// A log cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Whoever was told of a ban wants no more.
    #[error("{0}")]
    Told(E),
}

impl Replay {
    /// Jails that have seen nothing.
    #[must_use]
    pub fn new(jails: Vec<JailSettings>, allowlist: Allowlist) -> Self {
        let kept_out_by = |scope: &Scope| {
            let keepers = (0..).map(JailId).zip(&jails);
            let keepers = keepers.filter(|(_, keeper)| covers(&keeper.scope, scope));
            keepers.map(|(id, keeper)| (id, keeper.rules.ipv6_prefix)).collect()
        };
        let kept_out_by: Vec<Vec<_>> = jails.iter().map(|jail| kept_out_by(&jail.scope)).collect();
        let jails = jails
            .into_iter()
            .zip(kept_out_by)
            .map(|(jail, kept_out_by)| ReplayedJail {
                name: jail.name,
                filter: jail.filter,
                zone: jail.zone,
                ipv6_prefix: jail.rules.ipv6_prefix,
                jail: Jail::new(jail.rules),
                kept_out_by,
            });
        let jails: Vec<ReplayedJail> = jails.collect();
        Self {
            tally: Tally::new(jails.len()),
            jails,
            ledger: Ledger::new(allowlist),
            past: Past::new(),
            clock: Clock::default(),
            found: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Reads the logs in the order of time, and tells of every ban when it is made, with its jail's name. `wrap` may look on while a
    /// log's bytes are read.
    ///
    /// # Errors
    ///
    /// When a log cannot be read, or `tell` fails. What was counted until then stays.
    pub fn run<E>(
        &mut self,
        logs: &[StoredLog],
        wrap: &dyn Fn(Box<dyn std::io::Read>) -> Box<dyn std::io::Read>,
        mut tell: impl FnMut(&str, &Ban) -> Result<(), E>,
    ) -> Result<(), Stopped<E>> {
        let jails: Vec<(Arc<Filter>, TimeZone)> = self
            .jails
            .iter()
            .map(|jail| (Arc::clone(&jail.filter), jail.zone.clone()))
            .collect();
        let filters = || {
            LogFilters::new((0..).map(JailId).zip(&jails).map(|(jail, (filter, zone))| JailFilter {
                jail,
                matcher: Matcher::new(Arc::clone(filter), Search::First),
                zone: zone.clone(),
                logs: vec![0],
            }))
        };
        let open_with = OpenWith {
            filters: &filters,
            wrap,
        };
        let mut logs = Logs::new(logs, open_with)?;
        let read = logs.read(|line, log| self.line(line, log, &mut tell).map_err(Stopped::Told));
        let read = read.and_then(|()| self.settle(&mut tell).map_err(Stopped::Told));
        self.tally.cut += logs.cut;
        self.tally.lines += logs.passed;
        self.tally.undated += logs.passed;
        read
    }

    /// What was counted so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The jails' names, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.jails.iter().map(|jail| jail.name.as_str())
    }

    fn line<E>(
        &mut self,
        line: &str,
        log: &mut Reading,
        tell: &mut impl FnMut(&str, &Ban) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { found, tally, .. } = self;
        let line = LogLine {
            text: line,
            logs: &[0],
            // A line that carries no date was written when the one before it was.
            dated: Dated::ByText {
                now: log.written,
                undated: log.time,
            },
        };
        let read = log.filters.find(line, |finding| match finding {
            Finding::Failure(failure, _) => found.push(failure),
            Finding::Named { .. } | Finding::Unbannable(_) => tally.unbannable += 1,
            Finding::GivenUp(_, searches) => tally.given_up += searches,
        });
        tally.lines += 1;
        tally.undated += u64::from(read.result == LineResult::Undated);
        log.time = read.time.or(log.time);
        let Some(time) = log.time else {
            return Ok(());
        };
        let Seen { settled, now } = self.clock.see(time);
        if let Some(settled) = settled {
            let mut held = std::mem::take(&mut self.held);
            self.judge_all(&mut held, settled, tell)?;
            self.held = held;
        }
        let mut found = std::mem::take(&mut self.found);
        match now {
            Some(now) => self.judge_all(&mut found, now, tell)?,
            None => self.held.append(&mut found),
        }
        self.found = found;
        if self.held.len() > MAX_HELD {
            self.settle(tell)?;
        }
        Ok(())
    }

    /// Judges the failures of lines that are in doubt, as nothing more is to be waited for.
    fn settle<E>(&mut self, tell: &mut impl FnMut(&str, &Ban) -> Result<(), E>) -> Result<(), E> {
        let Some(now) = self.clock.settle() else {
            return Ok(());
        };
        let mut held = std::mem::take(&mut self.held);
        self.judge_all(&mut held, now, tell)
    }

    /// Judges failures at this time, and takes them out.
    fn judge_all<E>(
        &mut self,
        failures: &mut Vec<Failure>,
        now: Timestamp,
        tell: &mut impl FnMut(&str, &Ban) -> Result<(), E>,
    ) -> Result<(), E> {
        self.tally.at(now);
        for failure in failures.drain(..) {
            if let Some(ban) = self.judge(&failure, now) {
                let jail = &self.jails[usize::from(ban.jail.0)];
                tell(&jail.name, &ban)?;
            }
        }
        Ok(())
    }

    /// Counts a failure; the ban that it leads to, where it leads to one.
    fn judge(&mut self, failure: &Failure, now: Timestamp) -> Option<Ban> {
        let Self {
            jails,
            ledger,
            past,
            tally,
            ..
        } = self;
        let replayed = jails.get_mut(usize::from(failure.jail.0))?;
        ledger.expire(now);
        let subject = Subject::around(failure.address, replayed.ipv6_prefix);
        if replayed.is_kept_out(failure, ledger) {
            tally.count(failure.jail, subject, |counts| {
                counts.failures += 1;
                counts.saved += 1;
            });
            return None;
        }
        tally.count(failure.jail, subject, |counts| counts.failures += 1);
        let allowlist = ledger.allowlist();
        let decision = replayed.jail.decide(failure, |host| allowlist.covers(host), now);
        let Decision::Ban(ban) = decision else {
            return None;
        };
        let ban = match replayed.jail.increment() {
            None => ban,
            Some(increment) => {
                let by = (!increment.overall_jails).then_some(ban.jail);
                // One that is in force is made longer, and is not one more.
                let in_force = ledger.get(ban.subject, ban.jail).is_some();
                let earlier = past.bans(ban.subject, by).saturating_sub(in_force.into());
                replayed.jail.lengthen(ban, earlier, now)
            }
        };
        if ban.until <= Expiry::At(now) {
            return None;
        }
        match ledger.enter(ban.clone()) {
            entry @ (Entry::New(_) | Entry::Extended(_)) => {
                if matches!(entry, Entry::New(_)) {
                    past.remember(&ban);
                }
                tally.count(ban.jail, ban.subject, |counts| counts.bans += 1);
                return Some(ban);
            }
            Entry::Known => {}
            Entry::Allowed => tally.vetoes += 1,
            Entry::Full => tally.no_room += 1,
        }
        None
    }
}

impl ReplayedJail {
    /// Whether a ban in force covers everything that this jail watches, so that the failure would not have come to pass.
    fn is_kept_out(&self, failure: &Failure, ledger: &Ledger) -> bool {
        if ledger.is_empty() || ledger.allowlist().covers(Subject::host(failure.address)) {
            return false;
        }
        self.kept_out_by.iter().any(|(jail, ipv6_prefix)| {
            let subject = Subject::around(failure.address, *ipv6_prefix);
            ledger.change(subject).bans.iter().any(|ban| ban.jail == *jail)
        })
    }
}

/// Whether a ban of one scope covers all of another.
fn covers(whole: &Scope, part: &Scope) -> bool {
    let covers = |whole: &Ports, part: &Ports| {
        part.iter().all(|part| {
            let mut ranges = whole.iter();
            ranges.any(|range| range.start() <= part.start() && part.end() <= range.end())
        })
    };
    covers(&whole.tcp, &part.tcp) && covers(&whole.udp, &part.udp)
}

#[cfg(test)]
mod tests;
