//! How an operator names interfaces: `eth0`, `en?s*`, `ppp[0-9]`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// The longest name of an interface: `IFNAMSIZ` in `linux/if.h`, without the zero that ends it.
const LONGEST_NAME: usize = 15;

/// A name, or a glob over names: `*` for any text, `?` for one character, `[abc]` and `[0-9]` for one of these.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    glob: glob::Pattern,
    is_name: bool,
}

/// A text that names no interface, whatever the machine has.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidPattern {
    /// Nothing at all.
    #[error("an interface's name is missing; write one as in `eth0`, or a glob as in `eth*`")]
    Empty,
    /// More than the kernel takes.
    #[error("`{0}` is no interface's name: the longest has {LONGEST_NAME} characters")]
    TooLong(String),
    /// A character that no interface's name has.
    #[error("`{0}` is no interface's name: it has a blank, `/` or `:`")]
    Character(String),
    /// A glob that cannot be read.
    #[error("`{text}` is no glob: {why}")]
    Glob {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Pattern {
    /// Whether an interface of this name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.glob.matches(name)
    }

    /// The name, where it is one and no glob.
    ///
    /// A name is expected to be there at the start, so that a typing error is found; what a glob means may come later.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.is_name.then(|| self.glob.as_str())
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        // As `dev_valid_name` in the kernel.
        if text
            .chars()
            .any(|char| char.is_whitespace() || char == '/' || char == ':')
        {
            return Err(InvalidPattern::Character(text.to_owned()));
        }
        let is_name = !text.contains(['*', '?', '[']);
        if is_name && text.len() > LONGEST_NAME {
            return Err(InvalidPattern::TooLong(text.to_owned()));
        }
        let glob = glob::Pattern::new(text).map_err(|error| InvalidPattern::Glob {
            text: text.to_owned(),
            why: error.msg,
        })?;
        Ok(Self { glob, is_name })
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.glob.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_names_an_operator_expects() {
        let cases: [(&str, &[&str], &[&str]); 5] = [
            ("eth0", &["eth0"], &["eth00", "eth", "ETH0", "veth0"]),
            ("eth*", &["eth0", "eth", "eth0.100"], &["veth0", "et"]),
            ("en?s*", &["enps3", "enos1f0"], &["ens3", "eth0"]),
            ("ppp[0-2]", &["ppp0", "ppp2"], &["ppp3", "ppp"]),
            ("*", &["lo", "br-4fa1", "wg0"], &[]),
        ];
        for (pattern, meant, others) in cases {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.to_string(), pattern);
            assert_eq!(parsed.name().is_some(), pattern == "eth0");
            assert!(meant.iter().all(|name| parsed.matches(name)), "{pattern} {meant:?}");
            assert!(!others.iter().any(|name| parsed.matches(name)), "{pattern} {others:?}");
        }
    }

    #[test]
    fn what_can_be_no_interface_is_refused_with_the_reason() {
        let cases = [
            ("", "missing"),
            ("eth0 eth1", "blank"),
            ("../eth0", "`/`"),
            ("averylonginterfacename", "longest has 15"),
            ("eth[0", "no glob"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(text), "{error}");
        }
    }
}
