//! The ledger on disk: the bans in force, what happened before, and how far sources were read.
//!
//! [`Store`] gathers what a batch brings and writes it in one transaction, before anything of it is enforced. When the database cannot
//! be written, is damaged or disappears, that is told once, bans are kept in memory alone, and it is tried again after a second, then
//! ever more seldom up to a minute, until the database holds everything again. A damaged file is moved aside and kept. Whether a host
//! should be banned may not enter.

mod clear;
mod database;
mod fault;
mod folder;
mod happened;
mod heal;
mod pending;
mod reason;
mod schema;
mod writing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use self::clear::clear;
use self::database::Database;
use self::fault::{Fault, Remedy};
use self::folder::Folder;
pub use self::happened::Happened;
use self::heal::Trouble;
use self::pending::{Event, Named, Pending, Written};
use super::Ledger;
use crate::ban::{Ban, Expiry, JailId, Subject, moved};

/// Rows of history that are kept at the most, about 100 bytes each.
const MOST_HISTORY: i64 = 2_000_000;
/// Rows of it, the latest, beside which the lines are kept that led to a ban: 8 KB each at the most, and 1 KB as a rule.
const MOST_REASONS: i64 = 100_000;
/// After this, bans that are over and events that are too old are removed from the database.
const TIDY: SignedDuration = SignedDuration::from_secs(60);

/// What is known of a host's or network's earlier bans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// How many bans there were.
    pub bans: u32,
    /// The last failure that led to one of them.
    pub last: Option<Timestamp>,
}

/// The state folder cannot be used: another process does, say.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unusable(#[from] Fault);

/// What a ban's entry is to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// A ban that there was not before; `bans` of the host's past stand for it, 1 where it is simply a ban.
    New {
        /// How many.
        bans: u32,
    },
    /// One that goes on for longer.
    Extended,
}

/// The ledger on disk.
pub struct Store {
    folder: Folder,
    /// The configured jails' names, by their numbers.
    jails: Vec<String>,
    /// How long history is kept.
    history: SignedDuration,
    database: Option<Database>,
    pending: Pending,
    trouble: Option<Trouble>,
    /// Whether what the database held at the start was read: until then its bans are not known to be over.
    is_read: bool,
    tidied: Timestamp,
    /// Up to which row of history no lines are kept any more.
    cleared: i64,
    /// Nothing of what is known has happened later, to whomever.
    latest: Timestamp,
}

impl Store {
    /// Opens the database in `folder`, makes it where there is none, and gives the bans of `jails` that are in force.
    ///
    /// # Errors
    ///
    /// When another process uses the folder. Whatever else is wrong is logged, and mended when it can be.
    pub fn open(
        folder: &Path,
        jails: Vec<String>,
        history: SignedDuration,
        now: Timestamp,
    ) -> Result<(Self, Vec<Ban>), Unusable> {
        let mut store = Self {
            folder: Folder::new(folder.to_owned()),
            jails,
            history,
            database: None,
            pending: Pending::default(),
            trouble: None,
            is_read: false,
            tidied: now,
            cleared: 0,
            latest: Timestamp::MIN,
        };
        match store.open_and_read(now) {
            Ok(bans) => Ok((store, bans)),
            Err(fault @ Fault::InUse(_)) => Err(fault.into()),
            Err(fault) => {
                store.fails(&fault, now);
                Ok((store, Vec::new()))
            }
        }
    }

    fn open_and_read(&mut self, now: Timestamp) -> Result<Vec<Ban>, Fault> {
        let mut database = self.open_database(now)?;
        database.clock_was_put_back(now)?;
        let (mut bans, mut waiting) = (Vec::new(), 0_usize);
        let strange = database.bans(now, |ban, jail| {
            match self.jails.iter().position(|known| known == jail) {
                // There are at most as many jails as the kernel counts for.
                Some(id) => bans.push(Ban {
                    jail: JailId(id as u16),
                    ..ban
                }),
                None => waiting += 1,
            }
        })?;
        if strange > 0 {
            tracing::error!(
                rows = strange,
                "bans in the ledger cannot be understood and are passed over"
            );
        }
        if waiting > 0 {
            tracing::warn!(
                bans = waiting,
                "bans of jails that are not configured are not enforced; they come back with their jails"
            );
        }
        self.database = Some(database);
        self.is_read = true;
        Ok(bans)
    }

