//! Which engine runs an expression, on which text.

use std::sync::Arc;

use super::linear::{Ascii, AsciiSlots, Lazy, is_small};
use super::python::Translated;
use super::relaxed::Relaxed;
use super::{BACKTRACK_LEN, BACKTRACK_LIMIT, CACHE_LIMIT, LimitHit, SIZE_LIMIT};

/// An expression as it is run.
#[derive(Debug)]
pub(super) enum Engine {
    /// In linear time.
    Linear {
        ascii: Option<Ascii>,
        any: Lazy<regex::Regex>,
    },
    /// By backtracking, where it cannot be told otherwise.
    Backtracking {
        relaxed: Option<Relaxed>,
        any: Lazy<fancy_regex::Regex>,
    },
}

/// What a search works with, made by the first: many an expression is never searched.
#[derive(Debug, Default)]
pub(super) struct EngineSlots {
    ascii: Option<AsciiSlots>,
    any: Option<regex::CaptureLocations>,
}

/// The groups' names, by number.
type Names = Vec<Option<Arc<str>>>;
/// Where groups lie in a text.
type Spans = Vec<Option<(usize, usize)>>;

impl Engine {
    /// Compiles an expression, or says in the engine's words why that cannot be.
    pub(super) fn compile(translated: &Translated) -> Result<(Self, Names), String> {
        if translated.backtracks {
            let any = backtracking(&translated.text).map_err(|error| error.to_string())?;
            let names = any.capture_names().map(|name| name.map(Arc::from)).collect();
            let relaxed = translated.relaxation.as_ref().and_then(Relaxed::compile);
            let build = |expression: &str| backtracking(expression).ok();
            // What most lines never need takes memory only once a line does.
            let any = match relaxed {
                Some(_) => Lazy::new(build),
                None => Lazy::built(any, build),
            };
            return Ok((Self::Backtracking { relaxed, any }, names));
        }
        let build = |expression: &str| linear(expression).ok();
        let parsed = regex_syntax::parse(&translated.text).ok();
        let ascii = parsed.as_ref().and_then(Ascii::compile);
        if let Some(known) = &ascii
            && parsed.as_ref().is_some_and(is_small)
        {
            let names = known.names().map(|name| name.map(Arc::from)).collect();
            let any = Lazy::new(build);
            return Ok((Self::Linear { ascii, any }, names));
        }
        let any = linear(&translated.text).map_err(|error| error.to_string())?;
        let names = any.capture_names().map(|name| name.map(Arc::from)).collect();
        let any = match ascii {
            Some(_) => Lazy::new(build),
            None => Lazy::built(any, build),
        };
        Ok((Self::Linear { ascii, any }, names))
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "regex",
            Self::Backtracking { .. } => "fancy-regex",
        }
    }

    /// Searches a text for the first match and adds where its groups lie to `spans`.
    pub(super) fn search(
        &self,
        expression: &str,
        text: &str,
        slots: &mut EngineSlots,
        spans: &mut Spans,
    ) -> Result<bool, LimitHit> {
        match self {
            Self::Linear { ascii, any } => {
                if let Some(ascii) = ascii
                    && text.is_ascii()
                {
                    let slots = slots.ascii.get_or_insert_with(|| ascii.slots());
                    let is_match = ascii.search(text, slots);
                    if is_match {
                        spans.extend((0..slots.groups()).map(|group| slots.group(group)));
                    }
                    return Ok(is_match);
                }
                let Some(any) = any.get(expression) else {
                    return Ok(false);
                };
                let locations = slots.any.get_or_insert_with(|| any.capture_locations());
                let is_match = any.captures_read(locations, text).is_some();
                if is_match {
                    spans.extend((0..locations.len()).map(|group| locations.get(group)));
                }
                Ok(is_match)
            }
            Self::Backtracking { relaxed, any } => {
                if let Some(relaxed) = relaxed
                    && text.is_ascii()
                {
                    let slots = slots.ascii.get_or_insert_with(|| relaxed.slots());
                    if let Some(is_match) = relaxed.search(text, slots) {
                        if is_match {
                            spans.extend(relaxed.spans(slots));
                        }
                        return Ok(is_match);
                    }
                }
                let Some(any) = backtrack(any, expression, text)? else {
                    return Ok(false);
                };
                let Some(captures) = any.captures(text).map_err(|_| LimitHit)? else {
                    return Ok(false);
                };
                let groups = captures.iter();
                spans.extend(groups.map(|group| group.map(|group| (group.start(), group.end()))));
                Ok(true)
            }
        }
    }

    /// Whether a text matches.
    pub(super) fn is_match(&self, expression: &str, text: &str) -> Result<bool, LimitHit> {
        match self {
            Self::Linear { ascii: Some(ascii), .. } if text.is_ascii() => Ok(ascii.is_match(text)),
            Self::Linear { any, .. } => Ok(any.get(expression).is_some_and(|any| any.is_match(text))),
            Self::Backtracking {
                relaxed: Some(relaxed), ..
            } if text.is_ascii() && !relaxed.may_match(text) => Ok(false),
            Self::Backtracking { any, .. } => match backtrack(any, expression, text)? {
                Some(any) => any.is_match(text).map_err(|_| LimitHit),
                None => Ok(false),
            },
        }
    }
}

