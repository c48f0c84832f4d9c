//! The files beside a log that were the log before: renamed, or copied before it was truncated.
//!
//! What was read before is known by its number in the file system and its first bytes, whatever its name is now. What nobody has
//! ever read is taken for a former log only by a name as rotation gives it.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::open::Open;
use crate::source::position::Place;

/// Files that nobody has read and that are read now: the youngest.
const MAX_UNKNOWN: usize = 100;
/// Entries of a folder that are looked at.
const MAX_ENTRIES: usize = 10_000;

/// The number of a file in all file systems.
pub(in crate::source) type FileId = (u64, u64);

/// Opens the file that a place is in, at that place: the same file by another name, or else the copy that was made of it.
pub(super) fn find(path: &Path, place: &Place) -> io::Result<Option<Open>> {
    let files = files_beside(path)?;
    let is_same = |metadata: &Metadata| (metadata.dev(), metadata.ino()) == (place.device, place.inode);
    let (same, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(_, metadata)| is_same(metadata));
    for (file, _) in same {
        if let Some(open) = opened(&file, |open| open.is(place))? {
            return at(open, place.offset).map(Some);
        }
    }
    if !place.is_telling() {
        return Ok(None);
    }
    let mut copies = Vec::new();
    for (file, metadata) in others.iter().filter(|(_, metadata)| metadata.len() >= place.offset) {
        if let Some(open) = opened(file, |open| open.holds(place))? {
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
    let mut found: Vec<(SystemTime, PathBuf)> = files_beside(path)?
        .into_iter()
        .filter(|(file, metadata)| is_rotated(path, file) && !known.contains(&(metadata.dev(), metadata.ino())))
        .filter_map(|(file, metadata)| Some((metadata.modified().ok().filter(|written| is_young(*written))?, file)))
        .collect();
    found.sort();
    let superfluous = found.len().saturating_sub(MAX_UNKNOWN);
    let opened = found[superfluous..].iter().map(|(_, file)| opened(file, |_| Ok(true)));
    opened.filter_map(Result::transpose).collect()
}

/// The files by a rotated log's name.
pub(super) fn rotated(path: &Path) -> io::Result<BTreeSet<FileId>> {
    let files = files_beside(path)?
        .into_iter()
        .filter(|(file, _)| is_rotated(path, file));
    Ok(files.map(|(_, metadata)| (metadata.dev(), metadata.ino())).collect())
}

/// Opens a file, unless it has gone or is not the one that is looked for.
fn opened(file: &Path, is_it: impl Fn(&Open) -> io::Result<bool>) -> io::Result<Option<Open>> {
    match Open::new(file) {
        Ok(open) => Ok(is_it(&open)?.then_some(open)),
        // Somebody else's file, or one that a rotation has moved on just now.
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied].contains(&error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn at(mut open: Open, offset: u64) -> io::Result<Open> {
    open.go_to(offset)?;
    Ok(open)
}

/// The plain files in the log's folder, but not the log.
fn files_beside(path: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    // Rotation happens where the file is, and not where links to it are.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let entries = match fs::read_dir(path.parent().unwrap_or(Path::new("/"))) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let files = entries.take(MAX_ENTRIES).filter_map(|entry| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok().filter(Metadata::is_file)?;
        Some((entry.path(), metadata))
    });
    Ok(files.filter(|(file, _)| *file != path).collect())
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
