//! The whole story of a host or network: its bans in force and what led to them, what is counted of it, and what was before.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::Judge;
use super::lines::MOST_LINES;
use crate::api::model;
use crate::ban::{Ban, Evidence, Expiry, JailId, Subject};
use crate::ledger::Covering;
use crate::ledger::store::Happened;

/// Earlier bans that are told.
const MOST_PAST: usize = 20;
/// Events of one host or network that are looked at: a ban that goes on has many.
const MOST_EVENTS: usize = 500;

/// One ban, from its events.
#[derive(Debug, PartialEq, Eq)]
struct Story {
    subject: Subject,
    jail: String,
    /// Its first event's.
    since: Timestamp,
    /// Its last event's.
    until: Expiry,
    evidence: Vec<Evidence>,
    /// Whether no later one of its jail is known.
    is_latest: bool,
}

impl Judge {
    /// What is known of a host or network.
    pub(super) fn why(&mut self, subject: Subject, now: Timestamp) -> model::Why {
        let bans = subject.and_around().flat_map(|around| self.ledger.of(around));
        let bans: Vec<Ban> = bans.cloned().collect();
        let mut evidence: Vec<Vec<Evidence>> = vec![Vec::new(); bans.len()];
        let (mut past, mut past_total) = (Vec::new(), 0_u64);
        for around in subject.and_around() {
            let events = self.store.happened(around, MOST_EVENTS, now);
            if events.is_empty() {
                continue;
            }
            past_total += u64::from(self.store.past(around, None, now).bans);
            for story in stories(events) {
                let is_of = |ban: &Ban| ban.subject == around && self.name(ban.jail) == story.jail;
                match bans.iter().position(is_of).filter(|_| story.is_latest) {
                    Some(in_force) => {
                        evidence[in_force] = story.evidence;
                        past_total = past_total.saturating_sub(1);
                    }
                    None => past.push(story),
                }
            }
        }
        past.sort_by_key(|story| std::cmp::Reverse(story.since));
        past.truncate(MOST_PAST);
        let told = self.told(&bans, now);
        let reasons = bans.iter().zip(told).zip(evidence);
        model::Why {
            address: subject.to_string(),
            allowed: self.allowed(subject),
            bans: reasons
                .map(|((ban, told), evidence)| self.reason(ban, told, evidence, now))
                .collect(),
            jails: (0..)
                .map(JailId)
                .take(self.jails.len())
                .filter_map(|jail| self.counted(subject, jail, now))
                .collect(),
            past: past.into_iter().map(|story| self.past_ban(story, now)).collect(),
            past_total,
        }
    }

    /// What on the allowlist covers a host or network.
    fn allowed(&self, subject: Subject) -> Option<model::Allowed> {
        let (by, entry) = match self.ledger.allowlist().covered_by(subject)? {
            Covering::Written(entry) => ("networks", Some(Subject::from(entry).to_string())),
            Covering::Own => ("own", None),
            Covering::LookedUp => ("looked-up", None),
            Covering::Together => ("together", None),
        };
        Some(model::Allowed {
            by: by.to_owned(),
            entry,
        })
    }

    /// A ban in force with its reason.
    fn reason(&mut self, ban: &Ban, told: model::Ban, evidence: Vec<Evidence>, now: Timestamp) -> model::Reason {
        let jail = self.jails.get(usize::from(ban.jail.0)).map(|(_, jail)| jail);
        let increment = jail.and_then(|jail| jail.increment());
        let grows = increment.is_some();
        let of = (!increment.is_some_and(|increment| increment.overall_jails)).then_some(ban.jail);
        // One that only the kernel knew has no history.
        let nth = self.store.past(ban.subject, of, now).bans.max(1);
        let jail = self.jails.get(usize::from(ban.jail.0)).map(|(_, jail)| jail);
        let next = jail.and_then(|jail| jail.length_after(nth));
        model::Reason {
            ban: told,
            scope: String::new(),
            nth,
            grows,
            next_seconds: next.map(seconds),
            lines: lines(evidence),
        }
    }

    /// What a jail has counted of a host or network, or whether it ignores it; `None` where it is neither.
    fn counted(&self, subject: Subject, id: JailId, now: Timestamp) -> Option<model::Counted> {
        let (name, jail) = self.jails.get(usize::from(id.0))?;
        let allowlist = self.ledger.allowlist();
        let counted_as = match subject.address() {
            Some(address) => jail.counted_as(address, |host| allowlist.covers(host)),
            None => subject,
        };
        let ignores = jail.ignores(subject);
        let mut failures = jail.counted(&(counted_as, 0), now);
        let oldest = now.saturating_sub(jail.find_time()).unwrap_or(Timestamp::MIN);
        let mut evidence: Vec<Evidence> = Vec::new();
        for (who, lines) in self.lines.of(id, counted_as) {
            failures = failures.max(jail.counted(who, now));
            evidence.extend(lines.iter().filter(|line| line.time >= oldest).cloned());
        }
        let ignored_by = jail.ignored_by(subject);
        (ignores || failures > 0).then(|| model::Counted {
            jail: name.clone(),
            ignores,
            ignored_by: ignored_by.map(|entry| Subject::from(entry).to_string()),
            failures,
            max_retry: jail.max_retry(),
            find_seconds: seconds(jail.find_time()),
            lines: lines(evidence),
        })
    }

