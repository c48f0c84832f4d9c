//! The templates that are tried where a filter names no date pattern: how programs write dates into logs.
//!
//! What the first of them reads is what an ambiguous date means, so their order is part of what filters rely on: it is the one in which
//! fail2ban tries them. Where a date may have several separators, there is a template for each, so that no back reference is needed.

use std::sync::{Arc, LazyLock};

use super::template::{self, Template};

/// The beginning of a line, behind at most two signs such as a bracket.
pub(super) const LINE_BEGIN: &str = "{^LN-BEG}";

const CLOCK: &str = "%H:%M:%S";
/// A clock whose hour may have a blank before it, as `ctime(3)` pads a day.
const PADDED_CLOCK: &str = "%k:%M:%S";
/// The year of a log that is read today.
const YEAR: &str = "%ExY";
/// Its last two digits.
const SHORT_YEAR: &str = "%Exy";
/// ISO 8601 allows either sign before the fraction of a second.
const FRACTION: &str = r"(?:[.,]%f)?";
const POINT_FRACTION: &str = r"(?:\.%f)?";
const ZONE: &str = " *%z";
const BLANKS: &str = "[ ]{1,2}";
/// What stands between an ISO 8601 date and its time; RFC 3339 allows a blank for it.
const TIME_FOLLOWS: &str = "(?:T|[ ]{1,2})";

/// The patterns, put together once.
static PATTERNS: LazyLock<Vec<String>> = LazyLock::new(shapes);

/// All templates, each compiled at most once: most filters share them.
static ALL: LazyLock<Vec<Arc<Template>>> = LazyLock::new(|| {
    let free = patterns().filter(|pattern| !is_anchored(pattern));
    let anchored = free.filter_map(|pattern| compiled(&format!("{LINE_BEGIN}{pattern}")));
    anchored.chain(patterns().filter_map(compiled)).collect()
});

/// The patterns, in order.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    PATTERNS.iter().map(String::as_str)
}

/// All templates: each held to the line's beginning, then each as it is.
pub(super) fn all() -> Vec<Arc<Template>> {
    ALL.clone()
}

/// The templates that hold the line's beginning.
pub(super) fn at_line_begin() -> Vec<Arc<Template>> {
    ALL.iter()
        .filter(|template| is_anchored(&template.name))
        .cloned()
        .collect()
}

fn is_anchored(pattern: &str) -> bool {
    pattern.starts_with('^') || pattern.starts_with(LINE_BEGIN)
}

/// A default pattern compiles; the test below holds every one to that.
fn compiled(pattern: &str) -> Option<Arc<Template>> {
    let mut template = template::one(pattern).ok()?;
    template.is_default = true;
    Some(Arc::new(template))
}

/// How dates are written, each with an example.
fn shapes() -> Vec<String> {
    let syslog = syslog();
    let mut shapes = Vec::new();
    shapes.extend(["-", "/", r"\."].map(year_first));
    shapes.extend([syslog.clone(), syslog_with_year_within()]);
    shapes.extend(["-", "/"].map(day_first));
    shapes.extend(["-", "/"].map(day_and_month_name));
    shapes.extend([
        // `08/14/2005:12:00:00`
        date(["%m", "%d", YEAR], "/") + ":" + CLOCK,
        // `08-14-2005 12:00:00.123`
        date(["%m", "%d", YEAR], "-") + " " + PADDED_CLOCK + POINT_FRACTION,
        // `1124020800`
        "EPOCH".to_owned(),
        // `12:00:00`: anywhere else it is not the line's own time.
        LINE_BEGIN.to_owned() + CLOCK,
        // `<08/14/05@12:00:00>`
        format!("^<{}@{CLOCK}>", date(["%m", "%d", SHORT_YEAR], "/")),
        // `050814  2:00:00`
        date([SHORT_YEAR, "%Exm", "%Exd"], "") + BLANKS + CLOCK,
        // `Aug 14, 2005 02:00:00 PM`
        format!("%b %d, {YEAR} %I:%M:%S %p"),
        // `Aug-14-05 12:00:00`
        format!("^{} {PADDED_CLOCK}", date(["%b", "%d", SHORT_YEAR], "-")),
        basic(),
        // `CEST Aug 14 12:00:00`
        optional("%Z ") + &syslog,
        // `+0200 Aug 14 12:00:00`
        optional("%z ") + &syslog,
        // `@4000000042ff32402f6b0dc4`
        "TAI64N".to_owned(),
    ]);
    shapes
}

/// ISO 8601's extended format, and with other separators: `2005-08-14T12:00:00.123456+02:00`, `2005/08/14 12:00:00`.
fn year_first(separator: &str) -> String {
    date([YEAR, "%m", "%d"], separator) + TIME_FOLLOWS + CLOCK + FRACTION + &optional(ZONE)
}

/// ISO 8601's basic format: `20050814T120000Z`.
fn basic() -> String {
    date([YEAR, "%Exm", "%Exd"], "") + TIME_FOLLOWS + "%ExH%ExM%ExS" + FRACTION + &optional(ZONE)
}

/// RFC 3164's, and what programs add to it: `Aug 14 12:00:00`, `Sun Aug 14 12:00:00.123 2005`.
fn syslog() -> String {
    optional("%a ") + "%b %d " + PADDED_CLOCK + POINT_FRACTION + &optional(&format!(" {YEAR}"))
}

