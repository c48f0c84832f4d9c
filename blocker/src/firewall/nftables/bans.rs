//! The bans in the kernel: changes become transactions, and what the kernel refuses is sorted out.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::net::IpAddr;
use std::time::Instant;

use ahash::RandomState;
use anyhow::anyhow;
use jiff::Timestamp;
use nftnl::MsgType;

use super::ended::Ended;
use super::held::Held;
use super::knocks::{self, Before};
use super::names::Names;
use super::plan::{Edit, Span, edits};
use super::record::Record;
use super::ruleset;
use super::sets::{Place, Sets};
use super::socket::Socket;
use super::sys::{Element, NewElements, Role};
use super::transaction::{Failure, Transaction};
use crate::ban::{Change, JailId, Subject};
use crate::firewall::Rejected;

/// The most messages that one edit takes: the element is added, removed and added, and what has been counted is removed.
const MESSAGES: usize = 5;

/// The part of a transaction to which the bans belong that are sent together.
const TOGETHER: usize = usize::MAX;
/// Of so many bans that have ended, at least, what was counted is taken out with each call.
const FEW: usize = 32;

/// The bans that a table holds.
#[derive(Debug, Default)]
pub struct Bans {
    record: Record,
    sets: Sets,
    /// Bans that are over, and of which the count may be left.
    ended: Ended,
}

/// A change, and what must be done for it.
struct Step {
    /// The change's place among those applied.
    change: usize,
    subject: Subject,
    edits: Vec<Edit>,
    /// Whether, as far as is known, none of these sets has an element for it, or a count.
    is_new: bool,
}

/// What has been sent.
struct Sent {
    /// The sets that were laid for it.
    laid: Sets,
    /// Whether what was counted for earlier bans is known to be taken out.
    is_counted_anew: bool,
}

/// Elements that come into their sets together.
type Together = HashMap<Place, Vec<(IpAddr, Role)>, RandomState>;

impl Bans {
    /// Adds to the transaction that lays these empty sets what makes them hold all these bans. Returns them as they are once it has
    /// been carried out.
    pub fn fill(
        transaction: &mut Transaction,
        mut sets: Sets,
        (names, before): (&[Names], &Before),
        changes: &[Change],
        now: Timestamp,
    ) -> Self {
        let mut record = Record::default();
        let mut together = Together::default();
        let at = Instant::now();
        for (_, Change { subject, bans }) in that_count(changes) {
            let edits = edits([].into_iter(), bans, now);
            for edit in &edits {
                let Some(names) = names.get(usize::from(edit.jail.0)) else {
                    continue;
                };
                let place = Place::of(edit.jail, *subject);
                sets.name_or_lay(place, || ruleset::lay_set(transaction, 0, names, place));
                let elements = together.entry(place).or_default();
                elements.push((subject.network().addr(), role(edit.span)));
                if let Some(knock) = before.get(&(*subject, edit.jail)) {
                    let element = Element {
                        set: &names.knocks(place.family, place.prefix_len),
                        address: subject.network().addr(),
                        role: Role::Knocked(*knock),
                    };
                    transaction.add(0, &element, MsgType::Add);
                }
            }
            record.note(*subject, &edits, at);
        }
        add_together(transaction, &together, |place| sets.name(place));
        Self {
            record,
            sets,
            ended: Ended::default(),
        }
    }

    /// The sets that the kernel has.
    pub fn sets(&self) -> &Sets {
        &self.sets
    }

    /// Learns of what the kernel holds and others have put there, so that it can be taken out.
    pub fn learn(&mut self, found: &Held) {
        let at = Instant::now();
        for (subject, held) in found {
            let known: Vec<JailId> = self.record.jails(*subject).collect();
            let others = held.iter().filter(|(jail, _)| !known.contains(jail));
            let edits: Vec<Edit> = others
                .map(|(jail, left)| Edit {
                    jail: *jail,
                    span: left.map_or(Span::Forever, Span::For),
                })
                .collect();
            if !edits.is_empty() {
                self.record.note(*subject, &edits, at);
            }
        }
    }

    /// What the kernel has confirmed to hold: every host and network with the jails that ban it.
    pub fn all(&self) -> impl Iterator<Item = (Subject, JailId)> {
        self.record.all()
    }

    /// How many hosts and networks are among it.
    pub fn len(&self) -> usize {
        self.record.len()
    }

