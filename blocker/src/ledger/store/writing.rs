//! One transaction's writing: what has come up, row by row.
//!
//! Its statements are made ready once, and not for each row. Which rows are to be written may not enter.

use rusqlite::{CachedStatement, Transaction, params};

use super::database::microseconds;
use super::fault::Fault;
use super::pending::{Event, Named, Pending, Written};
use crate::ban::{Ban, Subject};

/// Statements in a transaction.
pub(super) struct Writing<'a> {
    transaction: &'a Transaction<'a>,
    keep: CachedStatement<'a>,
    happen: CachedStatement<'a>,
    /// Whether somebody may be lifted who is banned again now: mostly nobody is.
    is_lifted: bool,
}

impl<'a> Writing<'a> {
    pub(super) fn begin(transaction: &'a Transaction<'a>) -> Result<Self, Fault> {
        Ok(Self {
            keep: transaction.prepare_cached(
                "INSERT OR REPLACE INTO bans (subject, jail, origin, since, until, failures) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            happen: transaction.prepare_cached(
                "INSERT INTO history (subject, jail, since, length, bans, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            is_lifted: transaction.prepare_cached("SELECT 1 FROM lifted LIMIT 1")?.exists([])?,
            transaction,
        })
    }

    /// Writes all that has come up.
    pub(super) fn all(&mut self, pending: &Pending) -> Result<(), Fault> {
        for change in &pending.bans {
            match change {
                Written::InForce(Named { ban, jail }) => self.keep(ban, jail)?,
                Written::Lifted(Named { ban, jail }) => self.lift(ban, jail)?,
            }
        }
        for (subject, happened) in &pending.history {
            self.happened(*subject, happened)?;
        }
        for (source, position) in &pending.positions {
            self.transaction
                .prepare_cached("INSERT OR REPLACE INTO positions (source, position) VALUES (?1, ?2)")?
                .execute(params![source, position])?;
        }
        Ok(())
    }

    /// Writes a ban that is in force.
    pub(super) fn keep(&mut self, ban: &Ban, jail: &str) -> Result<(), Fault> {
        let subject = ban.subject.to_string();
        self.keep.execute(params![
            subject,
            jail,
            ban.origin.name(),
            ban.since.as_microsecond(),
            microseconds(ban.until),
            ban.failures
        ])?;
        if self.is_lifted {
            self.transaction
                .prepare_cached("DELETE FROM lifted WHERE subject = ?1 AND jail = ?2")?
                .execute(params![subject, jail])?;
        }
        Ok(())
    }

    fn lift(&mut self, ban: &Ban, jail: &str) -> Result<(), Fault> {
        let subject = ban.subject.to_string();
        self.transaction
            .prepare_cached("DELETE FROM bans WHERE subject = ?1 AND jail = ?2")?
            .execute(params![subject, jail])?;
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO lifted (subject, jail, until) VALUES (?1, ?2, ?3)")?
            .execute(params![subject, jail, microseconds(ban.until)])?;
        self.is_lifted = true;
        Ok(())
    }

    fn happened(&mut self, subject: Subject, events: &[Event]) -> Result<(), Fault> {
        let subject = subject.to_string();
        for event in events {
            let length = event.length;
            self.happen.execute(params![
                subject,
                event.jail,
                event.since.as_microsecond(),
                length.map(|length| i64::try_from(length.as_micros()).unwrap_or(i64::MAX)),
                event.bans,
                event.reason
            ])?;
        }
        Ok(())
    }
}
