//! The date of a line, in the ways in which a mail log writes it: the same second again, one that goes on, and one that names no year.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use blocker::filter::date::{DatePatterns, DateReader};
use criterion::{Criterion, Throughput};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const LINES: usize = 1_000;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let begin: Timestamp = "2026-11-24T05:02:52.655584Z".parse()?;
    let now = begin + SignedDuration::from_hours(1);
    let mut group = criterion.benchmark_group("date");
    group.throughput(Throughput::Elements(LINES as u64));
    for (name, step, format) in [
        ("the same again", SignedDuration::ZERO, "%Y-%m-%dT%H:%M:%S.%6f+00:00"),
        (
            "with microseconds",
            SignedDuration::from_millis(18),
            "%Y-%m-%dT%H:%M:%S.%6f+00:00",
        ),
        ("without a year", SignedDuration::from_millis(18), "%b %e %H:%M:%S"),
    ] {
        let line = |n: i32| {
            format!(
                "{} relay postfix/smtpd[6908]: connect from unknown[192.0.2.7]",
                (begin + step * n).strftime(format)
            )
        };
        let lines: Vec<String> = (0..LINES as i32).map(line).collect();
        let patterns = DatePatterns::compile([]).map_err(|errors| anyhow!("{errors:?}"))?;
        let mut dates = DateReader::new(Arc::new(patterns), TimeZone::UTC);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for line in &lines {
                    black_box(dates.cut(black_box(line), now).time);
                }
            });
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
