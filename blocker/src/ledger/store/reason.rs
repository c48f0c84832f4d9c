//! What is written down of the lines that led to a ban: beside its event in the history, and gone with it.
//!
//! All of them are one text in JSON, which needs no table and no index of its own. Which lines led to a ban may not enter.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ban::Evidence;

/// Bytes of a failregex that are kept.
const MOST_OF_FAILREGEX: usize = 1024;
/// Bytes of all of it: in JSON, a control character takes six times its room.
const MOST: usize = 8 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Text<'a> {
    /// Each failregex once.
    failregex: Vec<(u16, Cow<'a, str>)>,
    lines: Vec<Row<'a>>,
}

/// Microseconds before the ban's event, so that a line moves with it when the clock is set; the failregex; the line.
type Row<'a> = (i64, usize, Cow<'a, str>);

/// The text of these lines, which led to what happened at `since`.
pub(super) fn text(evidence: &[Evidence], since: Timestamp) -> Option<Box<str>> {
    let mut text = Text {
        failregex: Vec::new(),
        lines: Vec::with_capacity(evidence.len()),
    };
    for Evidence {
        time,
        line,
        number,
        failregex,
    } in evidence
    {
        let known = text.failregex.iter().position(|(known, _)| known == number);
        let at = known.unwrap_or_else(|| {
            let end = failregex.floor_char_boundary(MOST_OF_FAILREGEX);
            text.failregex.push((*number, Cow::Borrowed(&failregex[..end])));
            text.failregex.len() - 1
        });
        let before = since.as_microsecond().saturating_sub(time.as_microsecond());
        text.lines.push((before, at, Cow::Borrowed(line)));
    }
    let json = serde_json::to_string(&text).ok()?;
    match evidence {
        [_, later @ ..] if json.len() > MOST && !later.is_empty() => self::text(later, since),
        _ => Some(json.into_boxed_str()),
    }
}

/// The lines of such a text; none where it is not understood.
pub(super) fn evidence(text: &str, since: Timestamp) -> Vec<Evidence> {
    let Ok(Text { failregex, lines }) = serde_json::from_str(text) else {
        return Vec::new();
    };
    let failregex: Vec<(u16, Arc<str>)> = failregex
        .into_iter()
        .map(|(number, text)| (number, text.into()))
        .collect();
    let lines = lines.into_iter().filter_map(|(before, at, line)| {
        let (number, failregex) = failregex.get(at)?;
        Some(Evidence {
            time: since
                .saturating_sub(SignedDuration::from_micros(before))
                .unwrap_or(since),
            line: line.into(),
            number: *number,
            failregex: Arc::clone(failregex),
        })
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + second).unwrap()
    }

    #[test]
    fn lines_come_back_as_they_were_and_move_with_their_ban() {
        let of = |second, number, line: &str, failregex: &str| Evidence {
            time: at(second),
            line: line.into(),
            number,
            failregex: failregex.into(),
        };
        let lines = [
            of(0, 2, "a\u{1b}[2J \"", "^a"),
            of(5, 0, "b", "^b"),
            of(9, 2, "a", "^a"),
        ];
        let text = text(&lines, at(9)).unwrap();
        assert_eq!(evidence(&text, at(9)), lines);
        assert_eq!(evidence(&text, at(109))[1].time, at(105));
    }

    #[test]
    fn what_no_blocker_has_written_is_no_line() {
        for text in ["", "{}", "[1]", r#"{"failregex":[],"lines":[[0,7,"x"]]}"#, "\u{0}"] {
            assert!(evidence(text, at(0)).is_empty(), "{text}");
        }
    }

    #[test]
    fn of_lines_full_of_control_characters_the_latest_are_kept() {
        let one = |second| Evidence {
            time: at(second),
            line: "\u{1}".repeat(512).into(),
            number: 0,
            failregex: "^x".into(),
        };
        let lines: Vec<Evidence> = (0..10).map(one).collect();
        let text = text(&lines, at(9)).unwrap();
        assert!(text.len() <= MOST, "{}", text.len());
        assert_eq!(evidence(&text, at(9)), lines[8..]);
    }

    #[test]
    fn a_failregex_is_kept_once_and_not_beyond_all_measure() {
        let one = Evidence {
            time: at(0),
            line: "x".into(),
            number: 0,
            failregex: "é".repeat(100_000).into(),
        };
        let text = text(&vec![one; 10], at(0)).unwrap();
        assert!(text.len() < MOST_OF_FAILREGEX + 300, "{}", text.len());
    }
}
