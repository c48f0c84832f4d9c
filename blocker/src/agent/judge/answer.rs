//! What the judge is asked from the control socket: which bans there are, one more, fewer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};

use super::Judge;
use crate::api::control::{Ask, Cursor, Newly, Page, Query, Refusal, Sort, Which};
use crate::api::model;
use crate::ban::{Ban, Change, Expiry, JailId, Origin, Subject};
use crate::firewall::Knocks;
use crate::jail::BanTime;
use crate::ledger::Entry;
use crate::ledger::store::Entered;

/// Why a ban is lifted.
const ASKED: &str = "somebody has asked for it";

impl Judge {
    /// Answers one thing that was asked: failures do not wait for all that somebody may ask.
    pub(super) fn answer(&mut self, now: Timestamp) {
        let Some(ask) = self.asked.take().or_else(|| self.asks.try_recv().ok()) else {
            return;
        };
        match ask {
            Ask::Bans(query, reply) if !reply.is_closed() => drop(reply.send(self.page(&query, now))),
            Ask::Ban(newly, reply) if !reply.is_closed() => drop(reply.send(self.ban_by_hand(&newly, now))),
            Ask::Unban(which, reply) if !reply.is_closed() => drop(reply.send(self.unban(&which, now))),
            Ask::Search(search, reply) if !reply.is_closed() => drop(reply.send(self.search(&search, now))),
            Ask::Why(subject, reply) if !reply.is_closed() => drop(reply.send(self.why(subject, now))),
            // Whoever has asked was told that it is not done.
            Ask::Bans(..) | Ask::Ban(..) | Ask::Unban(..) | Ask::Search(..) | Ask::Why(..) => {}
        }
        self.asked = self.asks.try_recv().ok();
    }

    pub(super) fn number(&self, jail: Option<&String>) -> Result<Option<JailId>, Refusal> {
        let Some(name) = jail else { return Ok(None) };
        let at = self.jails.iter().position(|(known, _)| known == name);
        let number = at.and_then(|at| u16::try_from(at).ok()).map(JailId);
        number.map(Some).ok_or_else(|| Refusal::NoSuchJail {
            name: name.clone(),
            jails: self.jails.iter().map(|(name, _)| name.clone()).collect(),
        })
    }

    fn page(&self, query: &Query, now: Timestamp) -> Page {
        // A jail that is not there has no bans.
        let Ok(jail) = self.number(query.which.jail.as_ref()) else {
            return Page {
                bans: Vec::new(),
                next: None,
            };
        };
        let is_meant = |ban: &Ban| is_meant(ban, &query.which, jail);
        let packets = self.packets(query.sort, query.limit, is_meant, now);
        // The first so many after the last page, without a copy of all.
        let mut first: BinaryHeap<Cursor> = BinaryHeap::new();
        let mut more = false;
        for ban in self.ledger.bans().filter(|ban| is_meant(ban)) {
            let cursor = (place(ban, query.sort, &packets), ban.subject, ban.jail);
            if query.after.is_some_and(|after| cursor <= after) {
                continue;
            }
            first.push(cursor);
            if first.len() > query.limit {
                more = true;
                first.pop();
            }
        }
        let first = first.into_sorted_vec();
        let next = first.last().copied().filter(|_| more);
        let bans: Vec<Ban> = first
            .iter()
            .filter_map(|(_, subject, jail)| self.ledger.get(*subject, *jail).cloned())
            .collect();
        Page {
            bans: self.told(&bans, now),
            next,
        }
    }

    /// What an order by packets goes by: those of the hosts and networks that knock the most, among those with a ban that is meant.
    pub(super) fn packets(
        &self,
        sort: Sort,
        limit: usize,
        is_meant: impl Fn(&Ban) -> bool,
        now: Timestamp,
    ) -> HashMap<Subject, u64> {
        if sort != Sort::Packets {
            return HashMap::new();
        }
        let mut loudest: BinaryHeap<Reverse<(u64, Subject)>> = BinaryHeap::new();
        let mut each = |knocks: Knocks| {
            if knocks.packets > 0 && self.ledger.of(knocks.subject).any(&is_meant) {
                loudest.push(Reverse((knocks.packets, knocks.subject)));
                if loudest.len() > limit {
                    loudest.pop();
                }
            }
        };
        let firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = firewall.as_deref().map(|firewall| firewall.knocks(now, &mut each)) {
            tracing::error!(error = format!("{error:#}"), "who knocks cannot be read");
        }
        let loudest = loudest
            .into_iter()
            .map(|Reverse((packets, subject))| (subject, packets));
        loudest.collect()
    }

