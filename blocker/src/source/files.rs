//! Log files by their paths, with wildcards or without, be they there yet or not.
//!
//! A path without wildcards is a [`Tail`] that follows what is at it. Of what wildcards find, every file has a tail that stays with
//! it. Paths are looked at again when something comes into their folders, and every [`PATROL`]. A file that several paths find,
//! by whatever names, is read once.

mod followed;
mod pattern;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::followed::Followed;
use self::pattern::Pattern;
pub use self::pattern::overlap;
use super::position::{Place, Position, Positions, SourceId};
use super::tail::{DateOf, Known, Others, ReadBack, Tail};
use super::watch::{PATROL, Seen, Stop, Watch, Woken};
use super::{Line, LogState, Source};

/// Files that are read at once; more are left alone, and that is said.
pub const MAX_FILES: usize = 1000;
/// How long a log may be away before that is said: at a rotation it is for a moment.
const MISSED: Duration = Duration::from_secs(5);

/// Log files.
#[derive(Debug)]
pub struct Files {
    patterns: Vec<Pattern>,
    logs: Vec<LogState>,
    away: Vec<Away>,
    followed: Vec<Followed>,
    /// Files that cannot be read, for which log, and since when.
    refused: BTreeMap<PathBuf, (usize, Instant)>,
    /// Places in files that are followed no more.
    gone: VecDeque<Place>,
    back: ReadBack,
    watch: Watch,
    scanned: Instant,
    /// Whether it was said that there are too many files.
    is_full: bool,
}

/// Whether a path finds no file.
#[derive(Clone, Copy, Debug, Default)]
struct Away {
    since: Option<Instant>,
    /// Whether it has ever found one.
    was_there: bool,
    is_told: bool,
}

/// When a file is found.
enum When<'a> {
    Start(&'a Positions, DateOf<'a>),
    Later,
}

impl When<'_> {
    /// When a line was written; what comes later is read from its beginning anyway.
    fn date_of(&mut self, line: &[u8]) -> Option<Timestamp> {
        match self {
            Self::Start(_, date_of) => date_of(line),
            Self::Later => None,
        }
    }
}

impl Files {
    /// Begins to follow what these paths find, as far back as is worth reading; `positions` say what of that a former agent has read.
    ///
    /// # Errors
    ///
    /// When the kernel grants no more inotify instances (`fs.inotify.max_user_instances`).
    pub fn new(
        paths: &[PathBuf],
        positions: &Positions,
        back: ReadBack,
        stop: Stop,
        date_of: DateOf<'_>,
    ) -> io::Result<Self> {
        let name = |path: &PathBuf| LogState::new(path.display().to_string());
        let mut files = Self {
            patterns: paths.iter().map(|path| Pattern::new(path)).collect(),
            logs: paths.iter().map(name).collect(),
            away: vec![Away::default(); paths.len()],
            followed: Vec::new(),
            refused: BTreeMap::new(),
            gone: VecDeque::new(),
            back,
            watch: Watch::new(stop)?,
            scanned: Instant::now(),
            is_full: false,
        };
        files.scan(Instant::now(), When::Start(positions, date_of));
        for (log, away) in files.logs.iter().zip(&files.away) {
            if away.since.is_some() {
                tracing::warn!(source = %log.name, "the log does not exist yet and is waited for");
            }
        }
        Ok(files)
    }

    /// Looks at what the paths find now.
    fn scan(&mut self, now: Instant, mut when: When<'_>) {
        self.scanned = now;
        for followed in &mut self.followed {
            followed.is_found = false;
        }
        for log in 0..self.patterns.len() {
            for folder in self.patterns[log].folders() {
                self.watch.folder(&folder);
            }
            let mut files = self.patterns[log].files(MAX_FILES + 1);
            self.presence(log, !files.is_empty(), now);
            if self.patterns[log].has_wildcards() {
                // A log before its copies, which are no longer, and were made later.
                files.sort_by_key(|(_, file)| (Reverse(file.len()), file.ctime(), file.ctime_nsec()));
                for (path, metadata) in files {
                    self.found(log, &path, &metadata, &mut when);
                }
            } else {
                self.follow(log, &mut when);
            }
        }
        self.leave(now);
    }

