//! One line through a filter: prefix, failregexes, ignoreregexes, session.
//!
//! The first failregex that matches wins; a line that an ignoreregex matches shows nothing. Where there are far fewer ignoreregexes
//! than failregexes they see the whole line first, otherwise what the prefregex left of it, as in fail2ban.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::date::Cut;
use super::identity::Identity;
use super::lines::{self, Lines, Split, split};
use super::pattern::content::CONTENT;
use super::pattern::facts::Facts;
use super::pattern::{LimitHit, Slots};
use super::prefilter::{FilterNeeds, Words};
use super::session::Sessions;
use super::text::Text;
use super::{Filter, Regex};

/// How many failregexes more than ignoreregexes there are before these come first.
const FEWER: usize = 2;

/// What a failregex found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The failregex, by its index.
    pub failregex: usize,
    /// Whose failure it is; none while the session that it belongs to has not named anybody.
    pub identity: Option<Identity>,
    /// The address, where the identity is something else beside it.
    pub address: Option<std::net::IpAddr>,
    /// When.
    pub time: Option<Timestamp>,
    /// Whether the line only adds facts to its session and is no failure.
    pub nofail: bool,
    /// What the named groups say.
    pub facts: Facts,
    /// How many lines made it.
    pub lines: usize,
}

impl Hit {
    /// Whether this is somebody's failure, now.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        self.identity.is_some() && !self.nofail
    }
}

/// What a filter says of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What failregexes found.
    pub hits: Vec<Hit>,
    /// The ignoreregex that matched, by its index.
    pub ignored: Option<usize>,
}

/// Which failregexes are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Up to the first that matches.
    First,
    /// All, to see which would match.
    All,
}

/// A filter at work on one log.
#[derive(Debug)]
pub struct Matcher {
    filter: Arc<Filter>,
    search: Search,
    sessions: Sessions,
    lines: Lines,
    /// Room for a line that is shown to this filter alone.
    text: Text,
    /// What the prefregex left of a line, and a break, where the line has more behind it.
    content: String,
    slots: MatcherSlots,
    /// What lines must hold for the filter to find anything in them.
    needs: FilterNeeds,
    /// Searches that were given up at the backtracking limit.
    pub limit_hits: u64,
}

#[derive(Debug)]
struct MatcherSlots {
    prefix: Option<Slots>,
    fail: Vec<Slots>,
}

impl Matcher {
    /// A matcher that has seen nothing.
    #[must_use]
    pub fn new(filter: Arc<Filter>, search: Search) -> Self {
        Self {
            slots: MatcherSlots {
                prefix: filter.prefregex().map(|regex| regex.pattern.slots()),
                fail: filter.failregex.iter().map(|regex| regex.pattern.slots()).collect(),
            },
            lines: Lines::new(filter.max_lines),
            filter,
            search,
            sessions: Sessions::default(),
            text: Text::default(),
            content: String::new(),
            needs: FilterNeeds::default(),
            limit_hits: 0,
        }
    }

    /// The filter.
    #[must_use]
    pub const fn filter(&self) -> &Arc<Filter> {
        &self.filter
    }

    /// Tells it what lines must hold for its filter, so that it can be shown what they hold.
    pub fn need(&mut self, needs: FilterNeeds) {
        self.needs = needs;
    }

    /// Applies the filter to a line.
    pub fn apply(&mut self, cut: &Cut<'_>) -> Found {
        self.apply_where(cut, Words::ANY)
    }

    /// Applies the filter to a line that holds these literals.
    pub fn apply_where(&mut self, cut: &Cut<'_>, words: Words) -> Found {
        if !self.may_find(words) {
            return Found::default();
        }
        let mut text = std::mem::take(&mut self.text);
        text.set(cut);
        let found = self.apply_to(&text, cut.time, words);
        // Its room is used again for the next line.
        self.text = text;
        found
    }

