//! What somebody who looks at the page searches for: a part of the bans in an order, and what all of them come to.
//!
//! One pass over the bans without a copy of them, however many there are; only those that are told are put into words.

use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::time::Instant;

use jiff::Timestamp;

use super::Judge;
use super::answer::{is_meant, place};
use crate::api::control::{Cursor, Found, Search};
use crate::ban::{Ban, JailId};

impl Judge {
    pub(super) fn search(&self, search: &Search, now: Timestamp) -> Found {
        let begun = Instant::now();
        let jail = self.number(search.which.jail.as_ref());
        let text = search.text.as_deref().map(|text| Text::new(text, &self.jails));
        // A jail that is not there has no bans.
        let is_found = |ban: &Ban| {
            jail.as_ref().is_ok_and(|jail| is_meant(ban, &search.which, *jail))
                && search.origin.is_none_or(|origin| ban.origin == origin)
                && text.as_ref().is_none_or(|text| text.is_in(ban))
        };
        let most = search.skip.saturating_add(search.limit);
        let packets = self.packets(search.sort, most, is_found, now);
        let mut first: BinaryHeap<Cursor> = BinaryHeap::new();
        let mut matching = 0;
        let mut counts: BTreeMap<(JailId, &str), (_, u64)> = BTreeMap::new();
        for ban in self.ledger.bans() {
            counts.entry((ban.jail, ban.origin.name())).or_insert((ban.origin, 0)).1 += 1;
            if !is_found(ban) {
                continue;
            }
            matching += 1;
            first.push((place(ban, search.sort, &packets), ban.subject, ban.jail));
            if first.len() > most {
                first.pop();
            }
        }
        let first = first.into_sorted_vec();
        let bans: Vec<Ban> = first
            .iter()
            .skip(search.skip)
            .filter_map(|(_, subject, jail)| self.ledger.get(*subject, *jail).cloned())
            .collect();
        let counts = counts.into_iter();
        Found {
            bans: self.told(&bans, now),
            matching,
            counts: counts
                .map(|((jail, _), (origin, bans))| (self.name(jail).to_owned(), origin, bans))
                .collect(),
            took: begun.elapsed(),
        }
    }
}

/// A text that is searched for.
struct Text<'a> {
    text: &'a str,
    /// Whether it can be the beginning of an address: only then is each put into words.
    is_address: bool,
    /// The jails in whose names it is.
    jails: Vec<JailId>,
}

impl<'a> Text<'a> {
    fn new<T>(text: &'a str, jails: &[(String, T)]) -> Self {
        let named = (0..).map(JailId).zip(jails);
        Self {
            text,
            is_address: text
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || b".:/".contains(&byte)),
            jails: named
                .filter(|(_, (name, _))| name.to_lowercase().contains(text))
                .map(|(id, _)| id)
                .collect(),
        }
    }

    fn is_in(&self, ban: &Ban) -> bool {
        if self.jails.contains(&ban.jail) {
            return true;
        }
        if !self.is_address {
            return false;
        }
        let mut begins = Beginning(self.text);
        // It breaks off where it is another one, which is no error.
        let _ = write!(begins, "{}", ban.subject);
        begins.0.is_empty()
    }
}

/// What is still to come of a beginning, as something is written.
struct Beginning<'a>(&'a str);

impl std::fmt::Write for Beginning<'_> {
    fn write_str(&mut self, written: &str) -> std::fmt::Result {
        if let Some(rest) = self.0.strip_prefix(written) {
            self.0 = rest;
            return Ok(());
        }
        if written.starts_with(self.0) {
            self.0 = "";
        }
        // Whatever comes, nothing more is to be known.
        Err(std::fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ban::{Expiry, Origin};

    fn is_in(text: &str, subject: &str) -> bool {
        let jails = [("spam".to_owned(), ()), ("Dead Letters".to_owned(), ())];
        let ban = Ban {
            subject: subject.parse().unwrap(),
            jail: JailId(1),
            origin: Origin::Jail,
            since: Timestamp::UNIX_EPOCH,
            until: Expiry::Never,
            failures: 1,
        };
        Text::new(text, &jails).is_in(&ban)
    }

    #[test]
    fn a_text_is_the_beginning_of_an_address() {
        for text in ["1", "192.0", "192.0.2.", "192.0.2.7"] {
            assert!(is_in(text, "192.0.2.7"), "{text}");
            assert!(is_in(text, "192.0.2.70"), "{text}");
        }
        for text in ["92.0", "2.7", "192.0.2.8", "192.0.2.7/", "192.0.2.71"] {
            assert!(!is_in(text, "192.0.2.7"), "{text}");
        }
        assert!(is_in("192.0.2.0/2", "192.0.2.0/24"));
        assert!(is_in("2001:db8:0:b", "2001:db8:0:bad::/64"));
        assert!(!is_in("2001:db8:0:c", "2001:db8:0:bad::/64"));
    }

    #[test]
    fn a_text_is_a_part_of_a_jails_name() {
        assert!(is_in("dead", "192.0.2.7") && is_in("letters", "192.0.2.7"));
        assert!(!is_in("spam", "192.0.2.7"));
    }
}
