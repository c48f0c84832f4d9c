//! A filter tried on a log: what `blocker test` shows.
//!
//! Lines come in one after the other, as the agent would read them, but by a clock that is given. Each is answered with what was found
//! in it, and all are counted.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Filter;
use super::date::{Cut, DateReader};
use super::log::words;
use super::matcher::{Found, Hit, Matcher, Search};
use super::prefilter::Prefilter;

/// Missed lines that are kept to be shown.
const SHOWN: usize = 10;
/// Hosts whose failures are counted one by one; those that come later are not.
const MAX_HOSTS: usize = 100_000;

/// How lines are dated.
#[derive(Clone, Debug)]
pub enum Clock {
    /// By the dates that they carry.
    Dates {
        /// For dates that name no zone of their own.
        zone: TimeZone,
        /// What a date that says less than all is completed by.
        now: Timestamp,
    },
    /// They carry none and are of this time, as those of the journal.
    Fixed(Timestamp),
}

/// A filter at work on a log.
#[derive(Debug)]
pub struct Trial {
    matcher: Matcher,
    prefilter: Prefilter,
    dates: DateReader,
    clock: Clock,
    tally: Tally,
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Lines in which a failregex found something.
    pub matched: u64,
    /// Lines that an ignoreregex matched.
    pub ignored: u64,
    /// Lines in which nothing was found.
    pub missed: u64,
    /// Lines in which no date was found; they are counted above too.
    pub undated: u64,
    /// Lines by failregex.
    pub failregex: Vec<u64>,
    /// Lines by ignoreregex.
    pub ignoreregex: Vec<u64>,
    /// Lines by what found their date.
    pub templates: Vec<u64>,
    /// Failures by whose they are.
    pub hosts: HashMap<String, u64>,
    /// The first lines that were missed, with their numbers.
    pub first_missed: Vec<(u64, String)>,
    /// Searches that were given up at the backtracking limit.
    pub limit_hits: u64,
}

/// What was found in a line.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The line's number, from 1.
    pub n: u64,
    /// Its time; none where it carries none.
    pub time: Option<Timestamp>,
    /// What failregexes found in it.
    pub hits: Vec<Hit>,
}

impl Trial {
    /// A trial that has read nothing.
    #[must_use]
    pub fn new(filter: &Arc<Filter>, search: Search, clock: Clock) -> Self {
        let zone = match &clock {
            Clock::Dates { zone, .. } => zone.clone(),
            Clock::Fixed(_) => TimeZone::UTC,
        };
        let mut matcher = Matcher::new(Arc::clone(filter), search);
        let (prefilter, needs) = Prefilter::new([&**filter]);
        needs.into_iter().for_each(|needs| matcher.need(needs));
        Self {
            matcher,
            prefilter,
            dates: DateReader::new(Arc::clone(filter.dates()), zone),
            clock,
            tally: Tally {
                failregex: vec![0; filter.failregex().len()],
                ignoreregex: vec![0; filter.ignoreregex().len()],
                templates: vec![0; filter.dates().len()],
                ..Tally::default()
            },
        }
    }

    /// Takes the next line, without its break.
    pub fn line(&mut self, line: &str) -> Answer {
        let cut = match &self.clock {
            Clock::Dates { now, .. } => {
                let cut = self.dates.cut(line, *now);
                Cut {
                    time: cut.time.or(cut.template.map(|_| *now)),
                    ..cut
                }
            }
            Clock::Fixed(now) => Cut::undated(line, *now),
        };
        let found = self.matcher.apply_where(&cut, words(&self.prefilter, &cut));
        self.tally.count(line, &cut, &found);
        self.tally.limit_hits = self.matcher.limit_hits;
        Answer {
            n: self.tally.lines,
            time: cut.time,
            hits: found.hits,
        }
    }

    /// What was found so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Tally {
    fn count(&mut self, line: &str, cut: &Cut<'_>, found: &Found) {
        self.lines += 1;
        match cut.template.and_then(|template| self.templates.get_mut(template)) {
            Some(count) => *count += 1,
            None => self.undated += u64::from(cut.time.is_none()),
        }
        for hit in &found.hits {
            self.failregex[hit.failregex] += 1;
            if let Some(identity) = hit.identity.as_ref().filter(|_| hit.is_failure()) {
                let host = identity.to_string();
                if self.hosts.len() < MAX_HOSTS || self.hosts.contains_key(&host) {
                    *self.hosts.entry(host).or_default() += 1;
                }
            }
        }
        if let Some(ignored) = found.ignored {
            self.ignoreregex[ignored] += 1;
        }
        match (found.hits.is_empty(), found.ignored) {
            (false, _) => self.matched += 1,
            (true, Some(_)) => self.ignored += 1,
            (true, None) => {
                self.missed += 1;
                if self.first_missed.len() < SHOWN {
                    self.first_missed.push((self.lines, line.to_owned()));
                }
            }
        }
    }
}
