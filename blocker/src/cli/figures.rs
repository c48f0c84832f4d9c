//! How figures are written.

use jiff::Timestamp;

/// `1234567` as `1,234,567`, for people.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How long it is from one time to another, as [`length`] has it.
pub(super) fn since(from: Timestamp, to: Timestamp) -> String {
    length(to.duration_since(from).as_secs().max(0).unsigned_abs())
}

/// So many seconds in the largest unit that tells it well: `42 s`, `12 min`, `5 h`, `3 d`.
pub(super) fn length(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / MINUTE),
        7_200..=172_799 => format!("{} h", seconds / HOUR),
        _ => format!("{} d", seconds / DAY),
    }
}

/// Seconds since 1970, to the microsecond, for programs.
pub(super) fn seconds(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_one_unit() {
        let told = |seconds| since(Timestamp::UNIX_EPOCH, Timestamp::from_second(seconds).unwrap());
        assert_eq!(
            [-5, 0, 119, 120, 7199, 7200, 172_799, 172_800].map(told),
            ["0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]
        );
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
