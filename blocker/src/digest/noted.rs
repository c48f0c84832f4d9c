//! What has happened between two looks at the agent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Loud;
use crate::api::control::Control;
use crate::api::health;
use crate::api::model::{Interface, Status};
use crate::ban::JailId;
use crate::config::FirewallChoice;

/// Jails, interfaces and problems that a digest names of each.
const MOST: usize = 50;

/// What was counted and what was the case at one look.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    time: Timestamp,
    /// Also of jails that a reload has taken away: their counters go on where they come back.
    jails: BTreeMap<String, Counted>,
    dropped_packets: u64,
    status: Status,
    fallback: bool,
    problems: Vec<String>,
    /// Digests since then that did not arrive.
    pub(super) undelivered: u32,
}

/// What is counted of a jail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    failures: u64,
    bans: u64,
    held_back: u64,
}

/// What has happened since the last digest, and how the agent is. docs/notifications.md describes it as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Digest {
    /// The relay's name.
    pub host: String,
    /// blocker's version.
    pub version: String,
    /// From when it tells.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Bans made.
    pub bans: u64,
    /// Bans that the brake held back.
    pub held_back: u64,
    /// Packets of banned hosts that were dropped.
    pub dropped_packets: u64,
    /// The jails that have found anything, the one with the most bans first.
    pub jails: Vec<JailDigest>,
    /// How many jails more there are, whose numbers are in the sums alone.
    pub jails_left_out: usize,
    /// Bans in force now.
    pub in_force: u64,
    /// Banned hosts and networks that send the most.
    pub loudest: Vec<Loud>,
    /// Whether the brake holds now.
    pub brake_engaged: bool,
    /// Whether that was otherwise at the last digest.
    pub brake_changed: bool,
    /// What enforces bans.
    pub firewall: String,
    /// Whether that is not what was to be had first.
    pub fallback: bool,
    /// How interfaces are covered.
    pub interfaces: Vec<Interface>,
    /// How much of what is banned the kernel enforces, from 0 to 1.
    pub enforced_ratio: f64,
    /// Whether nothing is dropped.
    pub dry_run: bool,
    /// What is wrong now, as `blocker status` says it.
    pub problems: Vec<String>,
    /// Digests before this one that did not arrive; what they had is in this one.
    pub undelivered: u32,
}

/// What has happened in a jail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JailDigest {
    /// Its name.
    pub jail: String,
    /// Failures that its filter found.
    pub failures: u64,
    /// Bans made, also those that somebody has asked for.
    pub bans: u64,
    /// Bans that the brake held back.
    pub held_back: u64,
}

impl Noted {
    /// Where the first digest begins: now, and with nothing wrong, so that it tells whatever is.
    pub(super) fn first(control: &Control) -> Self {
        let mut noted = Self::of(control, FirewallChoice::Auto, BTreeMap::new());
        noted.status.brake_engaged = false;
        noted.fallback = false;
        noted.problems.clear();
        noted
    }

    /// What is the case now.
    pub(super) fn now(control: &Control, firewall: FirewallChoice, before: &Self) -> Self {
        Self::of(control, firewall, before.jails.clone())
    }

    fn of(control: &Control, firewall: FirewallChoice, mut jails: BTreeMap<String, Counted>) -> Self {
        let status = control.status();
        for (id, jail) in (0..).map(JailId).zip(&status.jails) {
            let metrics = control.metrics.jail(id);
            let counted = Counted {
                failures: jail.failures,
                bans: jail.bans_made,
                held_back: metrics.map_or(0, |jail| jail.held_back.get()),
            };
            jails.insert(jail.name.clone(), counted);
        }
        Self {
            time: Timestamp::now(),
            jails,
            dropped_packets: status.dropped_packets,
            fallback: firewall == FirewallChoice::Auto && status.firewall != "xdp",
            problems: health::problems(&status),
            status,
            undelivered: 0,
        }
    }

    /// What is wrong, but for numbers, which are others each time.
    fn kinds_of_problems(&self) -> Vec<String> {
        let without = |problem: &String| problem.replace(|char: char| char.is_ascii_digit(), "");
        self.problems.iter().map(without).collect()
    }
}

