//! From a date's fields to its time.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::field::{DAY_NAMES, DAYS, MONTH_NAMES, MONTHS};
use super::zone;

/// A date without a year may lie this far ahead: clocks and zones differ.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// The texts of a date's fields, by their names.
pub(super) type Fields<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// The time that fields say; fractions of a second are left out, as fail2ban does.
///
/// What they do not say is taken from `now`: a date without a year is this year's, or the last one's where that would lie more than a
/// day ahead; a clock time without a date is today's, or yesterday's where that would lie ahead.
pub(super) fn of(fields: Fields<'_>, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let own = match fields("z").or_else(|| fields("Z")) {
        Some(name) => Some(zone::fixed(name)?),
        None => None,
    };
    let zone = own.as_ref().unwrap_or(zone);
    let today = zone.to_datetime(now);
    let time = clock(fields)?;

    let (month, day) = (month(fields), number(fields, "d"));
    let year = year(fields);
    if year.is_some_and(|year| year < 1) {
        // Neither ISO 8601's year 0 nor what lies before is any log's.
        return None;
    }

    let date = |year: i16| match (month, day) {
        (Some(month), Some(day)) => Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok(),
        _ => in_year(fields, year),
    };
    let at = |date: Date| zone.to_timestamp(DateTime::from_parts(date, time)).ok();
    if !names_day(fields) {
        if let Some(year) = year {
            return at(Date::new(year, today.month(), today.day()).ok()?);
        }
        let time = at(today.date())?;
        return if time > now {
            at(today.date().yesterday().ok()?)
        } else {
            Some(time)
        };
    }
    if let Some(year) = year {
        return at(date(year)?);
    }
    let latest = now.checked_add(AHEAD).ok()?;
    let years = [today.year(), today.year() - 1];
    let mut times = years.into_iter().filter_map(|year| at(date(year)?));
    times.find(|time| *time <= latest)
}

/// Whether fields say the year and the day, so that `now` has no part in their time.
pub(super) fn is_absolute(fields: Fields<'_>) -> bool {
    year(fields).is_some() && names_day(fields)
}

fn year(fields: Fields<'_>) -> Option<i16> {
    let century = |year| if year <= 2000 { year + 2000 } else { year };
    number(fields, "Y").or_else(|| number(fields, "y").map(century))
}

fn month(fields: Fields<'_>) -> Option<i16> {
    number(fields, "m")
        .or_else(|| position(&MONTHS, fields("b")?))
        .or_else(|| position(&MONTH_NAMES, fields("B")?))
}

fn names_day(fields: Fields<'_>) -> bool {
    month(fields).is_some() || number(fields, "d").is_some() || in_year(fields, 2000).is_some()
}

/// The number that a field says. A pattern may have groups of its own under the fields' names, so it is whatever the line says.
fn number(fields: Fields<'_>, name: &str) -> Option<i16> {
    fields(name)?.trim().parse().ok()
}

/// The day that the day's number in the year says, or the week's number with the day of the week.
fn in_year(fields: Fields<'_>, year: i16) -> Option<Date> {
    let number = |name: &str| number(fields, name).map(i64::from);
    let first = Date::new(year, 1, 1).ok()?;
    if let Some(day) = number("j") {
        return first.checked_add((day - 1).days()).ok();
    }
    let weekday = position(&DAYS, fields("a").unwrap_or_default())
        .or_else(|| position(&DAY_NAMES, fields("A").unwrap_or_default()))
        .map(|day| i64::from(day) - 1)
        .or_else(|| number("w").map(|day| (day + 6).rem_euclid(7)))?;
    // Weeks begin on Sunday for `%U`, on Monday for `%W`; week 0 is what lies before the first of them.
    let (week, begin) = number("U")
        .map(|week| (week, 6))
        .or_else(|| number("W").map(|week| (week, 0)))?;
    let first_day = i64::from(first.weekday().to_monday_zero_offset());
    let first_week = (begin - first_day).rem_euclid(7);
    let days = first_week + (week - 1) * 7 + (weekday - begin).rem_euclid(7);
    first.checked_add(days.days()).ok()
}

fn clock(fields: Fields<'_>) -> Option<Time> {
    let number = |name: &str| fields(name).map_or(Some(0), |text| text.trim().parse::<i8>().ok());
    let mut hour = number("H")?;
    if fields("I").is_some() {
        let afternoon = fields("p").is_some_and(|half| half.eq_ignore_ascii_case("pm"));
        hour = number("I")? % 12 + if afternoon { 12 } else { 0 };
    }
    // A leap second is the last second of its minute here.
    Time::new(hour, number("M")?, number("S")?.min(59), 0).ok()
}

/// The place of a name among names, from 1.
fn position(names: &[&str], name: &str) -> Option<i16> {
    let at = names.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    i16::try_from(at + 1).ok()
}

/// Seconds since 1970 with a fraction.
pub(super) fn of_epoch(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds: i32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
}

/// Seconds, milliseconds or microseconds since 1970, by the number of digits.
pub(super) fn of_long_epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = match whole.len() {
        0..=12 => whole.len(),
        // Milliseconds have three digits behind the seconds, microseconds six.
        13..=15 => whole.len() - 3,
        _ => whole.len() - 6,
    };
    let (seconds, behind) = whole.split_at_checked(digits)?;
    of_epoch(&format!("{seconds}.{behind}{fraction}"))
}

/// A label of TAI64N. As in fail2ban, the ten seconds by which TAI began ahead of UTC, and leap seconds since, are not taken off.
pub(super) fn of_tai64n(label: &str) -> Option<Timestamp> {
    let seconds = i64::from_str_radix(label.get(2..17)?, 16).ok()?;
    Timestamp::from_second(seconds).ok()
}
