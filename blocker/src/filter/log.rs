//! A line through the filters of all jails that read its log.
//!
//! A line's date is cut out once for all filters that look for the same dates, then each filter sees the rest. What becomes of a
//! finding, and who counts it, may not enter.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::UseDns;
use super::date::{Cut, DateReader};
use super::identity::Identity;
use super::matcher::{Hit, Matcher};
use super::prefilter::{Prefilter, Words};
use super::text::Text;
use crate::ban::{Failure, JailId};

/// Sets of literals whose filters are remembered.
const SETS: usize = 64;

/// The filters that read one log, or several together.
#[derive(Debug)]
pub struct LogFilters {
    dated_alike: Vec<SameDates>,
}

/// A jail's filter at work.
#[derive(Debug)]
pub struct JailFilter {
    /// The jail that its failures count in.
    pub jail: JailId,
    /// The filter.
    pub matcher: Matcher,
    /// For dates that name no zone of their own.
    pub zone: TimeZone,
    /// The logs that it reads of those that are read together, by their numbers.
    pub logs: Vec<usize>,
}

/// A line as it is shown to the filters.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// The line, without its line break.
    pub text: &'a str,
    /// The logs that it is in, by their numbers. At least one.
    pub logs: &'a [usize],
    /// How it is dated.
    pub dated: Dated,
}

/// How a line is dated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dated {
    /// By its text.
    ByText {
        /// Completes dates that say less than all.
        now: Timestamp,
        /// The time of a line that carries none.
        undated: Option<Timestamp>,
    },
    /// It was written then, and its text begins with no date.
    At(Timestamp),
}

/// What was found in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A failure, and the failregex that found it, by its index.
    Failure(Failure, usize),
    /// A failure of a host that the line names instead of giving its address.
    Named {
        /// The jail that it counts in.
        jail: JailId,
        /// The host's name, as it stands in the line.
        name: String,
        /// When.
        time: Timestamp,
        /// The failregex that found it, by its index.
        failregex: usize,
    },
    /// A failure of somebody who has no address that could be banned.
    Unbannable(JailId),
    /// Searches that the jail's filter gave up at the backtracking limit, so many.
    GivenUp(JailId, u64),
}

/// What came of a line, over all jails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineResult {
    /// At least one filter found a failure.
    Matched,
    /// A filter found a failure that an ignoreregex took back.
    Ignored,
    /// No filter found anything.
    Missed,
    /// It carries no date that can be read, and no filter has seen it.
    Undated,
}

/// What the filters say of a line, beside their findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineFound {
    /// What came of it.
    pub result: LineResult,
    /// The line's time: its date's, or that of the line before where it has none; none where neither is known.
    pub time: Option<Timestamp>,
}

/// Filters whose lines are dated alike.
#[derive(Debug)]
struct SameDates {
    dates: DateReader,
    zone: TimeZone,
    filters: Vec<JailFilter>,
    prefilter: Prefilter,
    concerned: Concerned,
    text: Text,
}

/// Which filters lines of these literals are for: nearly all lines of a log hold one of a few sets of them.
#[derive(Debug)]
struct Concerned([Option<(Words, Box<[usize]>)>; SETS]);

impl Default for Concerned {
    fn default() -> Self {
        Self([const { None }; SETS])
    }
}

impl Concerned {
    /// Those of the filters, by their indices, that may find anything in a line of these literals.
    fn by(&mut self, words: Words, filters: &[JailFilter]) -> &[usize] {
        let set = &mut self.0[words.place() % SETS];
        // Another set may have had this place.
        let known = set.take().filter(|(known, _)| *known == words);
        let (_, concerned) = set.insert(known.unwrap_or_else(|| {
            let all = filters.iter().enumerate();
            let concerned = all.filter(|(_, filter)| filter.matcher.may_find(words));
            (words, concerned.map(|(n, _)| n).collect())
        }));
        concerned
    }
}

impl LogFilters {
    /// Puts filters together that look for the same dates.
    #[must_use]
    pub fn new(filters: impl IntoIterator<Item = JailFilter>) -> Self {
        let mut dated_alike: Vec<SameDates> = Vec::new();
        for filter in filters {
            let patterns = filter.matcher.filter().dates();
            let zone = filter.zone.clone();
            let known = dated_alike
                .iter_mut()
                .find(|same| same.dates.patterns() == &**patterns && same.zone == zone);
            match known {
                Some(same) => same.filters.push(filter),
                None => dated_alike.push(SameDates {
                    dates: DateReader::new(Arc::clone(patterns), zone.clone()),
                    zone,
                    filters: vec![filter],
                    prefilter: Prefilter::new([]).0,
                    concerned: Concerned::default(),
                    text: Text::default(),
                }),
            }
        }
        for SameDates { filters, prefilter, .. } in &mut dated_alike {
            let (common, needs) = Prefilter::new(filters.iter().map(|filter| &**filter.matcher.filter()));
            *prefilter = common;
            for (filter, needs) in filters.iter_mut().zip(needs) {
                filter.matcher.need(needs);
            }
        }
        Self { dated_alike }
    }

