//! The line path: a source's lines through the filters of all its jails, on a thread of its own.

mod kept;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use self::kept::Kept;
use super::names::Unresolved;
use super::sources::{Group, Kind};
use crate::api::metrics::{JailMetrics, LineMetrics, Metrics};
use crate::ban::{Failure, JailId};
use crate::filter::Filter;
use crate::filter::log::{Dated, Finding, JailFilter, LineResult, LogFilters, LogLine};
use crate::filter::matcher::Matcher;
use crate::ledger::brake::Seen;
use crate::source::files::Files;
use crate::source::input::Input;
use crate::source::journal::Journal;
use crate::source::position::{Position, Positions, SourceId};
use crate::source::tail::ReadBack;
use crate::source::watch::{Stop, Woken};
use crate::source::{Line, LogState, Source, Written};

/// How much of a log that is there at the start is read: what was written while no agent ran. Lines older than a jail's
/// `findtime` lead to nothing, so this only bounds the work.
const READ_BACK: u64 = 64 * 1024 * 1024;
/// Where files cannot be watched.
pub(super) const CANNOT_WATCH: &str =
    "log files cannot be watched; raise fs.inotify.max_user_instances, or the limit of open files";
/// Between two complaints about the same expression.
const COMPLAIN: Duration = Duration::from_secs(60);
/// Between two tellings of a position where no failure tells it.
const TELL: Duration = Duration::from_secs(1);

/// A source and the jails that read it.
pub(super) struct Reader {
    source: Box<dyn Source>,
    stop: Stop,
    filters: LogFilters,
    jails: Vec<Watched>,
    out: Out,
    logs: Vec<Counts>,
    told: Instant,
    /// Whether it has come past what was read before it: what is read from then on it reads for the first time.
    caught_up: Arc<AtomicBool>,
    /// Whether that shows by there being no more to read; the journal says so before it has said anything.
    ends: bool,
}

/// What is counted of a log.
struct Counts {
    metrics: LineMetrics,
    /// When the last line was written.
    last: Option<Timestamp>,
}

/// What a reader hands on at a time.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Failures, in the order of their lines.
    pub(super) failures: Vec<Failure>,
    /// Up to where sources are read and judged with these failures.
    pub(super) read: Vec<(SourceId, Position)>,
}

