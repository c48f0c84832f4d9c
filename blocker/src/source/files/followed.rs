//! One file of those that are read, and the paths that find it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use inotify::WatchDescriptor;

use crate::source::tail::{GRACE, Others, Tail};
use crate::source::watch::Watch;
use crate::source::{Line, Written};

/// Files that one path is watched for: those that were rotated away are still written to for a while.
const MAX_WATCHED: usize = 8;

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) tail: Tail,
    pub(super) path: PathBuf,
    /// The paths that find it, in their order.
    pub(super) logs: Vec<usize>,
    pub(super) watched: Vec<WatchDescriptor>,
    /// Whether there may be something to read.
    pub(super) look: bool,
    /// Whether it was read from since its position was told.
    pub(super) moved: bool,
    pub(super) trouble: Option<Instant>,
    /// Whether a path with wildcards finds it now.
    pub(super) is_found: bool,
    others: Others,
    /// Whether everything that was there at the start has been read, so that lines are of now.
    is_live: bool,
    /// Since when no path finds it any more.
    away: Option<Instant>,
}

impl Followed {
    pub(super) fn new(tail: Tail, path: &Path, log: usize, others: Others, is_live: bool) -> Self {
        Self {
            tail,
            path: path.to_owned(),
            logs: vec![log],
            watched: Vec::new(),
            look: true,
            moved: true,
            trouble: None,
            is_found: true,
            others,
            is_live,
            away: None,
        }
    }

    /// Takes note that another path finds it too.
    pub(super) fn add(&mut self, log: usize) {
        if let Err(at) = self.logs.binary_search(&log) {
            self.logs.insert(at, log);
        }
    }

    /// Whether this file is the one that it reads now, or comes to next.
    pub(super) fn is_at(&self, metadata: &Metadata) -> bool {
        let is_next = || self.others == Others::Read && leads_to(&self.path, metadata);
        self.tail.is_at(metadata.dev(), metadata.ino()) || is_next()
    }

    /// Whether what is at the path is read here, or will be.
    pub(super) fn is_for(&self, path: &Path) -> bool {
        let follows = self.others == Others::Read && self.path == path;
        follows || fs::metadata(path).is_ok_and(|metadata| self.is_at(&metadata))
    }

    /// Whether it still reads the file as one that was at its path before.
    pub(super) fn reads(&self, metadata: &Metadata) -> bool {
        self.tail.reads(metadata.dev(), metadata.ino())
    }

    /// Takes note of the name that a file has now, unless it still has the one that is known.
    pub(super) fn is_now_called(&mut self, path: &Path) {
        if self.others == Others::Leave && self.path != path && !is_same_file(&self.path, path) {
            path.clone_into(&mut self.path);
            self.moved = true;
        }
    }

    /// Watches the file that is at the path now.
    pub(super) fn watch(&mut self, watch: &Watch) {
        let Some(descriptor) = watch.file(&self.path) else {
            return;
        };
        if !self.watched.contains(&descriptor) {
            self.watched.push(descriptor);
            if self.watched.len() > MAX_WATCHED {
                self.watched.remove(0);
            }
        }
    }

    /// Reads some of what is there, and takes note of whether there may be more.
    pub(super) fn read(&mut self, now: Instant, watch: &Watch, each: &mut dyn FnMut(Line<'_>)) {
        let written = if self.is_live { Written::Now } else { Written::Before };
        let Self { tail, logs, moved, .. } = self;
        let result = tail.read(now, &mut |line, again| {
            each(Line {
                bytes: line.bytes,
                cut: line.cut,
                written,
                again,
                logs,
            });
        });
        let source = self.path.display();
        match result {
            Ok(progress) => {
                *moved |= progress.more;
                self.look = progress.more;
                self.is_live |= !progress.more;
                if self.trouble.take().is_some() {
                    tracing::info!(%source, "the log can be read again");
                }
                if progress.rotated {
                    tracing::info!(%source, "the log was rotated");
                    self.watch(watch);
                }
            }
            Err(error) => {
                self.look = false;
                if self.trouble.is_none() {
                    self.trouble = Some(now);
                    tracing::error!(%source, %error, "the log cannot be read; trying again every second");
                }
            }
        }
    }

    /// Whether it is followed further: a file that no path finds any more is let go when nothing has come for a while.
    pub(super) fn stays(&mut self, now: Instant) -> bool {
        if self.others == Others::Read || self.is_found || self.look {
            self.away = None;
            return true;
        }
        let since = *self.away.get_or_insert(now);
        now.duration_since(since) < GRACE
    }
}

/// Whether both paths lead to one file now.
pub(super) fn is_same_file(first: &Path, second: &Path) -> bool {
    fs::metadata(second).is_ok_and(|metadata| leads_to(first, &metadata))
}

fn leads_to(path: &Path, file: &Metadata) -> bool {
    let id = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    fs::metadata(path).is_ok_and(|metadata| id(&metadata) == id(file))
}
