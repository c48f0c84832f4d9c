//! The files beside a log that were the log before: renamed, or copied before it was truncated.
//!
//! What was read before is known by its number in the file system and its first bytes, whatever its name is now. What nobody has
//! ever read is taken for a former log only by a name as rotation gives it.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::open::Open;
use crate::source::position::Place;

/// Files that nobody has read and that are read now: the youngest.
const MAX_UNKNOWN: usize = 100;
/// Entries of a folder that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// How often a folder is looked at until nothing is renamed in it meanwhile: a rotation renames all former logs one after the other.
const LOOKS: usize = 8;

/// The number of a file in all file systems.
pub(in crate::source) type FileId = (u64, u64);

/// What becomes of a file that has another name than it was listed by.
#[derive(Clone, Copy)]
enum Renamed {
    /// There is no such file, and the folder is looked at again.
    Missed,
    LeftOut,
}

impl Renamed {
    fn file<T>(self) -> io::Result<Option<T>> {
        match self {
            Self::Missed => Err(io::ErrorKind::NotFound.into()),
            Self::LeftOut => Ok(None),
        }
    }
}

/// Looks at a folder until nothing is missed.
fn steadily<T>(look: impl Fn(Renamed) -> io::Result<T>) -> io::Result<T> {
    for _ in 1..LOOKS {
        match look(Renamed::Missed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
    }
    look(Renamed::LeftOut)
}

/// Opens the file that a place is in, at that place: the same file by another name, or else the copy that was made of it.
pub(super) fn find(path: &Path, place: &Place) -> io::Result<Option<Open>> {
    steadily(|renamed| find_at_once(path, place, renamed))
}

fn find_at_once(path: &Path, place: &Place, renamed: Renamed) -> io::Result<Option<Open>> {
    let files = files_beside(path, renamed)?;
    let is_same = |metadata: &Metadata| id(metadata) == (place.device, place.inode);
    let (same, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(_, metadata)| is_same(metadata));
    for file in &same {
        if let Some(open) = opened(file, renamed, |open| open.is(place))? {
            return at(open, place.offset).map(Some);
        }
    }
    if !place.is_telling() {
        return Ok(None);
    }
    let mut copies = Vec::new();
    for listed in others.iter().filter(|(_, metadata)| metadata.len() >= place.offset) {
        if let Some(open) = opened(listed, renamed, |open| open.holds(place))? {
            let (file, metadata) = listed;
            copies.push((is_rotated(path, file), metadata.len(), open));
        }
    }
    // Of several one that rotation has named so, since another log may begin with the same line; and of those the longest: one may have
    // been made by hand some time before.
    let copy = copies
        .into_iter()
        .max_by_key(|(is_rotated, len, _)| (*is_rotated, *len));
    copy.map(|(_, _, copy)| at(copy, place.offset)).transpose()
}

/// The files by a rotated log's name that are not among `known`, as far as `is_young` finds them so by
/// when they were last written, oldest first.
pub(super) fn unknown(
    path: &Path,
    known: &BTreeSet<FileId>,
    is_young: impl Fn(SystemTime) -> bool,
) -> io::Result<Vec<Open>> {
    steadily(|renamed| {
        let mut found: Vec<(SystemTime, Listed)> = files_beside(path, renamed)?
            .into_iter()
            .filter(|(file, metadata)| is_rotated(path, file) && !known.contains(&id(metadata)))
            .filter_map(|listed| Some((listed.1.modified().ok().filter(|written| is_young(*written))?, listed)))
            .collect();
        found.sort_by(|(one, (first, _)), (other, (second, _))| (one, first).cmp(&(other, second)));
        let superfluous = found.len().saturating_sub(MAX_UNKNOWN);
        let opened = found[superfluous..]
            .iter()
            .map(|(_, listed)| opened(listed, renamed, |_| Ok(true)));
        opened.filter_map(Result::transpose).collect()
    })
}

/// The files by a rotated log's name.
pub(super) fn rotated(path: &Path) -> io::Result<BTreeSet<FileId>> {
    steadily(|renamed| {
        let files = files_beside(path, renamed)?
            .into_iter()
            .filter(|(file, _)| is_rotated(path, file));
        Ok(files.map(|(_, metadata)| id(&metadata)).collect())
    })
}

/// A file of a folder, as it was there.
type Listed = (PathBuf, Metadata);

fn id(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// Opens a file, unless it is not the one that is looked for.
fn opened(
    (file, listed): &Listed,
    renamed: Renamed,
    is_it: impl Fn(&Open) -> io::Result<bool>,
) -> io::Result<Option<Open>> {
    match Open::new(file) {
        Ok(open) if (open.device, open.inode) == id(listed) => Ok(is_it(&open)?.then_some(open)),
        Ok(_) => renamed.file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => renamed.file(),
        // Somebody else's file.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

fn at(mut open: Open, offset: u64) -> io::Result<Open> {
    open.go_to(offset)?;
    Ok(open)
}

/// The plain files in the log's folder, but not the log.
fn files_beside(path: &Path, renamed: Renamed) -> io::Result<Vec<Listed>> {
    // Rotation happens where the file is, and not where links to it are.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let entries = match fs::read_dir(path.parent().unwrap_or(Path::new("/"))) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries.take(MAX_ENTRIES).filter_map(Result::ok) {
        let metadata = match entry.metadata() {
            // A folder that something is mounted on has two numbers at all times.
            Ok(metadata) if !metadata.is_file() => None,
            // The name may be another file's by now.
            Ok(metadata) if metadata.ino() == entry.ino() => Some(metadata),
            Ok(metadata) => renamed.file()?.or(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => renamed.file()?,
            Err(_) => None,
        };
        files.extend(metadata.map(|metadata| (entry.path(), metadata)));
    }
    files.retain(|(file, _)| *file != path);
    Ok(files)
}

/// Whether a name is the log's with a number or a date behind it, or before its suffix, as logrotate(8) makes them.
fn is_rotated(path: &Path, file: &Path) -> bool {
    let [Some(name), Some(file)] = [path, file].map(|path| path.file_name().and_then(|name| name.to_str())) else {
        return false;
    };
    let is_number = |text: &str| {
        let digits = text.strip_prefix(['.', '-']).unwrap_or_default();
        !digits.is_empty()
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"-_.".contains(&byte))
    };
    let before_suffix = || {
        let (stem, suffix) = name.rsplit_once('.')?;
        file.strip_prefix(stem)?.strip_suffix(suffix)?.strip_suffix('.')
    };
    file.strip_prefix(name).is_some_and(is_number) || before_suffix().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_looked_at_again_where_a_file_has_another_name_by_now() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mail.log.1");
        let write = || fs::write(&file, "a line\n").unwrap();
        write();
        let listed = (file.clone(), file.metadata().unwrap());
        fs::rename(&file, folder.path().join("mail.log.2")).unwrap();
        let open = |renamed| opened(&listed, renamed, |_| Ok(true));
        for _ in 0..2 {
            assert_eq!(open(Renamed::Missed).unwrap_err().kind(), io::ErrorKind::NotFound);
            assert!(open(Renamed::LeftOut).unwrap().is_none());
            write();
        }
        let looks = std::cell::Cell::new(0);
        let found = steadily(|renamed| {
            looks.set(looks.get() + 1);
            renamed.file::<()>()
        });
        assert_eq!((found.unwrap(), looks.get()), (None, LOOKS));
    }

    #[test]
    fn a_folder_that_something_is_mounted_in_is_looked_at_once() {
        let numbers = |entry: fs::DirEntry| (entry.ino(), entry.metadata().unwrap().ino());
        let mut entries = fs::read_dir("/dev").unwrap().map(|entry| numbers(entry.unwrap()));
        assert!(
            entries.any(|(listed, is)| listed != is),
            "/dev/pts or /dev/shm is mounted"
        );
        assert!(files_beside(Path::new("/dev/mail.log"), Renamed::Missed).is_ok());
    }

    #[test]
    fn a_rotated_log_is_known_by_its_name() {
        let log = Path::new("/var/log/mail.log");
        for name in [
            "mail.log.1",
            "mail.log-20240826",
            "mail.log.2024-08-26_01",
            "mail.1.log",
            "mail-20240826.log",
        ] {
            assert!(is_rotated(log, &log.with_file_name(name)), "{name}");
        }
        for name in [
            "mail.log",
            "mail.log.gz",
            "mail.log.1.gz",
            "mail.log.err",
            "mail.log1",
            "mail.err.log",
            "mail.err",
            "mail",
        ] {
            assert!(!is_rotated(log, &log.with_file_name(name)), "{name}");
        }
    }
}