    /// The hosts and networks among it.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.record.subjects()
    }

    /// Whether this is among it.
    pub fn knows(&self, subject: Subject, jail: JailId) -> bool {
        self.record.jails(subject).any(|known| known == jail)
    }

    /// The jails that ban this host or network at this time.
    pub fn jails(&self, subject: Subject, at: Instant) -> impl Iterator<Item = JailId> {
        self.record.in_force(subject, at)
    }

    /// The changes that make an empty table hold all these, with each end reckoned from `now`, the wall clock's time `at`.
    pub fn changes(&self, at: Instant, now: Timestamp) -> Vec<Change> {
        self.record.changes(at, now)
    }

    /// Makes the kernel hold exactly what each change says. Of several for one host or network, the last counts.
    pub fn apply(&mut self, socket: &Socket, names: &[Names], changes: &[Change], now: Timestamp) -> Vec<Rejected> {
        let begin = Instant::now();
        self.record.sweep(begin, |subject, jail| self.ended.note(subject, jail));
        let mut rest = that_count(changes);
        let mut rejected = Vec::new();
        loop {
            // The kernel counts from when it gets an element, and a million take it seconds.
            let now = now.checked_add(begin.elapsed()).unwrap_or(now);
            let steps = self.next_steps(names, &mut rest, now, &mut rejected);
            if steps.is_empty() {
                break;
            }
            self.carry_out(socket, names, steps, &mut rejected);
        }
        // Only now: no ban waits for it.
        self.ended.take_out(socket, names, changes.len().max(FEW));
        rejected.sort_by_key(|rejected| rejected.change);
        rejected
    }

    /// As many changes as make a full transaction; none when there are no more.
    fn next_steps<'a>(
        &self,
        names: &[Names],
        changes: &mut impl Iterator<Item = (usize, &'a Change)>,
        now: Timestamp,
        rejected: &mut Vec<Rejected>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut messages = 0;
        while messages < Transaction::FULL
            && let Some((change, Change { subject, bans })) = changes.next()
        {
            if let Some(ban) = bans.iter().find(|ban| usize::from(ban.jail.0) >= names.len()) {
                let error = anyhow!(
                    "nftables: {subject} is banned by jail {}, which there is not",
                    ban.jail.0
                );
                rejected.push(Rejected { change, error });
                continue;
            }
            let edits = edits(self.record.jails(*subject), bans, now);
            if edits.is_empty() {
                continue;
            }
            let is_known = |edit: &Edit| {
                self.record.jails(*subject).any(|jail| jail == edit.jail) || self.ended.holds(*subject, edit.jail)
            };
            let is_new = !edits.iter().any(is_known);
            for edit in &edits {
                messages += if is_new { 1 } else { MESSAGES };
                if self.sets.name(Place::of(edit.jail, *subject)).is_none() {
                    messages += ruleset::SET_MESSAGES;
                }
            }
            steps.push(Step {
                change,
                subject: *subject,
                edits,
                is_new,
            });
        }
        steps
    }

    /// Has the kernel carry out the steps in as few transactions as it allows, and rejects those that it refuses alone.
    fn carry_out(&mut self, socket: &Socket, names: &[Names], steps: Vec<Step>, rejected: &mut Vec<Rejected>) {
        let mut work = vec![steps];
        while let Some(mut steps) = work.pop() {
            if steps.is_empty() {
                continue;
            }
            let at = Instant::now();
            let failure = match self.send(socket, names, &steps) {
                Ok(Sent { laid, is_counted_anew }) => {
                    self.sets.note(laid);
                    for Step { subject, edits, .. } in steps {
                        self.record.note(subject, &edits, at);
                        for edit in edits {
                            if edit.span == Span::Over {
                                // A packet may have come between the question and the change.
                                self.ended.note(subject, edit.jail);
                            } else if is_counted_anew {
                                self.ended.forget(subject, edit.jail);
                            }
                        }
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            if failure.parts.contains_key(&TOGETHER) {
                // Somebody else has put one of them there, or the kernel does not take one: which one shows when each comes by itself.
                steps.iter_mut().for_each(|step| step.is_new = false);
                while !steps.is_empty() {
                    let rest = steps.split_off(steps.len().min(Transaction::FULL / MESSAGES));
                    work.push(std::mem::replace(&mut steps, rest));
                }
            } else if let [step] = steps.as_slice() {
                let error = anyhow!("nftables: the kernel refused {}: {failure}", step.subject);
                rejected.push(Rejected {
                    change: step.change,
                    error,
                });
            } else if failure.parts.is_empty() {
                work.push(steps.split_off(steps.len() / 2));
                work.push(steps);
            } else {
                let mut good = Vec::new();
                for (n, step) in steps.into_iter().enumerate() {
                    if failure.parts.contains_key(&n) {
                        work.push(vec![step]);
                    } else {
                        good.push(step);
                    }
                }
                work.push(good);
            }
        }
    }

    /// Sends the steps in one transaction, with the sets that they are the first to need.
    fn send(&self, socket: &Socket, names: &[Names], steps: &[Step]) -> Result<Sent, Failure> {
        let mut transaction = Transaction::new();
        let mut laid = Sets::default();
        let mut together = Together::default();
        let over = self.over(socket, names, steps);
        let is_counted_anew = over.is_some();
        let over = over.unwrap_or_default();
        for (part, step) in steps.iter().enumerate() {
            let Step { subject, edits, .. } = step;
            for edit in edits {
                let place = Place::of(edit.jail, *subject);
                let Some(names) = names.get(usize::from(edit.jail.0)) else {
                    continue;
                };
                let set = match self.sets.name(place) {
                    Some(set) => set,
                    None => laid.name_or_lay(place, || ruleset::lay_set(&mut transaction, part, names, place)),
                };
                if step.is_new {
                    let elements = together.entry(place).or_default();
                    elements.push((subject.network().addr(), role(edit.span)));
                    continue;
                }
                let element = Element {
                    set,
                    address: subject.network().addr(),
                    role: role(edit.span),
                };
                // An element that is added can be removed, whether it was there or has just expired; and only one that
                // was removed gets a new timeout from every kernel.
                transaction.add(part, &element, MsgType::Add);
                transaction.add(part, &element, MsgType::Del);
                if edit.span != Span::Over {
                    transaction.add(part, &element, MsgType::Add);
                }
                if over.contains_key(&(*subject, edit.jail)) {
                    let element = Element {
                        set: &names.knocks(place.family, place.prefix_len),
                        role: Role::Member,
                        ..element
                    };
                    transaction.add(part, &element, MsgType::Add);
                    transaction.add(part, &element, MsgType::Del);
                }
            }
        }
        add_together(&mut transaction, &together, |place| {
            self.sets.name(place).or_else(|| laid.name(place))
        });
        transaction.commit(socket)?;
        Ok(Sent { laid, is_counted_anew })
    }

    /// What has been counted for bans that end here, or of which only the count is left and which begin anew; none where the kernel does
    /// not tell it.
    fn over(&self, socket: &Socket, names: &[Names], steps: &[Step]) -> Option<Before> {
        let at = Instant::now();
        let known = steps.iter().filter(|step| !step.is_new);
        let ending = known.flat_map(|Step { subject, edits, .. }| {
            let goes_on =
                move |edit: &Edit| edit.span != Span::Over && self.jails(*subject, at).any(|jail| jail == edit.jail);
            let edits = edits.iter().filter(move |edit| !goes_on(edit));
            edits.map(|edit| (*subject, edit.jail))
        });
        // Where there is no set yet, nothing has been counted.
        let has_set = |(subject, jail): &(Subject, JailId)| self.sets.name(Place::of(*jail, *subject)).is_some();
        knocks::before_if_told(socket, names, ending.filter(has_set))
    }
}

/// The changes, each with its place; of several for one host or network the last alone.
fn that_count(changes: &[Change]) -> impl Iterator<Item = (usize, &Change)> {
    let mut seen = HashSet::with_capacity_and_hasher(changes.len(), RandomState::new());
    let mut counts = vec![false; changes.len()];
    for (change, counts) in changes.iter().zip(&mut counts).rev() {
        *counts = seen.insert(change.subject);
    }
    let all = changes.iter().enumerate().zip(counts);
    all.filter_map(|(change, counts)| counts.then_some(change))
}

/// Adds messages that bring elements into their sets, which have been laid for them, as many as one has room for.
fn add_together<'a>(transaction: &mut Transaction, together: &Together, name: impl Fn(Place) -> Option<&'a CStr>) {
    for (place, elements) in together {
        let messages = name(*place).map(|set| NewElements::of(set, elements));
        for message in messages.into_iter().flatten() {
            transaction.add(TOGETHER, &message, MsgType::Add);
        }
    }
}

fn role(span: Span) -> Role {
    match span {
        Span::For(left) => Role::MemberFor(left),
        Span::Over | Span::Forever => Role::Member,
    }
}
