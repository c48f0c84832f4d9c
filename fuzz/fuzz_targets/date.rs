//! Dates: the first line of the input is a date pattern, the others are a log.
//!
//! Whatever is taken for a date, the rest of the line must stay as it was: a filter reads it. The same lines go through the
//! default templates too.
#![no_main]

use std::sync::{Arc, LazyLock};

use blocker::filter::date::{Cut, DatePatterns, DateReader};
use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use libfuzzer_sys::{Corpus, fuzz_target};

const MAX_PATTERN: usize = 256;
const MAX_LINES: usize = 20;

static DEFAULTS: LazyLock<Arc<DatePatterns>> = LazyLock::new(|| {
    let defaults = DatePatterns::compile([]);
    Arc::new(defaults.expect("the default templates compile"))
});

/// Clocks and zones that calendars are bad at: a leap day, the ends of time, a zone that is a day ahead, a night without an hour.
static CLOCKS: LazyLock<[(Timestamp, TimeZone); 4]> = LazyLock::new(|| {
    let at = |text: &str| text.parse().expect("it is a time");
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("it is a zone");
    [
        (at("2024-02-29T23:59:59Z"), TimeZone::UTC),
        (at("2026-03-29T01:30:00Z"), berlin),
        (Timestamp::MAX, TimeZone::fixed(offset(14))),
        (Timestamp::MIN, TimeZone::fixed(offset(-12))),
    ]
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let text = String::from_utf8_lossy(data);
    let (pattern, log) = text.split_once('\n').unwrap_or((&text, ""));
    if pattern.len() > MAX_PATTERN {
        return Corpus::Reject;
    }
    if let Ok(own) = DatePatterns::compile([pattern]) {
        read(&Arc::new(own), log);
    }
    read(&DEFAULTS, log);
    Corpus::Keep
});

fn read(patterns: &Arc<DatePatterns>, log: &str) {
    for (now, zone) in CLOCKS.iter() {
        let mut reader = DateReader::new(Arc::clone(patterns), zone.clone());
        for line in log.split('\n').take(MAX_LINES) {
            let cut = reader.cut(line, *now);
            check(line, &cut, patterns);
            again(line, &cut, patterns, *now, zone);
        }
    }
}

/// Nothing but one piece is missing.
fn check(line: &str, cut: &Cut<'_>, patterns: &DatePatterns) {
    assert!(line.starts_with(cut.before), "`{}` does not begin the line", cut.before);
    assert!(line.ends_with(cut.after), "`{}` does not end the line", cut.after);
    assert!(
        cut.before.len() + cut.after.len() <= line.len(),
        "parts of the line are doubled"
    );
    assert!(cut.template.is_none_or(|template| template < patterns.len()));
}

/// What a reader remembers of the lines before saves it work and does not change what a date means.
fn again(line: &str, cut: &Cut<'_>, patterns: &Arc<DatePatterns>, now: Timestamp, zone: &TimeZone) {
    let whole = cut.before.len() + cut.after.len() == line.len();
    let fresh = DateReader::new(Arc::clone(patterns), zone.clone()).cut(line, now);
    if !whole && cut.template.is_some() && cut.template == fresh.template {
        assert_eq!(*cut, fresh, "what came before changes the date");
    }
}
