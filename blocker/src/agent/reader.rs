//! The line path: a source's lines through the filters of all its jails, on a thread of its own.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::names::Unresolved;
use crate::api::metrics::{JailMetrics, LineMetrics};
use crate::ban::{Failure, JailId};
use crate::filter::Filter;
use crate::filter::log::{Finding, JailFilter, LineResult, LogFilters};
use crate::filter::matcher::Matcher;
use crate::ledger::brake::Seen;
use crate::source::tail::{Begin, Tail};
use crate::source::watch::{Stop, Watch, Woken};

/// How much of a log that is there at the start is read: what was written while no agent ran. Lines older than a jail's
/// `findtime` lead to nothing, so this only bounds the work.
const READ_BACK: u64 = 64 * 1024 * 1024;
/// Between two complaints about the same expression.
const COMPLAIN: Duration = Duration::from_secs(60);

/// A log file and the jails that read it.
pub(super) struct Reader {
    tail: Tail,
    watch: Watch,
    stop: Stop,
    filters: LogFilters,
    jails: Vec<Watched>,
    out: Out,
    metrics: LineMetrics,
    /// Whether everything that was there at the start has been read, so that lines are of now.
    live: bool,
}

/// A jail as a reader knows it.
pub(super) struct Watcher {
    pub(super) jail: JailId,
    pub(super) name: String,
    pub(super) matcher: Matcher,
    pub(super) zone: TimeZone,
    pub(super) metrics: JailMetrics,
}

/// Where failures go.
pub(super) struct Out {
    pub(super) failures: SyncSender<Vec<Failure>>,
    /// Those of hosts that a line names instead of giving their address.
    pub(super) names: SyncSender<Unresolved>,
    /// The hosts that lines name, failed or not.
    pub(super) seen: Arc<Seen>,
}

impl Reader {
    /// Opens the log.
    pub(super) fn new(log: &Path, watchers: Vec<Watcher>, out: Out, metrics: LineMetrics, stop: Stop) -> Result<Self> {
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
        let (filters, jails) = apart(watchers);
        Ok(Self {
            tail,
            watch,
            stop,
            filters,
            jails,
            out,
            metrics,
            live: false,
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
                    self.live |= !more;
                    more
                }
                Err(error) => {
                    trouble.begins(self.tail.path(), &error);
                    false
                }
            };
            if !found.is_empty() && self.out.failures.send(found).is_err() {
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
            filters,
            jails,
            out,
            metrics,
            live,
            ..
        } = self;
        let now = Timestamp::now();
        // A line that carries no date was written when it is read, unless it lay there before.
        let undated = live.then_some(now);
        let progress = tail.read(Instant::now(), |line| {
            out.seen.line(line, now);
            let line = String::from_utf8_lossy(line);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            let each = |finding| hand_on(finding, jails, out, found);
            match filters.find(line, now, undated, each).result {
                LineResult::Matched => metrics.matched.inc(),
                LineResult::Ignored => metrics.ignored.inc(),
                LineResult::Missed => metrics.missed.inc(),
                LineResult::Undated => metrics.undated.inc(),
            };
        })?;
        self.metrics.cut.inc_by(progress.cut);
        if progress.rotated {
            self.watch.renew();
            tracing::info!(source = %self.tail.path().display(), "the log was rotated");
        }
        Ok(progress.more)
    }
}

/// Hands on what was found in a line.
fn hand_on(finding: Finding, watched: &mut [Watched], out: &Out, found: &mut Vec<Failure>) {
    match finding {
        Finding::Failure(failure) => found.push(failure),
        Finding::Named { jail, name, time } => {
            let Some(Watched { metrics, .. }) = of(jail, watched) else {
                return;
            };
            let unresolved = Unresolved {
                jail,
                name,
                time,
                unbannable: metrics.unbannable.clone(),
            };
            if out.names.try_send(unresolved).is_err() {
                // Names come faster than they can be looked up, or nobody looks them up any more.
                metrics.unbannable.inc();
            }
        }
        Finding::Unbannable(jail) => {
            if let Some(Watched { metrics, .. }) = of(jail, watched) {
                metrics.unbannable.inc();
            }
        }
        Finding::GivenUp(jail, searches) => {
            if let Some(watched) = of(jail, watched) {
                watched.given_up(searches);
            }
        }
    }
}

fn of(jail: JailId, watched: &mut [Watched]) -> Option<&mut Watched> {
    watched.iter_mut().find(|watched| watched.jail == jail)
}

/// What a reader counts and says for a jail.
struct Watched {
    jail: JailId,
    name: String,
    filter: Arc<Filter>,
    metrics: JailMetrics,
    /// When it was said that the filter's expressions are given up on.
    complained: Option<Instant>,
}

impl Watched {
    /// Says once in a while that the filter's expressions are given up on.
    fn given_up(&mut self, searches: u64) {
        self.metrics.limit_hits.inc_by(searches);
        let now = Instant::now();
        if self.complained.is_none_or(|last| now.duration_since(last) >= COMPLAIN) {
            self.complained = Some(now);
            tracing::warn!(
                jail = %self.name,
                filter = %self.filter.name(),
                "an expression of the filter goes back and forth too long on a line, which counts as no match; \
                 simplify it: `blocker test --list-regexes` shows which are run by fancy-regex"
            );
        }
    }
}

/// Tells what filters do with lines from what is counted for their jails.
fn apart(watchers: Vec<Watcher>) -> (LogFilters, Vec<Watched>) {
    let (mut filters, mut watched) = (Vec::new(), Vec::new());
    for watcher in watchers {
        watched.push(Watched {
            jail: watcher.jail,
            name: watcher.name,
            filter: Arc::clone(watcher.matcher.filter()),
            metrics: watcher.metrics,
            complained: None,
        });
        filters.push(JailFilter {
            jail: watcher.jail,
            matcher: watcher.matcher,
            zone: watcher.zone,
        });
    }
    (LogFilters::new(filters), watched)
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

#[cfg(test)]
mod tests;
