//! Where the groups of a match lie, looked for in that part of the expression alone that holds them.
//!
//! That a text matches is said by an automaton; which group took what is only said by an engine that tries one way after the other, and
//! that costs many times as much for each byte. Mostly the groups lie close together: an address between what says where it stands and
//! what is said of it. Where the part before them can end in one place only, and so can the part around them, every way to match the
//! whole passes by these places. Then the first way to match the part around them is the one by which the whole matches.

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::backtrack::{BoundedBacktracker, Cache};
use regex_automata::nfa::thompson::{Compiler, Config, NFA, WhichCaptures};
use regex_automata::util::primitives::{NonMaxUsize, StateID};
use regex_automata::util::start;
use regex_automata::{Anchored, Input, Match, MatchKind};
use regex_syntax::hir::{Hir, HirKind};

use super::SIZE_LIMIT;

/// Bytes that an automaton of a part may take; where it needs more, the groups are looked for in the whole.
const PART_LIMIT: usize = 256 * 1024;
/// Bytes, one of each kind, that may stand before a part.
const BEFORE: [Option<u8>; 5] = [None, Some(b'\n'), Some(b'\r'), Some(b'a'), Some(b' ')];

/// The part of an expression that holds its groups.
#[derive(Debug)]
pub(super) struct Groups {
    /// What stands before it, unless that takes no byte.
    before: Option<dense::DFA<Vec<u32>>>,
    around: BoundedBacktracker,
}

impl Groups {
    /// Finds the part of an expression for lines of ASCII. `None` where there is none, or it is not smaller than the whole.
    pub(super) fn of(expression: &Hir) -> Option<Self> {
        let HirKind::Concat(parts) = expression.kind() else {
            return None;
        };
        let has_group = |part: &Hir| part.properties().explicit_captures_len() > 0;
        let first = parts.iter().position(has_group)?;
        let last = parts.iter().rposition(has_group)?;
        let before = &parts[..first];
        let before = if before.iter().all(|part| part.properties().maximum_len() == Some(0)) {
            None
        } else {
            Some(automaton(before).filter(has_one_end)?)
        };
        let mut end = last + 1;
        // What takes now more and now less can hardly be the last, and an automaton takes its time to make.
        while varies(parts.get(end - 1)?) || !has_one_end(&automaton(parts.get(first..end)?)?) {
            end += 1;
        }
        if before.is_none() && end == parts.len() {
            return None;
        }
        let around = nfa(&parts[first..end], WhichCaptures::All)?;
        Some(Self {
            before,
            around: BoundedBacktracker::new_from_nfa(around).ok()?,
        })
    }

    /// What a search works with.
    pub(super) fn cache(&self) -> Cache {
        self.around.create_cache()
    }

    /// Finds the groups of a match in a line, and says whether that could be done. It cannot where a line is too long.
    pub(super) fn find(&self, line: &str, found: Match, cache: &mut Cache, slots: &mut [Option<NonMaxUsize>]) -> bool {
        let input = Input::new(line).range(found.start()..).anchored(Anchored::Yes);
        let begin = match &self.before {
            None => found.start(),
            Some(before) => match before.try_search_fwd(&input) {
                Ok(Some(end)) => end.offset(),
                _ => return false,
            },
        };
        // What lies behind the whole match is none of its groups', and the engine clears its memory for each byte that it is given.
        let input = input.range(begin..found.end());
        if !matches!(self.around.try_search_slots(cache, &input, slots), Ok(Some(_))) {
            return false;
        }
        for (slot, at) in slots.iter_mut().zip([found.start(), found.end()]) {
            *slot = NonMaxUsize::new(at);
        }
        true
    }
}

/// Whether a part may match texts of several lengths.
fn varies(part: &Hir) -> bool {
    let properties = part.properties();
    properties.minimum_len() != properties.maximum_len()
}

/// The automaton of these parts, if there is room for it.
fn automaton(parts: &[Hir]) -> Option<dense::DFA<Vec<u32>>> {
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(PART_LIMIT))
        .determinize_size_limit(Some(PART_LIMIT));
    let nfa = nfa(parts, WhichCaptures::None)?;
    dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()
}

