//! What happened to a host or network, with the lines that led to it.

use jiff::{SignedDuration, Timestamp};

use super::pending::Event;
use super::{Store, reason};
use crate::ban::{Ban, Evidence, Expiry, Subject};

/// One thing that happened to a host or network: it was banned, or its ban went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Which.
    pub subject: Subject,
    /// By which jail.
    pub jail: String,
    /// The last failure that led to it.
    pub since: Timestamp,
    /// When the ban was to end then.
    pub until: Expiry,
    /// How many bans this stands for: none where one that was in force went on.
    pub bans: u32,
    /// The lines that led to it, as far as they are kept.
    pub evidence: Vec<Evidence>,
}

impl Store {
    /// Takes note of the lines that led to a ban that was just entered.
    pub fn because(&mut self, ban: &Ban, evidence: &[Evidence]) {
        if let Some(jail) = self.jails.get(usize::from(ban.jail.0)).filter(|_| !evidence.is_empty()) {
            self.pending.because(ban.subject, jail, evidence);
        }
    }

    /// What has happened to a host or network, the latest first: so much of it at the most, and no further back than history is kept.
    #[must_use]
    pub fn happened(&self, subject: Subject, most: usize, now: Timestamp) -> Vec<Happened> {
        let oldest = now.saturating_sub(self.history).unwrap_or(Timestamp::MIN);
        let database = self.database.as_ref();
        let written = match database.map(|database| database.happened(subject, most, oldest)) {
            Some(Ok(events)) => events,
            Some(Err(error)) => {
                tracing::error!(%error, "what happened to a host cannot be read");
                Vec::new()
            }
            None => Vec::new(),
        };
        let events = self.pending.history.get(&subject).into_iter().flatten();
        let mut all: Vec<&Event> = events.rev().chain(&written).collect();
        all.truncate(most);
        let told = |event: &Event| {
            let length = event
                .length
                .map(|length| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX));
            let end = |length| event.since.saturating_add(length).unwrap_or(Timestamp::MAX);
            let reason = event.reason.as_deref();
            Happened {
                subject,
                jail: event.jail.clone(),
                since: event.since,
                until: length.map_or(Expiry::Never, |length| Expiry::At(end(length))),
                bans: event.bans,
                evidence: reason.map_or_else(Vec::new, |text| reason::evidence(text, event.since)),
            }
        };
        all.into_iter().map(told).collect()
    }
}
