//! A line as expressions search it: without its date, and with one break, at its end.

use memchr::memchr;

use super::date::Cut;

/// Such a line, made once for all filters that read it. Its room is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Takes in the next line.
    pub(super) fn set(&mut self, cut: &Cut<'_>) {
        self.0.clear();
        for part in [cut.before, cut.after] {
            push_without_breaks(&mut self.0, part);
        }
        self.0.push('\n');
    }

    /// The line with its break.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The line alone.
    pub(super) fn without_break(&self) -> &str {
        self.0.strip_suffix('\n').unwrap_or(&self.0)
    }
}

/// A line ends once: a break within it, as a message of the journal may have, would let `$` match before its end. It is written as
/// fail2ban writes it.
fn push_without_breaks(line: &mut String, text: &str) {
    if memchr(b'\n', text.as_bytes()).is_none() {
        line.push_str(text);
        return;
    }
    for (n, part) in text.split('\n').enumerate() {
        if n > 0 {
            line.push_str("\\n");
        }
        line.push_str(part);
    }
}
