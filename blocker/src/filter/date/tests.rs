use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-08-26T12:00:00Z";

fn reader(patterns: &[&str]) -> DateReader {
    let patterns = DatePatterns::compile(patterns.iter().copied()).unwrap();
    DateReader::new(Arc::new(patterns), TimeZone::get("Europe/Berlin").unwrap())
}

fn cut(patterns: &[&str], line: &str, now: &str) -> Option<(String, String)> {
    let mut reader = reader(patterns);
    let cut = reader.cut(line, now.parse().unwrap());
    cut.template?;
    Some((
        cut.time.unwrap_or(now.parse().unwrap()).to_string(),
        format!("{}{}", cut.before, cut.after),
    ))
}

fn time(line: &str, now: &str) -> String {
    cut(&[], line, now).unwrap().0
}

/// The time that a pattern reads in a line.
fn read(pattern: &str, line: &str) -> Option<String> {
    cut(&[pattern], line, NOW).map(|(time, _)| time)
}

#[test]
fn reads_rsyslogs_default() {
    let (time, text) = cut(&[], "2024-08-26T01:33:38.572449+02:00 relay postfix/smtpd[12]: x", NOW).unwrap();
    assert_eq!(time, "2024-08-25T23:33:38Z");
    assert_eq!(text, " relay postfix/smtpd[12]: x");
}

#[test]
fn reads_the_older_form_in_the_logs_zone() {
    let (read, text) = cut(&[], "Aug 26 01:33:38 relay postfix/smtpd[12]: x", NOW).unwrap();
    assert_eq!(read, "2026-08-25T23:33:38Z");
    assert_eq!(text, " relay postfix/smtpd[12]: x");
    assert_eq!(time("Aug  6 01:33:38 x", NOW), "2026-08-05T23:33:38Z");
}

#[test]
fn reads_dates_as_programs_write_them() {
    for (line, expected) in [
        ("2005/01/23 21:59:59 x", "2005-01-23T20:59:59Z"),
        ("2005.01.23 21:59:59 x", "2005-01-23T20:59:59Z"),
        ("Sun Jan 23 21:59:59.011 2005 x", "2005-01-23T20:59:59Z"),
        ("Sun Jan 23 2005 21:59:59 x", "2005-01-23T20:59:59Z"),
        ("23/01/2005 21:59:59 x", "2005-01-23T20:59:59Z"),
        ("23-01-05 21:59:59 x", "2005-01-23T20:59:59Z"),
        (
            "192.0.2.4 - - [23/Jan/2005:21:59:59 +0100] \"GET\"",
            "2005-01-23T20:59:59Z",
        ),
        ("26-Jul-2007 15:20:52.252 x", "2007-07-26T13:20:52Z"),
        ("05/20/2008:01:57:39 x", "2008-05-19T23:57:39Z"),
        ("01-27-2012 16:22:44.252 x", "2012-01-27T15:22:44Z"),
        ("1106513999.5 x", "2005-01-23T20:59:59Z"),
        ("[1106513999] x", "2005-01-23T20:59:59Z"),
        ("type=USER msg=audit(1106513999.000:12): x", "2005-01-23T20:59:59Z"),
        ("<01/23/05@21:59:59> x", "2005-01-23T20:59:59Z"),
        ("050123 21:59:59 x", "2005-01-23T20:59:59Z"),
        ("Jan 23, 2005 9:59:59 PM x", "2005-01-23T20:59:59Z"),
        ("Jan-23-05 21:59:59 x", "2005-01-23T20:59:59Z"),
        ("20050123T215959 x", "2005-01-23T20:59:59Z"),
        ("CET Jan 23 21:59:59 2005 x", "2005-01-23T20:59:59Z"),
        ("+01:00 Jan 23 21:59:59.011 2005 x", "2005-01-23T20:59:59Z"),
        ("@4000000041f4104f2f6b0dc4 x", "2005-01-23T20:59:59Z"),
        ("13:00:00 x", "2026-08-26T11:00:00Z"),
        ("23:00:00 x", "2026-08-25T21:00:00Z"),
    ] {
        let read = cut(&[], line, NOW).map(|(time, _)| time.replace(".5Z", "Z"));
        assert_eq!(read.as_deref(), Some(expected), "{line}");
    }
}

#[test]
fn decembers_line_read_in_january_is_last_years() {
    let read = time("Dec 31 23:59:59 x", "2026-01-01T00:00:05Z");
    assert_eq!(read, "2025-12-31T22:59:59Z");
}

