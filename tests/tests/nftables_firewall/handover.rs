//! From one agent to the next, and back to what is to be there when somebody has changed it.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use blocker::ban::{Change, Enforced, Expiry, JailId, Subject};
use blocker::firewall::nftables::{Hook, Nftables};
use blocker::firewall::{Firewall as _, Inherited};
use jiff::{SignedDuration, Timestamp};

use crate::namespace::{in_namespace, reaches, run};
use crate::{HOUR, MAIL, SUBMISSION, apply, ban, jails, open};

/// Bans as the next agent would enter them, in its jails' order.
fn changes(inherited: &[Inherited]) -> Vec<Change> {
    let jails = jails();
    let change = |inherited: &Inherited| {
        let jail = jails.iter().position(|jail| *jail.name == *inherited.jail)?;
        Some(Change {
            subject: inherited.subject,
            bans: vec![Enforced {
                jail: JailId(u16::try_from(jail).ok()?),
                until: inherited.until,
            }],
        })
    };
    inherited.iter().filter_map(change).collect()
}

#[test]
fn the_next_agent_takes_bans_ends_and_counts_over() -> Result<()> {
    in_namespace(|| {
        let forever = Change {
            subject: "198.51.100.0/24".parse()?,
            bans: vec![Enforced {
                jail: JailId(SUBMISSION),
                until: Expiry::Never,
            }],
        };
        let mut first = open(&jails())?;
        apply(
            &mut first,
            &[
                ban("192.0.2.7", &[(MAIL, HOUR)])?,
                ban("2001:db8:1:2::/64", &[(MAIL, HOUR)])?,
                forever,
            ],
        )?;
        assert!(!reaches("192.0.2.7", 25)?);
        let counted = first.counters()?;
        drop(first);

        let now = Timestamp::now();
        let mut next = Nftables::open(&jails(), Hook::Prerouting)?;
        let mut inherited = next.inherited(now)?;
        inherited.sort_by_key(|inherited| inherited.subject);
        let subjects: Vec<String> = inherited
            .iter()
            .map(|inherited| inherited.subject.to_string())
            .collect();
        assert_eq!(subjects, ["192.0.2.7", "198.51.100.0/24", "2001:db8:1:2::/64"]);
        assert_eq!(inherited[1].until, Expiry::Never);
        let Expiry::At(end) = inherited[0].until else {
            anyhow::bail!("the ban has lost its end");
        };
        let left = end.duration_since(now);
        ensure!(
            left > SignedDuration::from_secs(3590) && left <= SignedDuration::from_secs(3600),
            "{left}"
        );
        let all = changes(&inherited);
        ensure!(next.apply(&all, now).is_empty());
        assert!(
            !reaches("192.0.2.7", 25)?,
            "the former table is in force until the next is"
        );
        next.settle()?;
        assert!(!reaches("192.0.2.7", 25)?);
        let counts =
            |counted: &[blocker::firewall::Counted]| counted.iter().map(|counted| counted.packets).sum::<u64>();
        assert_eq!(counts(&next.counters()?), counts(&counted) + 2);
        assert_eq!(next.compare(&all, Timestamp::now())?, []);
        Ok(())
    })
}

#[test]
fn what_somebody_has_changed_is_found_and_mended() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let wanted = [
            ban("192.0.2.7", &[(MAIL, HOUR)])?,
            ban("192.0.2.8", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?,
            ban("2001:db8::/48", &[(MAIL, HOUR)])?,
        ];
        apply(&mut firewall, &wanted)?;
        firewall.allow(&["192.0.2.9/32".parse()?])?;
        assert_eq!(firewall.compare(&wanted, Timestamp::now())?, []);
        for (damage, differing) in [
            ("flush ruleset", 0),
            ("flush chain inet blocker prerouting", 0),
            ("flush set inet blocker jail-mail-ipv4", 2),
            ("delete element inet blocker jail-submission-ipv4 { 192.0.2.8 }", 1),
            ("add element inet blocker jail-mail-ipv4 { 203.0.113.1 }", 1),
            ("flush set inet blocker allowed-ipv4", 0),
        ] {
            run("nft", &[damage])?;
            let mending = firewall.compare(&wanted, Timestamp::now())?;
            assert_eq!(mending.len(), differing, "{damage}: {mending:?}");
            apply(&mut firewall, &mending)?;
            assert_eq!(firewall.compare(&wanted, Timestamp::now())?, [], "{damage}");
            assert!(!reaches("192.0.2.7", 25)? && !reaches("192.0.2.8", 587)?, "{damage}");
            assert!(reaches("192.0.2.9", 25)?, "{damage}");
        }
        Ok(())
    })
}

/// A hundred thousand bans of `mail`.
fn a_hundred_thousand(until: Expiry) -> Vec<Change> {
    let change = |n: u32| Change {
        subject: Subject::host(std::net::Ipv4Addr::from(0x0a00_0000 + n).into()),
        bans: vec![Enforced {
            jail: JailId(MAIL),
            until,
        }],
    };
    (0..100_000).map(change).collect()
}

#[test]
fn a_hundred_thousand_bans_are_taken_over() -> Result<()> {
    in_namespace(|| {
        let now = Timestamp::now();
        let mut first = open(&jails())?;
        apply(
            &mut first,
            &a_hundred_thousand(Expiry::At(now + SignedDuration::from_hours(1))),
        )?;
        drop(first);
        let begin = Instant::now();
        let mut next = Nftables::open(&jails(), Hook::Prerouting)?;
        let all = changes(&next.inherited(now)?);
        assert_eq!(all.len(), 100_000);
        ensure!(next.apply(&all, now).is_empty());
        next.settle()?;
        println!("100,000 bans taken over in {:?}", begin.elapsed());
        let differing = next.compare(&all, Timestamp::now())?;
        ensure!(differing.is_empty(), "{:?}", differing.first().context("one differs")?);
        Ok(())
    })
}

/// Without a second look, two rounds in five found up to 7,800 too few.
#[test]
fn none_is_passed_over_while_the_kernel_moves_bans_to_larger_tables() -> Result<()> {
    in_namespace(|| {
        let now = Timestamp::now();
        let bans = a_hundred_thousand(Expiry::At(now + SignedDuration::from_hours(1)));
        for round in 1..=6 {
            apply(&mut open(&jails())?, &bans)?;
            let inherited = Nftables::open(&jails(), Hook::Prerouting)?.inherited(now)?;
            assert_eq!(inherited.len(), bans.len(), "round {round}");
            Nftables::clear()?;
        }
        Ok(())
    })
}
