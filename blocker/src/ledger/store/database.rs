//! The open database: what is written to it and read from it, in SQL.
//!
//! It is written ahead (WAL), and each commit waits until the disk has it (`synchronous = FULL`): 0.2 ms on a solid-state disk, and
//! the bans of a batch share one. So what was committed outlives the process and the machine's power.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::fault::Fault;
use super::folder::{Folder, Identity};
use super::pending::{Event, Pending};
use super::writing::Writing;
use super::{Past, schema};
use crate::ban::{Ban, Expiry, JailId, Origin, Subject};

/// How long another program that writes to the database is waited for. Nobody is banned meanwhile.
const BUSY: Duration = Duration::from_millis(250);
/// A transaction that begins by reading would be refused its first row, without a wait, where another program has written meanwhile.
const TO_WRITE: TransactionBehavior = TransactionBehavior::Immediate;
/// The log is cut down to this when it has grown beyond it.
const WAL_BYTES: i64 = 16 * 1024 * 1024;
/// Memory for pages that were read.
const CACHE_KIB: i64 = 1024;
/// Sources whose positions are kept.
const MOST_POSITIONS: i64 = 4096;
/// Hosts whose last failures are asked for at a time: more than jails watch.
const MOST_ANSWERED: i64 = 200_000;
/// Rows that are purged at a time, so that bans do not wait for it.
const PURGED: i64 = 2000;

/// A database that was in order when it was opened.
pub(super) struct Database {
    connection: Connection,
    identity: Identity,
}

impl Database {
    /// Opens the folder's database, or makes one, and checks it.
    pub(super) fn open(folder: &Folder) -> Result<Self, Fault> {
        let mut connection = Connection::open(folder.database())?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(16);
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        check(&connection)?;
        schema::migrate(&mut connection)?;
        Ok(Self {
            identity: folder.identity(),
            connection,
        })
    }

    /// Whether the folder's database is still this one.
    pub(super) fn is_in_place(&self, folder: &Folder) -> bool {
        folder.identity() == self.identity
    }

    /// Hands every ban that is in force at `now` to `each`, with its jail's name; says how many rows could not be understood.
    pub(super) fn bans(&self, now: Timestamp, mut each: impl FnMut(Ban, &str)) -> Result<usize, Fault> {
        let mut statement = self.connection.prepare(
            "SELECT subject, origin, since, until, failures, jail FROM bans WHERE until IS NULL OR until > ?1",
        )?;
        let mut rows = statement.query([now.as_microsecond()])?;
        let mut strange = 0;
        while let Some(row) = rows.next()? {
            match ban(row)? {
                Some(ban) => each(ban, row.get_ref(5)?.as_str().unwrap_or_default()),
                None => strange += 1,
            }
        }
        Ok(strange)
    }

    /// The positions of all sources.
    pub(super) fn positions(&self) -> Result<Vec<(String, String)>, Fault> {
        let mut statement = self.connection.prepare("SELECT source, position FROM positions")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Hands the last failure, not before `since`, that has led to a ban to `each`, of every host or network, with the jail's name; of so
    /// many at the most, the latest.
    pub(super) fn answered(
        &self,
        since: Timestamp,
        mut each: impl FnMut(Subject, &str, Timestamp),
    ) -> Result<(), Fault> {
        let mut statement = self.connection.prepare(
            "SELECT subject, jail, max(since) AS last FROM history WHERE since >= ?1 GROUP BY subject, jail ORDER BY last DESC LIMIT ?2",
        )?;
        let mut rows = statement.query([since.as_microsecond(), MOST_ANSWERED])?;
        while let Some(row) = rows.next()? {
            let subject = row.get_ref(0)?.as_str().ok().and_then(|subject| subject.parse().ok());
            if let (Some(subject), Some(last)) = (subject, time(row.get(2)?)) {
                each(subject, row.get_ref(1)?.as_str().unwrap_or_default(), last);
            }
        }
        Ok(())
    }

    /// When the last of what is known has happened, to whomever; `None` where nothing has.
    pub(super) fn latest(&self) -> Result<Option<Timestamp>, Fault> {
        let latest = self
            .connection
            .query_row("SELECT max(since) FROM history", [], |row| row.get::<_, Option<i64>>(0))?;
        // What lies beyond all time is later than anything that may happen.
        Ok(latest.map(|latest| time(latest).unwrap_or(Timestamp::MAX)))
    }

    /// What is known of a host's or network's bans, by one jail or, without one, by all, not before `oldest`.
    pub(super) fn past(&self, subject: Subject, jail: Option<&str>, oldest: Timestamp) -> Result<Past, Fault> {
        let mut statement = self.connection.prepare_cached(
            "SELECT coalesce(sum(bans), 0), max(since) FROM history WHERE subject = ?1 AND (?2 IS NULL OR jail = ?2) AND since >= ?3",
        )?;
        let past = statement.query_row(params![subject.to_string(), jail, oldest.as_microsecond()], |row| {
            Ok(Past {
                bans: row.get(0)?,
                last: row.get::<_, Option<i64>>(1)?.and_then(time),
            })
        })?;
        Ok(past)
    }

    /// What has happened to a host or network, the latest first, so much of it at the most and not before `oldest`.
    pub(super) fn happened(&self, subject: Subject, most: usize, oldest: Timestamp) -> Result<Vec<Event>, Fault> {
        let mut statement = self.connection.prepare_cached(
            "SELECT jail, since, length, bans, reason FROM history WHERE subject = ?1 AND since >= ?2 \
             ORDER BY since DESC, rowid DESC LIMIT ?3",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![subject.to_string(), oldest.as_microsecond(), most])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            let Some(since) = time(row.get(1)?) else { continue };
            let length = row
                .get::<_, Option<i64>>(2)?
                .map(|length| Duration::from_micros(length.max(0).unsigned_abs()));
            events.push(Event {
                jail: row.get(0)?,
                since,
                length,
                bans: row.get(3)?,
                reason: row.get::<_, Option<Box<str>>>(4)?,
            });
        }
        Ok(events)
    }

