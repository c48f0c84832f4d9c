//! What the kernel has confirmed to hold, host by host and network by network.
//!
//! The kernel is asked to take out only what is in here, and when somebody else has removed the table, it is filled
//! again from here. Ends are kept in the monotonic time by which the kernel counts its timeouts, so that a leap of the
//! wall clock does not part the two.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ahash::RandomState;
use jiff::Timestamp;

use super::plan::{Edit, Span};
use crate::ban::{Change, Enforced, Expiry, JailId, Subject};

/// How long an element is remembered beyond its end: the kernel counts from when it got the element, not from when it
/// was planned.
const GRACE: Duration = Duration::from_secs(60);

/// So few hosts and networks are not worth sweeping.
const FEW: usize = 1024;

/// One element of one jail's set.
#[derive(Clone, Copy, Debug)]
struct Held {
    jail: JailId,
    /// When the kernel lets it go by itself, if ever.
    end: Option<Instant>,
}

/// The kernel's sets as the kernel has confirmed them.
#[derive(Debug)]
pub struct Record {
    held: HashMap<Subject, Vec<Held>, RandomState>,
    /// The number of hosts and networks from which on sweeping is worth its while.
    sweep_from: usize,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            held: HashMap::default(),
            sweep_from: FEW,
        }
    }
}

impl Record {
    /// The jails in whose sets the host or network is, as far as it has not expired.
    pub fn jails(&self, subject: Subject) -> impl Iterator<Item = JailId> {
        self.held.get(&subject).into_iter().flatten().map(|held| held.jail)
    }

    /// The jails in whose sets the host or network is at this time.
    pub fn in_force(&self, subject: Subject, at: Instant) -> impl Iterator<Item = JailId> {
        let held = self.held.get(&subject).into_iter().flatten();
        let in_force = held.filter(move |held| held.end.is_none_or(|end| end > at));
        in_force.map(|held| held.jail)
    }

    /// How many hosts and networks there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Every host and network.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.held.keys().copied()
    }

    /// Every host and network with the jails in whose sets it is.
    pub fn all(&self) -> impl Iterator<Item = (Subject, JailId)> {
        let subjects = self.held.iter();
        subjects.flat_map(|(subject, held)| held.iter().map(|held| (*subject, held.jail)))
    }

    /// Notes edits that the kernel has confirmed.
    pub fn note(&mut self, subject: Subject, edits: &[Edit], at: Instant) {
        // Nearly always there is one.
        let held = self.held.entry(subject).or_insert_with(|| Vec::with_capacity(1));
        for edit in edits {
            held.retain(|held| held.jail != edit.jail);
            match edit.span {
                Span::Over => {}
                Span::For(left) => held.push(Held {
                    jail: edit.jail,
                    end: at.checked_add(left),
                }),
                Span::Forever => held.push(Held {
                    jail: edit.jail,
                    end: None,
                }),
            }
        }
        if held.is_empty() {
            self.held.remove(&subject);
        }
    }

    /// Forgets what the kernel has let go by itself, and hands it to `each`. Does so only once the record has doubled, so that the cost of
    /// a change stays constant.
    pub fn sweep(&mut self, at: Instant, mut each: impl FnMut(Subject, JailId)) {
        if self.held.len() < self.sweep_from {
            return;
        }
        self.held.retain(|subject, held| {
            held.retain(|held| {
                let is_kept = held.end.is_none_or(|end| end + GRACE > at);
                if !is_kept {
                    each(*subject, held.jail);
                }
                is_kept
            });
            !held.is_empty()
        });
        self.sweep_from = (self.held.len() * 2).max(FEW);
    }

    /// The changes that make an empty table hold all this, with each end reckoned from `now`, the wall clock's time
    /// `at`.
    pub fn changes(&self, at: Instant, now: Timestamp) -> Vec<Change> {
        let until = |held: &Held| match held.end {
            None => Expiry::Never,
            // A sum beyond the calendar has no end.
            Some(end) => now
                .checked_add(end.saturating_duration_since(at))
                .map_or(Expiry::Never, Expiry::At),
        };
        self.held
            .iter()
            .map(|(&subject, held)| Change {
                subject,
                bans: held
                    .iter()
                    .map(|held| Enforced {
                        jail: held.jail,
                        until: until(held),
                    })
                    .collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        "192.0.2.0/24".parse().unwrap()
    }

    fn edit(jail: u16, span: Span) -> Edit {
        Edit {
            jail: JailId(jail),
            span,
        }
    }

    fn jails(record: &Record) -> Vec<u16> {
        record.jails(subject()).map(|jail| jail.0).collect()
    }

    #[test]
    fn what_is_lifted_is_forgotten() {
        let mut record = Record::default();
        let at = Instant::now();
        record.note(
            subject(),
            &[edit(0, Span::Forever), edit(1, Span::For(Duration::from_secs(9)))],
            at,
        );
        assert_eq!(jails(&record), [0, 1]);
        record.note(subject(), &[edit(0, Span::Over)], at);
        assert_eq!(jails(&record), [1]);
        record.note(subject(), &[edit(1, Span::Over)], at);
        assert!(record.held.is_empty());
    }

    #[test]
    fn sweeping_forgets_what_has_expired_and_nothing_else() {
        let mut record = Record {
            sweep_from: 0,
            ..Record::default()
        };
        let at = Instant::now();
        record.note(
            subject(),
            &[edit(0, Span::For(Duration::from_secs(9))), edit(1, Span::Forever)],
            at,
        );
        let mut forgotten = Vec::new();
        record.sweep(at + Duration::from_secs(9), |_, jail| forgotten.push(jail));
        assert_eq!(jails(&record), [0, 1], "the kernel may count from a moment later");
        assert_eq!(forgotten, []);
        record.sweep_from = 0;
        record.sweep(at + Duration::from_secs(9) + GRACE, |_, jail| forgotten.push(jail));
        assert_eq!(jails(&record), [1]);
        assert_eq!(forgotten, [JailId(0)]);
    }

    #[test]
    fn a_record_that_has_not_doubled_is_not_swept() {
        let mut record = Record::default();
        let at = Instant::now();
        record.note(subject(), &[edit(0, Span::For(Duration::from_secs(9)))], at);
        record.sweep(at + Duration::from_secs(3600), |_, _| {});
        assert_eq!(jails(&record), [0]);
    }

    #[test]
    fn changes_carry_the_time_that_is_left() {
        let mut record = Record::default();
        let (at, now) = (Instant::now(), Timestamp::from_second(1_700_000_000).unwrap());
        record.note(
            subject(),
            &[edit(0, Span::For(Duration::from_secs(9))), edit(1, Span::Forever)],
            at,
        );
        let changes = record.changes(at + Duration::from_secs(4), now);
        let until = Expiry::At(now.checked_add(Duration::from_secs(5)).unwrap());
        assert_eq!(
            changes,
            [Change {
                subject: subject(),
                bans: vec![
                    Enforced { jail: JailId(0), until },
                    Enforced {
                        jail: JailId(1),
                        until: Expiry::Never
                    },
                ],
            }]
        );
    }
}
