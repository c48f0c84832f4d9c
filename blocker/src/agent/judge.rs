//! From failures to bans in the kernel: jail, ledger and firewall, in this order, on one thread.
//!
//! One thread, because the order matters: a ban is in the ledger, and on disk, before it is in the kernel, and is reported when the
//! kernel has it. What the kernel refuses stays in the ledger and is tried again. Batches that have come up while the disk or the
//! kernel was busy are judged together, so that they share a commit.

mod allow;
mod answer;
pub(super) mod clock;
mod kernel;
mod lines;
mod renew;
mod search;
mod why;

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

pub(super) use self::allow::Allowing;
pub(super) use self::lines::Lines;
use super::clock::WallClock;
use super::reader::Batch;
use crate::api::control::Ask;
use crate::api::metrics::{Metrics, SharedFirewall};
use crate::ban::{Ban, Change, Expiry, JailId, Subject};
use crate::firewall::Rejected;
use crate::firewall::interfaces::LinkWatch;
use crate::hangup::Hangup;
use crate::jail::{Decision, Jail};
use crate::ledger::brake::{Brake, Reason, Turn};
use crate::ledger::store::{Entered, Store};
use crate::ledger::{Entry, Ledger};
use crate::service::Pulse;

/// How often what the kernel refused is tried again, and the longest wait for a ban's end.
const TICK: Duration = Duration::from_secs(1);
/// How often the ledger's database is looked after.
const LOOK: SignedDuration = SignedDuration::from_secs(1);
/// How often the kernel is compared with the ledger: whoever flushes a table or empties a map has it filled again by then.
pub(super) const COMPARE: SignedDuration = SignedDuration::from_secs(60);
/// How many times longer than a comparison took it is left at least: the kernel tells a set of nftables in a time that grows with the
/// square of its size, some 40 s for a million.
const REST: u32 = 20;
/// How much of it is tried at a time: a full map must not cost a system call for each ban that has no room, every second.
const RETRIES: usize = 1000;

/// Batches that are judged together with the first, at the most.
const TOGETHER: usize = 63;

/// Decides who is banned.
pub(super) struct Judge {
    pub(super) pulse: Pulse,
    pub(super) clock: WallClock,
    pub(super) jails: Vec<(String, Jail)>,
    /// The lines of what they have counted.
    pub(super) lines: Lines,
    pub(super) ledger: Ledger,
    pub(super) store: Store,
    pub(super) brake: Brake,
    pub(super) firewall: SharedFirewall,
    pub(super) metrics: Arc<Metrics>,
    /// Hosts and networks for which the kernel does not hold what the ledger says.
    pub(super) refused: BTreeSet<Subject>,
    /// The last of them that was tried again: the next come after it.
    pub(super) tried: Option<Subject>,
    /// When they are tried again.
    pub(super) retry: Timestamp,
    /// When the ledger's database was looked after.
    pub(super) looked: Timestamp,
    /// When it was looked whose ban is to go on.
    pub(super) renewed: Timestamp,
    /// When the kernel was compared with the ledger.
    pub(super) compared: Timestamp,
    /// How long after that it is compared again.
    pub(super) compare_after: SignedDuration,
    /// Tells when the interfaces are to be looked at.
    pub(super) links: LinkWatch,
    /// Whether bans only have what would be dropped counted.
    pub(super) dry_run: bool,
    /// Ends the connections that bans cover, where it is to.
    pub(super) hangup: Option<Hangup>,
    /// What the allowlist comes to.
    pub(super) allowing: Allowing,
    /// What it is asked from the control socket.
    pub(super) asks: Receiver<Ask>,
    /// What it is to answer next.
    pub(super) asked: Option<Ask>,
}

impl Judge {
    /// Works until every sender of failures is gone, and gives back what it has then.
    pub(super) fn run(mut self, batches: &Receiver<Batch>) -> Self {
        let now = self.now();
        self.lift_ignored(now);
        loop {
            self.pulse.beat();
            let now = self.now();
            match batches.recv_timeout(self.wait(now)) {
                Ok(batch) => {
                    let mut batches: Vec<Batch> =
                        [batch].into_iter().chain(batches.try_iter().take(TOGETHER)).collect();
                    let now = self.now();
                    self.judge(&mut batches, now);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let now = self.now();
                    self.store.commit(&self.ledger, now);
                    return self;
                }
            }
            let now = self.now();
            self.answer(now);
            self.tick(now);
        }
    }

    /// How long nothing has to be done if no failure comes.
    fn wait(&self, now: Timestamp) -> Duration {
        let next = self.ledger.next_end().map_or(TICK, |end| {
            Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
        });
        if self.asked.is_some() {
            Duration::ZERO
        } else {
            next.min(TICK)
        }
    }