    /// Whether a jail's ban was lifted that would have gone on.
    pub(super) fn is_lifted(&self, subject: Subject, jail: &str) -> Result<bool, Fault> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM lifted WHERE subject = ?1 AND jail = ?2")?;
        Ok(statement.exists(params![subject.to_string(), jail])?)
    }

    /// Writes what has come up since the last time; all of it or nothing.
    pub(super) fn write(&mut self, pending: &Pending) -> Result<(), Fault> {
        let transaction = self.connection.transaction_with_behavior(TO_WRITE)?;
        Writing::begin(&transaction)?.all(pending)?;
        Ok(transaction.commit()?)
    }

    /// Puts these bans in the place of all that the database holds of the `outdated` jails, and writes what has come up beside; all of it or
    /// nothing. Bans of other jails stay: they wait until their jail is configured again.
    pub(super) fn rewrite<'a>(
        &mut self,
        outdated: &[String],
        bans: impl Iterator<Item = &'a Ban>,
        pending: &Pending,
        jails: &[String],
    ) -> Result<(), Fault> {
        let transaction = self.connection.transaction_with_behavior(TO_WRITE)?;
        for jail in outdated {
            transaction.execute("DELETE FROM bans WHERE jail = ?1", [jail])?;
        }
        let mut writing = Writing::begin(&transaction)?;
        writing.all(pending)?;
        for ban in bans {
            writing.keep(ban, name(jails, ban.jail))?;
        }
        drop(writing);
        Ok(transaction.commit()?)
    }

    /// Lifts every ban, of whatever jail, and says how many they were.
    pub(super) fn lift_all(&mut self) -> Result<usize, Fault> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT OR REPLACE INTO lifted (subject, jail, until) SELECT subject, jail, until FROM bans",
            [],
        )?;
        let lifted = transaction.execute("DELETE FROM bans", [])?;
        transaction.commit()?;
        Ok(lifted)
    }

    /// Moves bans with the wall clock, which was set by `step` and says `now` since then; and of what happened before what would lie in the
    /// future otherwise. All of it or nothing.
    pub(super) fn clock_was_set(&mut self, step: SignedDuration, now: Timestamp) -> Result<(), Fault> {
        let transaction = self.connection.transaction()?;
        let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX);
        let (first, last) = (Timestamp::MIN.as_microsecond(), Timestamp::MAX.as_microsecond());
        // The end of a ban that has none stays absent.
        for statement in [
            "UPDATE bans SET since = max(?2, min(?3, since + ?1)), until = max(?2, min(?3, until + ?1))",
            "UPDATE lifted SET until = max(?2, min(?3, until + ?1))",
        ] {
            transaction.execute(statement, [step, first, last])?;
        }
        transaction.execute(
            "UPDATE history SET since = max(?2, since + ?1) WHERE since > ?3 AND ?1 < 0",
            [step, first, now.as_microsecond()],
        )?;
        Ok(transaction.commit()?)
    }

    /// Has nothing have happened in the future: the clock was put back while no agent ran, by how much is not known. A ban that was made
    /// after `now` begins now, and lasts as long as it was to last.
    pub(super) fn clock_was_put_back(&mut self, now: Timestamp) -> Result<(), Fault> {
        let transaction = self.connection.transaction()?;
        for statement in [
            "UPDATE bans SET until = until - (since - ?1), since = ?1 WHERE since > ?1",
            "UPDATE history SET since = ?1 WHERE since > ?1",
        ] {
            transaction.execute(statement, [now.as_microsecond()])?;
        }
        Ok(transaction.commit()?)
    }

    /// Forgets bans that are over, and positions beyond their number: files come and go under ever new names.
    pub(super) fn forget_over(&self, now: Timestamp) -> Result<(), Fault> {
        for statement in [
            "DELETE FROM bans WHERE until <= ?1",
            "DELETE FROM lifted WHERE until <= ?1",
        ] {
            self.connection
                .prepare_cached(statement)?
                .execute([now.as_microsecond()])?;
        }
        self.connection
            .prepare_cached(
                "DELETE FROM positions WHERE source NOT IN (SELECT source FROM positions ORDER BY source DESC LIMIT ?1)",
            )?
            .execute([MOST_POSITIONS])?;
        Ok(())
    }

    /// Forgets the lines that led to a piece of what happened, from this row on, unless it is among the latest `most`. Says up to where
    /// there are none now.
    pub(super) fn clear_reasons(&self, from: i64, most: i64) -> Result<i64, Fault> {
        let (first, last): (i64, i64) = self
            .connection
            .prepare_cached("SELECT coalesce(min(rowid), 0), coalesce(max(rowid), 0) FROM history")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        // In a database that was made anew, rows are numbered from the beginning.
        let from = if from > last { first - 1 } else { from.max(first - 1) };
        let to = (last - most).min(from + PURGED);
        if to <= from {
            return Ok(from);
        }
        self.connection
            .prepare_cached("UPDATE history SET reason = NULL WHERE rowid > ?1 AND rowid <= ?2 AND reason IS NOT NULL")?
            .execute([from, to])?;
        Ok(to)
    }

    /// Forgets a piece of what happened before `oldest`, or is more than `most` rows. Says whether there may be more.
    pub(super) fn purge(&self, oldest: Timestamp, most: i64) -> Result<bool, Fault> {
        let by_age = self
            .connection
            .prepare_cached(
                "DELETE FROM history WHERE rowid IN (SELECT rowid FROM history WHERE since < ?1 ORDER BY since LIMIT ?2)",
            )?
            .execute(params![oldest.as_microsecond(), PURGED])?;
        // Rows are numbered as they are made, and go from the oldest on: the difference is their number, or a little more.
        let rows: i64 = self
            .connection
            .prepare_cached("SELECT coalesce(max(rowid) - min(rowid) + 1, 0) FROM history")?
            .query_row([], |row| row.get(0))?;
        let by_number = match (rows - most).min(PURGED) {
            superfluous @ 1.. => self
                .connection
                .prepare_cached(
                    "DELETE FROM history WHERE rowid IN (SELECT rowid FROM history ORDER BY rowid LIMIT ?1)",
                )?
                .execute([superfluous])?,
            _ => 0,
        };
        Ok(by_age.max(by_number) as i64 == PURGED)
    }
}

