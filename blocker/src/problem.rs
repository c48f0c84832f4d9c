//! What is wrong with a configuration, where, and what to do about it.
//!
//! Every reader of configuration collects problems instead of stopping at the first, so that one run shows them all.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1; 0 where the whole file is meant.
    pub line: usize,
}

impl Place {
    /// The whole file.
    #[must_use]
    pub fn file(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.line {
            0 => Ok(()),
            line => write!(f, ":{line}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, with the offending text.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        match self.hint.as_str() {
            "" => Ok(()),
            hint => write!(f, "; {hint}"),
        }
    }
}

/// Everything that is wrong, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Takes note of one.
    pub fn add(&mut self, place: &Place, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Problem {
            place: place.clone(),
            what: what.into(),
            hint: hint.into(),
        });
    }

    /// What a reader made, after taking note of its problems where it failed.
    pub fn absorb<T>(&mut self, result: Result<T, Self>) -> Option<T> {
        result.map_err(|problems| self.0.extend(problems.0)).ok()
    }

    /// What was made, after taking note of the one problem that kept it from being made.
    pub fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }

    /// Each of them once: what several jails share is read for each of them.
    #[must_use]
    pub fn once(mut self) -> Self {
        let mut known = HashSet::new();
        self.0.retain(|problem| known.insert(problem.clone()));
        self
    }

    /// `value`, unless something is wrong.
    ///
    /// # Errors
    ///
    /// The problems, when there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// The one of `known` that somebody who typed `word` probably meant, as a hint.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
        .unwrap_or_default()
}

/// A text in which nothing can steer a terminal: lines of logs are written by attackers, and so may files be.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if steers(char) {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

/// Whether a character can steer a terminal: move its cursor, change its colours, turn what is written round.
#[must_use]
pub fn steers(char: char) -> bool {
    char.is_control() || turns_or_breaks(char)
}

/// Whether a character makes text run the other way, or begins a line, though it is no control character.
const fn turns_or_breaks(char: char) -> bool {
    matches!(char, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_nonsense_is_not() {
        let known = ["bantime", "findtime", "maxretry"];
        assert_eq!(did_you_mean("bantme", known), "did you mean `bantime`?");
        assert_eq!(did_you_mean("xyzzy", known), "");
    }

    #[test]
    fn a_problem_names_file_and_line() {
        let place = Place {
            file: "/etc/blocker/jail.conf".into(),
            line: 3,
        };
        let mut problems = Problems::default();
        problems.add(&place, "unknown key `bantme`", "did you mean `bantime`?");
        assert_eq!(
            problems.to_string(),
            "/etc/blocker/jail.conf:3: unknown key `bantme`; did you mean `bantime`?"
        );
    }

    #[test]
    fn nothing_in_a_line_steers_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[31mb\tc\u{202e}é\u{2067}\u{200f}\u{2028}"),
            "a\\u{1b}[31mb\\tc\\u{202e}é\\u{2067}\\u{200f}\\u{2028}"
        );
    }
}
