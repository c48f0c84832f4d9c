//! What is done when the database does not hold what it is to hold: told once, and tried again until it does.

use jiff::{SignedDuration, Timestamp};

use super::Store;
use super::fault::{Fault, Remedy};
use super::pending::{Pending, Written};
use crate::ledger::Ledger;

const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(1);
const LAST_RETRY: SignedDuration = SignedDuration::from_secs(60);

/// The database does not hold what it is to hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    retry: Timestamp,
    delay: SignedDuration,
}

impl Store {
    pub(super) fn heal_if_due(&mut self, ledger: &Ledger, now: Timestamp) {
        // A clock that was put back must not put the next try off.
        let is_due = |trouble: Trouble| now >= trouble.retry || trouble.retry.duration_since(now) > LAST_RETRY;
        if self.trouble.is_some_and(is_due) {
            self.heal(ledger, now);
        }
    }

    /// From now on bans are kept in memory alone. Said once.
    pub(super) fn fails(&mut self, fault: &Fault, now: Timestamp) {
        if self.trouble.is_none() {
            tracing::error!(
                error = %fault,
                database = %self.folder.database().display(),
                "the ledger cannot be written: bans are enforced from memory, and those made from now on are lost if the agent is \
                 killed; trying again"
            );
            let delay = match fault.remedy() {
                Remedy::Wait => FIRST_RETRY,
                Remedy::Reopen | Remedy::SetAside => SignedDuration::ZERO,
            };
            self.trouble = Some(Trouble {
                retry: now.saturating_add(delay).unwrap_or(now),
                delay,
            });
            self.pending.bans.retain(|change| matches!(change, Written::Lifted(_)));
        }
        match fault.remedy() {
            Remedy::Wait => {}
            Remedy::Reopen => self.database = None,
            Remedy::SetAside => {
                self.database = None;
                if let Err(error) = self.set_aside(fault, now) {
                    tracing::error!(%error, "the damaged database cannot be moved aside");
                }
            }
        }
    }

    /// Has the database hold everything again, or puts the next try off.
    fn heal(&mut self, ledger: &Ledger, now: Timestamp) {
        match self.write_all(ledger, now) {
            Ok(()) => {
                self.pending = Pending::default();
                self.trouble = None;
                self.is_read = true;
                tracing::warn!(
                    database = %self.folder.database().display(),
                    bans = ledger.count(),
                    "the ledger is written again, with all bans in force"
                );
            }
            Err(fault) => {
                self.fails(&fault, now);
                if let Some(trouble) = &mut self.trouble {
                    trouble.delay = (trouble.delay * 2).clamp(FIRST_RETRY, LAST_RETRY);
                    trouble.retry = now.saturating_add(trouble.delay).unwrap_or(now);
                }
                tracing::debug!(error = %fault, "the ledger still cannot be written");
            }
        }
    }

    fn write_all(&mut self, ledger: &Ledger, now: Timestamp) -> Result<(), Fault> {
        let kept = self.database.take();
        let database = match kept.filter(|database| database.is_in_place(&self.folder)) {
            Some(database) => database,
            None => self.open_database(now)?,
        };
        let database = self.database.insert(database);
        let outdated: &[String] = if self.is_read { &self.jails } else { &[] };
        database.rewrite(outdated, ledger.bans(), &self.pending, &self.jails)
    }
}