#[test]
fn a_date_less_than_a_day_ahead_is_this_years() {
    assert_eq!(time("Aug 27 10:00:00 x", NOW), "2026-08-27T08:00:00Z");
    assert_eq!(time("Aug 28 10:00:00 x", NOW), "2025-08-28T08:00:00Z");
}

#[test]
fn a_leap_day_is_looked_for_in_the_year_before() {
    let read = time("Feb 29 10:00:00 x", "2025-01-10T00:00:00Z");
    assert_eq!(read, "2024-02-29T09:00:00Z");
}

#[test]
fn a_line_without_a_date_has_none() {
    for line in [
        "",
        "x",
        "postfix/smtpd[12]: reject",
        "Aug 99 01:33:38 x",
        "2024-99-26T01:33:38Z x",
        "0000-12-30 00:00:00 x",
        "Äug 26",
    ] {
        assert_eq!(cut(&["{^LN-BEG}"], line, NOW), None, "{line:?}");
    }
}

#[test]
fn a_line_without_a_date_goes_with_the_one_before_it() {
    let mut reader = reader(&["{^LN-BEG}"]);
    let now: Timestamp = NOW.parse().unwrap();
    assert_eq!(reader.cut("x", now).time, None);
    let dated = reader.cut("2026-08-26T11:59:30Z x", now).time;
    assert_eq!(reader.cut("x", now).time, dated);
    assert_eq!(
        reader.cut("x", now + SignedDuration::from_secs(31)).time,
        None,
        "too long ago"
    );
}

#[test]
fn a_date_that_is_only_partly_cut_out_is_read_anew_for_every_line() {
    let now = NOW.parse().unwrap();
    for (pattern, lines) in [
        (
            r"^(\S+) %Y-%m-%d %H:%M:%S",
            ["h1 2005-08-14 10:00:00 x", "h1 2005-08-14 11:00:00 x"],
        ),
        (
            r"^(%Y-%m-%d %I:%M:%S) %p",
            ["2005-08-14 10:00:00 AM x", "2005-08-14 10:00:00 PM x"],
        ),
        (
            r"^(%Y-%m-%d %H:%M:%S)(?= %z)",
            ["2005-08-14 10:00:00 +0000 x", "2005-08-14 10:00:00 +0200 x"],
        ),
    ] {
        let mut reader = reader(&[pattern]);
        let times = lines.map(|line| reader.cut(line, now).time.unwrap());
        assert_ne!(times[0], times[1], "{pattern}");
    }
}

#[test]
fn a_date_that_takes_its_year_or_day_from_the_clock_is_read_anew_for_every_line() {
    let nows: [Timestamp; 2] = ["2025-08-26T12:00:00Z", "2026-08-27T12:00:00Z"].map(|now| now.parse().unwrap());
    for (pattern, line, is_absolute) in [
        ("(?:%Y )?%b %d %H:%M:%S", "Aug 14 10:00:00 x", false),
        ("(?:%Y )?%b %d %H:%M:%S", "2005 Aug 14 10:00:00 x", true),
        ("(?:%Y )*%b %d %H:%M:%S", "Aug 14 10:00:00 x", false),
        ("(?:%Y ){0,1}%b %d %H:%M:%S", "Aug 14 10:00:00 x", false),
        ("(?:%Y|-+) %b %d %H:%M:%S", "---- Aug 14 10:00:00 x", false),
        ("(?:%Y|-+) %b %d %H:%M:%S", "2005 Aug 14 10:00:00 x", true),
        ("%Y(?:-%m-%d)? %H:%M:%S", "2005 10:00:00 x", false),
        ("%Y(?:-%j)?? %H:%M:%S", "2005-100 10:00:00 x", true),
        ("", "Aug 14 10:00:00 x", false),
        ("", "10:00:00 x", false),
        ("", "Aug 14 10:00:00 2005 x", true),
    ] {
        let mut reader = reader(if pattern.is_empty() {
            &[]
        } else {
            std::slice::from_ref(&pattern)
        });
        let times = nows.map(|now| reader.cut(line, now).time.unwrap());
        assert_eq!(times[0] == times[1], is_absolute, "{pattern}: {line}");
    }
}

#[test]
fn a_day_that_there_is_not_makes_a_line_without_a_date() {
    let mut reader = reader(&["{^LN-BEG}"]);
    let now: Timestamp = NOW.parse().unwrap();
    let cut = reader.cut("2026-02-30 11:59:51 x", now);
    assert_eq!((cut.time, cut.after), (None, " x"));
    let dated = reader.cut("2026-08-26T11:59:30Z x", now).time;
    let cut = reader.cut("2026-02-30 11:59:51 x", now);
    assert_eq!((cut.time, cut.after), (dated, "2026-02-30 11:59:51 x"));
}

