//! The bans that fail2ban's own database holds, to be taken over.
//!
//! fail2ban keeps, for each address and jail, the latest ban with its length and how many there were (table `bips`, from 0.11 on; its
//! columns are named in `server/database.py`). Addresses in it are text, and may be whatever a filter calls a host.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OpenFlags, Row};

use crate::ban::Subject;
use crate::jail::BanTime;

/// A ban in fail2ban's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Who is banned; `None` where it is no address.
    pub subject: Option<Subject>,
    /// The jail's name.
    pub jail: String,
    /// When it was made.
    pub since: Timestamp,
    /// How long it lasts; `None` where fail2ban's database is older than that, and the jail's ban time applies.
    pub length: Option<BanTime>,
    /// How many bans of this address the jail has made, with this one.
    pub bans: u32,
}

/// fail2ban's database, opened for reading; fail2ban may go on using it.
pub struct Fail2banDatabase(Connection);

impl Fail2banDatabase {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// When there is none, or it is none of fail2ban's.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).with_context(|| {
            format!(
                "{}: fail2ban's database cannot be opened; name it with --database",
                path.display()
            )
        })?;
        let found = connection
            .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'bips'")
            .and_then(|mut statement| statement.exists([]))
            .with_context(|| format!("{}: is no database that can be read", path.display()))?;
        if !found {
            bail!(
                "{}: has no table `bips`: it is no database of fail2ban's, or of one before 0.11, which fail2ban itself brings up to date \
                 when it starts",
                path.display()
            );
        }
        Ok(Self(connection))
    }

    /// How many bans there are, those that are over too.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn count(&self) -> Result<u64> {
        let count: i64 = self.0.query_row("SELECT count(*) FROM bips", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Hands every ban to `each`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read, or `each` fails.
    pub fn bans(&self, mut each: impl FnMut(Foreign) -> Result<()>) -> Result<()> {
        let mut statement = self
            .0
            .prepare("SELECT ip, jail, timeofban, bantime, bancount FROM bips")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(foreign(row)?)?;
        }
        Ok(())
    }
}

fn foreign(row: &Row<'_>) -> Result<Foreign> {
    // SQLite keeps no types: whatever is no address is told of as such, and a time that is none is long ago.
    let subject = row.get_ref(0)?.as_str().ok().and_then(|text| text.trim().parse().ok());
    let since = Timestamp::from_second(row.get_ref(2)?.as_i64().unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH);
    let length = match row.get_ref(3)?.as_i64().unwrap_or(-2) {
        -1 => Some(BanTime::Forever),
        seconds @ 0.. => Some(BanTime::For(SignedDuration::from_secs(seconds))),
        _ => None,
    };
    Ok(Foreign {
        subject,
        jail: row.get(1)?,
        since,
        length,
        bans: row
            .get_ref(4)?
            .as_i64()
            .ok()
            .and_then(|bans| u32::try_from(bans).ok())
            .unwrap_or(1)
            .max(1),
    })
}