    /// Whether a line that holds these literals may show anything; one that may not need not be applied.
    pub(super) fn may_find(&self, words: Words) -> bool {
        // Of several lines that are one text each may hold something else.
        self.filter.max_lines > 1
            || comes_first(&self.filter) && self.needs.may_ignore(words)
            || self.needs.may_find(words)
    }

    /// Applies the filter to a line of this text and time that holds these literals.
    pub(super) fn apply_to(&mut self, text: &Text, time: Option<Timestamp>, words: Words) -> Found {
        if self.filter.max_lines > 1 {
            return self.apply_to_several(text, time);
        }
        let line = text.as_str();
        let filter = Arc::clone(&self.filter);
        if let Some(found) = self.ignored_first(&filter, line) {
            return found;
        }
        let Some(prefix) = self.prefix(&filter, line, words) else {
            return Found::default();
        };
        let mut content = std::mem::take(&mut self.content);
        let line = match prefix.content {
            None => line,
            // It has the line's break behind it already.
            Some(range) if range.end + 1 == line.len() => &line[range.start..],
            Some(range) => {
                content.clear();
                content.push_str(&line[range]);
                content.push('\n');
                content.as_str()
            }
        };
        let mut found = Found::default();
        for (n, regex) in filter.failregex.iter().enumerate() {
            if !self.needs.may_fail(n, words) || !self.search(regex, n, line) {
                continue;
            }
            if let Some(ignored) = ignored(&filter.ignoreregex, line, &mut self.limit_hits) {
                found.ignored = Some(ignored);
                if self.search == Search::First {
                    break;
                }
                continue;
            }
            let facts = regex.pattern.facts(line, &self.slots.fail[n]);
            let facts = over(&prefix.facts, facts);
            found.hits.extend(self.hit(n, facts, 1, time));
            if self.search == Search::First {
                break;
            }
        }
        self.content = content;
        found
    }

    /// Applies the filter to the last lines together.
    fn apply_to_several(&mut self, text: &Text, time: Option<Timestamp>) -> Found {
        self.lines.push(text.without_break().to_owned());
        let all = self.lines.all();
        let filter = Arc::clone(&self.filter);
        let together = self.lines.text();
        if let Some(found) = self.ignored_first(&filter, &together) {
            return found;
        }
        let Some(prefix) = self.prefix(&filter, &together, Words::ANY) else {
            return Found::default();
        };
        if let Some(range) = prefix.content {
            let content = together[range].to_owned();
            self.lines.replace([content]);
        }
        let mut found = Found::default();
        for (n, regex) in filter.failregex.iter().enumerate() {
            let text = self.lines.text();
            if !self.search(regex, n, &text) {
                continue;
            }
            let Split { matched, unmatched } = self.split(regex, n, &all, &text);
            self.lines.replace(unmatched);
            if let Some(ignored) = ignored(&filter.ignoreregex, &lines::text(&matched), &mut self.limit_hits) {
                found.ignored = Some(ignored);
                if self.search == Search::First {
                    break;
                }
                continue;
            }
            let facts = over(&prefix.facts, regex.pattern.facts(&text, &self.slots.fail[n]));
            found.hits.extend(self.hit(n, facts, matched.len(), time));
            if self.search == Search::First {
                break;
            }
        }
        found
    }

    fn split(&self, regex: &Regex, n: usize, all: &[String], text: &str) -> Split {
        let slots = &self.slots.fail[n];
        let mut skipped = String::new();
        for number in 0.. {
            let Some(group) = regex.pattern.group(&format!("skiplines{number}")) else {
                break;
            };
            skipped.push_str(slots.group(group).map_or("", |range| &text[range]));
        }
        split(all, text, &slots.group(0).unwrap_or_default(), &skipped)
    }

    fn search(&mut self, regex: &Regex, n: usize, text: &str) -> bool {
        let result = regex.pattern.search(text, &mut self.slots.fail[n]);
        self.note_limit(result)
    }

