//! What can be wrong with the database, and what that asks for.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::schema::VERSION;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// SQLite's own words.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A check of the whole file found this.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// Its tables are not known here.
    #[error(
        "the database is of version {0}, and this program knows those up to {VERSION}; move the file away or install a newer blocker"
    )]
    Version(i64),
    /// A file or folder.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process has the folder.
    #[error(
        "another blocker keeps its ledger in {}; give each its own folder with --state, or under [state] in blocker.toml",
        .0.display()
    )]
    InUse(PathBuf),
    /// The path leads to another file by now, or to none.
    #[error("the database was removed or replaced while it was in use")]
    Gone,
}

/// What can still be done with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// It is whole, and takes nothing for the moment.
    Wait,
    /// It has to be opened again.
    Reopen,
    /// It will never be right again.
    SetAside,
}

impl Fault {
    /// What this asks for.
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Damaged(_) => Remedy::SetAside,
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Remedy::SetAside,
                Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Remedy::Wait,
                // Somebody has taken a table away, say: SQLite's name for what has no other.
                Some(ErrorCode::Unknown) => Remedy::SetAside,
                _ => Remedy::Reopen,
            },
            Self::Version(_) | Self::Io { .. } | Self::InUse(_) | Self::Gone => Remedy::Reopen,
        }
    }
}
