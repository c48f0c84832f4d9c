//! What is still to be written to the database: a batch's changes or, while the database is out of order, all since then.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Past, reason};
use crate::ban::{Ban, Evidence, Subject, moved};

/// Events of history that are remembered while the database is out of order.
const MOST_EVENTS: usize = 100_000;

/// Bytes of lines that led to bans, likewise.
const MOST_REASONS: usize = 8 * 1024 * 1024;

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Bans, in the order in which they have changed.
    pub(super) bans: Vec<Written>,
    pub(super) history: HashMap<Subject, Vec<Event>>,
    events: usize,
    /// Bytes of their reasons.
    reasons: usize,
    /// How far each source was read.
    pub(super) positions: BTreeMap<String, String>,
}

/// A ban that is to be written.
#[derive(Debug)]
pub(super) enum Written {
    InForce(Named),
    Lifted(Named),
}

/// A ban with its jail's name: jails may have other numbers by the time it is written.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) ban: Ban,
    pub(super) jail: String,
}

/// One thing that happened to a host or network.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) jail: String,
    pub(super) since: Timestamp,
    /// How long the ban was to last; for ever, where it is absent.
    pub(super) length: Option<Duration>,
    /// How many bans this stands for: none where one that was in force was extended.
    pub(super) bans: u32,
    /// The lines that led to it, as `reason` writes them.
    pub(super) reason: Option<Box<str>>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.bans.is_empty() && self.history.is_empty() && self.positions.is_empty()
    }

    /// Takes note of an event, if there is room.
    pub(super) fn remember(&mut self, subject: Subject, event: Event) {
        if self.events < MOST_EVENTS {
            self.events += 1;
            self.history.entry(subject).or_default().push(event);
        }
    }

    /// Takes note of the lines that led to the last event of a host or network by a jail, if there is room.
    pub(super) fn because(&mut self, subject: Subject, jail: &str, evidence: &[Evidence]) {
        let last = self.history.get_mut(&subject).and_then(|events| events.last_mut());
        let Some(last) = last.filter(|last| last.jail == jail && last.reason.is_none()) else {
            return;
        };
        let reason = reason::text(evidence, last.since);
        let bytes = reason.as_ref().map_or(0, |reason| reason.len());
        if self.reasons + bytes <= MOST_REASONS {
            self.reasons += bytes;
            last.reason = reason;
        }
    }

    /// Moves everything with the wall clock.
    pub(super) fn clock_was_set(&mut self, step: SignedDuration) {
        for written in &mut self.bans {
            let (Written::InForce(named) | Written::Lifted(named)) = written;
            named.ban = named.ban.moved(step);
        }
        for event in self.history.values_mut().flatten() {
            event.since = moved(event.since, step);
        }
    }

    /// What of a host's or network's past, by one jail or by all, is in here; added to `past`.
    pub(super) fn past(&self, subject: Subject, jail: Option<&str>, mut past: Past) -> Past {
        let events = self.history.get(&subject).into_iter().flatten();
        for event in events.filter(|event| jail.is_none_or(|jail| event.jail == jail)) {
            past.bans = past.bans.saturating_add(event.bans);
            past.last = past.last.max(Some(event.since));
        }
        past
    }
}
