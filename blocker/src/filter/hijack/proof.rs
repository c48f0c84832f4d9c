//! Whom a filter blames for a line: only what was really matched is a proof.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::filter::Filter;
use crate::filter::date::Cut;
use crate::filter::identity::Identity;
use crate::filter::matcher::{Hit, Matcher, Search};
use crate::filter::pattern::{LimitHit, Pattern};

/// Work that the lines for one filter may take: bytes of a text times bytes of the expression that searches it.
const MAX_WORK: u64 = 1_000_000_000;
/// Most of a filter's expressions see at a line's beginning that it is none of theirs, so this part of the work is counted.
const OTHERS_SHARE: u64 = 4;
/// What a search that was given up took.
const LIMIT_WORK: u64 = 20_000_000;

/// A filter to which lines are given, while there is work left.
#[derive(Debug)]
pub(super) struct Proof<'a> {
    filter: &'a Arc<Filter>,
    left: u64,
}

impl<'a> Proof<'a> {
    pub(super) const fn new(filter: &'a Arc<Filter>) -> Self {
        Self { filter, left: MAX_WORK }
    }

    /// Whether the bound of the work was hit, after which nobody is found to be blamed.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    /// Takes work off what is left.
    pub(super) const fn spend(&mut self, work: u64) {
        self.left = self.left.saturating_sub(work);
    }

    /// Whether an expression finds somebody's address in a text, all by itself: whoever is blamed for the line is.
    pub(super) fn finds(&mut self, pattern: &Pattern, text: &str, whom: &str) -> bool {
        let text = format!("{text}\n");
        let mut slots = pattern.slots();
        if !self.search(pattern, &text, |text| pattern.search(text, &mut slots)) {
            return false;
        }
        let facts = pattern.facts(&text, &slots);
        Identity::of(&facts).is_some_and(|(identity, address)| is(&identity, address, whom))
    }

    /// Whether an expression matches a text.
    pub(super) fn matches(&mut self, pattern: &Pattern, text: &str) -> bool {
        self.search(pattern, &format!("{text}\n"), |text| pattern.is_match(text))
    }

    /// Whether a prefregex leaves just this of a line.
    pub(super) fn leaves(&mut self, pattern: &Pattern, line: &str, content: &str) -> bool {
        let line = format!("{line}\n");
        let mut slots = pattern.slots();
        let group = pattern.group("content");
        self.search(pattern, &line, |line| pattern.search(line, &mut slots))
            && group
                .and_then(|group| slots.group(group))
                .is_some_and(|range| &line[range] == content)
    }

    fn search(&mut self, pattern: &Pattern, text: &str, search: impl FnOnce(&str) -> Result<bool, LimitHit>) -> bool {
        if self.is_exhausted() {
            return false;
        }
        self.spend(work(pattern, text));
        search(text).unwrap_or_else(|LimitHit| {
            self.spend(LIMIT_WORK);
            false
        })
    }

    /// Whether the filter blames somebody for a line, or for several. `failregex` says by which expression.
    pub(super) fn blames(&mut self, failregex: Option<usize>, lines: &str, whom: &str) -> bool {
        if self.is_exhausted() {
            return false;
        }
        let filter = self.filter;
        let regexes = filter
            .failregex()
            .iter()
            .chain(filter.ignoreregex())
            .chain(filter.prefregex());
        let all: u64 = regexes.map(|regex| work(&regex.pattern, lines)).sum();
        self.spend(all / OTHERS_SHARE);
        // What it remembers of other lines would be no part of this one.
        let mut matcher = Matcher::new(Arc::clone(filter), Search::All);
        let blamed = |hit: &Hit| {
            let identity = hit.identity.as_ref();
            failregex.is_none_or(|n| hit.failregex == n)
                && identity.is_some_and(|identity| is(identity, hit.address, whom))
        };
        let found = lines.split('\n').any(|line| {
            matcher
                .apply(&Cut::undated(line, Timestamp::UNIX_EPOCH))
                .hits
                .iter()
                .any(blamed)
        });
        self.spend(matcher.limit_hits * LIMIT_WORK);
        found
    }
}

fn is(identity: &Identity, address: Option<IpAddr>, whom: &str) -> bool {
    identity.to_string() == whom || address.is_some_and(|address| address.to_string() == whom)
}

fn work(pattern: &Pattern, text: &str) -> u64 {
    (text.len() as u64 + 1) * (pattern.expression().len() as u64 + 1)
}
