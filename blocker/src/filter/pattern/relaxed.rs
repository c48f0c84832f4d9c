//! An expression with look-ahead, searched in linear time first: without its look-aheads, which are looked at afterwards.
//!
//! Both engines try the ways to match a text in the same order and take the first that leads to the end. Look-ahead only takes ways
//! out. So if nothing matches without it, nothing does; and if the first way without it passes by places where all look-aheads hold,
//! it is the first with them too. Only where one does not hold, a later way may, and the backtracking engine has to say.

use regex_syntax::hir::{Capture, Hir, HirKind};

use super::linear::{Ascii, AsciiSlots};

/// What an expression is without its look-aheads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::filter) struct Relaxation {
    /// The expression with a group named [`marker`] in the place of each look-ahead.
    pub(in crate::filter) expression: String,
    /// The look-aheads, by their numbers.
    pub(in crate::filter) looks: Vec<LookAhead>,
}

/// A look-ahead, by what it looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::filter) struct LookAhead {
    pub(in crate::filter) expression: String,
    pub(in crate::filter) is_negative: bool,
}

/// The name of the group that marks a look-ahead's place. No name of Python's holds a dot.
pub(in crate::filter) fn marker(number: usize) -> String {
    format!("look.{number}")
}

/// Whether a group marks the place of a look-ahead.
pub(super) fn is_marker(capture: &Capture) -> bool {
    capture.name.as_deref().is_some_and(|name| name.starts_with("look."))
}

/// The compiled expression, for lines of ASCII.
#[derive(Debug)]
pub(super) struct Relaxed {
    regex: Ascii,
    /// For each group of the expression itself, its number here.
    groups: Vec<usize>,
    looks: Vec<Look>,
}

#[derive(Debug)]
struct Look {
    /// The group that marks its place.
    group: usize,
    regex: Ascii,
    is_negative: bool,
}

impl Relaxed {
    /// Compiles it. `None` where a look-ahead may have to hold more than once in a match, or sets groups by itself.
    pub(super) fn compile(relaxation: &Relaxation) -> Option<Self> {
        let parsed = regex_syntax::parse(&relaxation.expression).ok()?;
        if marks_repeatedly(&parsed, false) {
            return None;
        }
        let regex = Ascii::compile(&parsed)?;
        let names: Vec<Option<&str>> = regex.names().collect();
        let looks = relaxation.looks.iter().enumerate().map(|(n, look)| {
            let parsed = regex_syntax::parse(&look.expression).ok()?;
            if parsed.properties().explicit_captures_len() > 0 {
                return None;
            }
            Some(Look {
                group: names.iter().position(|name| *name == Some(&marker(n)))?,
                regex: Ascii::compile(&parsed)?,
                is_negative: look.is_negative,
            })
        });
        let looks: Vec<Look> = looks.collect::<Option<_>>()?;
        let is_own = |group: &usize| looks.iter().all(|look| look.group != *group);
        Some(Self {
            groups: (0..names.len()).filter(is_own).collect(),
            looks,
            regex,
        })
    }

    /// Room for what a search finds.
    pub(super) fn slots(&self) -> AsciiSlots {
        self.regex.slots()
    }

    /// Searches a line of ASCII for the first match. `None` where that cannot be said in linear time.
    pub(super) fn search(&self, line: &str, slots: &mut AsciiSlots) -> Option<bool> {
        if !self.regex.search(line, slots) {
            return Some(false);
        }
        let holds = |look: &Look| match slots.group(look.group) {
            Some((at, _)) => look.regex.is_match_at(line, at) != look.is_negative,
            // The match has not passed by it.
            None => true,
        };
        self.looks.iter().all(holds).then_some(true)
    }

    /// Whether a line of ASCII matches without look-aheads; if not, it does not with them.
    pub(super) fn may_match(&self, line: &str) -> bool {
        self.regex.is_match(line)
    }

    /// Where the expression's own groups lie in the latest match.
    pub(super) fn spans<'a>(&'a self, slots: &'a AsciiSlots) -> impl Iterator<Item = Option<(usize, usize)>> + 'a {
        self.groups.iter().map(|group| slots.group(*group))
    }
}

/// Whether a marker stands where a match may pass by more than once: only the last time is known.
fn marks_repeatedly(expression: &Hir, is_repeated: bool) -> bool {
    match expression.kind() {
        HirKind::Capture(capture) => (is_marker(capture) && is_repeated) || marks_repeatedly(&capture.sub, is_repeated),
        HirKind::Repetition(repetition) => {
            marks_repeatedly(&repetition.sub, is_repeated || repetition.max.is_none_or(|max| max > 1))
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().any(|part| marks_repeatedly(part, is_repeated))
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}