    /// The time of the line that comes next, without showing it to any filter; `None` where neither it nor the line before has one.
    pub fn time(&mut self, line: &str, now: Timestamp) -> Option<Timestamp> {
        self.times(line, now).flatten().next()
    }

    /// As [`LogFilters::time`], but the latest where filters read different dates in it.
    pub fn latest_time(&mut self, line: &str, now: Timestamp) -> Option<Timestamp> {
        self.times(line, now).max().flatten()
    }

    fn times(&mut self, line: &str, now: Timestamp) -> impl Iterator<Item = Option<Timestamp>> {
        self.dated_alike
            .iter_mut()
            .map(move |same| same.dates.cut(line, now).time)
    }

    /// Applies every filter that reads one of the line's logs to it.
    pub fn find(&mut self, line: LogLine<'_>, mut each: impl FnMut(Finding)) -> LineFound {
        let (mut matched, mut ignored, mut dated) = (false, false, false);
        let mut read = None;
        for SameDates {
            dates,
            filters,
            prefilter,
            concerned,
            text,
            ..
        } in &mut self.dated_alike
        {
            if !filters.iter().any(|filter| filter.reads(line.logs)) {
                continue;
            }
            let (cut, undated) = match line.dated {
                Dated::ByText { now, undated } => (dates.cut(line.text, now), undated),
                Dated::At(time) => (Cut::undated(line.text, time), None),
            };
            read = read.or(cut.time);
            let Some(time) = cut.time.or(undated) else {
                continue;
            };
            dated = true;
            let words = words(prefilter, &cut);
            let mut is_set = false;
            for n in concerned.by(words, filters) {
                let filter = &mut filters[*n];
                if !filter.reads(line.logs) {
                    continue;
                }
                if !std::mem::replace(&mut is_set, true) {
                    text.set(&cut);
                }
                let JailFilter { jail, matcher, .. } = filter;
                let found = matcher.apply_to(text, Some(time), words);
                ignored |= found.ignored.is_some();
                for hit in found.hits.into_iter().filter(Hit::is_failure) {
                    matched = true;
                    each(finding(*jail, hit, time, matcher.filter().use_dns()));
                }
                let given_up = std::mem::take(&mut matcher.limit_hits);
                if given_up > 0 {
                    each(Finding::GivenUp(*jail, given_up));
                }
            }
        }
        let result = match (dated, matched, ignored) {
            (false, ..) => LineResult::Undated,
            (_, true, _) => LineResult::Matched,
            (_, false, true) => LineResult::Ignored,
            (_, false, false) => LineResult::Missed,
        };
        LineFound { result, time: read }
    }
}

/// The literals that a line holds without its date.
pub(super) fn words(prefilter: &Prefilter, cut: &Cut<'_>) -> Words {
    // The two parts are searched as one text, which may hold what neither does; and so may a break that is written as one.
    if cut.before.is_empty() && !cut.after.contains('\n') {
        prefilter.words(cut.after)
    } else {
        Words::ANY
    }
}

impl JailFilter {
    fn reads(&self, logs: &[usize]) -> bool {
        logs.iter().any(|log| self.logs.contains(log))
    }
}

fn finding(jail: JailId, hit: Hit, time: Timestamp, use_dns: UseDns) -> Finding {
    let failregex = hit.failregex;
    let failure = |address, identity| {
        let failure = Failure {
            jail,
            address,
            identity,
            time,
            again: false,
            read: None,
            evidence: None,
        };
        Finding::Failure(failure, failregex)
    };
    match (hit.identity, hit.address) {
        (identity, Some(address)) => failure(address, identity.map(|identity| identity.to_string().into())),
        (Some(Identity::Address(address)), None) => failure(address, None),
        (Some(Identity::Name(name)), None) if use_dns != UseDns::Raw => Finding::Named {
            jail,
            name,
            time,
            failregex,
        },
        _ => Finding::Unbannable(jail),
    }
}