    /// Bans as they are told, with what the kernel has counted.
    pub(super) fn told(&self, bans: &[Ban], now: Timestamp) -> Vec<model::Ban> {
        let subjects: Vec<Subject> = bans.iter().map(|ban| ban.subject).collect();
        let knocks: HashMap<Subject, Knocks> = {
            let firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
            match firewall.as_deref().map(|firewall| firewall.knocks_of(&subjects, now)) {
                Some(Ok(knocks)) => knocks.into_iter().map(|knocks| (knocks.subject, knocks)).collect(),
                Some(Err(error)) => {
                    tracing::error!(error = format!("{error:#}"), "who knocks cannot be read");
                    HashMap::new()
                }
                None => HashMap::new(),
            }
        };
        let told = |ban: &Ban| {
            let knocks = knocks.get(&ban.subject);
            model::Ban {
                address: ban.subject.to_string(),
                jail: self.name(ban.jail).to_owned(),
                origin: ban.origin.name().to_owned(),
                since: ban.since,
                until: match ban.until {
                    Expiry::At(end) => Some(end),
                    Expiry::Never => None,
                },
                failures: ban.failures,
                packets: knocks.map(|knocks| knocks.packets),
                last_knock: knocks.and_then(|knocks| knocks.last),
                enforced: !self.refused.contains(&ban.subject),
            }
        };
        bans.iter().map(told).collect()
    }

    /// Bans somebody because it was asked for; the brake has no say in it, the allowlist has.
    fn ban_by_hand(&mut self, newly: &Newly, now: Timestamp) -> Result<Vec<model::Ban>, Refusal> {
        let one = self.number(newly.jail.as_ref())?;
        if self.ledger.allowlist().covers(newly.subject) {
            return Err(Refusal::Allowed(newly.subject));
        }
        let jails: Vec<(JailId, BanTime)> = (0..)
            .map(JailId)
            .zip(&self.jails)
            .filter(|(id, _)| one.is_none_or(|one| one == *id))
            .map(|(id, (_, jail))| (id, jail.ban_time()))
            .collect();
        let mut changes: Vec<Change> = Vec::new();
        let mut entered: Vec<Ban> = Vec::new();
        let mut refusal = None;
        for (jail, ban_time) in jails {
            let length = match (newly.length, ban_time) {
                (Some(length), _) | (None, BanTime::For(length)) => Some(length),
                (None, BanTime::Forever) => None,
            };
            let end = |length: SignedDuration| Expiry::At(now.saturating_add(length).unwrap_or(Timestamp::MAX));
            let ban = Ban {
                subject: newly.subject,
                jail,
                origin: Origin::Manual,
                since: now,
                until: length.map_or(Expiry::Never, end),
                failures: 0,
            };
            match self.ledger.enter(ban.clone()) {
                Entry::New(change) => {
                    if let Some(metrics) = self.metrics.jail(jail) {
                        metrics.bans_manual.inc();
                        metrics.active.inc();
                    }
                    self.store.enter(&ban, Entered::New { bans: 1 });
                    changes.push(change);
                    entered.push(ban);
                }
                Entry::Extended(change) => {
                    let extended = self.ledger.get(newly.subject, jail).unwrap_or(&ban).clone();
                    self.store.enter(&extended, Entered::Extended);
                    changes.push(change);
                    entered.push(extended);
                }
                Entry::Known => entered.extend(self.ledger.get(newly.subject, jail).cloned()),
                Entry::Allowed => refusal = Some(Refusal::Allowed(newly.subject)),
                Entry::Full => refusal = Some(Refusal::Full),
            }
        }
        self.commit(now);
        // What the kernel refuses is tried again, and told as not enforced.
        self.apply(&changes, now);
        for ban in &entered {
            self.report("banned", ban);
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(self.told(&entered, now)),
        }
    }

    fn unban(&mut self, which: &Which, now: Timestamp) -> Result<u64, Refusal> {
        let jail = self.number(which.jail.as_ref())?;
        let lifted = self.ledger.lift(|ban| is_meant(ban, which, jail));
        self.lift(ASKED, &lifted, now);
        Ok(lifted.bans.len() as u64)
    }
}

/// Where a ban comes in an order: the lower, the earlier.
pub(super) fn place(ban: &Ban, sort: Sort, packets: &HashMap<Subject, u64>) -> i128 {
    match sort {
        Sort::Address => 0,
        Sort::Since => -ban.since.as_nanosecond(),
        Sort::Until => match ban.until {
            Expiry::At(end) => end.as_nanosecond(),
            Expiry::Never => i128::MAX,
        },
        Sort::Failures => -i128::from(ban.failures),
        Sort::Packets => packets.get(&ban.subject).map_or(0, |packets| -i128::from(*packets)),
    }
}

pub(super) fn is_meant(ban: &Ban, which: &Which, jail: Option<JailId>) -> bool {
    jail.is_none_or(|jail| ban.jail == jail) && lies(ban.subject, which)
}

/// Whether a host or network is where a question says.
fn lies(subject: Subject, which: &Which) -> bool {
    let network = subject.network();
    which.covering.is_none_or(|host| network.contains(&host.network()))
        && which.within.is_none_or(|within| within.contains(&network))
}
