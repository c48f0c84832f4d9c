//! fail2ban's notation for a length of time: `600`, `10m`, `1d12h`, `-1` for ever.

use jiff::SignedDuration;

use crate::jail::BanTime;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 365.25 days.
const YEAR: i64 = DAY * 1461 / 4;

/// Reads a length of time.
pub(super) fn parse(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is no length of time");
    let mut rest = text.trim();
    let mut seconds: i64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let after = &rest[digits..];
        let letters = after
            .find(|char: char| !char.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let unit = match &after[..letters] {
            "" | "s" | "sec" => 1,
            "m" | "min" => MINUTE,
            "h" | "hour" => HOUR,
            "d" | "day" => DAY,
            "w" | "week" => 7 * DAY,
            "mo" | "month" => YEAR / 12,
            "y" | "year" => YEAR,
            unit => return Err(format!("`{text}`: `{unit}` is no unit of time")),
        };
        seconds = number
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .filter(|seconds| *seconds <= 1000 * YEAR)
            .ok_or_else(|| format!("`{text}` is more than a thousand years"))?;
        rest = after[letters..].trim_start();
    }
    Ok(SignedDuration::from_secs(seconds))
}

/// Reads a ban time, which may be without an end.
pub(super) fn parse_ban_time(text: &str) -> Result<BanTime, String> {
    match text.trim() {
        "-1" => Ok(BanTime::Forever),
        text => parse(text).map(BanTime::For),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_their_sums() {
        let cases = [
            ("600", 600),
            ("10m", 600),
            ("1h", 3600),
            ("1d12h", 129_600),
            ("1d 12h", 129_600),
            ("1w", 604_800),
            ("1mo", 2_629_800),
            ("1y", 31_557_600),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "x", "10x", "-5", "1.5h", "99999999999999999999", "9999y"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn minus_one_is_for_ever_for_a_ban_only() {
        assert_eq!(parse_ban_time("-1"), Ok(BanTime::Forever));
        assert!(parse("-1").is_err());
    }
}
