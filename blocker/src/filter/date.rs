//! Cuts the date out of a line.
//!
//! Two forms are read: RFC 3339, as rsyslog writes it by default (`2024-08-26T01:33:38.572449+00:00`), and the older one of
//! RFC 3164 (`Aug 26 01:33:38`), which has neither year nor zone.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Length of `Aug 26 01:33:38`.
const RFC_3164_LEN: usize = 15;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads the dates of lines that were written in one time zone.
#[derive(Clone, Debug)]
pub struct DateReader {
    zone: TimeZone,
}

/// A line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated<'a> {
    /// The time it carries.
    pub time: Timestamp,
    /// What follows the date.
    pub text: &'a str,
}

impl DateReader {
    /// For dates that name no zone of their own, `zone` holds.
    #[must_use]
    pub const fn new(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// Takes the date off the front of a line, or gives `None` where there is none.
    ///
    /// A date without a year is one of the year of `now`, or of the year before where that would lie more than a day ahead.
    #[must_use]
    pub fn cut<'a>(&self, line: &'a str, now: Timestamp) -> Option<Dated<'a>> {
        if line.as_bytes().first()?.is_ascii_digit() {
            rfc_3339(line)
        } else {
            self.rfc_3164(line, now)
        }
    }

    fn rfc_3164<'a>(&self, line: &'a str, now: Timestamp) -> Option<Dated<'a>> {
        let (date, text) = line.split_at_checked(RFC_3164_LEN)?;
        let month = MONTHS.iter().position(|name| date.starts_with(name))?;
        let number = |from, to| date.get(from..to)?.trim_start().parse::<i8>().ok();
        let (day, time) = (
            number(4, 6)?,
            Time::new(number(7, 9)?, number(10, 12)?, number(13, 15)?, 0).ok()?,
        );
        let month = i8::try_from(month).ok()? + 1;

        let this_year = self.zone.to_datetime(now).year();
        let tomorrow = now.checked_add(SignedDuration::from_hours(24)).ok()?;
        [this_year, this_year - 1].into_iter().find_map(|year| {
            let date = Date::new(year, month, day).ok()?.to_datetime(time);
            let time = self.zone.to_timestamp(date).ok()?;
            (time <= tomorrow).then_some(Dated { time, text })
        })
    }
}

fn rfc_3339(line: &str) -> Option<Dated<'_>> {
    let (date, _) = line.split_once([' ', '\t'])?;
    let time = date.parse().ok()?;
    Some(Dated {
        time,
        text: &line[date.len()..],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(line: &str, now: &str) -> Option<(String, String)> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let dated = DateReader::new(zone).cut(line, now.parse().unwrap())?;
        Some((dated.time.to_string(), dated.text.to_owned()))
    }

    fn time(line: &str, now: &str) -> String {
        cut(line, now).unwrap().0
    }

    const NOW: &str = "2026-08-26T12:00:00Z";

    #[test]
    fn reads_rsyslogs_default() {
        let (time, text) = cut("2024-08-26T01:33:38.572449+02:00 relay postfix/smtpd[12]: x", NOW).unwrap();
        assert_eq!(time, "2024-08-25T23:33:38.572449Z");
        assert_eq!(text, " relay postfix/smtpd[12]: x");
    }

    #[test]
    fn reads_the_older_form_in_the_logs_zone() {
        let (read, text) = cut("Aug 26 01:33:38 relay postfix/smtpd[12]: x", NOW).unwrap();
        assert_eq!(read, "2026-08-25T23:33:38Z");
        assert_eq!(text, " relay postfix/smtpd[12]: x");
        assert_eq!(time("Aug  6 01:33:38 x", NOW), "2026-08-05T23:33:38Z");
    }

    #[test]
    fn decembers_line_read_in_january_is_last_years() {
        assert_eq!(
            time("Dec 31 23:59:59 x", "2026-01-01T00:00:05Z"),
            "2025-12-31T22:59:59Z"
        );
    }

    #[test]
    fn a_date_less_than_a_day_ahead_is_this_years() {
        assert_eq!(time("Aug 27 10:00:00 x", NOW), "2026-08-27T08:00:00Z");
        assert_eq!(time("Aug 28 10:00:00 x", NOW), "2025-08-28T08:00:00Z");
    }

    #[test]
    fn a_leap_day_is_looked_for_in_the_year_before() {
        assert_eq!(
            time("Feb 29 10:00:00 x", "2025-01-10T00:00:00Z"),
            "2024-02-29T09:00:00Z"
        );
    }

    #[test]
    fn a_line_without_a_date_has_none() {
        for line in [
            "",
            "x",
            "postfix/smtpd[12]: reject",
            "Aug 99 01:33:38 x",
            "2024-99-26T01:33:38Z x",
            "Äug 26 01:33:38",
        ] {
            assert_eq!(cut(line, NOW), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC*") {
            let _ = cut(&line, NOW);
        }

        #[test]
        fn nothing_after_the_date_is_lost(text in " \\PC*") {
            let (_, rest) = cut(&format!("Aug 26 01:33:38{text}"), NOW).unwrap();
            prop_assert_eq!(rest, text);
        }
    }
}