    /// A search that was given up counts as no match.
    fn note_limit(&mut self, result: Result<bool, LimitHit>) -> bool {
        result.unwrap_or_else(|LimitHit| {
            self.limit_hits += 1;
            false
        })
    }

    /// The answer for a line that an ignoreregex matches, where those come first.
    fn ignored_first(&mut self, filter: &Filter, line: &str) -> Option<Found> {
        if !comes_first(filter) {
            return None;
        }
        let ignored = ignored(&filter.ignoreregex, line, &mut self.limit_hits)?;
        Some(Found {
            hits: Vec::new(),
            ignored: Some(ignored),
        })
    }

    /// Applies the prefregex, if there is one, to the line.
    fn prefix(&mut self, filter: &Filter, line: &str, words: Words) -> Option<PrefixMatch> {
        let Some(prefix) = &filter.prefregex else {
            return Some(PrefixMatch::default());
        };
        if let Some(before) = prefix.regex.pattern.before()
            && filter.max_lines == 1
            && words != Words::ANY
            && !self.needs.may_look(words)
            && line.is_ascii()
        {
            let begin = before.end(line)?;
            // The line's break is no part of its content, which is something.
            let end = line.len() - 1;
            if begin < end {
                return Some(PrefixMatch {
                    facts: Facts::default(),
                    content: Some(begin..end),
                });
            }
        }
        let Some(mut slots) = self.slots.prefix.take() else {
            return Some(PrefixMatch::default());
        };
        let result = prefix.regex.pattern.search(line, &mut slots);
        let matched = self.note_limit(result).then(|| {
            let mut facts = prefix.regex.pattern.facts(line, &slots);
            facts.remove(CONTENT);
            let content = prefix.content.and_then(|content| slots.group(content));
            PrefixMatch {
                facts,
                content: content.filter(|range| !range.is_empty()),
            }
        });
        self.slots.prefix = Some(slots);
        matched
    }

    /// What a match shows, by itself or within its session; nothing where it waits for more lines.
    fn hit(&mut self, failregex: usize, facts: Facts, lines: usize, time: Option<Timestamp>) -> Option<Hit> {
        let session = facts.text("mlfid").map(str::to_owned);
        let (facts, lines) = match &session {
            Some(id) => {
                let session = self.sessions.join(id, facts, lines, time);
                (session.facts, session.lines)
            }
            None => (facts, lines),
        };
        let nofail = facts.has("nofail");
        let identity = Identity::of(&facts);
        if let (None, Some(id)) = (&identity, &session)
            && (!nofail || self.search == Search::All)
        {
            self.sessions.wait(id);
        }
        if identity.is_none() && session.is_none() {
            // The group that should say whose failure it is has no part in the match.
            return None;
        }
        let (identity, address) = identity.map_or((None, None), |(identity, address)| (Some(identity), address));
        Some(Hit {
            failregex,
            identity,
            address,
            time,
            nofail,
            facts,
            lines,
        })
    }
}

/// What the prefregex left.
#[derive(Debug, Default)]
struct PrefixMatch {
    facts: Facts,
    /// What stands for the line from here on.
    content: Option<Range<usize>>,
}

/// Whether ignoreregexes are tried before failregexes.
fn comes_first(filter: &Filter) -> bool {
    !filter.ignoreregex.is_empty() && filter.ignoreregex.len() + FEWER < filter.failregex.len()
}

fn over(prefix: &Facts, facts: Facts) -> Facts {
    if prefix.is_empty() {
        return facts;
    }
    let mut all = prefix.clone();
    all.lay_over(facts);
    all
}

/// The first ignoreregex that matches. One that is given up does not, and is counted.
fn ignored(ignoreregex: &[Regex], text: &str, limit_hits: &mut u64) -> Option<usize> {
    ignoreregex.iter().position(|regex| {
        regex.pattern.is_match(text).unwrap_or_else(|LimitHit| {
            *limit_hits += 1;
            false
        })
    })
}