    /// Takes note of whether a path finds anything.
    fn presence(&mut self, log: usize, is_there: bool, now: Instant) {
        let (name, away) = (&self.logs[log].name, &mut self.away[log]);
        if is_there {
            if std::mem::take(&mut away.is_told) {
                tracing::info!(source = %name, "the log is there again");
            }
            *away = Away {
                was_there: true,
                ..Away::default()
            };
            return;
        }
        let since = *away.since.get_or_insert(now);
        if away.was_there && !away.is_told && now.duration_since(since) >= MISSED {
            away.is_told = true;
            tracing::warn!(source = %name, "the log has vanished and is waited for");
        }
    }

    /// Follows a path without wildcards, unless what is there is followed by another name.
    fn follow(&mut self, log: usize, when: &mut When<'_>) {
        let path = self.patterns[log].path().to_owned();
        if let Some(at) = self.followed.iter().position(|followed| followed.is_for(&path)) {
            self.followed[at].add(log);
            // One that was renamed has its last lines for this log too; one that a link has led to has no more for it.
            if path.is_symlink() {
                let others = self.followed.iter_mut().enumerate().filter(|(other, _)| *other != at);
                others.for_each(|(_, other)| other.logs.retain(|known| *known != log));
            }
            return;
        }
        if self.followed.iter().any(|followed| followed.logs.contains(&log)) {
            // Wildcards had found what was at the path before.
            match path.metadata() {
                Err(_) => return,
                // What wildcards may find of it they find once there is something in it.
                Ok(metadata) if metadata.len() == 0 => {
                    let _ = self.watch.file(&path);
                    return;
                }
                Ok(_) => {}
            }
            for followed in &mut self.followed {
                followed.logs.retain(|known| *known != log);
            }
        }
        let metadata = path.metadata();
        if metadata.is_ok_and(|metadata| self.followed.iter().any(|other| other.reads(&metadata))) {
            return;
        }
        let (places, by_now) = match when {
            When::Start(positions, _) => {
                let position = positions.get(&SourceId::file(&path));
                (position.map(Position::places).unwrap_or_default(), Vec::new())
            }
            When::Later => (Vec::new(), self.gone_places()),
        };
        let held = self.followed.iter().flat_map(|other| other.tail.held()).collect();
        let known = Known {
            places: &places,
            held: &held,
        };
        let mut date_of = |line: &[u8]| when.date_of(line);
        let tail = Tail::new(&path, known, self.back, Others::Read, &mut date_of).and_then(|mut tail| {
            tail.recognise(&by_now)?;
            Ok(tail)
        });
        self.begin(log, &path, tail, Others::Read, when);
    }

    /// Follows a file that a path with wildcards has found, unless it is followed already.
    fn found(&mut self, log: usize, path: &Path, metadata: &Metadata, when: &mut When<'_>) {
        if let Some(followed) = self.followed.iter_mut().find(|followed| followed.is_at(metadata)) {
            followed.add(log);
            followed.is_found = true;
            followed.is_now_called(path);
            return;
        }
        // What a path without wildcards has rotated away, or is about to come to, is read there.
        if self.followed.iter().any(|followed| followed.reads(metadata)) {
            return;
        }
        // What an empty file is shows once there is something in it.
        if metadata.len() == 0 {
            let _ = self.watch.file(path);
            return;
        }
        let (before, by_now) = match when {
            When::Start(positions, _) => (all_places(positions), Vec::new()),
            When::Later => (Vec::new(), self.gone_places()),
        };
        let mut date_of = |line: &[u8]| when.date_of(line);
        let known = Known {
            places: &before,
            held: &BTreeSet::new(),
        };
        let tail = Tail::new(path, known, self.back, Others::Leave, &mut date_of).and_then(|mut tail| {
            tail.recognise(&by_now)?;
            Ok(tail)
        });
        // Whoever copies a log either truncates it, and then the rest of the copy is read in its stead, or has two of them.
        let held = || {
            self.followed
                .iter()
                .flat_map(|followed| followed.tail.places().0)
                .collect::<Vec<_>>()
        };
        if tail.as_ref().is_ok_and(|tail| tail.is_copy_of(&held())) {
            return;
        }
        self.begin(log, path, tail, Others::Leave, when);
    }