/// The backtracking engine, for a text that is not too long for it.
fn backtrack<'a>(
    any: &'a Lazy<fancy_regex::Regex>,
    expression: &str,
    text: &str,
) -> Result<Option<&'a fancy_regex::Regex>, LimitHit> {
    if text.len() > BACKTRACK_LEN {
        return Err(LimitHit);
    }
    Ok(any.get(expression))
}

fn linear(expression: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(expression)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(CACHE_LIMIT)
        .build()
}

fn backtracking(expression: &str) -> Result<fancy_regex::Regex, Box<fancy_regex::Error>> {
    let built = fancy_regex::RegexBuilder::new(expression)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(SIZE_LIMIT)
        .delegate_dfa_size_limit(CACHE_LIMIT)
        .max_prog_size(SIZE_LIMIT / 64)
        .build();
    built.map_err(Box::new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::python::{Lines, translate};
    use super::*;

    /// With groups, flags, Unicode's classes, look-around of every kind in every place, and groups that lie close together.
    const EXPRESSIONS: [&str; 17] = [
        r"^(?P<user>\w+) from (?P<ip4>\d+)",
        r"(?i)\bÄb\b|a(?P<x>b*?)",
        r"^\w+(?! ab)(?P<rest> \w+)?",
        r"(?:a|ab)(?!b)(?P<x>.*)$",
        r"(?P<x>a+)(?=b)\w",
        r"(?i)a(?!B|c)\S",
        r"(?:a(?!b))+",
        r"(?:ab(?!c)|a(?=b).)(?P<x>c?)",
        r"(?<=a)b(?P<x>\d)",
        r"(?!a)\w(?P<x>(?!b)\w)?",
        r"(?i:a(?!b))b",
        r"a(?!b(?!c))",
        r"(?P<x>a)(?(x)b|c)(?!d)",
        r"(?>a+)b|a++(?!b)c",
        r"^(?:a|b)*c(?P<user>[ab]+)?from ?\w",
        r"c(?P<user>a|ab)(?P<x>b?)from(?: \w)*",
        r"(?P<user>[ab]*?)(?P<x>b*)c(?:a|ab)",
    ];

    proptest! {
        #[test]
        fn what_saves_work_finds_what_the_engine_itself_finds(
            number in 0..EXPRESSIONS.len(),
            text in "(a|b|c|ab|abc| |B|[0-9]|é|ſ|from){0,12}",
        ) {
            let translated = translate(EXPRESSIONS[number], Lines::One).unwrap();
            let text = text + "\n";
            let itself = backtracking(&translated.text).unwrap();
            let expected: Option<Vec<_>> = itself.captures(&text).unwrap().map(|captures| {
                captures.iter().map(|group| group.map(|group| (group.start(), group.end()))).collect()
            });
            let (engine, _) = Engine::compile(&translated).unwrap();
            let (mut slots, mut spans) = (EngineSlots::default(), Vec::new());
            let found = engine.search(&translated.text, &text, &mut slots, &mut spans).unwrap();
            prop_assert_eq!(found.then_some(spans), expected.clone(), "{}", EXPRESSIONS[number]);
            prop_assert_eq!(engine.is_match(&translated.text, &text).unwrap(), expected.is_some());
        }
    }

    #[test]
    fn look_ahead_is_searched_without_backtracking_where_that_can_be() {
        for (expression, can_be) in [
            (r"a(?!b)c", true),
            (r"(?:x|a(?=b))?c", true),
            (r"(?:a(?!b))+c", false),
            (r"(?i:a(?!b))c", false),
            (r"a(?=(?P<x>b))c", false),
            (r"(?<!a)c", false),
        ] {
            let translated = translate(expression, Lines::One).unwrap();
            let (engine, _) = Engine::compile(&translated).unwrap();
            let is = matches!(engine, Engine::Backtracking { relaxed: Some(_), .. });
            assert_eq!(is, can_be, "{expression}");
        }
    }
}
