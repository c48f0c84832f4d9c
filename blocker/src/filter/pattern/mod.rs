//! A failregex, compiled: tags replaced, translated from Python's language, given to the engine that can run it.
//!
//! Whatever can be searched in linear time goes to `regex`. Look-around, back references, conditions and atomic groups go to
//! `fancy-regex`, which backtracks; there limits on the text
//! and on the steps back bound what an attacker's line can cost. Nearly all lines are settled before that, by `linear` and `relaxed`.

pub(super) mod content;
mod engine;
pub mod facts;
mod groups;
mod linear;
pub(super) mod python;
mod relaxed;
pub(super) mod required;
pub mod tag;

use std::ops::Range;
use std::sync::Arc;

use self::content::{Before, CONTENT};
use self::engine::{Engine, EngineSlots};
use self::facts::{Facts, Merges};
use self::python::{Lines, Translated};
use self::required::Required;
use self::tag::Names;

/// Steps back that one search may take. A search that needs more counts as no match.
const BACKTRACK_LIMIT: usize = 100_000;
/// Longest text that a backtracking search is given: each step may read all of it. A longer one counts as no match.
const BACKTRACK_LEN: usize = 8 * 1024;
/// Bytes that a compiled expression may take; alternatives of long Unicode classes take some.
const SIZE_LIMIT: usize = 64 * 1024 * 1024;
/// Bytes of cache for an expression's states, for each thread that searches.
const CACHE_LIMIT: usize = 4 * 1024 * 1024;
/// Longest expression that is taken.
const MAX_LEN: usize = 64 * 1024;

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Pattern {
    engine: Engine,
    /// The expression as Rust's engine reads it.
    expression: String,
    /// The groups' names, by number.
    names: Vec<Option<Arc<str>>>,
    merges: Merges,
    required: Required,
    before: Option<Before>,
}

/// Where a search leaves the groups that it found. Made once for each pattern and used for every line.
#[derive(Debug, Default)]
pub struct Slots {
    engine: EngineSlots,
    spans: Vec<Option<(usize, usize)>>,
}

/// A search that was given up at the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitHit;

impl Pattern {
    /// Compiles an expression of a filter. `keys` are the filter's own, offered where one is misspelt.
    pub(super) fn compile<'a>(
        expression: &str,
        names: Names,
        lines: Lines,
        keys: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, PatternError> {
        if expression.len() > MAX_LEN {
            return Err(PatternError {
                what: format!("the expression is longer than {} KiB", MAX_LEN / 1024),
                hint: "split it into several lines".to_owned(),
            });
        }
        let expanded = tag::expand(expression, names, keys)?;
        let translated = python::translate(&expanded, lines)?;
        Self::from_translated(translated)
    }

    /// Compiles an expression that is in Rust's language already.
    pub(super) fn from_translated(translated: Translated) -> Result<Self, PatternError> {
        let (engine, names) = Engine::compile(&translated).map_err(|error| refused(&error))?;
        let merges = Merges::of(names.iter().flatten());
        let has_content = names.iter().any(|name| name.as_deref() == Some(CONTENT));
        let before = has_content.then(|| Before::compile(&translated)).flatten();
        let implied = translated
            .implied
            .and_then(|implied| regex_syntax::parse(&implied).ok());
        Ok(Self {
            engine,
            expression: translated.text,
            names,
            merges,
            required: implied.map_or(Required::Nothing, |implied| required::required(&implied)),
            before,
        })
    }

