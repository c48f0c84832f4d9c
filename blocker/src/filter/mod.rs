//! The filter: finds failures in lines, by rules in fail2ban's language.
//!
//! A filter is compiled once from its file and then applied to each line, whose date was cut out before ([`date`]). What a
//! failure leads to is the jail's business and may not enter.

pub mod date;
pub mod ini;
mod pattern;
mod tag;

use std::net::IpAddr;

use regex::Regex;

use self::ini::{Ini, Value};
use crate::problem::{Place, Problems, did_you_mean};

/// Keys of `[Definition]` that mean something here.
const KEYS: [&str; 2] = ["failregex", "ignoreregex"];

/// A compiled filter.
#[derive(Debug)]
pub struct Filter {
    failregex: Vec<Regex>,
    ignoreregex: Vec<Regex>,
}

/// What a filter says of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A failure of this host.
    Failure(IpAddr),
    /// A failregex matched, and an ignoreregex too.
    Ignored,
    /// No failregex matched, or one that names no address.
    Nothing,
}

impl Filter {
    /// Compiles a filter from its file.
    ///
    /// # Errors
    ///
    /// Everything in the file that is unknown, missing or no regular expression, each with its line.
    pub fn compile(ini: &Ini) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let Some(definition) = ini.section("Definition") else {
            problems.add(
                &Place::file(&ini.file),
                "has no section [Definition]",
                "a filter begins with that line",
            );
            return Err(problems);
        };
        for (key, value) in &definition.values {
            if !KEYS.contains(&key.as_str()) {
                let hint = match did_you_mean(key, KEYS) {
                    hint if hint.is_empty() => format!("this version knows {}", KEYS.join(" and ")),
                    hint => hint,
                };
                problems.add(&value.place(), format!("unknown key `{key}` in [Definition]"), hint);
            }
        }
        let mut compile = |key| match definition.get(key) {
            Some(value) => regexes(value, key, &mut problems),
            None => Vec::new(),
        };
        let filter = Self {
            failregex: compile("failregex"),
            ignoreregex: compile("ignoreregex"),
        };
        if filter.failregex.is_empty() && problems.0.is_empty() {
            let place = Place {
                file: ini.file.clone(),
                line: definition.line,
            };
            problems.add(&place, "has no failregex", "without one the filter finds nothing");
        }
        problems.or(filter)
    }

    /// Applies the filter to a line without its date.
    #[must_use]
    pub fn find(&self, text: &str) -> Finding {
        let Some(captures) = self.failregex.iter().find_map(|regex| regex.captures(text)) else {
            return Finding::Nothing;
        };
        if self.ignoreregex.iter().any(|regex| regex.is_match(text)) {
            return Finding::Ignored;
        }
        tag::address(&captures).map_or(Finding::Nothing, Finding::Failure)
    }
}

/// One regular expression a line.
fn regexes(value: &Value, key: &str, problems: &mut Problems) -> Vec<Regex> {
    let mut compiled = Vec::new();
    for line in value.lines.iter().filter(|line| !line.text.is_empty()) {
        let place = value.place_of(line.number);
        match pattern::compile(&line.text) {
            Ok(regex) if key == "failregex" && !tag::names_address(&regex) => {
                problems.add(
                    &place,
                    format!("the failregex names no host: `{}`", line.text),
                    "put <HOST> where the address stands",
                );
            }
            Ok(regex) => compiled.push(regex),
            Err(error) => problems.add(&place, format!("{key} `{}`: {}", line.text, error.what), error.hint),
        }
    }
    compiled
}

#[cfg(test)]
mod tests;
