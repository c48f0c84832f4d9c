//! Bans that go on for hosts that still knock when they are about to end: `bantime.renew`.

use std::collections::HashMap;
use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};

use super::Judge;
use crate::ban::{Ban, Change, Expiry, Subject};
use crate::ledger::Entry;
use crate::ledger::store::Entered;

/// So long before its end a ban is looked at.
const LEAD: SignedDuration = SignedDuration::from_secs(15);
/// How often. Short enough that each ban is looked at twice.
const LOOK: SignedDuration = SignedDuration::from_secs(5);
/// How many at a time; the others are looked at with the next look, or end.
const MOST: usize = 10_000;

impl Judge {
    /// Has bans go on that are about to end while the kernel counts packets of their hosts.
    pub(super) fn renew(&mut self, now: Timestamp) {
        if now.duration_since(self.renewed).abs() < LOOK || !self.jails.iter().any(|(_, jail)| jail.renews()) {
            return;
        }
        self.renewed = now;
        let jail_of = |ban: &Ban| self.jails.get(usize::from(ban.jail.0)).map(|(_, jail)| jail);
        let end = now.saturating_add(LEAD).unwrap_or(Timestamp::MAX);
        let ending = self.ledger.ending(end);
        let ending = ending.filter(|ban| jail_of(ban).is_some_and(|jail| jail.renews()));
        let ending: Vec<Ban> = ending.take(MOST).cloned().collect();
        if ending.is_empty() {
            return;
        }
        let knocked = self.knocked(&ending, now);
        let renewed = ending.into_iter().filter_map(|ban| {
            let jail = self.jails.get(usize::from(ban.jail.0)).map(|(_, jail)| jail)?;
            let until = jail.renewed(&ban, *knocked.get(&ban.subject)?, now)?;
            Some(Ban {
                until: Expiry::At(until),
                failures: 0,
                ..ban
            })
        });
        let renewed: Vec<Ban> = renewed.collect();
        let mut changes: Vec<Change> = Vec::new();
        for ban in &renewed {
            if let Entry::Extended(change) = self.ledger.enter(ban.clone()) {
                let extended = self.ledger.get(ban.subject, ban.jail);
                self.store.enter(extended.unwrap_or(ban), Entered::Extended);
                changes.push(change);
                if let Some(metrics) = self.metrics.jail(ban.jail) {
                    metrics.renewed.inc();
                }
            }
        }
        self.commit(now);
        // What the kernel refuses is tried again, and told then.
        self.apply(&changes, now);
        for ban in &renewed {
            self.report("renewed", ban);
        }
    }

    /// When each of these knocked last.
    fn knocked(&self, bans: &[Ban], now: Timestamp) -> HashMap<Subject, Timestamp> {
        let subjects: Vec<Subject> = bans.iter().map(|ban| ban.subject).collect();
        let firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
        let read = firewall.as_deref().map(|firewall| firewall.knocks_of(&subjects, now));
        match read {
            Some(Ok(knocks)) => knocks
                .into_iter()
                .filter_map(|knocks| Some((knocks.subject, knocks.last?)))
                .collect(),
            Some(Err(error)) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "who still knocks cannot be read; bans end at their time"
                );
                HashMap::new()
            }
            None => HashMap::new(),
        }
    }
}