    fn judge(&mut self, batches: &mut [Batch], now: Timestamp) {
        let mut entered: Vec<(Ban, Change, Option<Instant>)> = Vec::new();
        for failure in batches.iter_mut().flat_map(|batch| &mut batch.failures) {
            if let Some(metrics) = self.metrics.jail(failure.jail).filter(|_| !failure.again) {
                metrics.failures.inc();
            }
            let Some((_, jail)) = self.jails.get_mut(usize::from(failure.jail.0)) else {
                continue;
            };
            let allowlist = self.ledger.allowlist();
            let subject = jail.counted_as(failure.address, |host| allowlist.covers(host));
            let decision = jail.count_for(failure, subject, now);
            let evidence = failure.evidence.take();
            if let (Some(evidence), Decision::Counted | Decision::Ban(_)) = (evidence, &decision) {
                self.lines.note(failure.jail, jail.who(failure, subject), evidence);
            }
            if let Decision::Ban(ban) = decision {
                let who = jail.who(failure, ban.subject);
                let since = ban.since.saturating_sub(jail.find_time()).unwrap_or(Timestamp::MIN);
                let lines = self.lines.take(failure.jail, who, ban.failures, since);
                let ban = self.sentence(ban, now).and_then(|ban| self.enter(ban, now));
                if let Some((ban, _)) = &ban {
                    self.store.because(ban, &lines);
                }
                entered.extend(ban.map(|(ban, change)| (ban, change, failure.read)));
            }
        }
        // Only now: whoever finds how far logs were read finds the bans that they led to until then.
        for (source, position) in batches.iter().flat_map(|batch| &batch.read) {
            self.store.read(&source.to_string(), &position.to_text());
        }
        if entered.is_empty() {
            // How far logs were read is written within a second.
            return;
        }
        self.commit(now);
        let changes: Vec<Change> = entered.iter().map(|(_, change, _)| change.clone()).collect();
        let rejected = self.apply(&changes, now);
        let in_kernel = Instant::now();
        for (n, (ban, _, read)) in entered.iter().enumerate() {
            match rejected.iter().find(|rejected| rejected.change == n) {
                None => {
                    if let Some(read) = read {
                        let elapsed = in_kernel.saturating_duration_since(*read);
                        self.metrics.detection.observe(elapsed.as_secs_f64());
                    }
                    self.report("banned", ban);
                }
                Some(Rejected { error, .. }) => tracing::error!(
                    jail = %self.name(ban.jail),
                    address = %ban.subject,
                    until = %ban.until,
                    error = format!("{error:#}"),
                    "a ban is not enforced; trying again every second"
                ),
            }
        }
    }

    /// Weighs a ban against the host's past. `None` where that has no place for it: its failures led to a ban before, and were read again
    /// after a restart, or even the longer ban would be over.
    fn sentence(&mut self, ban: Ban, now: Timestamp) -> Option<Ban> {
        let (_, jail) = self.jails.get(usize::from(ban.jail.0))?;
        let known = self.ledger.get(ban.subject, ban.jail);
        let is_in_force = known.is_some();
        if known.is_some_and(|known| is_told_of(ban.since, known.since)) {
            return None;
        }
        if jail.increment().is_none() && self.store.is_news(ban.since) {
            return Some(ban);
        }
        let own = self.store.past(ban.subject, Some(ban.jail), now);
        if own.last.is_some_and(|last| is_told_of(ban.since, last)) {
            return None;
        }
        let Some(increment) = jail.increment() else {
            return Some(ban);
        };
        let past = if increment.overall_jails {
            self.store.past(ban.subject, None, now)
        } else {
            own
        };
        // A ban that is in force is extended as what it is, and not as one more.
        let earlier = past.bans.saturating_sub(u32::from(is_in_force));
        let ban = jail.lengthen(ban, earlier, now);
        (ban.until > Expiry::At(now)).then_some(ban)
    }

    /// Enters a ban into the ledger; `None` where that changes nothing in the kernel.
    fn enter(&mut self, ban: Ban, now: Timestamp) -> Option<(Ban, Change)> {
        let is_new = self.ledger.get(ban.subject, ban.jail).is_none();
        if is_new
            && !self.ledger.allowlist().covers(ban.subject)
            && let Err(reason) = self.brake.admit(ban.subject, now)
        {
            self.hold_back(&ban, reason, now);
            return None;
        }
        let metrics = self.metrics.jail(ban.jail);
        match self.ledger.enter(ban.clone()) {
            Entry::New(change) => {
                if let Some(metrics) = metrics {
                    metrics.bans.inc();
                    metrics.active.inc();
                }
                self.brake.made(now);
                self.store.enter(&ban, Entered::New { bans: 1 });
                Some((ban, change))
            }
            Entry::Extended(change) => {
                let extended = self.ledger.get(ban.subject, ban.jail);
                self.store.enter(extended.unwrap_or(&ban), Entered::Extended);
                Some((ban, change))
            }
            Entry::Known => None,
            Entry::Allowed => {
                if let Some(metrics) = metrics {
                    metrics.vetoes.inc();
                }
                tracing::info!(jail = %self.name(ban.jail), address = %ban.subject, "not banned: the allowlist covers the address");
                None
            }
            Entry::Full => {
                tracing::error!(jail = %self.name(ban.jail), address = %ban.subject, "not banned: the ledger is full");
                None
            }
        }
    }

