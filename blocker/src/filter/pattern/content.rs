//! Where the content begins that a prefregex leaves of a line, without its groups.
//!
//! A prefregex mostly ends in `<F-CONTENT>.+</F-CONTENT>$`: whatever is left of the line. Then the first way to match what stands before
//! it is the first way to match all of it, as long as anything is left, and an automaton that only finds an end does, which is several
//! times cheaper than one that finds groups.

use regex_automata::Input;
use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::{Dot, Hir, HirKind, Look};

use super::linear::in_ascii;
use super::python::Translated;
use super::relaxed::is_marker;
use super::required::{Required, required};
use super::{CACHE_LIMIT, SIZE_LIMIT};

/// The group that stands for the line from there on.
pub(in crate::filter) const CONTENT: &str = "content";

/// What stands before the content, for lines of ASCII.
#[derive(Debug)]
pub(in crate::filter) struct Before {
    regex: meta::Regex,
    /// What a line must hold for a way to match that passes by look-ahead; such a line is not for this.
    looks: Vec<Required>,
}

impl Before {
    /// Compiles it. `None` where the content is something else, or what stands before it says more than where it ends.
    pub(super) fn compile(translated: &Translated) -> Option<Self> {
        let expression = match &translated.relaxation {
            Some(relaxation) => &relaxation.expression,
            None if translated.backtracks => return None,
            None => &translated.text,
        };
        let parsed = regex_syntax::parse(expression).ok()?;
        let HirKind::Concat(parts) = parsed.kind() else {
            return None;
        };
        let [before @ .., content, end] = &parts[..] else {
            return None;
        };
        if !is_rest_of_line(content) || *end.kind() != HirKind::Look(Look::EndLF) {
            return None;
        }
        let mut looks = Vec::new();
        let before: Option<Vec<Hir>> = before.iter().map(|part| without_looks(part, &mut looks)).collect();
        let before = in_ascii(&Hir::concat(before?));
        let config = meta::Config::new()
            .nfa_size_limit(Some(SIZE_LIMIT))
            .hybrid_cache_capacity(CACHE_LIMIT)
            .which_captures(WhichCaptures::Implicit);
        let regex = meta::Builder::new().configure(config).build_from_hir(&before).ok()?;
        Some(Self { regex, looks })
    }

    /// What a line holds that is not for this: any of these.
    pub(in crate::filter) fn looks(&self) -> &[Required] {
        &self.looks
    }

    /// Where the content of a line of ASCII begins.
    pub(in crate::filter) fn end(&self, line: &str) -> Option<usize> {
        self.regex.search_half(&Input::new(line)).map(|found| found.offset())
    }
}

/// Whether this is `<F-CONTENT>.+</F-CONTENT>`.
fn is_rest_of_line(part: &Hir) -> bool {
    let HirKind::Capture(capture) = part.kind() else {
        return false;
    };
    let HirKind::Repetition(repetition) = capture.sub.kind() else {
        return false;
    };
    capture.name.as_deref() == Some(CONTENT)
        && (repetition.min, repetition.max, repetition.greedy) == (1, None, true)
        && *repetition.sub == Hir::dot(Dot::AnyCharExceptLF)
}

/// A part with the ways taken out that pass by look-ahead. `None` where there is no other way, or where a group has a name.
fn without_looks(part: &Hir, looks: &mut Vec<Required>) -> Option<Hir> {
    match part.kind() {
        HirKind::Capture(capture) if capture.name.is_none() => without_looks(&capture.sub, looks),
        HirKind::Capture(_) => None,
        HirKind::Concat(parts) => {
            let parts: Option<Vec<Hir>> = parts.iter().map(|part| without_looks(part, looks)).collect();
            parts.map(Hir::concat)
        }
        HirKind::Alternation(ways) => {
            let mut others = Vec::new();
            for way in ways {
                if holds_marker(way) {
                    match without_looks(way, looks) {
                        Some(way) => others.push(way),
                        None => looks.push(required(way)),
                    }
                } else {
                    others.push(without_looks(way, looks)?);
                }
            }
            Some(Hir::alternation(others))
        }
        HirKind::Repetition(repetition) => {
            let sub = without_looks(&repetition.sub, looks)?;
            Some(Hir::repetition(regex_syntax::hir::Repetition {
                sub: Box::new(sub),
                ..*repetition
            }))
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => Some(part.clone()),
    }
}

fn holds_marker(part: &Hir) -> bool {
    match part.kind() {
        HirKind::Capture(capture) => is_marker(capture) || holds_marker(&capture.sub),
        HirKind::Repetition(repetition) => holds_marker(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(holds_marker),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Pattern;
    use super::super::python::{Lines, translate};
    use super::*;

    /// Prefixes that may end in several places, some by way of look-ahead.
    const EXPRESSIONS: [&str; 6] = [
        r"^(?:\S+ )?(?:reject:|warn(?:ing)?:) (?P<content>.+)$",
        r"^(\S+\s+)?(\S+\s+)?from (?P<content>.+)$",
        r"(?:a|ab)(?:c|bcd)?(?P<content>.+)$",
        r"^(?:reject|lost(?! DATA)|warn:(?=.*a)) ?(?P<content>.+)$",
        r"^(?:a+?|b*)(?P<content>.+)$",
        r"^(?:x(?:lost(?!a)|ab)|reject) (?P<content>.+)$",
    ];

    proptest! {
        #[test]
        fn the_content_begins_where_the_expression_itself_has_it(
            number in 0..EXPRESSIONS.len(),
            text in "(a|b|c|d| |x|from|reject:?|lost|DATA|warn:|warning:){0,10}",
        ) {
            let translated = translate(EXPRESSIONS[number], Lines::One).unwrap();
            let before = Before::compile(&translated).unwrap();
            let pattern = Pattern::from_translated(translated).unwrap();
            let line = text + "\n";
            let mut slots = pattern.slots();
            let content = pattern.search(&line, &mut slots).unwrap().then(|| {
                slots.group(pattern.group(CONTENT).unwrap()).unwrap().start
            });
            let passes_looks = ["lost", "warn:"].iter().any(|word| line.contains(word));
            let found = before.end(&line);
            // With nothing left for the content another way may match, and with look-ahead on the way it is not for this.
            if !passes_looks && found.is_none_or(|end| end < line.len() - 1) {
                prop_assert_eq!(found, content, "{:?}", line);
            }
        }
    }

    #[test]
    fn a_prefix_that_says_more_than_where_it_ends_is_none() {
        for expression in [
            r"^(?P<mlfid>\S+) (?P<content>.+)$",
            r"^\S+ (?P<content>.*)$",
            r"^\S+ (?P<content>\w+)$",
            r"^\S+ (?P<content>.+)",
            r"^\S+(?! DATA) (?P<content>.+)$",
            r"^(?>\S+) (?P<content>.+)$",
        ] {
            assert!(
                Before::compile(&translate(expression, Lines::One).unwrap()).is_none(),
                "{expression}"
            );
        }
    }

    #[test]
    fn a_way_past_look_ahead_is_known_by_its_words() {
        let before = Before::compile(&translate(EXPRESSIONS[3], Lines::One).unwrap()).unwrap();
        let words = ["lost", "warn:"].map(|word| Required::Literal(word.into()));
        assert_eq!(before.looks(), words);
    }
}