impl Batch {
    /// Failures that say nothing of how far anything was read.
    pub(super) const fn of(failures: Vec<Failure>) -> Self {
        Self {
            failures,
            read: Vec::new(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.failures.is_empty() && self.read.is_empty()
    }
}

/// A jail as a reader knows it.
pub(super) struct Watcher {
    pub(super) jail: JailId,
    pub(super) name: String,
    pub(super) matcher: Matcher,
    pub(super) zone: TimeZone,
    pub(super) metrics: JailMetrics,
    /// Which of the source's logs it reads, by their numbers.
    pub(super) logs: Vec<usize>,
}

/// Where failures go.
pub(super) struct Out {
    pub(super) failures: SyncSender<Batch>,
    /// Those of hosts that a line names instead of giving their address.
    pub(super) names: SyncSender<Unresolved>,
    /// The hosts that lines name, failed or not.
    pub(super) seen: Arc<Seen>,
}

impl Reader {
    /// Opens the source; `positions` say what of it a former agent has read.
    pub(super) fn new(group: Group, positions: &Positions, out: Out, metrics: &Metrics, stop: Stop) -> Result<Self> {
        let Group {
            kind,
            watchers,
            find_time,
        } = group;
        let (mut filters, jails) = apart(watchers);
        let now = Timestamp::now();
        let since = now.saturating_sub(find_time).unwrap_or(Timestamp::MIN);
        let ends = !matches!(kind, Kind::Journal(_));
        let source: Box<dyn Source> = match kind {
            Kind::Files(paths) => {
                let back = ReadBack {
                    bytes: READ_BACK,
                    since,
                };
                let mut date_of = |line: &[u8]| filters.latest_time(&String::from_utf8_lossy(line), now);
                let files = Files::new(&paths, positions, back, stop.clone(), &mut date_of);
                Box::new(files.context(CANNOT_WATCH)?)
            }
            Kind::Journal(selection) => Box::new(Journal::new(selection, positions, since, stop.clone())),
            Kind::Input => Box::new(Input::new(stop.clone())),
        };
        let counts = |log: &LogState| Counts {
            metrics: metrics.lines(&log.name),
            last: None,
        };
        Ok(Self {
            logs: source.logs().iter().map(counts).collect(),
            source,
            stop,
            filters,
            jails,
            out,
            told: Instant::now(),
            caught_up: Arc::default(),
            ends,
        })
    }

    /// The names of the jails that it reads for, and whether it has come past what was read before it.
    pub(super) fn progress(&self) -> (Vec<String>, Arc<AtomicBool>) {
        let names = self.jails.iter().map(|jail| jail.name.clone()).collect();
        (names, Arc::clone(&self.caught_up))
    }

    /// Reads until it is told to stop, or nobody wants failures any more.
    pub(super) fn run(mut self) {
        let mut cannot_wait = Complaint::default();
        while !self.stop.is_given() {
            let now = Instant::now();
            let mut batch = Batch::default();
            let more = self.read(now, &mut batch.failures);
            if !more && self.ends {
                self.caught_up.store(true, Ordering::Relaxed);
            }
            if !batch.failures.is_empty() || now.duration_since(self.told) >= TELL {
                self.told = now;
                batch.read = self.source.positions();
            }
            if !self.hand_on(batch) {
                return;
            }
            if more {
                continue;
            }
            match self.source.wait() {
                Ok(Woken::Look) => {}
                Ok(Woken::Stop) => break,
                Err(error) => {
                    if cannot_wait.is_due() {
                        tracing::error!(%error, "the kernel does not tell when there is more to read");
                    }
                }
            }
        }
        let read = self.source.positions();
        self.hand_on(Batch {
            read,
            ..Batch::default()
        });
    }

    /// Hands a batch on, and says whether anybody wants it.
    fn hand_on(&self, batch: Batch) -> bool {
        batch.is_empty() || self.out.failures.send(batch).is_ok()
    }

    /// Reads some of what is there and says whether there may be more.
    fn read(&mut self, since: Instant, found: &mut Vec<Failure>) -> bool {
        let Self {
            source,
            filters,
            jails,
            out,
            logs,
            caught_up,
            ends,
            ..
        } = self;
        let now = Timestamp::now();
        let more = source.read(since, &mut |line| {
            out.seen.line(line.bytes, now);
            // What lay there before is no measure of how long a ban takes.
            let read = (!line.again).then_some(since);
            let text = crate::source::text(line.bytes);
            let mut kept = Kept::new(&text);
            let each = |finding| hand_on(finding, (line.again, read), &mut kept, jails, out, found);
            let (time, result) = find(&line, &text, now, filters, each);
            let Some(log) = line.logs.first().and_then(|log| logs.get_mut(*log)) else {
                return;
            };
            log.last = time.or(log.last);
            if line.again {
                return;
            }
            if !*ends {
                caught_up.store(true, Ordering::Relaxed);
            }
            log.metrics.cut.inc_by(line.cut.into());
            match result {
                LineResult::Matched => log.metrics.matched.inc(),
                LineResult::Ignored => log.metrics.ignored.inc(),
                LineResult::Missed => log.metrics.missed.inc(),
                LineResult::Undated => log.metrics.undated.inc(),
            };
        });
        for (state, log) in source.logs().iter().zip(logs) {
            log.metrics.lag.set(lag(state, log.last, since, now));
        }
        more
    }
}

/// By how many seconds a log is read behind what was written.
fn lag(state: &LogState, last: Option<Timestamp>, since: Instant, now: Timestamp) -> f64 {
    let unread = state
        .trouble
        .map_or(0.0, |trouble| since.duration_since(trouble).as_secs_f64());
    let behind = last
        .filter(|_| state.more)
        .map_or(SignedDuration::ZERO, |last| now.duration_since(last));
    behind.as_secs_f64().max(unread)
}

/// Applies the filters of all jails that read a line to it, and says when it was written.
fn find(
    line: &Line<'_>,
    text: &str,
    now: Timestamp,
    filters: &mut LogFilters,
    each: impl FnMut(Finding),
) -> (Option<Timestamp>, LineResult) {
    // A line that carries no date was written when it is read, unless it lay there before.
    let undated = (line.written == Written::Now).then_some(now);
    let dated = match line.written {
        Written::At(time) => Dated::At(time),
        Written::Now | Written::Before => Dated::ByText { now, undated },
    };
    let line = LogLine {
        text,
        logs: line.logs,
        dated,
    };
    let found = filters.find(line, each);
    (found.time.or(undated), found.result)
}

/// Hands on what was found in a line. What a former agent has counted and said of one that is read `again` is not counted and said again.
fn hand_on(
    finding: Finding,
    (again, read): (bool, Option<Instant>),
    kept: &mut Kept<'_>,
    watched: &mut [Watched],
    out: &Out,
    found: &mut Vec<Failure>,
) {
    match finding {
        Finding::Failure(failure, failregex) => {
            let watched = of(failure.jail, watched);
            let evidence = watched.and_then(|watched| kept.evidence(&watched.filter, failregex, failure.time));
            found.push(Failure {
                again,
                read,
                evidence,
                ..failure
            });
        }
        Finding::Named {
            jail,
            name,
            time,
            failregex,
        } => {
            let Some(watched) = of(jail, watched) else {
                return;
            };
            let evidence = kept.evidence(&watched.filter, failregex, time);
            let metrics = &watched.metrics;
            let unresolved = Unresolved {
                jail,
                name,
                time,
                again,
                read,
                evidence,
                unbannable: metrics.unbannable.clone(),
            };
            if out.names.try_send(unresolved).is_err() {
                // Names come faster than they can be looked up, or nobody looks them up any more.
                metrics.unbannable.inc_by(u64::from(!again));
            }
        }
        Finding::Unbannable(_) | Finding::GivenUp(..) if again => {}
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
    /// That the filter's expressions are given up on.
    complaint: Complaint,
}

impl Watched {
    /// Says once in a while that the filter's expressions are given up on.
    fn given_up(&mut self, searches: u64) {
        self.metrics.limit_hits.inc_by(searches);
        if self.complaint.is_due() {
            tracing::warn!(
                jail = %self.name,
                filter = %self.filter.name(),
                "an expression of the filter goes back and forth too long on a line, which counts as no match; \
                 simplify it: `blocker test --list-regexes` shows which are run by fancy-regex"
            );
        }
    }
}

/// When something was complained of, so that it is only once in a while.
#[derive(Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    /// Whether it is time to complain, which is then done.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.0.is_none_or(|last| now.duration_since(last) >= COMPLAIN);
        if is_due {
            self.0 = Some(now);
        }
        is_due
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
            complaint: Complaint::default(),
        });
        filters.push(JailFilter {
            jail: watcher.jail,
            matcher: watcher.matcher,
            zone: watcher.zone,
            logs: watcher.logs,
        });
    }
    (LogFilters::new(filters), watched)
}

#[cfg(test)]
mod tests;
