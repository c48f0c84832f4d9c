//! Which words a line holds, so that expressions that need others are not tried: once for all filters that read it.
//!
//! Each expression tells which literals a text must hold for it to match ([`Pattern::required`](super::pattern::Pattern)). Those of
//! all filters together are looked for in one pass. Nothing is decided here: a line that holds them is left to the expressions.

use std::collections::BTreeMap;

use aho_corasick::automaton::Automaton as _;
use aho_corasick::dfa::{Builder, DFA};
use aho_corasick::{Anchored, StartKind};

use super::Filter;
use super::pattern::Pattern;
use super::pattern::content::Before;
use super::pattern::required::Required;

/// Literals that are looked for, at the most: the bits of a [`Words`]. What needs others is tried on every line.
const MOST: usize = 128;

/// Which of the literals a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words(u128);

impl Words {
    /// Of a line that nobody has looked at, and that may hold any.
    pub const ANY: Self = Self(u128::MAX);

    /// A place for what is known of lines with these literals; others may share it.
    pub(super) const fn place(self) -> usize {
        // Multiplied by 2 to the 64 through the golden ratio, neighbours lie apart.
        let folded = (self.0 as u64) ^ (self.0 >> 64) as u64;
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
    }
}

/// What a text must hold for an expression to match it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Needs {
    /// One of these literals.
    Words(u128),
    All(Vec<Needs>),
    Either(Vec<Needs>),
}

impl Default for Needs {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Needs {
    fn are_met(&self, words: Words) -> bool {
        match self {
            Self::Words(literals) => literals & words.0 != 0,
            Self::All(needs) => needs.iter().all(|needs| needs.are_met(words)),
            Self::Either(needs) => needs.iter().any(|needs| needs.are_met(words)),
        }
    }
}

/// What lines must hold for the expressions of a filter to match.
#[derive(Clone, Debug, Default)]
pub struct FilterNeeds {
    prefix: Needs,
    /// Of the prefix's ways past look-ahead, each.
    looks: Vec<Needs>,
    fail: Vec<Needs>,
    ignore: Vec<Needs>,
}

impl FilterNeeds {
    /// Whether the filter may find anything in a line.
    pub(super) fn may_find(&self, words: Words) -> bool {
        self.prefix.are_met(words) && (self.fail.is_empty() || self.fail.iter().any(|needs| needs.are_met(words)))
    }

    /// Whether the prefix may have look-ahead to pass by in a line.
    pub(super) fn may_look(&self, words: Words) -> bool {
        self.looks.iter().any(|needs| needs.are_met(words))
    }

    /// Whether one of its ignoreregexes may match a line.
    pub(super) fn may_ignore(&self, words: Words) -> bool {
        self.ignore.iter().any(|needs| needs.are_met(words))
    }

    /// Whether a failregex may match.
    pub(super) fn may_fail(&self, failregex: usize, words: Words) -> bool {
        self.fail.get(failregex).is_none_or(|needs| needs.are_met(words))
    }
}

/// Looks for the literals of several filters.
#[derive(Debug)]
pub struct Prefilter {
    /// None where no expression needs any. Most lines hold some: then one step for every byte, without a look ahead for where the next
    /// literal may be, is the shortest way.
    literals: Option<DFA>,
}

impl Prefilter {
    /// For these filters, with what each needs.
    #[must_use]
    pub fn new<'a>(filters: impl IntoIterator<Item = &'a Filter>) -> (Self, Vec<FilterNeeds>) {
        let mut numbers = Numbers::default();
        let needs = filters.into_iter().map(|filter| {
            let prefix = filter.prefregex().map(|regex| &regex.pattern);
            let looks = prefix.and_then(Pattern::before).map_or(&[][..], Before::looks);
            FilterNeeds {
                prefix: prefix.map_or_else(Needs::default, |pattern| numbers.needs(pattern)),
                looks: looks.iter().map(|look| numbers.of(look)).collect(),
                fail: filter
                    .failregex()
                    .iter()
                    .map(|regex| numbers.needs(&regex.pattern))
                    .collect(),
                ignore: filter
                    .ignoreregex()
                    .iter()
                    .map(|regex| numbers.needs(&regex.pattern))
                    .collect(),
            }
        });
        let needs = needs.collect();
        let mut literals: Vec<(&Vec<u8>, usize)> =
            numbers.0.iter().map(|(literal, number)| (literal, *number)).collect();
        literals.sort_by_key(|(_, number)| *number);
        let literals: Vec<&Vec<u8>> = literals.into_iter().map(|(literal, _)| literal).collect();
        (Self::of(&literals), needs)
    }