#[test]
fn a_date_in_an_attackers_words_is_not_looked_for_at_the_lines_beginning() {
    assert_eq!(read("{^LN-BEG}", "relay postfix: helo=<2024-08-26T01:33:38Z>"), None);
    assert!(read("{DEFAULT}", "relay postfix: helo=<2024-08-26T01:33:38Z>").is_some());
}

#[test]
fn of_several_dates_the_first_counts() {
    let line = "x 2024-08-26 01:33:38 y Aug 25 01:33:38 z";
    assert_eq!(read("{DEFAULT}", line).unwrap(), "2024-08-25T23:33:38Z");
    let line = "x Aug 25 01:33:38 y 2024-08-26 01:33:38 z";
    assert_eq!(read("{DEFAULT}", line).unwrap(), "2026-08-24T23:33:38Z");
}

#[test]
fn patterns_take_fields_markers_and_groups() {
    for (pattern, line, expected) in [
        ("^%Y-%m-%d %H:%M:%S", "2024-08-26 01:33:38 x", "2024-08-25T23:33:38Z"),
        (
            "^[^\\[]*\\[({DATE})",
            "192.0.2.4 - [26/Aug/2024:01:33:38 +0000] x",
            "2024-08-26T01:33:38Z",
        ),
        ("{DATE}", "1724636018 x", "2024-08-26T01:33:38Z"),
        ("%Y %H:%M:%S", "2024 01:33:38", "2024-08-25T23:33:38Z"),
        ("{^LN-BEG}Epoch", "1724636018 x", "2024-08-26T01:33:38Z"),
        ("LEPOCH", "1724636018123 x", "2024-08-26T01:33:38.123Z"),
        ("LEPOCH", "1724636018123456 x", "2024-08-26T01:33:38.123456Z"),
        ("^t={EPOCH} ", "t=1724636018 x", "2024-08-26T01:33:38Z"),
        ("TAI64N", "@4000000066cbdb722f6b0dc4 x", "2024-08-26T01:33:38Z"),
        ("%d%b%y %l:%M%p", "26Aug24 1:33PM x", "2024-08-26T11:33:00Z"),
        ("%Y-%j %H", "2024-239 01 x", "2024-08-25T23:00:00Z"),
        ("%Y week %W %a %H", "2024 week 35 Mon 01 x", "2024-08-25T23:00:00Z"),
        ("%c", "Mon Aug 26 01:33:38 2024 x", "2024-08-25T23:33:38Z"),
        ("{UNB}%Y%m%d%H%M%S", "x20240826013338y", "2024-08-25T23:33:38Z"),
        ("**%H:%M:%S**", "x11:33:38y", "2026-08-26T09:33:38Z"),
        (
            "%Y-%m-%d %H:%M:%S %Exz",
            "2024-08-26 01:33:38 PST",
            "2024-08-26T09:33:38Z",
        ),
        (
            "%Y-%m-%d %H:%M:%S %Exz",
            "2024-08-26 01:33:38 UTC-0330",
            "2024-08-26T05:03:38Z",
        ),
    ] {
        assert_eq!(read(pattern, line).as_deref(), Some(expected), "{pattern}");
    }
}

#[test]
fn whole_words_only_unless_the_pattern_says_otherwise() {
    assert_eq!(read("%Y%m%d%H%M%S", "x20240826013338y"), None);
    assert_eq!(read("%H:%M:%S", "911:33:38"), None);
    assert_eq!(read("%H:%M:%S", "=11:33:38,").as_deref(), Some("2026-08-26T09:33:38Z"));
}

#[test]
fn a_pattern_may_say_that_there_is_no_date() {
    let cut = |pattern: &str| cut(&[pattern], "WARNING: x", NOW);
    assert_eq!(cut("{NONE}"), Some((NOW.to_owned(), "WARNING: x".to_owned())));
    assert_eq!(cut("^WARNING:()**"), Some((NOW.to_owned(), "WARNING: x".to_owned())));
}

#[test]
fn numbers_of_a_patterns_own_groups_are_taken_for_what_they_are() {
    for (pattern, line) in [
        (r"(?P<U>\d+) %w", "32767 6"),
        (r"%U (?P<w>\d+)", "5 32767"),
        (r"(?P<j>-\d+)", "-32768"),
        (r"(?P<Y>-?\d+) (?P<m>\d+) (?P<d>-\d+)", "-32768 32767 -32768"),
        (r"(?P<y>-\d+) %j", "-32768 1"),
    ] {
        let mut reader = reader(&[pattern]);
        reader.cut(line, NOW.parse().unwrap());
    }
}