    /// Opens the database; one that is damaged is moved aside and a new one made.
    fn open_database(&mut self, now: Timestamp) -> Result<Database, Fault> {
        self.folder.take()?;
        let opened = match Database::open(&self.folder) {
            Err(fault) if fault.remedy() == Remedy::SetAside => {
                self.set_aside(&fault, now)?;
                Database::open(&self.folder)
            }
            opened => opened,
        };
        let database = opened?;
        self.latest = database.latest()?.unwrap_or(self.latest).max(self.latest);
        Ok(database)
    }

    fn set_aside(&self, fault: &Fault, now: Timestamp) -> Result<(), Fault> {
        let broken = self.folder.set_aside(now)?;
        tracing::error!(
            error = %fault,
            kept = %broken.display(),
            "the ledger's database is damaged; it is kept for you to look at, and a new one is made"
        );
        Ok(())
    }

    /// Whether everything that was committed is on disk.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.trouble.is_none()
    }

    /// The database's path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.database()
    }

    /// How far each source had been read.
    #[must_use]
    pub fn positions(&self) -> Vec<(String, String)> {
        let written = match self.database.as_ref().map(Database::positions) {
            Some(Ok(positions)) => positions,
            Some(Err(error)) => {
                tracing::error!(%error, "how far logs were read is not known; they are read again");
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut positions: BTreeMap<String, String> = written.into_iter().collect();
        positions.extend(self.pending.positions.clone());
        positions.into_iter().collect()
    }

    /// Goes on with other jails, which have other numbers from now on.
    pub fn renumber(&mut self, jails: Vec<String>) {
        self.jails = jails;
    }

    /// The bans of these jails that wait in the database until somebody configures them again.
    pub fn waiting(&mut self, jails: &[String], now: Timestamp) -> Vec<Ban> {
        let mut bans = Vec::new();
        let id_of = |name: &str| self.jails.iter().position(|known| known == name);
        let read = self.database.as_ref().map(|database| {
            database.bans(now, |ban, jail| {
                let known = jails.iter().any(|known| known == jail);
                // There are at most as many jails as the kernel counts for.
                let id = id_of(jail).filter(|_| known).map(|id| JailId(id as u16));
                bans.extend(id.map(|jail| Ban { jail, ..ban }));
            })
        });
        if let Some(Err(fault)) = read {
            self.fails(&fault, now);
        }
        bans
    }

    /// Keeps history for this long from now on.
    pub const fn keep_history(&mut self, history: SignedDuration) {
        self.history = history;
    }

    /// The last failures, not before `since`, that have led to bans: of which host or network, by which jail, when.
    #[must_use]
    pub fn answered(&self, since: Timestamp) -> Vec<(Subject, JailId, Timestamp)> {
        let Some(database) = &self.database else {
            return Vec::new();
        };
        let mut answered = Vec::new();
        let id_of = |name: &str| self.jails.iter().position(|known| known == name);
        let read = database.answered(since, |subject, jail, last| {
            answered.extend(id_of(jail).map(|id| (subject, JailId(id as u16), last)));
        });
        if let Err(error) = read {
            tracing::error!(%error, "which failures have led to bans is not known; they count again");
        }
        answered
    }

    /// Whether nobody was ever banned for a failure of this time or a later one, as far as is known. The database, which would have to be
    /// asked about each host otherwise, keeps microseconds.
    #[must_use]
    pub fn is_news(&self, failure: Timestamp) -> bool {
        failure.as_microsecond() > self.latest.as_microsecond()
    }

    /// What is known of a host's or network's earlier bans, by one jail or, without one, by all.
    pub fn past(&mut self, subject: Subject, jail: Option<JailId>, now: Timestamp) -> Past {
        let oldest = now.saturating_sub(self.history).unwrap_or(Timestamp::MIN);
        let jail = jail.map(|jail| self.name(jail).to_owned());
        let jail = jail.as_deref();
        let read = self
            .database
            .as_ref()
            .map(|database| database.past(subject, jail, oldest));
        let past = match read {
            Some(Ok(past)) => past,
            Some(Err(fault)) => {
                self.fails(&fault, now);
                Past::default()
            }
            None => Past::default(),
        };
        self.pending.past(subject, jail, past)
    }

    /// Whether a jail's ban was lifted that would have gone on.
    #[must_use]
    pub fn is_lifted(&self, subject: Subject, jail: JailId) -> bool {
        let read = self
            .database
            .as_ref()
            .map(|database| database.is_lifted(subject, self.name(jail)));
        // Where that is not known, the ban stays.
        matches!(read, Some(Ok(true)))
    }

    /// Takes note of a ban that is in force, to be written with the next commit.
    pub fn enter(&mut self, ban: &Ban, entered: Entered) {
        let bans = match entered {
            Entered::New { bans } => bans,
            Entered::Extended => 0,
        };
        let length = match ban.until {
            Expiry::At(end) => Some(Duration::try_from(end.duration_since(ban.since)).unwrap_or_default()),
            Expiry::Never => None,
        };
        let event = Event {
            jail: self.name(ban.jail).to_owned(),
            since: ban.since,
            length,
            bans,
            reason: None,
        };
        self.latest = self.latest.max(ban.since);
        self.pending.remember(ban.subject, event);
        self.write_later(Written::InForce(self.named(ban)));
    }

    /// Takes note of a ban that was in force in the kernel alone.
    pub fn take_in(&mut self, ban: &Ban) {
        self.write_later(Written::InForce(self.named(ban)));
    }

    /// Takes note of a ban that was lifted before its end, so that no trace of it in the kernel brings it back.
    pub fn lift(&mut self, ban: &Ban) {
        self.write_later(Written::Lifted(self.named(ban)));
    }

    /// Takes note of how far a source was read, to be written with the next bans or within a second.
    pub fn read(&mut self, source: &str, position: &str) {
        self.pending.positions.insert(source.to_owned(), position.to_owned());
    }

    fn write_later(&mut self, change: Written) {
        // While the database is out of order, the ledger itself is what will be written.
        if self.trouble.is_none() || matches!(change, Written::Lifted(_)) {
            self.pending.bans.push(change);
        }
    }

    /// Moves what is kept with the wall clock, which was set by `step` and says `now` since then. The ledger has moved before.
    pub fn clock_was_set(&mut self, step: SignedDuration, now: Timestamp) {
        self.pending.clock_was_set(step);
        // What was written is moved back only.
        self.latest = self.latest.max(moved(self.latest, step));
        let moved = self.database.as_mut().map(|database| database.clock_was_set(step, now));
        if let Some(Err(fault)) = moved {
            // The ledger is what will be written.
            self.fails(&fault, now);
        }
    }

    /// Writes what was taken note of, in one transaction: when this returns, it is on disk, or [`Store::is_durable`] says that it is not.
    pub fn commit(&mut self, ledger: &Ledger, now: Timestamp) {
        if self.trouble.is_none() && !self.pending.is_empty() {
            let written = match &mut self.database {
                Some(database) if database.is_in_place(&self.folder) => database.write(&self.pending),
                _ => Err(Fault::Gone),
            };
            match written {
                Ok(()) => self.pending = Pending::default(),
                Err(fault) => self.fails(&fault, now),
            }
        }
        // What a new file mends is mended before anything is enforced.
        self.heal_if_due(ledger, now);
    }

    /// Looks after the database: to be called every second or so.
    pub fn tick(&mut self, ledger: &Ledger, now: Timestamp) {
        let is_in_place = |database: &Database| database.is_in_place(&self.folder);
        if self.trouble.is_none() && !self.database.as_ref().is_some_and(is_in_place) {
            self.fails(&Fault::Gone, now);
        }
        self.commit(ledger, now);
        if self.trouble.is_none() && now.duration_since(self.tidied).abs() >= TIDY {
            self.tidied = now;
            if let Err(fault) = self.tidy(now) {
                self.fails(&fault, now);
            }
        }
    }

    fn tidy(&mut self, now: Timestamp) -> Result<(), Fault> {
        let Some(database) = &self.database else { return Ok(()) };
        database.forget_over(now)?;
        let oldest = now.saturating_sub(self.history).unwrap_or(Timestamp::MIN);
        let more = database.purge(oldest, MOST_HISTORY)?;
        let cleared = database.clear_reasons(self.cleared, MOST_REASONS)?;
        if more || cleared != self.cleared {
            self.cleared = cleared;
            // There is more of it: not in a minute, but with the next look.
            self.tidied = Timestamp::MIN;
        }
        Ok(())
    }

    fn named(&self, ban: &Ban) -> Named {
        Named {
            ban: ban.clone(),
            jail: self.name(ban.jail).to_owned(),
        }
    }

    fn name(&self, jail: JailId) -> &str {
        self.jails.get(usize::from(jail.0)).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests;
