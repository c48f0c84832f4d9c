//! What a text must hold for an expression to match it: literals, all of them or one of several.
//!
//! Most lines of a log hold none of the words that a filter looks for, and finding words is far cheaper than an expression.

use regex_syntax::hir::{Hir, HirKind};

/// Bytes of a literal, at the most: the beginning of a longer one tells as much.
const LONGEST: usize = 24;
/// Bytes of a literal, at the least: shorter ones are in every line.
const SHORTEST: usize = 3;
/// Parts of a requirement, at the most.
const MOST_PARTS: usize = 64;

/// What a text must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::filter) enum Required {
    /// Whatever it likes.
    #[default]
    Nothing,
    /// This.
    Literal(Vec<u8>),
    /// Each of these.
    All(Vec<Required>),
    /// One of these.
    Either(Vec<Required>),
}

/// What a text must hold for an expression to match it.
pub(in crate::filter) fn required(expression: &Hir) -> Required {
    match expression.kind() {
        HirKind::Literal(literal) => {
            // A line's break is no part of what is looked through.
            let parts = literal.0.split(|byte| *byte == b'\n');
            let parts = parts.filter(|part| part.len() >= SHORTEST);
            all(parts.map(|part| Required::Literal(part[..part.len().min(LONGEST)].to_vec())))
        }
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(parts) => all(parts.iter().map(required)),
        HirKind::Alternation(ways) => either(ways.iter().map(required)),
        HirKind::Repetition(_) | HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => Required::Nothing,
    }
}

/// Each of them.
pub(in crate::filter) fn all(parts: impl Iterator<Item = Required>) -> Required {
    let mut known: Vec<Required> = Vec::new();
    for part in parts.flat_map(|part| match part {
        Required::All(parts) => parts,
        part => vec![part],
    }) {
        if part != Required::Nothing && !known.contains(&part) && known.len() < MOST_PARTS {
            known.push(part);
        }
    }
    match known.len() {
        0 => Required::Nothing,
        1 => known.swap_remove(0),
        _ => Required::All(known),
    }
}

/// One of them; nothing where one of them asks for nothing.
pub(in crate::filter) fn either(ways: impl Iterator<Item = Required>) -> Required {
    let mut known: Vec<Required> = Vec::new();
    for way in ways.flat_map(|way| match way {
        Required::Either(ways) => ways,
        way => vec![way],
    }) {
        if way == Required::Nothing || known.len() == MOST_PARTS {
            return Required::Nothing;
        }
        if !known.contains(&way) {
            known.push(way);
        }
    }
    match known.len() {
        1 => known.swap_remove(0),
        _ => Required::Either(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(required: &Required) -> String {
        let several = |parts: &[Required], by: &str| {
            let parts: Vec<String> = parts.iter().map(written).collect();
            format!("({})", parts.join(by))
        };
        match required {
            Required::Nothing => String::new(),
            Required::Literal(literal) => String::from_utf8_lossy(literal).into_owned(),
            Required::All(parts) => several(parts, " & "),
            Required::Either(ways) => several(ways, "|"),
        }
    }

    fn of(expression: &str) -> String {
        written(&required(&regex_syntax::parse(expression).unwrap()))
    }

    #[test]
    fn every_part_of_a_sequence_is_required() {
        assert_eq!(of(r"^\S+ postfix/\w+\[\d+\]: warning: "), "( postfix/ & ]: warning: )");
        assert_eq!(of(r"(?P<x>abc)+d*"), "abc");
    }

    #[test]
    fn one_of_several_ways_is_required_where_each_asks_for_something() {
        assert_eq!(of("x(?:reject|lost connection)"), "(reject|lost connection)");
        assert_eq!(of("x(?:reject|lost +connection)"), "(reject|(lost & connection))");
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
        assert_eq!(of("one\ntwo"), "(one & two)");
    }
}