#[test]
fn a_bad_pattern_is_named_with_its_index() {
    let patterns = ["%Y", "%Q", "{^LN-BEG}(%H", "{DATUM} x", "%Exf"];
    let errors = DatePatterns::compile(patterns).unwrap_err();
    let at: Vec<usize> = errors.iter().map(|(n, _)| *n).collect();
    assert_eq!(at, [1, 2, 3, 4], "{errors:?}");
    assert!(
        errors[0].1.what.contains("%Q") && errors[3].1.what.contains("%Exf"),
        "{errors:?}"
    );
}

#[test]
fn zones_have_many_names() {
    for (text, offset) in [
        ("UTC+0200", 7200),
        ("CEST", 7200),
        ("-03:30", -12600),
        ("Europe/Berlin", 7200),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 7200),
    ] {
        let zone = parse_zone(text).unwrap();
        let offset_there = zone.to_offset(NOW.parse().unwrap()).seconds();
        assert_eq!(offset_there, offset, "{text}");
    }
    assert!(parse_zone("Mars").is_err());
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(line in "\\PC*") {
        let _ = cut(&[], &line, NOW);
    }

    #[test]
    fn no_pattern_makes_it_panic(pattern in r"(%[a-zA-Z%]|Ex|[(){}^$*\[\]|?]|\{DATE\}|\{UNB\}|\{EPOCH\}|\PC){0,12}") {
        if let Ok(patterns) = DatePatterns::compile([pattern.as_str()]) {
            let mut reader = DateReader::new(Arc::new(patterns), TimeZone::UTC);
            reader.cut("Aug 26 01:33:38 2024 x 1724636018", NOW.parse().unwrap());
        }
    }

    #[test]
    fn nothing_after_the_date_is_lost(text in " \\PC*") {
        let (_, rest) = cut(&["{^LN-BEG}"], &format!("Aug 26 01:33:38{text}"), NOW).unwrap();
        // A year may be part of the date.
        prop_assert!(text.ends_with(&rest));
    }
}

/// Dates as programs write them, with `@` where a second stands and `#` where its fraction does, and what may follow.
const WRITTEN: [&str; 12] = [
    "Aug 26 01:33:@ relay postfix",
    "Aug 26 01:33:@.# relay postfix",
    "Aug 26 01:33:@ 2025 postfix",
    "Aug 26 01:33:@ 20",
    "Wed Aug 26 01:33:@",
    "2026-08-26T01:33:@.#+02:00 relay x",
    "2026-08-26 01:33:@,# +0200 x",
    "2026-08-26 01:33:@Z",
    "[2026/08/26 01:33:@] x",
    "26/Aug/2026:01:33:@ +0200 x",
    "Aug 28 11:59:@ relay a day ahead, or not",
    "01:33:@ x",
];

proptest! {
    /// Whatever came before, a line's date is read as by a reader that has read nothing yet.
    #[test]
    fn a_date_that_is_read_by_the_one_before_is_the_same(
        lines in prop::collection::vec((0..WRITTEN.len(), 0..70_u32, 0..2_000_u32, 0..3_i64, 0..3_usize), 1..40),
    ) {
        let mut reader = reader(&[]);
        let begin: Timestamp = "2026-08-27T11:59:30Z".parse().unwrap();
        for (shape, second, fraction, later, end) in lines {
            let now = begin + SignedDuration::from_millis(later * 29_700);
            let line = WRITTEN[shape].replace('@', &format!("{second:02}")).replace('#', &fraction.to_string());
            let line = line + ["", " y", "."][end];
            let (known, alone) = (reader.cut(&line, now), self::reader(&[]).cut(&line, now));
            // A line without a date has the time of the one before.
            if alone.template.is_some() {
                prop_assert_eq!(known, alone, "{}", line);
            }
        }
    }
}

#[test]
fn a_clock_without_a_day_is_yesterdays_from_the_second_on_that_has_not_come() {
    let now: Timestamp = "2026-08-26T12:00:30Z".parse().unwrap();
    let mut reader = reader(&[]);
    for (line, expected) in [
        ("14:00:20 relay x", "2026-08-26T12:00:20Z"),
        ("14:00:40 relay x", "2026-08-25T12:00:40Z"),
        ("14:00:21 relay x", "2026-08-26T12:00:21Z"),
    ] {
        assert_eq!(reader.cut(line, now).time.unwrap().to_string(), expected, "{line}");
    }
}