    fn hold_back(&mut self, ban: &Ban, reason: Reason, now: Timestamp) {
        if let Some(metrics) = self.metrics.jail(ban.jail) {
            metrics.held_back.inc();
        }
        let Some(Turn::Engaged(reason)) = self.brake.held_back(reason, now) else {
            return;
        };
        self.metrics.brake.set(1);
        let why = match reason {
            Reason::Rate => "more than `max_bans_per_minute` new bans within a minute",
            Reason::Share => "more than `max_share` of the hosts seen lately would be banned",
        };
        tracing::error!(
            why,
            jail = %self.name(ban.jail),
            address = %ban.subject,
            "the brake holds: nobody new is banned for now, and bans in force stay; has a filter gone wild? \
             `blocker test LOG FILTER` shows what it finds; the limits are under [brake] in blocker.toml"
        );
    }

    fn commit(&mut self, now: Timestamp) {
        self.store.commit(&self.ledger, now);
        self.metrics.durable.set(self.store.is_durable().into());
    }

    /// Ends the bans that are over, tries again what the kernel refused, and looks after the kernel every minute and the interfaces when
    /// they change.
    fn tick(&mut self, now: Timestamp) {
        let compare = now.duration_since(self.compared).abs() >= self.compare_after;
        // What no event tells, such as a default route that appears, is found by a look now and then.
        let look = self.links_changed() || compare;
        // Before the interfaces, so that a firewall that is laid anew has it.
        self.renew_allowlist(look, now);
        if look {
            self.refresh(now);
        }
        if compare {
            self.compared = now;
            let begin = Instant::now();
            self.compare(now);
            // Nobody is banned meanwhile: where a look takes long, there are fewer.
            let rest = begin.elapsed().saturating_mul(REST);
            self.compare_after = COMPARE.max(SignedDuration::try_from(rest).unwrap_or(SignedDuration::MAX));
        }
        if let Some(Turn::Released { held_back }) = self.brake.tick(now) {
            self.metrics.brake.set(0);
            tracing::info!(held_back, "the brake has let go");
        }
        if now.duration_since(self.looked).abs() >= LOOK {
            self.looked = now;
            self.store.tick(&self.ledger, now);
            self.metrics.durable.set(self.store.is_durable().into());
        }
        self.renew(now);
        let (over, mut changes) = self.ledger.expire(now);
        for ban in &over {
            if let Some(metrics) = self.metrics.jail(ban.jail) {
                metrics.active.dec();
            }
        }
        // A clock that was put back must not put the next try off.
        if now >= self.retry || self.retry.duration_since(now) > SignedDuration::from_secs(2) {
            self.retry = now.saturating_add(TICK).unwrap_or(now);
            let refused = self.next_refused();
            changes.extend(refused.into_iter().map(|subject| self.ledger.change(subject)));
        }
        if changes.is_empty() {
            return;
        }
        let before = self.refused.len();
        self.apply(&changes, now);
        // The kernel has ended these bans by itself at the same moment, whatever it says now.
        for ban in &over {
            self.report("unbanned", ban);
        }
        if before > 0 && self.refused.is_empty() {
            tracing::info!(changes = before, "the kernel has taken what it had refused");
        }
    }

    fn apply(&mut self, changes: &[Change], now: Timestamp) -> Vec<Rejected> {
        if changes.is_empty() {
            return Vec::new();
        }
        let mut firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(firewall) = firewall.as_deref_mut() else {
            return Vec::new();
        };
        let rejected = firewall.apply(changes, now);
        for change in changes {
            self.refused.remove(&change.subject);
        }
        for Rejected { change, .. } in &rejected {
            self.metrics.refused.inc();
            self.refused.insert(changes[*change].subject);
        }
        self.metrics.enforced(self.ledger.len(), self.refused.len());
        if let Some(hangup) = &self.hangup {
            hangup.end(changes.iter().filter(|change| !self.refused.contains(&change.subject)));
        }
        rejected
    }

    /// One line a ban, one an unban.
    fn report(&self, event: &str, ban: &Ban) {
        let firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
        let firewall = firewall.as_deref().map_or("none", |firewall| firewall.kind().name());
        let would_be = if self.dry_run { "would be " } else { "" };
        tracing::info!(
            jail = %self.name(ban.jail),
            address = %ban.subject,
            until = %ban.until,
            failures = ban.failures,
            %firewall,
            "{would_be}{event}"
        );
    }

    fn name(&self, jail: JailId) -> &str {
        self.jails.get(usize::from(jail.0)).map_or("?", |(name, _)| name)
    }
}

/// Whether a failure is no younger than one that has led to a ban. The database keeps microseconds.
fn is_told_of(failure: Timestamp, last: Timestamp) -> bool {
    failure.as_microsecond() <= last.as_microsecond()
}

#[cfg(test)]
mod tests;
