//! The tables, and the way from an older version's to today's.

use rusqlite::{Connection, Transaction};

use super::fault::Fault;

/// The version of the tables that this program writes.
pub(super) const VERSION: i64 = 2;

/// Times are microseconds since 1970, and absent where a ban has no end. Jails go by their names: their numbers change with the
/// configuration. Hosts and networks are written as in log lines.
pub(super) const FIRST: &str = "
    CREATE TABLE bans (
        subject TEXT NOT NULL,
        jail TEXT NOT NULL,
        origin TEXT NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER,
        failures INTEGER NOT NULL,
        PRIMARY KEY (subject, jail)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX bans_until ON bans (until);

    CREATE TABLE lifted (
        subject TEXT NOT NULL,
        jail TEXT NOT NULL,
        until INTEGER,
        PRIMARY KEY (subject, jail)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE history (
        subject TEXT NOT NULL,
        jail TEXT NOT NULL,
        since INTEGER NOT NULL,
        length INTEGER,
        bans INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX history_subject ON history (subject, jail, since);
    CREATE INDEX history_since ON history (since);

    CREATE TABLE positions (
        source TEXT PRIMARY KEY,
        position TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Beside an event the lines that led to it, as `reason` has them.
const SECOND: &str = "ALTER TABLE history ADD COLUMN reason TEXT;";

/// Brings a database, empty or of an older version, to today's tables; all of it or nothing.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    let mut version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    while version != VERSION {
        version = step(&transaction, version)?;
    }
    transaction.pragma_update(None, "user_version", version)?;
    Ok(transaction.commit()?)
}

/// One version further.
fn step(transaction: &Transaction<'_>, version: i64) -> Result<i64, Fault> {
    match version {
        0 => transaction.execute_batch(FIRST)?,
        1 => transaction.execute_batch(SECOND)?,
        other => return Err(Fault::Version(other)),
    }
    Ok(version + 1)
}