/// Looks over the whole file.
fn check(connection: &Connection) -> Result<(), Fault> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(Fault::Damaged(found))
    }
}

/// A row as a ban, whose jail is still to be found by its name; `None` where it holds what no blocker writes.
fn ban(row: &Row<'_>) -> Result<Option<Ban>, Fault> {
    let subject = row.get_ref(0)?.as_str().ok().and_then(|subject| subject.parse().ok());
    let origin = row.get_ref(1)?.as_str().ok().and_then(Origin::from_name);
    let (Some(subject), Some(origin), Some(since), Some(until)) =
        (subject, origin, time(row.get(2)?), expiry(row.get(3)?))
    else {
        return Ok(None);
    };
    Ok(Some(Ban {
        subject,
        jail: JailId(0),
        origin,
        since,
        until,
        failures: row.get(4)?,
    }))
}

fn name(jails: &[String], jail: JailId) -> &str {
    jails.get(usize::from(jail.0)).map_or("", String::as_str)
}

fn time(microseconds: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(microseconds).ok()
}

fn expiry(microseconds: Option<i64>) -> Option<Expiry> {
    match microseconds {
        Some(end) => time(end).map(Expiry::At),
        None => Some(Expiry::Never),
    }
}

pub(super) fn microseconds(until: Expiry) -> Option<i64> {
    match until {
        Expiry::At(end) => Some(end.as_microsecond()),
        Expiry::Never => None,
    }
}