impl Digest {
    /// What has happened between two looks; nothing where nothing has.
    pub(super) fn between(before: &Noted, now: &Noted) -> Option<Self> {
        let mut jails: Vec<JailDigest> = Vec::new();
        for (jail, after) in &now.jails {
            let before = before.jails.get(jail).copied().unwrap_or_default();
            let one = JailDigest {
                jail: jail.clone(),
                failures: after.failures.saturating_sub(before.failures),
                bans: after.bans.saturating_sub(before.bans),
                held_back: after.held_back.saturating_sub(before.held_back),
            };
            if one.failures + one.bans + one.held_back > 0 {
                jails.push(one);
            }
        }
        let bans = jails.iter().map(|jail| jail.bans).sum();
        let held_back = jails.iter().map(|jail| jail.held_back).sum();
        let brake_engaged = now.status.brake_engaged;
        let brake_changed = brake_engaged != before.status.brake_engaged;
        let has_happened = bans > 0
            || held_back > 0
            || brake_changed
            || now.fallback != before.fallback
            || now.kinds_of_problems() != before.kinds_of_problems();
        if !has_happened {
            return None;
        }
        jails.sort_by_key(|jail| std::cmp::Reverse((jail.bans, jail.held_back, jail.failures)));
        let jails_left_out = jails.len().saturating_sub(MOST);
        jails.truncate(MOST);
        let status = &now.status;
        Some(Self {
            host: host_name(),
            version: status.version.clone(),
            from: before.time,
            until: now.time,
            bans,
            held_back,
            dropped_packets: now.dropped_packets.saturating_sub(before.dropped_packets),
            jails,
            jails_left_out,
            in_force: status.bans,
            loudest: Vec::new(),
            brake_engaged,
            brake_changed,
            firewall: status.firewall.clone(),
            fallback: now.fallback,
            interfaces: status.interfaces.iter().take(MOST).cloned().collect(),
            enforced_ratio: status.enforced_ratio,
            dry_run: status.dry_run,
            problems: now.problems.iter().take(MOST).cloned().collect(),
            undelivered: before.undelivered,
        })
    }
}

/// The relay's name, in letters that a header of a mail can hold.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_plain = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-');
    let name: String = name.chars().filter(is_plain).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::api::model::samples;

    /// What was noted of a relay on which `spam` has counted so.
    fn noted(failures: u64, bans: u64, held_back: u64) -> Noted {
        Noted {
            time: Timestamp::UNIX_EPOCH,
            jails: [(
                "spam".to_owned(),
                Counted {
                    failures,
                    bans,
                    held_back,
                },
            )]
            .into(),
            dropped_packets: 10 * bans,
            status: samples::status([]),
            fallback: false,
            problems: Vec::new(),
            undelivered: 0,
        }
    }

    /// A digest of thousands of bans.
    pub(in crate::digest) fn digest() -> Digest {
        let mut before = noted(10, 4, 0);
        before.undelivered = 1;
        let mut now = noted(12_010, 3004, 0);
        now.time = before.time + jiff::SignedDuration::from_hours(1);
        let mut digest = Digest::between(&before, &now).unwrap();
        digest.host = "relay.example".to_owned();
        digest
    }

    #[test]
    fn a_digest_has_what_was_counted_since_the_last_one() {
        let digest = digest();
        let spam = JailDigest {
            jail: "spam".to_owned(),
            failures: 12_000,
            bans: 3000,
            held_back: 0,
        };
        assert_eq!(
            (digest.bans, digest.dropped_packets, digest.undelivered),
            (3000, 30_000, 1)
        );
        assert_eq!(digest.jails, [spam]);
    }

    #[test]
    fn nothing_is_told_where_nothing_has_happened_and_failures_alone_are_nothing() {
        let before = noted(10, 4, 0);
        assert!(Digest::between(&before, &before).is_none());
        assert!(Digest::between(&before, &noted(20, 4, 0)).is_none());
        assert!(Digest::between(&before, &noted(20, 4, 1)).is_some());
    }

    #[test]
    fn what_goes_wrong_or_well_is_told_once_and_not_again_for_another_number() {
        let well = noted(0, 0, 0);
        let late = |seconds: u32| {
            let mut noted = noted(0, 0, 0);
            noted.problems = vec![format!("mail.log is read {seconds} s late, or cannot be read")];
            noted
        };
        assert!(Digest::between(&well, &late(61)).is_some());
        assert!(Digest::between(&late(61), &late(3661)).is_none());
        assert!(Digest::between(&late(61), &well).is_some());
        let mut fallback = noted(0, 0, 0);
        fallback.fallback = true;
        assert!(Digest::between(&well, &fallback).is_some_and(|digest| digest.fallback));
        let mut braked = noted(0, 0, 0);
        braked.status.brake_engaged = !braked.status.brake_engaged;
        assert!(Digest::between(&well, &braked).is_some_and(|digest| digest.brake_changed));
    }

    #[test]
    fn counters_of_many_jails_are_summed_and_the_table_is_bounded() {
        let mut now = noted(0, 1, 0);
        for n in 0..200 {
            let counted = Counted {
                bans: 2,
                ..Counted::default()
            };
            now.jails.insert(format!("jail-{n}"), counted);
        }
        let digest = Digest::between(&noted(0, 0, 0), &now).unwrap();
        assert_eq!((digest.bans, digest.jails.len(), digest.jails_left_out), (401, 50, 151));
    }
}
