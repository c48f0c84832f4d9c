//! What a text must hold for an expression to match it: literals, one of each of several sets.
//!
//! Most lines of a log hold none of the words that a filter looks for, and finding words is far cheaper than an expression.

use std::collections::BTreeSet;

use regex_syntax::hir::{Hir, HirKind};

/// Literals of a set, at the most.
const MOST_LITERALS: usize = 32;
/// Sets of an expression, at the most.
const MOST_SETS: usize = 6;
/// Bytes of a literal, at the most: the beginning of a longer one tells as much.
const LONGEST: usize = 24;
/// Bytes of a literal, at the least: shorter ones are in every line.
const SHORTEST: usize = 3;

/// Literals of which a text must hold at least one.
pub(in crate::filter) type AnyOf = BTreeSet<Vec<u8>>;

/// The sets that a text must hold something of, each, for a match; none where it may hold anything.
pub(in crate::filter) fn required(expression: &Hir) -> Vec<AnyOf> {
    let mut sets = sets(expression);
    // Long literals tell most.
    sets.sort_by_key(|set| std::cmp::Reverse(shortest(set)));
    sets.truncate(MOST_SETS);
    sets
}

fn sets(expression: &Hir) -> Vec<AnyOf> {
    match expression.kind() {
        HirKind::Literal(literal) => {
            // A text's last line break is not everywhere part of what is searched for literals.
            let parts = literal.0.split(|byte| *byte == b'\n');
            let parts = parts.filter(|part| part.len() >= SHORTEST);
            parts
                .map(|part| AnyOf::from([part[..part.len().min(LONGEST)].to_vec()]))
                .collect()
        }
        HirKind::Capture(capture) => sets(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => sets(&repetition.sub),
        HirKind::Concat(parts) => {
            let mut all: Vec<AnyOf> = parts.iter().flat_map(sets).collect();
            all.dedup();
            all
        }
        HirKind::Alternation(parts) => either(parts).into_iter().collect(),
        HirKind::Repetition(_) | HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => Vec::new(),
    }
}

/// One set for several ways: the best set of each. `None` where one way asks for nothing.
fn either(ways: &[Hir]) -> Option<AnyOf> {
    let mut all = AnyOf::new();
    for way in ways {
        let best = sets(way)
            .into_iter()
            .max_by_key(|set| (shortest(set), std::cmp::Reverse(set.len())))?;
        all.extend(best);
    }
    (all.len() <= MOST_LITERALS).then_some(all)
}

fn shortest(set: &AnyOf) -> usize {
    set.iter().map(Vec::len).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expression: &str) -> String {
        let sets = required(&regex_syntax::parse(expression).unwrap());
        let set = |set: &AnyOf| {
            let words = set.iter().map(|word| String::from_utf8_lossy(word).into_owned());
            words.collect::<Vec<_>>().join("|")
        };
        sets.iter().map(set).collect::<Vec<_>>().join(" & ")
    }

    #[test]
    fn every_part_of_a_sequence_is_required() {
        assert_eq!(of(r"^\S+ postfix/\w+\[\d+\]: warning: "), "]: warning:  &  postfix/");
        assert_eq!(of(r"(?P<x>abc)+d*"), "abc");
    }

    #[test]
    fn one_of_several_ways_is_required_where_each_asks_for_something() {
        assert_eq!(of("x(?:reject|lost connection)"), "lost connection|reject");
        assert_eq!(of("x(?:reject|[A-Z]+)"), "");
        assert_eq!(of("x(?:reject|)"), "");
    }

    #[test]
    fn what_may_be_missing_or_is_short_is_not_required() {
        assert_eq!(of("(?:warning)?ab(?i:x)*"), "");
        assert_eq!(of("(?i:warning)"), "");
    }

    #[test]
    fn a_line_break_is_not_looked_for() {
        assert_eq!(of("one\ntwo"), "one & two");
    }
}
