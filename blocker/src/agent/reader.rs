//! The line path: a source's lines through the filters of all its jails, on a thread of its own.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::metrics::LineMetrics;
use crate::ban::{Failure, JailId};
use crate::filter::date::DateReader;
use crate::filter::{Filter, Finding};
use crate::source::tail::{Begin, Tail};
use crate::source::watch::{Stop, Watch, Woken};

/// How much of a log that is there at the start is read: what was written while no agent ran. Lines older than a jail's
/// `findtime` lead to nothing, so this only bounds the work.
const READ_BACK: u64 = 64 * 1024 * 1024;

/// A log file and the jails that read it.
pub(super) struct Reader {
    tail: Tail,
    watch: Watch,
    stop: Stop,
    dates: DateReader,
    filters: Vec<(JailId, Arc<Filter>)>,
    failures: SyncSender<Vec<Failure>>,
    metrics: LineMetrics,
}

impl Reader {
    /// Opens the log.
    pub(super) fn new(
        log: &Path,
        filters: Vec<(JailId, Arc<Filter>)>,
        failures: SyncSender<Vec<Failure>>,
        metrics: LineMetrics,
        stop: Stop,
    ) -> Result<Self> {
        let tail = Tail::new(log, Begin::Before(READ_BACK)).with_context(|| format!("{}", log.display()))?;
        let watch = Watch::new(log, stop.clone()).with_context(|| {
            format!(
                "{}: cannot be watched; raise fs.inotify.max_user_instances",
                log.display()
            )
        })?;
        if !tail.exists() {
            tracing::warn!(source = %log.display(), "the log does not exist yet and is waited for");
        }
        Ok(Self {
            tail,
            watch,
            stop,
            dates: DateReader::new(TimeZone::system()),
            filters,
            failures,
            metrics,
        })
    }

    /// Reads until it is told to stop, or nobody wants failures any more.
    pub(super) fn run(mut self) {
        let mut trouble = Trouble::default();
        while !self.stop.is_given() {
            let mut found = Vec::new();
            let more = match self.read(&mut found) {
                Ok(more) => {
                    trouble.over(self.tail.path());
                    more
                }
                Err(error) => {
                    trouble.begins(self.tail.path(), &error);
                    false
                }
            };
            if !found.is_empty() && self.failures.send(found).is_err() {
                return;
            }
            if more {
                continue;
            }
            match self.watch.wait() {
                Ok(Woken::Look) => {}
                Ok(Woken::Stop) => return,
                Err(error) => trouble.begins(self.tail.path(), &error),
            }
        }
    }

    /// Reads some of what is there and says whether there may be more.
    fn read(&mut self, found: &mut Vec<Failure>) -> std::io::Result<bool> {
        let Self {
            tail,
            dates,
            filters,
            metrics,
            ..
        } = self;
        let now = Timestamp::now();
        let progress = tail.read(Instant::now(), |line| {
            let line = String::from_utf8_lossy(line);
            find(&line, now, dates, filters, metrics, found);
        })?;
        self.metrics.cut.inc_by(progress.cut);
        if progress.rotated {
            self.watch.renew();
            tracing::info!(source = %self.tail.path().display(), "the log was rotated");
        }
        Ok(progress.more)
    }
}

/// Applies every jail's filter to a line.
fn find(
    line: &str,
    now: Timestamp,
    dates: &DateReader,
    filters: &[(JailId, Arc<Filter>)],
    metrics: &LineMetrics,
    found: &mut Vec<Failure>,
) {
    let Some(dated) = dates.cut(line, now) else {
        metrics.undated.inc();
        return;
    };
    let (before, mut ignored) = (found.len(), false);
    for (jail, filter) in filters {
        match filter.find(dated.text) {
            Finding::Failure(address) => found.push(failure(*jail, address, dated.time)),
            Finding::Ignored => ignored = true,
            Finding::Nothing => {}
        }
    }
    let result = match (found.len() > before, ignored) {
        (true, _) => &metrics.matched,
        (false, true) => &metrics.ignored,
        (false, false) => &metrics.missed,
    };
    result.inc();
}

const fn failure(jail: JailId, address: IpAddr, time: Timestamp) -> Failure {
    Failure { jail, address, time }
}

/// Says once that a log cannot be read, and once that it can be again.
#[derive(Default)]
struct Trouble(bool);

impl Trouble {
    fn begins(&mut self, log: &Path, error: &impl fmt::Display) {
        if !std::mem::replace(&mut self.0, true) {
            tracing::error!(source = %log.display(), %error, "the log cannot be read; trying again every second");
        }
    }

    fn over(&mut self, log: &Path) {
        if std::mem::take(&mut self.0) {
            tracing::info!(source = %log.display(), "the log can be read again");
        }
    }
}
