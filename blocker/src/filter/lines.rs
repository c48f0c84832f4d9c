//! Several lines as one text, for filters whose failures take more than one (`maxlines`).

use std::collections::VecDeque;
use std::ops::Range;

/// Bytes of the lines that are kept: whoever writes long lines must not have each of them searched again and again.
const MAX_BYTES: usize = 256 * 1024;

/// The last lines of a log, each without its date.
#[derive(Debug)]
pub(super) struct Lines {
    lines: VecDeque<String>,
    max: usize,
}

/// What a match leaves of the lines that it was found in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// The lines of the match, without those that it skipped.
    pub(super) matched: Vec<String>,
    /// The others, in order.
    pub(super) unmatched: Vec<String>,
}

impl Lines {
    /// At most `max` lines.
    pub(super) const fn new(max: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            max,
        }
    }

    /// Adds a line, and forgets the first where there are too many or too long ones.
    pub(super) fn push(&mut self, line: String) {
        self.lines.push_back(line);
        let mut bytes: usize = self.lines.iter().map(String::len).sum();
        while self.lines.len() > self.max || (bytes > MAX_BYTES && self.lines.len() > 1) {
            bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }

    /// Puts others in their place.
    pub(super) fn replace(&mut self, lines: impl IntoIterator<Item = String>) {
        self.lines.clear();
        self.lines.extend(lines);
    }

    /// The lines, each with its break.
    pub(super) fn text(&self) -> String {
        text(&self.lines)
    }

    /// The lines.
    pub(super) fn all(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// Lines as one text, each with its break.
pub(super) fn text<'a>(lines: impl IntoIterator<Item = &'a String>) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Tells the lines of a match from the others. `found` is where it lies in `text`, which is made of `lines`; `skipped` is the text of
/// those between that are no part of it.
pub(super) fn split(lines: &[String], text: &str, found: &Range<usize>, skipped: &str) -> Split {
    if lines.len() <= 1 {
        return Split {
            matched: lines.to_vec(),
            unmatched: Vec::new(),
        };
    }
    let bytes = text.as_bytes();
    let breaks = |end: usize| {
        bytes[..end.min(bytes.len())]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
    };
    // A match that begins with the break of a line begins in the next.
    let first = breaks(found.start + 1);
    let last = breaks(found.end.saturating_sub(1)) + 1;
    let (first, last) = (first.min(lines.len()), last.min(lines.len()));
    let mut split = Split {
        matched: lines[first..last.max(first)].to_vec(),
        unmatched: lines[..first].to_vec(),
    };
    for skipped in skipped.lines() {
        if let Some(at) = split.matched.iter().position(|line| line == skipped) {
            split.unmatched.push(split.matched.remove(at));
        }
    }
    split.unmatched.extend_from_slice(&lines[last.max(first)..]);
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_match_takes_its_lines_and_leaves_the_others() {
        let all = lines("a b c d e");
        let text = text(&all);
        // From `b` to `d`, with `c` skipped between.
        let split = split(&all, &text, &(2..7), "c\n");
        assert_eq!(split.matched, ["b", "d"]);
        assert_eq!(split.unmatched, ["a", "c", "e"]);
    }

    #[test]
    fn only_the_latest_lines_are_kept() {
        let mut kept = Lines::new(2);
        for line in ["a", "b", "c"] {
            kept.push(line.to_owned());
        }
        assert_eq!(kept.text(), "b\nc\n");
    }

    #[test]
    fn long_lines_do_not_pile_up() {
        let mut kept = Lines::new(1000);
        for _ in 0..100 {
            kept.push("x".repeat(64 * 1024));
        }
        assert_eq!(kept.all().len(), MAX_BYTES / (64 * 1024));
    }
}
