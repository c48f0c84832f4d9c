//! A folder laid out like fail2ban's: which files there are, and in which order they are laid over each other.
//!
//! Jails: `jail.conf`, `jail.d/*.conf` sorted, `jail.local`, `jail.d/*.local` sorted; the last value of a key wins. Filters:
//! the same below `filter.d`. A filter that the folder does not have is the one compiled in, if
//! there is one of that name.

use std::path::{Path, PathBuf};

use super::builtin::{self, Builtin};
use crate::filter::definition::{Definition, LogType, Partial};
use crate::filter::layers::{Disk, Layers};
use crate::filter::parameters::Named;
use crate::problem::{Place, Problems, did_you_mean};

/// The files of a configuration.
#[derive(Debug)]
pub(super) struct Tree {
    /// The jails' sections, put together from all files.
    pub(super) jails: Layers,
    /// What lies beside `filter.d`; none for the compiled-in configuration.
    pub(super) folder: Option<PathBuf>,
}

impl Tree {
    /// Whether the folder holds any jail file.
    pub(super) fn exists(folder: &Path) -> bool {
        let mut unread = Problems::default();
        !jail_files(folder, &mut unread).is_empty() || !unread.0.is_empty()
    }

    /// Reads the jail files of a folder.
    pub(super) fn read(folder: &Path) -> (Self, Problems) {
        let mut problems = Problems::default();
        let files = jail_files(folder, &mut problems);
        if files.is_empty() && problems.0.is_empty() {
            let hint = "point --config at a folder laid out like /etc/fail2ban";
            problems.add(&Place::file(folder), "holds no jail.conf, jail.local or jail.d/", hint);
        }
        let (jails, more) = Layers::read(&Disk, &files);
        problems.0.extend(more.0);
        let tree = Self {
            jails,
            folder: Some(folder.to_owned()),
        };
        (tree, problems)
    }

    /// Reads the compiled-in jail files.
    pub(super) fn builtin() -> (Self, Problems) {
        let (jails, problems) = Layers::read(&Builtin, &[builtin::jails()]);
        (Self { jails, folder: None }, problems)
    }

    /// Reads a filter by its name.
    pub(super) fn filter(&self, named: &Named, log_type: LogType) -> Partial {
        filter(self.folder.as_deref(), named, log_type)
    }
}

/// Reads the filter of this name from the folder, or else the one compiled in.
pub(super) fn filter(folder: Option<&Path>, named: &Named, log_type: LogType) -> Partial {
    let Named { name, parameters } = named;
    let name = without_suffix(name);
    let own = folder.map(|folder| folder.join("filter.d"));
    let mut problems = Problems::default();
    let files = own.as_deref().map(|folder| files_of(folder, name, &mut problems));
    if let Some(files) = files.filter(|files| !files.is_empty()) {
        return Definition::read(&Disk, &files, parameters, log_type);
    }
    if builtin::filters().any(|known| known == name) {
        return Definition::read(&Builtin, &[builtin::filter(name)], parameters, log_type);
    }
    let place = match &own {
        Some(folder) => Place::file(&folder.join(format!("{name}.conf"))),
        None => Place::file(&builtin::filter(name)),
    };
    problems.add(
        &place,
        "there is no such filter",
        filters_there_are(own.as_deref(), name),
    );
    problems.into()
}

/// Whether there is a filter of this name in the folder or among those compiled in.
pub(super) fn has_filter(folder: Option<&Path>, name: &str) -> bool {
    let name = without_suffix(name);
    let mut unread = Problems::default();
    let own = folder.map(|folder| files_of(&folder.join("filter.d"), name, &mut unread));
    own.is_some_and(|files| !files.is_empty()) || builtin::filters().any(|known| known == name)
}

fn without_suffix(name: &str) -> &str {
    name.strip_suffix(".conf").unwrap_or(name)
}

/// The folder's jail files, in the order in which they are read.
fn jail_files(folder: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    files_of(folder, "jail", problems)
}

/// `NAME.conf`, `NAME.d/*.conf`, `NAME.local` and `NAME.d/*.local`, as far as they exist.
fn files_of(folder: &Path, name: &str, problems: &mut Problems) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for suffix in ["conf", "local"] {
        files.extend(Some(folder.join(format!("{name}.{suffix}"))).filter(|file| file.exists()));
        files.extend(sorted(&folder.join(format!("{name}.d")), suffix, problems));
    }
    files
}

/// The problem of a file that cannot be read.
pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Problems {
    let mut problems = Problems::default();
    let hint = "let the user that runs blocker read it";
    problems.add(&Place::file(file), format!("cannot be read: {error}"), hint);
    problems
}

/// The folder's files of one suffix, by name; none when there is no such folder.
fn sorted(folder: &Path, suffix: &str, problems: &mut Problems) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            problems.0.extend(unreadable(folder, &error).0);
            return Vec::new();
        }
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|found| found == suffix))
        .collect();
    files.sort();
    files
}

fn filters_there_are(folder: Option<&Path>, name: &str) -> String {
    let mut unread = Problems::default();
    let files = folder
        .map(|folder| sorted(folder, "conf", &mut unread))
        .unwrap_or_default();
    let own: Vec<&str> = files.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
    let compiled_in: Vec<&str> = builtin::filters().collect();
    let guess = did_you_mean(name, own.iter().chain(&compiled_in).copied());
    if !guess.is_empty() {
        return guess;
    }
    let compiled_in = compiled_in.join(", ");
    match (folder, own.as_slice()) {
        (Some(folder), [_, ..]) => format!(
            "{} holds {}; compiled in are {compiled_in}",
            folder.display(),
            own.join(", ")
        ),
        _ => format!("compiled in are {compiled_in}"),
    }
}