fn nfa(parts: &[Hir], captures: WhichCaptures) -> Option<NFA> {
    let config = Config::new().nfa_size_limit(Some(SIZE_LIMIT)).which_captures(captures);
    let parts = Hir::concat(parts.to_vec());
    Compiler::new().configure(config).build_from_hir(&parts).ok()
}

/// Whether all matches from one place on end in one place: after a state that matches, none does.
fn has_one_end(automaton: &dense::DFA<Vec<u32>>) -> bool {
    let start = |look_behind| {
        let config = start::Config::new().anchored(Anchored::Yes).look_behind(look_behind);
        automaton.start_state(&config).ok()
    };
    let Some(starts) = BEFORE.into_iter().map(start).collect::<Option<Vec<StateID>>>() else {
        return false;
    };
    // Each state, and whether it is reached by way of one that matches.
    let mut open: Vec<(StateID, bool)> = starts.into_iter().map(|state| (state, false)).collect();
    let mut seen: Vec<[bool; 2]> = Vec::new();
    let mut is_new = |(state, has_matched): (StateID, bool)| {
        let place = state.as_usize() >> automaton.stride2();
        if place >= seen.len() {
            seen.resize(place + 1, [false; 2]);
        }
        !std::mem::replace(&mut seen[place][usize::from(has_matched)], true)
    };
    open.retain(|start| is_new(*start));
    while let Some((state, has_matched)) = open.pop() {
        let is_match = automaton.is_match_state(state);
        if automaton.is_quit_state(state) || (is_match && has_matched) {
            return false;
        }
        let bytes = automaton.byte_classes().representatives(0..=u8::MAX);
        let bytes = bytes.filter_map(|byte| byte.as_u8());
        let next = bytes.map(|byte| automaton.next_state(state, byte));
        let next = next.chain([automaton.next_eoi_state(state)]);
        let next = next.map(|state| (state, has_matched || is_match));
        open.extend(next.filter(|next| is_new(*next)));
    }
    true
}

#[cfg(test)]
mod tests {
    use regex_automata::meta;

    use super::*;

    fn parsed(expression: &str) -> Hir {
        regex_syntax::parse(expression).unwrap()
    }

    #[test]
    fn a_part_with_several_ends_is_told_from_one_with_one() {
        let has_one =
            |expression: &str| automaton(&[parsed(expression)]).is_some_and(|automaton| has_one_end(&automaton));
        for expression in ["from [^\\[]*\\[", "a+b", "(?:ab|c)", "\\d{1,3}:", "", "^"] {
            assert!(has_one(expression), "{expression}");
        }
        for expression in ["a+", "a?", "(?:a|ab)", "[ab]*b", ".*:", "\\d{1,3}", "a(?-u:\\b)|a-"] {
            assert!(!has_one(expression), "{expression}");
        }
    }

    #[test]
    fn groups_that_cannot_be_told_apart_are_looked_for_in_the_whole() {
        for expression in ["^(a)", "^a*(a)b", "(a)|b", "ab", "^(a+)a*"] {
            assert!(Groups::of(&parsed(expression)).is_none(), "{expression}");
        }
    }

    #[test]
    fn an_address_is_found_where_the_whole_expression_finds_it() {
        let expression = parsed(
            r"^[A-Z]{4} from [^\[]*\[(?:\[?(?:(?P<ip4>(?:[0-9]{1,3}\.){3}[0-9]{1,3})|(?P<ip6>[0-9a-f:]+))\]?|(?P<dns>[a-z0-9.]*[a-z0-9]))\](?::[0-9]+)?: [45][0-9]{2} (?:no|never)\b",
        );
        let groups = Groups::of(&expression).unwrap();
        let whole = meta::Builder::new().build_from_hir(&expression).unwrap();
        let mut cache = groups.cache();
        for line in [
            "RCPT from unknown[192.0.2.7]: 554 no",
            "RCPT from unknown[[192.0.2.7]]:25: 450 never mind",
            "RCPT from x[2001:db8::7]: 450 never",
            "RCPT from x[mail.example]: 450 no, 450 no",
        ] {
            let found = whole.find(line).unwrap();
            let mut captures = whole.create_captures();
            whole.captures(line, &mut captures);
            let mut slots = vec![None; captures.slots().len()];
            assert!(groups.find(line, found, &mut cache, &mut slots), "{line}");
            assert_eq!(slots, captures.slots(), "{line}");
        }
    }
}
