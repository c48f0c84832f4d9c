//! The state folder: one process has it, and files in it are known by more than their names.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::fault::Fault;

const DATABASE: &str = "ledger.db";
const LOCK: &str = "ledger.lock";
/// What SQLite puts behind the database's name.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// Broken databases that are kept for somebody to look at; of more, the oldest go.
const BROKEN_KEPT: usize = 3;

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked; the lock ends with the process.
    lock: Option<File>,
}

/// Which files a path led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    database: Option<(u64, u64)>,
    wal: Option<(u64, u64)>,
}

impl Folder {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, lock: None }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Makes the folder where it is not there, and sees to it that no other process uses it.
    pub(super) fn take(&mut self) -> Result<(), Fault> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| io_fault(&self.path, error))?;
        let path = self.path.join(LOCK);
        let held = self.lock.as_ref().and_then(|lock| lock.metadata().ok());
        if held.is_some_and(|held| identity(&path) == Some((held.dev(), held.ino()))) {
            return Ok(());
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| io_fault(&path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Fault::InUse(self.path.clone())),
            Err(TryLockError::Error(error)) => return Err(io_fault(&path, error)),
        }
        self.lock = Some(lock);
        Ok(())
    }

    /// Which files the database is, at this moment.
    pub(super) fn identity(&self) -> Identity {
        let database = self.database();
        Identity {
            database: identity(&database),
            wal: identity(&beside(&database, BESIDE[0])),
        }
    }

    /// Moves the database aside, with what belongs to it, and says where it is now.
    pub(super) fn set_aside(&self, now: Timestamp) -> Result<PathBuf, Fault> {
        let database = self.database();
        let broken = beside(&database, &format!(".broken-{}", now.strftime("%Y%m%dT%H%M%S%.fZ")));
        let moved = |from: &Path, to: &Path| match fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_fault(from, error)),
            _ => Ok(()),
        };
        // The log first: a new database must not find the old one's.
        for part in BESIDE {
            moved(&beside(&database, part), &beside(&broken, part))?;
        }
        moved(&database, &broken)?;
        self.drop_oldest();
        Ok(broken)
    }

    /// A disk that breaks every database must not fill up with them.
    fn drop_oldest(&self) {
        let prefix = format!("{DATABASE}.broken-");
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut broken: Vec<String> = names
            .filter(|name| name.starts_with(&prefix) && !BESIDE.iter().any(|part| name.ends_with(part)))
            .collect();
        broken.sort();
        let superfluous = broken.len().saturating_sub(BROKEN_KEPT);
        for name in &broken[..superfluous] {
            let path = self.path.join(name);
            for path in [beside(&path, BESIDE[0]), beside(&path, BESIDE[1]), path] {
                // What cannot be removed stays; nothing depends on it.
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

fn beside(path: &Path, part: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(part);
    name.into()
}

fn io_fault(path: &Path, error: io::Error) -> Fault {
    Fault::Io {
        path: path.to_owned(),
        error,
    }
}
