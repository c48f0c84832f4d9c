//! From jails with logs to sources with jails, so that every log is read once.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use jiff::SignedDuration;

use super::reader::{CANNOT_WATCH, Watcher};
use crate::api::metrics::Metrics;
use crate::ban::JailId;
use crate::config::JailSettings;
use crate::filter::matcher::{Matcher, Search};
use crate::source::Log;
use crate::source::files::overlap;
use crate::source::journal::Selection;
use crate::source::watch::{Stop, Watch};

/// Logs that one thread reads, and the jails that watch them.
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) watchers: Vec<Watcher>,
    /// The longest of the jails'.
    pub(super) find_time: SignedDuration,
}

/// What kind of source reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Files, by their paths.
    Files(Vec<PathBuf>),
    /// The journal.
    Journal(Selection),
    /// Standard input.
    Input,
}

impl Kind {
    /// The numbers of those of its logs that a jail names.
    fn numbers(&self, logs: &[Log]) -> Vec<usize> {
        let named = |log: Log| logs.contains(&log);
        match self {
            Self::Files(paths) => {
                let numbered = paths.iter().enumerate();
                numbered
                    .filter(|(_, path)| named(Log::Files((*path).clone())))
                    .map(|(n, _)| n)
                    .collect()
            }
            Self::Journal(selection) => named(Log::Journal(selection.clone()))
                .then_some(0)
                .into_iter()
                .collect(),
            Self::Input => named(Log::Input).then_some(0).into_iter().collect(),
        }
    }

    /// A name for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Files(paths) => match paths.as_slice() {
                [] => String::new(),
                [path] => path.display().to_string(),
                [path, others @ ..] => format!("{} and {} more", path.display(), others.len()),
            },
            Self::Journal(selection) => selection.to_string(),
            Self::Input => Log::Input.to_string(),
        }
    }
}

/// Groups the jails' logs.
pub(super) fn grouped(jails: &[JailSettings], metrics: &Metrics) -> Vec<Group> {
    let new = |kind| Group {
        kind,
        watchers: Vec::new(),
        find_time: SignedDuration::ZERO,
    };
    let mut groups: Vec<Group> = kinds(jails).into_iter().map(new).collect();
    for (id, jail) in (0..).map(JailId).zip(jails) {
        for group in &mut groups {
            let logs = group.kind.numbers(&jail.logs);
            let Some(metrics) = metrics.jail(id).filter(|_| !logs.is_empty()) else {
                continue;
            };
            group.find_time = group.find_time.max(jail.rules.find_time);
            group.watchers.push(Watcher {
                jail: id,
                name: jail.name.clone(),
                matcher: Matcher::new(Arc::clone(&jail.filter), Search::First),
                zone: jail.zone.clone(),
                metrics: (*metrics).clone(),
                logs,
            });
        }
    }
    groups
}

/// Tries whether the machine lets these jails' files be watched, beside those that are.
///
/// # Errors
///
/// When it does not.
pub(super) fn try_to_watch(jails: &[JailSettings]) -> Result<()> {
    let files = kinds(jails).into_iter().filter(|kind| matches!(kind, Kind::Files(_)));
    let watched = files.map(|_| Watch::new(Stop::new()?));
    watched.collect::<io::Result<Vec<Watch>>>().context(CANNOT_WATCH)?;
    Ok(())
}

/// Every log once. Paths that may find the same file are in one group, and so are all that one jail names: it must not count a line
/// twice.
fn kinds(jails: &[JailSettings]) -> Vec<Kind> {
    let mut files: Vec<Vec<PathBuf>> = Vec::new();
    let mut others: BTreeMap<&Log, Kind> = BTreeMap::new();
    for jail in jails {
        let mut own: Vec<PathBuf> = Vec::new();
        for log in &jail.logs {
            match log {
                Log::Files(path) => own.push(path.clone()),
                Log::Journal(selection) => {
                    others.insert(log, Kind::Journal(selection.clone()));
                }
                Log::Input => {
                    others.insert(log, Kind::Input);
                }
            }
        }
        if own.is_empty() {
            continue;
        }
        let overlaps = |group: &Vec<PathBuf>| group.iter().any(|known| own.iter().any(|path| overlap(known, path)));
        let (joined, apart): (Vec<_>, Vec<_>) = files.into_iter().partition(overlaps);
        files = apart;
        let mut group: Vec<PathBuf> = Vec::new();
        for path in joined.into_iter().flatten().chain(own) {
            if !group.contains(&path) {
                group.push(path);
            }
        }
        files.push(group);
    }
    files.into_iter().map(Kind::Files).chain(others.into_values()).collect()
}
