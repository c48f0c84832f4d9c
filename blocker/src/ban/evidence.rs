//! What a failure was found in: for whoever asks later why a host is banned.

use std::sync::Arc;

use jiff::Timestamp;

/// Bytes of a line that are kept: the attacker chooses how long it is.
const MOST: usize = 512;

/// A line, and the failregex that found a failure in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// When it was written, by its own clock.
    pub time: Timestamp,
    /// The line without its break, as [`beginning`] has it; the jails that read it share it.
    pub line: Arc<str>,
    /// The failregex's number in the filter, from 0.
    pub number: u16,
    /// The failregex, as it was written, with every name replaced.
    pub failregex: Arc<str>,
}

/// As much of a line as is kept of it; where that is not all, it ends in `…`.
#[must_use]
pub fn beginning(line: &str) -> Arc<str> {
    if line.len() <= MOST {
        return line.into();
    }
    let end = line.floor_char_boundary(MOST - '…'.len_utf8());
    [&line[..end], "…"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_line_the_beginning_is_kept_and_no_character_is_cut() {
        let long = "é".repeat(40_000);
        let kept = beginning(&long);
        assert!(kept.len() <= MOST && kept.len() > MOST - 4, "{}", kept.len());
        assert!(kept.ends_with("é…"));
        let whole = "x".repeat(MOST);
        assert_eq!(&*beginning(&whole), whole);
    }
}