    fn past_ban(&self, story: Story, now: Timestamp) -> model::PastBan {
        let jail = self.jails.iter().position(|(name, _)| *name == story.jail);
        let jail = jail.and_then(|at| u16::try_from(at).ok()).map(JailId);
        let is_lifted = |jail| self.store.is_lifted(story.subject, jail);
        model::PastBan {
            address: story.subject.to_string(),
            lifted: story.is_latest && story.until > Expiry::At(now) && jail.is_some_and(is_lifted),
            jail: story.jail,
            since: story.since,
            until: match story.until {
                Expiry::At(end) => Some(end),
                Expiry::Never => None,
            },
            lines: lines(story.evidence),
        }
    }
}

/// The bans that these events are of, the latest first as they are. What only goes on belongs to the ban that it began with.
fn stories(events: Vec<Happened>) -> Vec<Story> {
    let mut stories: Vec<Story> = Vec::new();
    // Of each jail the ban that is looked for the beginning of; none once that is found.
    let mut open: HashMap<String, Option<usize>> = HashMap::new();
    for event in events {
        let known = open.get(&event.jail).copied();
        let at = known.flatten().unwrap_or(stories.len());
        match stories.get_mut(at) {
            Some(story) => {
                story.since = event.since;
                story.evidence.extend(event.evidence);
            }
            None => stories.push(Story {
                subject: event.subject,
                jail: event.jail.clone(),
                since: event.since,
                until: event.until,
                evidence: event.evidence,
                is_latest: known.is_none(),
            }),
        }
        open.insert(event.jail, (event.bans == 0).then_some(at));
    }
    stories
}

/// Lines as they are told: the last ones, the earliest first.
fn lines(mut evidence: Vec<Evidence>) -> Vec<model::FailedLine> {
    evidence.sort_by_key(|line| line.time);
    let superfluous = evidence.len().saturating_sub(MOST_LINES);
    let told = |line: Evidence| model::FailedLine {
        time: line.time,
        line: line.line.to_string(),
        number: line.number,
        failregex: line.failregex.to_string(),
    };
    evidence.into_iter().skip(superfluous).map(told).collect()
}

fn seconds(length: SignedDuration) -> u64 {
    length.as_secs().max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(jail: &str, since: i64, bans: u32) -> Happened {
        let at = |second| Timestamp::from_second(second).unwrap();
        Happened {
            subject: "192.0.2.7".parse().unwrap(),
            jail: jail.to_owned(),
            since: at(since),
            until: Expiry::At(at(since + 100)),
            bans,
            evidence: vec![Evidence {
                time: at(since),
                line: since.to_string().into(),
                number: 0,
                failregex: "^x".into(),
            }],
        }
    }

    #[test]
    fn a_ban_that_went_on_is_one_with_the_lines_of_all_its_events() {
        let told = stories(vec![
            event("spam", 90, 0),
            event("auth", 80, 1),
            event("spam", 70, 0),
            event("spam", 60, 1),
            event("spam", 10, 1),
        ]);
        let short = |story: Story| {
            let end = match story.until {
                Expiry::At(end) => end.as_second(),
                Expiry::Never => 0,
            };
            (
                story.jail,
                story.since.as_second(),
                end,
                story.evidence.len(),
                story.is_latest,
            )
        };
        let told: Vec<_> = told.into_iter().map(short).collect();
        let expected = [
            ("spam", 60, 190, 3, true),
            ("auth", 80, 180, 1, true),
            ("spam", 10, 110, 1, false),
        ];
        let expected = expected.map(|(jail, since, end, lines, latest)| (jail.to_owned(), since, end, lines, latest));
        assert_eq!(told, expected);
    }

    #[test]
    fn of_many_lines_the_last_ones_are_told_in_their_order() {
        let evidence: Vec<Evidence> = (0..30).rev().flat_map(|n| event("spam", n, 1).evidence).collect();
        let told: Vec<String> = lines(evidence).into_iter().map(|line| line.line).collect();
        assert_eq!(
            (told.len(), told[0].as_str(), told[9].as_str()),
            (MOST_LINES, "20", "29")
        );
    }
}
