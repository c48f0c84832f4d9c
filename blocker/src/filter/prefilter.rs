//! Which words a line holds, so that expressions that need others are not tried: once for all filters that read it.
//!
//! Each expression tells which literals a text must hold for it to match ([`Pattern::required`](super::pattern::Pattern)). Those of
//! all filters together are looked for in one pass. Nothing is decided here: a line that holds them is left to the expressions.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, Input, MatchKind};

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
    /// None where no expression needs any.
    literals: Option<AhoCorasick>,
    /// For each literal, itself and those that it holds.
    held: Vec<u128>,
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
        let held = literals.iter().map(|literal| holds(literal, &literals)).collect();
        let mut builder = AhoCorasickBuilder::new();
        // A literal that no automaton has room for is one that no line is asked for.
        let automaton = builder.match_kind(MatchKind::LeftmostLongest).build(&literals).ok();
        let automaton = automaton.filter(|_| !literals.is_empty());
        (
            Self {
                literals: automaton,
                held,
            },
            needs,
        )
    }

    /// The literals that a line holds.
    #[must_use]
    pub fn words(&self, line: &str) -> Words {
        let Some(literals) = &self.literals else {
            return Words::ANY;
        };
        // A step for every byte of an automaton that finds those that overlap takes a fourth of the instructions, and more time: its
        // table does not stay in the processor's nearest cache.
        let mut words = 0;
        let mut from = 0;
        // Literals may overlap. Of those that begin at one place the longest holds the others.
        while let Some(found) = literals.find(Input::new(line).range(from..)) {
            words |= self.held[found.pattern().as_usize()];
            from = found.start() + 1;
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

/// The bits of the literals that lie within one of them.
fn holds(literal: &[u8], all: &[&Vec<u8>]) -> u128 {
    let within = |other: &[u8]| literal.windows(other.len()).any(|window| window == other);
    let bits = all.iter().enumerate().filter(|(_, other)| within(other));
    bits.fold(0, |bits, (number, _)| bits | 1 << number)
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
        let prefilter = Prefilter {
            literals: AhoCorasickBuilder::new()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&all)
                .ok(),
            held: all.iter().map(|literal| holds(literal, &all)).collect(),
        };
        assert_eq!(prefilter.words("xabcdx"), Words(0b0011));
        assert_eq!(prefilter.words("xabcdex"), Words(0b1111));
        assert_eq!(prefilter.words("ab cd e"), Words(0));
    }
}
