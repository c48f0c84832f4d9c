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
use crate::ban::{Failure, JailId};

/// The filters that read one log.
#[derive(Debug)]
pub struct LogFilters {
    dated_alike: Vec<SameDates>,
}

/// A jail's filter at work on one log.
#[derive(Debug)]
pub struct JailFilter {
    /// The jail that its failures count in.
    pub jail: JailId,
    /// The filter.
    pub matcher: Matcher,
    /// For dates that name no zone of their own.
    pub zone: TimeZone,
}

/// What was found in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A failure.
    Failure(Failure),
    /// A failure of a host that the line names instead of giving its address.
    Named {
        /// The jail that it counts in.
        jail: JailId,
        /// The host's name, as it stands in the line.
        name: String,
        /// When.
        time: Timestamp,
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
                }),
            }
        }
        Self { dated_alike }
    }

    /// The time of the line that comes next, without showing it to any filter; `None` where neither it nor the line before has one.
    pub fn time(&mut self, line: &str, now: Timestamp) -> Option<Timestamp> {
        self.dated_alike
            .iter_mut()
            .find_map(|same| same.dates.cut(line, now).time)
    }

    /// Applies every filter to a line. Dates that say less than all are completed by `now`; `undated` is the time of a line that carries
    /// none.
    pub fn find(
        &mut self,
        line: &str,
        now: Timestamp,
        undated: Option<Timestamp>,
        mut each: impl FnMut(Finding),
    ) -> LineFound {
        let (mut matched, mut ignored, mut dated) = (false, false, false);
        let mut read = None;
        for SameDates { dates, filters, .. } in &mut self.dated_alike {
            let cut = dates.cut(line, now);
            read = read.or(cut.time);
            let Some(time) = cut.time.or(undated) else {
                continue;
            };
            dated = true;
            for JailFilter { jail, matcher, .. } in filters {
                let cut = Cut {
                    time: Some(time),
                    ..cut
                };
                let found = matcher.apply(&cut);
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

fn finding(jail: JailId, hit: Hit, time: Timestamp, use_dns: UseDns) -> Finding {
    let failure = |address, identity| {
        Finding::Failure(Failure {
            jail,
            address,
            identity,
            time,
        })
    };
    match (hit.identity, hit.address) {
        (identity, Some(address)) => failure(address, identity.map(|identity| identity.to_string().into())),
        (Some(Identity::Address(address)), None) => failure(address, None),
        (Some(Identity::Name(name)), None) if use_dns != UseDns::Raw => Finding::Named { jail, name, time },
        _ => Finding::Unbannable(jail),
    }
}