    /// Places in files that are read no more.
    fn gone_places(&self) -> Vec<Place> {
        let by_tails = self.followed.iter().flat_map(|followed| followed.tail.places().1);
        by_tails.chain(self.gone.iter().cloned()).collect()
    }

    fn begin(&mut self, log: usize, path: &Path, tail: io::Result<Tail>, others: Others, when: &When<'_>) {
        match tail {
            Ok(_) if self.followed.len() >= MAX_FILES => {
                if !std::mem::replace(&mut self.is_full, true) {
                    let source = &self.logs[log].name;
                    tracing::error!(%source, "more than {MAX_FILES} files are found, and the others are not read");
                }
            }
            Ok(tail) => {
                if self.refused.remove(path).is_some() {
                    tracing::info!(source = %path.display(), "the log can be read again");
                }
                let mut followed = Followed::new(tail, path, log, others, matches!(when, When::Later));
                followed.watch(&self.watch);
                self.followed.push(followed);
            }
            Err(error) => self.cannot_begin(log, path, &error),
        }
    }

    fn cannot_begin(&mut self, log: usize, path: &Path, error: &io::Error) {
        if !self.refused.contains_key(path) && self.refused.len() < MAX_FILES {
            self.refused.insert(path.to_owned(), (log, self.scanned));
            tracing::error!(source = %path.display(), %error, "the log cannot be read; trying again every second");
        }
    }

    /// Lets go of files that no path finds any more and that are quiet.
    fn leave(&mut self, now: Instant) {
        let gone = &mut self.gone;
        self.followed.retain_mut(|followed| {
            let stays = followed.stays(now);
            if !stays {
                gone.extend(followed.tail.places().0);
            }
            stays
        });
        self.refused.retain(|path, _| path.exists());
        while self.gone.len() > MAX_FILES {
            self.gone.pop_front();
        }
        if self.followed.len() < MAX_FILES {
            self.is_full = false;
        }
    }

    /// How each log is, after a reading.
    fn judge(&mut self) {
        for (log, (state, away)) in self.logs.iter_mut().zip(&self.away).enumerate() {
            let files = || {
                self.followed
                    .iter()
                    .filter(move |followed| followed.logs.contains(&log))
            };
            let refused = self
                .refused
                .values()
                .filter(|(of, _)| *of == log)
                .map(|(_, since)| *since);
            let vanished = away.since.filter(|_| away.is_told);
            let troubles = files().filter_map(|followed| followed.trouble);
            state.trouble = troubles.chain(refused).chain(vanished).min();
            state.more = files().any(|followed| followed.look);
        }
    }
}

impl Source for Files {
    fn read(&mut self, now: Instant, each: &mut dyn FnMut(Line<'_>)) -> bool {
        if now.duration_since(self.scanned) >= PATROL {
            self.scan(now, When::Later);
            for followed in &mut self.followed {
                followed.look = true;
            }
        }
        let mut more = false;
        for followed in self.followed.iter_mut().filter(|followed| followed.look) {
            followed.read(now, &self.watch, each);
            more |= followed.look;
        }
        self.judge();
        more
    }

    fn wait(&mut self) -> io::Result<Woken> {
        let mut seen = Seen::default();
        let woken = self.watch.wait(&mut seen)?;
        let mut known = 0;
        for followed in &mut self.followed {
            let written = followed
                .watched
                .iter()
                .filter(|watched| seen.files.contains(watched))
                .count();
            known += written;
            followed.look |= seen.missed || seen.folders || written > 0;
        }
        if seen.missed || seen.folders || known < seen.files.len() {
            self.scan(Instant::now(), When::Later);
        }
        Ok(woken)
    }

    fn positions(&mut self) -> Vec<(SourceId, Position)> {
        let mut positions = Vec::new();
        for followed in &mut self.followed {
            if std::mem::take(&mut followed.moved)
                && let Some(position) = followed.tail.position()
            {
                positions.push((SourceId::file(&followed.path), position));
            }
        }
        positions
    }

    fn logs(&self) -> &[LogState] {
        &self.logs
    }
}

/// The places in files that a former agent has read.
fn all_places(positions: &Positions) -> Vec<Place> {
    positions.iter().flat_map(|(_, position)| position.places()).collect()
}

#[cfg(test)]
mod tests;
