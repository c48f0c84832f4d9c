//! Lines of one minute, whose dates differ in their seconds alone: read without an expression.
//!
//! A program writes all its dates alike. Where a default template that holds the line's beginning has read one, a line that begins
//! with the same text but for the digits of the second, and of its fraction, is read by it too: none of these templates asks
//! which digits those are, or looks beyond the word that follows the date. The minute is the same, so no zone's clock was set between.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::{Found, Slots, Template};

/// Bytes of a date with the word that follows it, at the most.
const LONGEST: usize = 128;
/// How far from now a date without a year may lie for all of its minute to be of the same year: less than a day ahead, from where on
/// it would be last year's, and less than a year ago.
const SAME_YEAR: Range<SignedDuration> = SignedDuration::from_hours(-300 * 24)..SignedDuration::from_hours(23);

/// What the latest date was like.
#[derive(Debug)]
pub(super) struct Repeated {
    found: Found,
    /// The line up to the end of the word that follows its date, with the blank or the line's end behind it.
    head: Vec<u8>,
    ends_line: bool,
    second: Range<usize>,
    fraction: Range<usize>,
    /// The time of the minute.
    minute: Timestamp,
    /// The second in which it was read, where its year depends on that.
    now: Option<i64>,
}

impl Repeated {
    /// Takes note of a date that a template has found, with its groups in `slots`; `None` where the next may not be read like it.
    pub(super) fn of(
        line: &str,
        template: &Template,
        (found, slots): (Found, &Slots),
        (time, now): (Timestamp, Timestamp),
    ) -> Option<Self> {
        if !(template.is_default && template.is_anchored) {
            return None;
        }
        let group = |name: &str| slots.group(template.group(name)?);
        // A clock without a day is today's or yesterday's: that may change within its minute.
        group("d")?;
        let second = group("S")?;
        let fraction = group("f").unwrap_or(second.end..second.end);
        if !is_second(line.as_bytes().get(second.clone())?) || fraction.start < second.end {
            return None;
        }
        let is_absolute = template.is_absolute(line, slots);
        if !is_absolute && !SAME_YEAR.contains(&time.duration_since(now)) {
            return None;
        }
        let end = slots.group(0)?.end.max(found.end);
        let rest = line.get(end..)?;
        let word = rest.len() - rest.trim_start_matches(' ').len();
        let length = rest[word..].find(' ').map(|length| end + word + length + 1);
        let head = line.as_bytes().get(..length.unwrap_or(line.len()))?;
        let digits: i64 = line.get(second.clone())?.parse().ok()?;
        (head.len() <= LONGEST).then(|| Self {
            found,
            head: head.to_vec(),
            ends_line: length.is_none(),
            second,
            fraction,
            minute: time - SignedDuration::from_secs(digits),
            now: (!is_absolute).then(|| now.as_second()),
        })
    }

    /// Where the date of another line stands, and its time, if it is like it.
    pub(super) fn read(&self, line: &str, now: Timestamp) -> Option<(Found, Timestamp)> {
        if self.now.is_some_and(|second| second != now.as_second()) {
            return None;
        }
        let head = line.as_bytes().get(..self.head.len())?;
        if self.ends_line && line.len() != self.head.len() {
            return None;
        }
        let Self { second, fraction, .. } = self;
        let is_same = head[..second.start] == self.head[..second.start]
            && head[second.end..fraction.start] == self.head[second.end..fraction.start]
            && head[fraction.end..] == self.head[fraction.end..];
        let digits = &head[second.clone()];
        if !is_same || !is_second(digits) || !head[fraction.clone()].iter().all(u8::is_ascii_digit) {
            return None;
        }
        let seconds = i64::from(digits[0] - b'0') * 10 + i64::from(digits[1] - b'0');
        Some((self.found, self.minute + SignedDuration::from_secs(seconds)))
    }
}

/// Whether this is a second in two digits.
const fn is_second(digits: &[u8]) -> bool {
    matches!(digits, [b'0'..=b'5', b'0'..=b'9'])
}