/// The same with the year before the clock: `Sun Aug 14 2005 12:00:00.5`.
fn syslog_with_year_within() -> String {
    optional("%a ") + &date(["%b", "%d", YEAR], " ") + " " + PADDED_CLOCK + POINT_FRACTION
}

/// As in most of Europe: `14/08/2005 12:00:00`, `14-08-05 12:00:00`.
fn day_first(separator: &str) -> String {
    let year = format!("(?:{YEAR}|{SHORT_YEAR})");
    date(["%d", "%m", &year], separator) + " " + PADDED_CLOCK
}

/// The common log format of web servers: `14/Aug/2005:12:00:00 +0200`; and `14-Aug-2005 12:00:00.123`.
fn day_and_month_name(separator: &str) -> String {
    date(["%d", "%b", YEAR], separator) + "[ :]?" + CLOCK + POINT_FRACTION + &optional(" %z")
}

fn date(fields: [&str; 3], separator: &str) -> String {
    fields.join(separator)
}

fn optional(pattern: &str) -> String {
    format!("(?:{pattern})?")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::super::super::pattern::Slots;
    use super::*;

    const NOON: &str = "2005-08-14T12:00:00Z";
    const NIGHT: &str = "2005-08-14T02:00:00Z";

    #[test]
    fn every_default_pattern_compiles_for_the_linear_engine() {
        for pattern in patterns() {
            let template = template::one(pattern).unwrap().compiled().unwrap();
            assert_eq!(template.pattern().unwrap().engine(), "regex", "{pattern}");
        }
        let anchored = patterns().filter(|pattern| is_anchored(pattern)).count();
        assert_eq!(all().len(), 2 * patterns().count() - anchored);
        assert_eq!(at_line_begin().len(), patterns().count());
    }

    /// Lines that each shape reads whole, in the order of [`patterns`], and their time at Greenwich.
    const EXAMPLES: [(&[&str], &str); 21] = [
        (
            &[
                "2005-08-14T12:00:00Z",
                "2005-8-14 12:0:0",
                "2005-08-14  14:00:00,123 +0200",
                "2005-08-14T14:00:00.123456+02:00",
            ],
            NOON,
        ),
        (&["2005/08/14 12:00:00", "2005/08/14T12:00:00.123Z"], NOON),
        (&["2005.08.14 12:00:00", "2005.08.14  08:30:00 -0330"], NOON),
        (
            &[
                "Aug 14 12:00:00",
                "Sun Aug 14 12:00:00",
                "AUG 14 12:00:00.5",
                "Sun Aug 14 12:00:00.123 2005",
            ],
            NOON,
        ),
        (&["Aug 14 2005  2:00:00", "Sun Aug 14 2005 02:00:00.5"], NIGHT),
        (&["14-08-2005 12:00:00", "14-08-05 12:00:00"], NOON),
        (&["14/08/2005 02:00:00", "14/8/05  2:00:00"], NIGHT),
        (&["14-Aug-2005 12:00:00.123", "14-Aug-2005 12:00:00"], NOON),
        (&["14/Aug/2005:14:00:00 +0200", "14/Aug/200512:00:00"], NOON),
        (&["08/14/2005:12:00:00", "8/14/2005:12:00:00"], NOON),
        (&["08-14-2005 02:00:00.123", "08-14-2005  2:00:00"], NIGHT),
        (&["1124020800"], NOON),
        (&["12:00:00"], NOON),
        (&["<08/14/05@12:00:00>"], NOON),
        (&["050814  2:00:00", "050814 02:00:00"], NIGHT),
        (&["Aug 14, 2005 02:00:00 AM", "Aug 14, 2005 2:00:00 am"], NIGHT),
        (&["Aug-14-05 02:00:00", "Aug-14-05  2:00:00"], NIGHT),
        (
            &["20050814T120000Z", "20050814 120000", "20050814  140000.5+0200"],
            NOON,
        ),
        (&["CEST Aug 14 14:00:00", "EDT Sun Aug 14 08:00:00.5 2005"], NOON),
        (&["+0200 Aug 14 14:00:00", "-03:30 Sun Aug 14 08:30:00 2005"], NOON),
        (&["@4000000042ff32402f6b0dc4"], NOON),
    ];

    #[test]
    fn each_shape_is_the_first_to_read_its_dates() {
        let now: Timestamp = "2005-08-14T23:00:00Z".parse().unwrap();
        let shape = |pattern: &str| pattern.strip_prefix(LINE_BEGIN).unwrap_or(pattern).to_owned();
        assert_eq!(patterns().count(), EXAMPLES.len());
        for (pattern, (lines, expected)) in patterns().zip(EXAMPLES) {
            for date in lines {
                let line = format!("{date} x");
                let found = at_line_begin().into_iter().find_map(|template| {
                    let mut slots = Slots::default();
                    let (_, end) = template.find(&line, &mut slots)?;
                    let time = template.time(&line, &slots, &TimeZone::UTC, now)?;
                    Some((shape(&template.name), end, time))
                });
                let expected: Timestamp = expected.parse().unwrap();
                assert_eq!(found, Some((shape(pattern), date.len(), expected)), "{date}");
            }
        }
    }
}
