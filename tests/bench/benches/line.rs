//! A line through the filters of the jails that read its log, up to the failures in it: by one jail, and by four.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use blocker::ban::JailId;
use blocker::config::{self, Folder};
use blocker::filter::Filter;
use blocker::filter::log::{Dated, Finding, JailFilter, LogFilters, LogLine};
use blocker::filter::matcher::{Matcher, Search};
use blocker::filter::parameters::Named;
use blocker_filter_tests::postfix_log::PostfixLog;
use criterion::{BenchmarkId, Criterion, Throughput};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const LINES: usize = 2_000;
const FILTERS: [&str; 4] = [
    "postfix[mode=aggressive]",
    "postfix[mode=auth]",
    "postfix[mode=ddos]",
    "dovecot[mode=aggressive]",
];

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let text = PostfixLog::of_the_last_hour(LINES).write(LINES);
    let mut group = criterion.benchmark_group("line to failure");
    group.throughput(Throughput::Elements(LINES as u64));
    for jails in [1, FILTERS.len()] {
        let mut filters = filters(&FILTERS[..jails])?;
        let read = |bencher: &mut criterion::Bencher<'_>| bencher.iter(|| failures(&mut filters, black_box(&text)));
        group.bench_function(BenchmarkId::new("jails", jails), read);
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

fn filters(names: &[&str]) -> Result<LogFilters> {
    let filter = |(jail, name): (JailId, &&str)| {
        let named = Named::parse(name).map_err(anyhow::Error::msg)?;
        let filter = Filter::compile_partial(config::filter(Folder::CompiledIn, &named));
        let filter = filter.ok().with_context(|| format!("{name} cannot be compiled"))?;
        Ok(JailFilter {
            jail,
            matcher: Matcher::new(Arc::new(filter), Search::First),
            zone: TimeZone::UTC,
            logs: vec![0],
        })
    };
    let filters = (0..).map(JailId).zip(names).map(filter);
    Ok(LogFilters::new(filters.collect::<Result<Vec<_>>>()?))
}

fn failures(filters: &mut LogFilters, text: &str) -> usize {
    let dated = Dated::ByText {
        now: Timestamp::now(),
        undated: None,
    };
    let mut failures = 0;
    for text in text.lines() {
        let line = LogLine {
            text,
            logs: &[0],
            dated,
        };
        filters.find(line, |finding| {
            failures += usize::from(matches!(finding, Finding::Failure(..)))
        });
    }
    failures
}
