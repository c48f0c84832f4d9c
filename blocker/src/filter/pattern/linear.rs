//! A regular expression in linear time, twice: for lines of ASCII, which nearly all are, and for any.
//!
//! Python's `\w`, `\d` and `\s` are Unicode's, and make automata of thousands of states. On a line of ASCII, the expression with each
//! class cut down to ASCII finds the same with a fraction of them. The other one is built when the first line needs it.

use std::sync::OnceLock;

use regex_automata::meta::{self, BuildError};
use regex_automata::nfa::thompson::backtrack;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};

use super::groups::Groups;
use super::{CACHE_LIMIT, SIZE_LIMIT};

/// An expression for lines of ASCII.
#[derive(Debug)]
pub(super) struct Ascii {
    regex: meta::Regex,
    expression: Hir,
    /// Where its groups can be found for less. Looked for when the first line matches, which then takes some milliseconds: for all
    /// expressions it takes more than all else at a start, and most of a filter's never match.
    groups: OnceLock<Option<Groups>>,
}

/// What a search for lines of ASCII works with, and where it leaves the groups.
#[derive(Debug)]
pub(super) struct AsciiSlots {
    cache: meta::Cache,
    /// Made by the first match.
    groups: Option<backtrack::Cache>,
    slots: Vec<Option<NonMaxUsize>>,
}

impl Ascii {
    /// Compiles what has been parsed as Rust's language. `None` where it needs more than ASCII, or more room than there is.
    pub(super) fn compile(expression: &Hir) -> Option<Self> {
        let config = meta::Config::new()
            .nfa_size_limit(Some(SIZE_LIMIT))
            .hybrid_cache_capacity(CACHE_LIMIT);
        let expression = in_ascii(expression);
        let built: Result<meta::Regex, BuildError> = meta::Builder::new().configure(config).build_from_hir(&expression);
        Some(Self {
            regex: built.ok()?,
            expression,
            groups: OnceLock::new(),
        })
    }

    /// The names of its groups, by number.
    pub(super) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        let pattern = regex_automata::PatternID::ZERO;
        self.regex.group_info().pattern_names(pattern)
    }

    /// Room for what a search finds.
    pub(super) fn slots(&self) -> AsciiSlots {
        AsciiSlots {
            cache: self.regex.create_cache(),
            groups: None,
            slots: vec![None; self.regex.group_info().slot_len()],
        }
    }

    /// Searches a line of ASCII for the first match.
    pub(super) fn search(&self, line: &str, slots: &mut AsciiSlots) -> bool {
        let AsciiSlots { cache, groups, slots } = slots;
        let input = Input::new(line);
        // Where the groups are in no part of it that is known, one search for all is cheaper.
        if !matches!(self.groups.get(), Some(None)) {
            let Some(found) = self.regex.search_with(cache, &input) else {
                return false;
            };
            if let Some(known) = self.groups.get_or_init(|| Groups::of(&self.expression)) {
                let groups = groups.get_or_insert_with(|| known.cache());
                if known.find(line, found, groups, slots) {
                    return true;
                }
            }
        }
        self.regex.search_slots_with(cache, &input, slots).is_some()
    }

    /// Whether a line of ASCII matches from `at` on.
    pub(super) fn is_match_at(&self, line: &str, at: usize) -> bool {
        self.regex
            .is_match(Input::new(line).range(at..).anchored(Anchored::Yes))
    }

    /// Whether a line of ASCII matches.
    pub(super) fn is_match(&self, line: &str) -> bool {
        self.regex.is_match(line)
    }
}

impl AsciiSlots {
    /// How many groups there are, the whole match among them.
    pub(super) fn groups(&self) -> usize {
        self.slots.len() / 2
    }

    /// Where a group of the latest match lies.
    pub(super) fn group(&self, number: usize) -> Option<(usize, usize)> {
        let start = (*self.slots.get(number * 2)?)?;
        let end = (*self.slots.get(number * 2 + 1)?)?;
        Some((start.get(), end.get()))
    }
}

/// Whether an expression for lines of any characters, by what it takes at the most, needs no more room than there is; then it can be
/// compiled later, once a line needs it.
pub(super) fn is_small(expression: &Hir) -> bool {
    most_states(expression).is_some_and(|states| states <= SIZE_LIMIT / STATE)
}

/// Bytes that a state of an automaton takes at the most, with what leads to it.
const STATE: usize = 64;

/// How many states its automaton has at the most; `None` where nobody can count them.
fn most_states(expression: &Hir) -> Option<usize> {
    let of_all = |parts: &[Hir]| {
        let mut sum = parts.len();
        for part in parts {
            sum = sum.checked_add(most_states(part)?)?;
        }
        Some(sum)
    };
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(1),
        HirKind::Literal(literal) => Some(literal.0.len()),
        // A range of characters falls into sequences of up to four ranges of bytes, at most a dozen of them.
        HirKind::Class(Class::Unicode(class)) => Some(class.ranges().len() * 48 + 2),
        HirKind::Class(Class::Bytes(class)) => Some(class.ranges().len() + 2),
        HirKind::Capture(capture) => most_states(&capture.sub)?.checked_add(2),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            let times = usize::try_from(times).ok()?.checked_add(1)?;
            most_states(&repetition.sub)?.checked_add(3)?.checked_mul(times)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => of_all(parts),
    }
}

/// An expression for lines of any characters that can be compiled, which is known.
#[derive(Debug)]
pub(super) struct Lazy<T> {
    built: OnceLock<Option<T>>,
    build: fn(&str) -> Option<T>,
}

impl<T> Lazy<T> {
    pub(super) const fn new(build: fn(&str) -> Option<T>) -> Self {
        Self {
            built: OnceLock::new(),
            build,
        }
    }

    /// What it holds from the beginning.
    pub(super) fn built(engine: T, build: fn(&str) -> Option<T>) -> Self {
        Self {
            built: OnceLock::from(Some(engine)),
            build,
        }
    }

    /// Builds it where that has not been done. It can be built: that was tried, or reckoned, when the filter was read.
    pub(super) fn get(&self, expression: &str) -> Option<&T> {
        self.built.get_or_init(|| (self.build)(expression)).as_ref()
    }
}

/// The expression with each class cut down to ASCII: on a line of ASCII it finds the same.
pub(super) fn in_ascii(expression: &Hir) -> Hir {
    match expression.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.is_ascii() => Hir::literal(literal.0.clone()),
        HirKind::Literal(_) => Hir::fail(),
        HirKind::Class(Class::Unicode(class)) => {
            let mut class = class.clone();
            class.intersect(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\x7f')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(class) => Hir::class(class.clone()),
        HirKind::Look(look) => Hir::look(ascii_look(*look)),
        HirKind::Repetition(repetition) => Hir::repetition(regex_syntax::hir::Repetition {
            sub: Box::new(in_ascii(&repetition.sub)),
            ..*repetition
        }),
        HirKind::Capture(capture) => Hir::capture(regex_syntax::hir::Capture {
            index: capture.index,
            name: capture.name.clone(),
            sub: Box::new(in_ascii(&capture.sub)),
        }),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(in_ascii).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(in_ascii).collect()),
    }
}

/// Of letters and digits a line of ASCII has only ASCII's.
const fn ascii_look(look: Look) -> Look {
    match look {
        Look::WordUnicode => Look::WordAscii,
        Look::WordUnicodeNegate => Look::WordAsciiNegate,
        Look::WordStartUnicode => Look::WordStartAscii,
        Look::WordEndUnicode => Look::WordEndAscii,
        Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
        Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
        look => look,
    }
}