    /// The expression as the engine reads it.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of the engine that it went to: `regex` or `fancy-regex`.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        self.engine.name()
    }

    /// What stands before the content, where nothing else is to be known of it.
    pub(super) const fn before(&self) -> Option<&Before> {
        self.before.as_ref()
    }

    /// What a text must hold for a match.
    pub(super) const fn required(&self) -> &Required {
        &self.required
    }

    /// The number of the group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.as_deref() == Some(name))
    }

    /// Room for what a search finds.
    #[must_use]
    pub fn slots(&self) -> Slots {
        Slots {
            engine: EngineSlots::default(),
            spans: Vec::with_capacity(self.names.len()),
        }
    }

    /// Searches a text for the first match and leaves its groups in `slots`.
    ///
    /// # Errors
    ///
    /// When the search was given up at the limit.
    pub fn search(&self, text: &str, slots: &mut Slots) -> Result<bool, LimitHit> {
        let Slots { engine, spans } = slots;
        spans.clear();
        self.engine.search(&self.expression, text, engine, spans)
    }

    /// Whether a text matches.
    ///
    /// # Errors
    ///
    /// When the search was given up at the limit.
    pub fn is_match(&self, text: &str) -> Result<bool, LimitHit> {
        self.engine.is_match(&self.expression, text)
    }

    /// The named groups of the latest match, which was in `text`.
    #[must_use]
    pub fn facts(&self, text: &str, slots: &Slots) -> Facts {
        let mut facts = Facts::default();
        for (group, name) in self.names.iter().enumerate() {
            if let (Some(name), Some(range)) = (name, slots.group(group)) {
                facts.push(name, &text[range]);
            }
        }
        self.merges.apply(&mut facts);
        facts
    }
}

impl Slots {
    /// Where a group of the latest match lies; `None` when it has no part in it.
    #[must_use]
    pub fn group(&self, number: usize) -> Option<Range<usize>> {
        let (start, end) = (*self.spans.get(number)?)?;
        Some(start..end)
    }
}

fn refused(error: &str) -> PatternError {
    PatternError {
        // The error's last line says what; those before draw the expression as translated, which the reader did not write.
        what: error.trim().lines().last().unwrap_or_default().trim().to_owned(),
        hint: "correct the regular expression".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(expression: &str) -> Result<Pattern, PatternError> {
        Pattern::compile(expression, Names::Taken, Lines::One, std::iter::empty())
    }

    fn found(expression: &str, text: &str) -> Option<String> {
        let pattern = compile(expression).unwrap();
        let mut slots = pattern.slots();
        let matched = pattern.search(text, &mut slots).unwrap();
        matched.then(|| pattern.facts(text, &slots).to_string())
    }

    #[test]
    fn each_goes_to_the_engine_that_can_run_it() {
        assert_eq!(compile("from <HOST>$").unwrap().engine(), "regex");
        assert_eq!(compile("from <HOST>(?! x)").unwrap().engine(), "fancy-regex");
    }

    #[test]
    fn groups_are_found_by_either_engine() {
        for end in ["", "(?!x)"] {
            let expression = format!("^(?P<verb>\\w+) from <ADDR>{end}");
            assert_eq!(
                found(&expression, "reject from [192.0.2.4]: x").unwrap(),
                "ip4=192.0.2.4 verb=reject"
            );
            assert_eq!(found(&expression, "reject from unknown"), None);
        }
    }

    #[test]
    fn an_address_is_found_in_each_of_its_forms() {
        for (text, expected) in [
            ("192.0.2.4", "ip4=192.0.2.4"),
            ("[::ffff:192.0.2.4]", "ip4=192.0.2.4"),
            ("[2001:db8::4]", "ip6=2001:db8::4"),
            ("2001:db8::", "ip6=2001:db8::"),
            ("::1", "ip6=::1"),
            ("mail.example", "dns=mail.example"),
        ] {
            assert_eq!(found("^<HOST>$", &format!("{text}\n")).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_search_that_goes_back_without_end_is_given_up() {
        let pattern = compile("^(?P<ip4>(?:(?:a|aa)(?!c))+)$").unwrap();
        let text = format!("{}b\n", "a".repeat(60));
        assert_eq!(pattern.search(&text, &mut pattern.slots()), Err(LimitHit));
        assert_eq!(pattern.is_match(&text), Err(LimitHit));
    }

    #[test]
    fn the_error_says_what_is_wrong() {
        for (expression, part) in [
            ("(<HOST>", "unclosed group"),
            ("<HOST> <HOST>", "ip4"),
            ("<HOST>(?P=x)", "x"),
        ] {
            let error = compile(expression).unwrap_err();
            assert!(error.what.contains(part), "{error:?}");
        }
    }
}
