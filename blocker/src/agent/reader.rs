//! The line path: a source's lines through the filters of all its jails, on a thread of its own.
//!
//! A line's date is cut out once for all filters that look for the same dates, then each filter sees the rest.

use std::fmt;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::names::Unresolved;
use crate::api::metrics::{JailMetrics, LineMetrics};
use crate::ban::{Failure, JailId};
use crate::filter::UseDns;
use crate::filter::date::{Cut, DateReader};
use crate::filter::identity::Identity;
use crate::filter::matcher::{Hit, Matcher};
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
    jails: Vec<SameDates>,
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
}

/// Jails whose lines are dated alike.
struct SameDates {
    dates: DateReader,
    zone: TimeZone,
    watchers: Vec<(Watcher, Complaint)>,
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
        Ok(Self {
            tail,
            watch,
            stop,
            jails: same_dates(watchers),
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
            let line = String::from_utf8_lossy(line);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            let result = find(line, now, undated, jails, out, found);
            match result {
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

/// What came of a line, over all jails.
enum LineResult {
    Matched,
    Ignored,
    Missed,
    Undated,
}

/// Applies every jail's filter to a line.
fn find(
    line: &str,
    now: Timestamp,
    undated: Option<Timestamp>,
    jails: &mut [SameDates],
    out: &Out,
    found: &mut Vec<Failure>,
) -> LineResult {
    let (mut matched, mut ignored, mut dated) = (false, false, false);
    for SameDates { dates, watchers, .. } in jails {
        let cut = dates.cut(line, now);
        let Some(time) = cut.time.or(undated) else {
            continue;
        };
        dated = true;
        for (watcher, complaint) in watchers {
            let cut = Cut {
                time: Some(time),
                ..cut
            };
            let result = watcher.matcher.apply(&cut);
            ignored |= result.ignored.is_some();
            for hit in result.hits.into_iter().filter(Hit::is_failure) {
                matched = true;
                watcher.hand_on(hit, time, out, found);
            }
            complaint.look_at(watcher);
        }
    }
    match (dated, matched, ignored) {
        (false, ..) => LineResult::Undated,
        (_, true, _) => LineResult::Matched,
        (_, false, true) => LineResult::Ignored,
        (_, false, false) => LineResult::Missed,
    }
}

impl Watcher {
    fn hand_on(&self, hit: Hit, time: Timestamp, out: &Out, found: &mut Vec<Failure>) {
        let Self { jail, metrics, .. } = self;
        let failure = |address, identity| Failure {
            jail: *jail,
            address,
            identity,
            time,
        };
        match (hit.identity, hit.address) {
            (identity, Some(address)) => {
                let identity = identity.map(|identity| identity.to_string().into());
                found.push(failure(address, identity));
            }
            (Some(Identity::Address(address)), None) => found.push(failure(address, None)),
            (Some(Identity::Name(name)), None) if self.matcher.filter().use_dns() != UseDns::Raw => {
                let unresolved = Unresolved {
                    jail: *jail,
                    name,
                    time,
                    unbannable: metrics.unbannable.clone(),
                };
                if out.names.try_send(unresolved).is_err() {
                    // Names come faster than they can be looked up, or nobody looks them up any more.
                    metrics.unbannable.inc();
                }
            }
            _ => {
                metrics.unbannable.inc();
            }
        }
    }
}

/// Puts jails together that look for the same dates.
fn same_dates(watchers: Vec<Watcher>) -> Vec<SameDates> {
    let mut all: Vec<SameDates> = Vec::new();
    for watcher in watchers {
        let patterns = watcher.matcher.filter().dates();
        let zone = watcher.zone.clone();
        let known = all
            .iter_mut()
            .find(|same| same.dates.patterns() == &**patterns && same.zone == zone);
        match known {
            Some(same) => same.watchers.push((watcher, Complaint::default())),
            None => all.push(SameDates {
                dates: DateReader::new(std::sync::Arc::clone(patterns), zone.clone()),
                zone,
                watchers: vec![(watcher, Complaint::default())],
            }),
        }
    }
    all
}

/// Says once in a while that a filter's expressions are given up on.
#[derive(Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn look_at(&mut self, watcher: &mut Watcher) {
        let hits = std::mem::take(&mut watcher.matcher.limit_hits);
        if hits == 0 {
            return;
        }
        watcher.metrics.limit_hits.inc_by(hits);
        let now = Instant::now();
        if self.0.is_none_or(|last| now.duration_since(last) >= COMPLAIN) {
            self.0 = Some(now);
            tracing::warn!(
                jail = %watcher.name,
                filter = %watcher.matcher.filter().name(),
                "an expression of the filter goes back and forth too long on a line, which counts as no match; \
                 simplify it: `blocker test --list-regexes` shows which are run by fancy-regex"
            );
        }
    }
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