    /// For these literals, in the order of their bits.
    fn of(literals: &[&Vec<u8>]) -> Self {
        let mut builder = Builder::new();
        builder.prefilter(false).start_kind(StartKind::Unanchored);
        Self {
            // A literal that no automaton has room for is one that no line is asked for.
            literals: builder.build(literals).ok().filter(|_| !literals.is_empty()),
        }
    }

    /// The literals that a line holds.
    #[must_use]
    pub fn words(&self, line: &str) -> Words {
        let Some(literals) = &self.literals else {
            return Words::ANY;
        };
        let Ok(mut state) = literals.start_state(Anchored::No) else {
            return Words::ANY;
        };
        let mut words = 0;
        for byte in line.bytes() {
            state = literals.next_state(Anchored::No, state, byte);
            if literals.is_match(state) {
                // Literals may overlap and hold each other: all that end here.
                for n in 0..literals.match_len(state) {
                    words |= 1 << literals.match_pattern(state, n).as_usize();
                }
            }
        }
        Words(words)
    }
}

/// The literals of all filters, numbered.
#[derive(Debug, Default)]
struct Numbers(BTreeMap<Vec<u8>, usize>);

impl Numbers {
    fn needs(&mut self, pattern: &Pattern) -> Needs {
        self.of(pattern.required())
    }

    fn of(&mut self, required: &Required) -> Needs {
        match required {
            Required::Nothing => Needs::default(),
            Required::Literal(literal) => self.bit(literal).map_or_else(Needs::default, Needs::Words),
            Required::All(parts) => Needs::All(parts.iter().map(|part| self.of(part)).collect()),
            Required::Either(ways) => {
                let ways: Vec<Needs> = ways.iter().map(|way| self.of(way)).collect();
                let words = ways.iter().map(|way| match way {
                    Needs::Words(words) => Some(*words),
                    Needs::All(_) | Needs::Either(_) => None,
                });
                // Most are nothing but literals.
                match words.collect::<Option<Vec<u128>>>() {
                    Some(words) => Needs::Words(words.into_iter().fold(0, |all, words| all | words)),
                    None => Needs::Either(ways),
                }
            }
        }
    }

    /// The bit of a literal; `None` where there is no room for it.
    fn bit(&mut self, literal: &[u8]) -> Option<u128> {
        let next = self.0.len();
        if let Some(number) = self.0.get(literal) {
            return Some(1 << number);
        }
        (next < MOST).then(|| {
            self.0.insert(literal.to_vec(), next);
            1 << next
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::parameters::Named;

    fn filters(names: &[&str]) -> Vec<std::sync::Arc<Filter>> {
        let filter = |name: &&str| {
            let partial = crate::config::filter(crate::config::Folder::CompiledIn, &Named::parse(name).unwrap());
            std::sync::Arc::new(Filter::compile_partial(partial).unwrap())
        };
        names.iter().map(filter).collect()
    }

    #[test]
    fn a_line_without_its_words_is_not_shown_to_a_filter() {
        let filters = filters(&["postfix[mode=auth]", "dovecot"]);
        let (prefilter, needs) = Prefilter::new(filters.iter().map(|filter| &**filter));
        let seen = |line: &str| {
            let words = prefilter.words(line);
            let seen: Vec<bool> = needs.iter().map(|needs| needs.may_find(words)).collect();
            seen
        };
        let failed = " relay postfix/smtpd[1]: warning: unknown[192.0.2.4]: SASL LOGIN authentication failed: x";
        assert_eq!(seen(failed), [true, false]);
        assert_eq!(
            seen(" relay postfix/smtpd[1]: connect from unknown[192.0.2.4]"),
            [false, false]
        );
        assert!(needs.iter().all(|needs| needs.may_find(Words::ANY)));
    }

    #[test]
    fn literals_that_overlap_or_hold_each_other_are_all_found() {
        let literals: Vec<&[u8]> = vec![b"abc", b"bcd", b"abcde", b"de"];
        let all: Vec<Vec<u8>> = literals.iter().map(|literal| literal.to_vec()).collect();
        let all: Vec<&Vec<u8>> = all.iter().collect();
        let prefilter = Prefilter::of(&all);
        assert_eq!(prefilter.words("xabcdx"), Words(0b0011));
        assert_eq!(prefilter.words("xabcdex"), Words(0b1111));
        assert_eq!(prefilter.words("ab cd e"), Words(0));
    }
}
