//! The nftables firewall in a real kernel: what it holds is read back with `nft`, what it drops is tried with
//! connections.
//!
//! Each test has a network namespace of its own; the machine's own ruleset is not touched.

#[path = "nftables_firewall/namespace.rs"]
mod namespace;

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use blocker::ban::{Change, Enforced, Expiry, JailId, Protocol, Scope};
use blocker::firewall::nftables::Nftables;
use blocker::firewall::{Drops, Firewall as _, JailScope, Kind};
use blocker_common::packet::Family;
use jiff::{Timestamp, ToSpan as _};
use namespace::{counter, elements, eventually, in_namespace, reaches, run, tables};

const MAIL: u16 = 0;
const SUBMISSION: u16 = 1;

/// `mail` covers port 25, `submission` ports 465 and 580 to 590.
fn jails() -> Vec<JailScope> {
    let jail = |name: &str, ports| JailScope {
        name: name.to_owned(),
        scope: Scope {
            protocol: Protocol::Tcp,
            ports,
        },
    };
    vec![
        jail("mail", vec![25..=25]),
        jail("submission", vec![465..=465, 580..=590]),
    ]
}

/// From now on the address is banned in these jails, for so many milliseconds.
fn ban(address: &str, bans: &[(u16, i64)]) -> Result<Change> {
    let until = |millis: i64| Timestamp::now().checked_add(millis.milliseconds()).map(Expiry::At);
    let enforced = |&(jail, millis): &(u16, i64)| {
        Ok(Enforced {
            jail: JailId(jail),
            until: until(millis)?,
        })
    };
    Ok(Change {
        address: address.parse()?,
        bans: bans.iter().map(enforced).collect::<Result<_>>()?,
    })
}

fn apply(firewall: &mut Nftables, changes: &[Change]) -> Result<()> {
    let rejected = firewall.apply(changes, Timestamp::now());
    ensure!(rejected.is_empty(), "{rejected:?}");
    Ok(())
}

const HOUR: i64 = 3_600_000;

#[test]
fn a_ban_covers_its_ports_and_its_address_and_no_more() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        assert_eq!(
            (firewall.kind(), firewall.place().as_str()),
            (Kind::Nftables, "table inet blocker")
        );
        for (banned, other) in [("192.0.2.7", "192.0.2.8"), ("2001:db8::7", "2001:db8::8")] {
            assert!(reaches(banned, 25)?, "{banned} is not banned yet");
            apply(&mut firewall, &[ban(banned, &[(MAIL, HOUR)])?])?;
            assert!(!reaches(banned, 25)?, "{banned} is banned");
            assert!(reaches(banned, 587)?, "another jail's port");
            assert!(reaches(banned, 8080)?, "no jail's port");
            assert!(reaches(other, 25)?, "{other} is not banned");

            apply(&mut firewall, &[ban(banned, &[])?])?;
            assert!(reaches(banned, 25)?, "{banned} is free again");
            apply(&mut firewall, &[ban(banned, &[(SUBMISSION, HOUR)])?])?;
            assert!(!reaches(banned, 587)?, "a port within a range");
            assert!(reaches(banned, 25)?, "another jail's port");
        }
        Ok(())
    })
}

#[test]
fn two_jails_may_hold_one_address() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?])?;
        assert!(!reaches("192.0.2.7", 25)? && !reaches("192.0.2.7", 587)? && reaches("192.0.2.7", 8080)?);
        apply(&mut firewall, &[ban("192.0.2.7", &[(SUBMISSION, HOUR)])?])?;
        assert!(reaches("192.0.2.7", 25)? && !reaches("192.0.2.7", 587)?);
        apply(&mut firewall, &[ban("192.0.2.7", &[])?])?;
        assert!(reaches("192.0.2.7", 587)?);
        Ok(())
    })
}

#[test]
fn drops_are_what_nft_counts() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        let changes = [
            ban("192.0.2.7", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?,
            ban("2001:db8::7", &[(MAIL, HOUR)])?,
        ];
        apply(&mut firewall, &changes)?;
        for (address, port) in [
            ("192.0.2.7", 25),
            ("192.0.2.7", 587),
            ("192.0.2.7", 587),
            ("2001:db8::7", 25),
        ] {
            assert!(!reaches(address, port)?);
        }
        let drops = firewall.drops()?;
        let names = [
            "jail-mail-ipv4",
            "jail-mail-ipv6",
            "jail-submission-ipv4",
            "jail-submission-ipv6",
        ];
        assert_eq!(drops.len(), names.len());
        for ((drop, name), n) in drops.iter().zip(names).zip(0..) {
            let (packets, bytes) = counter(name)?;
            let family = if n % 2 == 0 { Family::Ipv4 } else { Family::Ipv6 };
            assert_eq!(
                *drop,
                Drops {
                    jail: JailId(n / 2),
                    family,
                    packets,
                    bytes
                }
            );
        }
        assert_eq!(drops.iter().map(|drop| drop.packets).collect::<Vec<_>>(), [1, 1, 2, 0]);
        assert_eq!(
            drops.iter().map(|drop| drop.bytes).collect::<Vec<_>>(),
            [60, 80, 120, 0]
        );
        Ok(())
    })
}

#[test]
fn the_kernel_ends_a_ban_by_itself_and_an_extended_one_later() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        let short = ["192.0.2.7", "192.0.2.8"].map(|address| ban(address, &[(MAIL, 1000)]));
        apply(&mut firewall, &short.into_iter().collect::<Result<Vec<_>>>()?)?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        assert!(!reaches("192.0.2.7", 25)? && !reaches("192.0.2.8", 25)?);
        eventually("the short ban ends", || reaches("192.0.2.8", 25))?;
        assert!(!reaches("192.0.2.7", 25)?, "the extended ban goes on");

        // What has expired can be lifted and banned again.
        apply(&mut firewall, &[ban("192.0.2.8", &[])?])?;
        apply(&mut firewall, &[ban("192.0.2.8", &[(MAIL, HOUR)])?])?;
        assert!(!reaches("192.0.2.8", 25)?);
        Ok(())
    })
}

#[test]
fn a_shorter_ban_replaces_a_longer_one_and_an_end_one_without() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        let never = vec![Enforced {
            jail: JailId(MAIL),
            until: Expiry::Never,
        }];
        let forever = Change {
            address: "192.0.2.8".parse()?,
            bans: never,
        };
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?, forever.clone()])?;
        let mut held = elements("jail-mail-ipv4")?;
        held.sort();
        let (address, timeout) = &held[0];
        assert_eq!(address, "192.0.2.7");
        let (_, left) = timeout.context("a timeout")?;
        assert!((3590..=3600).contains(&left), "{left}");
        assert_eq!(held[1], ("192.0.2.8".to_owned(), None));

        apply(
            &mut firewall,
            &[ban("192.0.2.7", &[(MAIL, 500)])?, ban("192.0.2.8", &[(MAIL, 500)])?],
        )?;
        eventually("both bans end", || Ok(elements("jail-mail-ipv4")?.is_empty()))?;

        apply(&mut firewall, &[ban("192.0.2.8", &[(MAIL, HOUR)])?])?;
        apply(&mut firewall, &[forever])?;
        assert_eq!(elements("jail-mail-ipv4")?, [("192.0.2.8".to_owned(), None)]);
        Ok(())
    })
}

#[test]
fn a_ban_whose_end_is_past_is_not_held() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        apply(
            &mut firewall,
            &[ban("192.0.2.7", &[(MAIL, -1)])?, ban("192.0.2.8", &[(MAIL, HOUR)])?],
        )?;
        assert_eq!(elements("jail-mail-ipv4")?.len(), 1);
        apply(&mut firewall, &[ban("192.0.2.8", &[(MAIL, 0)])?])?;
        assert!(elements("jail-mail-ipv4")?.is_empty());
        assert!(reaches("192.0.2.7", 25)? && reaches("192.0.2.8", 25)?);
        Ok(())
    })
}

#[test]
fn the_nearest_and_the_farthest_end_are_kept() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        let now = Timestamp::now();
        let until = |address: &str, end| -> Result<Change> {
            let bans = vec![Enforced {
                jail: JailId(MAIL),
                until: Expiry::At(end),
            }];
            Ok(Change {
                address: address.parse()?,
                bans,
            })
        };
        let nearest = until("192.0.2.7", now.checked_add(1.nanosecond())?)?;
        let rejected = firewall.apply(&[nearest, until("192.0.2.8", Timestamp::MAX)?], now);
        assert!(rejected.is_empty(), "{rejected:?}");
        eventually("the nearest end", || reaches("192.0.2.7", 25))?;
        assert!(!reaches("192.0.2.8", 25)?);
        Ok(())
    })
}

#[test]
fn changes_of_one_address_take_effect_in_their_order() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        let (banned, free) = (ban("192.0.2.7", &[(MAIL, HOUR)])?, ban("192.0.2.7", &[])?);
        apply(&mut firewall, &[banned.clone(), free.clone()])?;
        assert!(elements("jail-mail-ipv4")?.is_empty());
        apply(&mut firewall, &[banned.clone(), free, banned])?;
        assert_eq!(elements("jail-mail-ipv4")?.len(), 1);
        Ok(())
    })
}

#[test]
fn opening_replaces_a_stale_table_and_dropping_leaves_none() -> Result<()> {
    in_namespace(|| {
        run(
            "nft",
            &["add table inet blocker; add set inet blocker old { type ipv4_addr; }; add table inet other"],
        )?;
        let mut killed = Nftables::open(&jails())?;
        apply(&mut killed, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        std::mem::forget(killed);
        assert!(!reaches("192.0.2.7", 25)?);

        let firewall = Nftables::open(&jails()[..1])?;
        assert!(elements("jail-mail-ipv4")?.is_empty());
        assert!(elements("old").is_err() && elements("jail-submission-ipv4").is_err());
        assert!(reaches("192.0.2.7", 25)?);
        assert_eq!(firewall.drops()?.len(), 2);
        drop(firewall);
        assert_eq!(tables()?, ["table inet other"]);
        Ok(())
    })
}

#[test]
fn a_table_that_somebody_removed_is_laid_and_filled_again() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        apply(
            &mut firewall,
            &[
                ban("192.0.2.7", &[(MAIL, HOUR)])?,
                ban("2001:db8::7", &[(SUBMISSION, HOUR)])?,
            ],
        )?;
        run("nft", &["flush", "ruleset"])?;
        assert!(reaches("192.0.2.7", 25)?);
        let error = firewall.drops().err().context("no counters, no counts")?;
        assert!(format!("{error:#}").contains("jail-mail-ipv4"), "{error:#}");

        apply(&mut firewall, &[ban("192.0.2.8", &[(MAIL, HOUR)])?])?;
        assert!(!reaches("192.0.2.7", 25)? && !reaches("192.0.2.8", 25)? && !reaches("2001:db8::7", 587)?);
        let (_, timeout) = elements("jail-submission-ipv6")?.pop().context("an element")?;
        assert!(timeout.is_some_and(|(_, left)| left > 3500), "{timeout:?}");
        run("nft", &["flush", "ruleset"])?;
        drop(firewall);
        assert!(tables()?.is_empty());
        Ok(())
    })
}

#[test]
fn what_the_kernel_refuses_does_not_take_the_rest_down() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        // Somebody takes a set away.
        run(
            "nft",
            &["flush chain inet blocker prerouting; delete set inet blocker jail-submission-ipv4"],
        )?;
        let changes = [
            ban("192.0.2.1", &[(MAIL, HOUR)])?,
            ban("192.0.2.2", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?,
            ban("192.0.2.3", &[(MAIL, HOUR)])?,
            ban("192.0.2.4", &[(9, HOUR)])?,
            ban("192.0.2.5", &[(SUBMISSION, HOUR)])?,
            ban("2001:db8::1", &[(SUBMISSION, HOUR)])?,
        ];
        let rejected = firewall.apply(&changes, Timestamp::now());
        assert_eq!(
            rejected.iter().map(|rejected| rejected.change).collect::<Vec<_>>(),
            [1, 3, 4]
        );
        let errors = rejected
            .iter()
            .map(|rejected| rejected.error.to_string())
            .collect::<Vec<_>>();
        assert_eq!(
            errors[0],
            "nftables: the kernel refused 192.0.2.2: ENOENT: No such file or directory"
        );
        assert_eq!(errors[1], "nftables: 192.0.2.4 is banned by jail 9, which there is not");
        let mut held = elements("jail-mail-ipv4")?
            .into_iter()
            .map(|(address, _)| address)
            .collect::<Vec<_>>();
        held.sort();
        assert_eq!(held, ["192.0.2.1", "192.0.2.3"]);
        assert_eq!(elements("jail-submission-ipv6")?.len(), 1);
        Ok(())
    })
}

#[test]
fn a_hundred_thousand_changes_at_once() -> Result<()> {
    in_namespace(|| {
        let mut firewall = Nftables::open(&jails())?;
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
        let address = |n| Ipv4Addr::from(base + n).to_string();
        let mut changes = (0..100_000)
            .map(|n| ban(&address(n), &[(MAIL, HOUR)]))
            .collect::<Result<Vec<_>>>()?;
        for what in ["banned", "banned again"] {
            let start = Instant::now();
            apply(&mut firewall, &changes)?;
            println!("100,000 addresses {what}: {:?}", start.elapsed());
        }
        assert_eq!(elements("jail-mail-ipv4")?.len(), 100_000);

        // A refusal in the midst of many costs little.
        changes[50_000].bans.push(Enforced {
            jail: JailId(SUBMISSION),
            until: Expiry::Never,
        });
        run(
            "nft",
            &["flush chain inet blocker prerouting; delete set inet blocker jail-submission-ipv4"],
        )?;
        let start = Instant::now();
        let rejected = firewall.apply(&changes, Timestamp::now());
        println!(
            "100,000 addresses banned again, one of them refused: {:?}",
            start.elapsed()
        );
        assert_eq!(
            rejected.iter().map(|rejected| rejected.change).collect::<Vec<_>>(),
            [50_000]
        );

        changes.iter_mut().for_each(|change| change.bans.clear());
        let start = Instant::now();
        apply(&mut firewall, &changes)?;
        println!("100,000 addresses lifted: {:?}", start.elapsed());
        assert!(elements("jail-mail-ipv4")?.is_empty());
        Ok(())
    })
}

#[test]
fn every_jail_s_name_makes_a_listing_that_nft_reads() -> Result<()> {
    in_namespace(|| {
        let long = "x".repeat(64);
        let names = ["25", "drop", "-", "_", "0x1", "1h", "Postfix-SASL_2", &long];
        let scope = Scope {
            protocol: Protocol::Tcp,
            ports: vec![1..=1, 25..=26, 65535..=65535],
        };
        let jails = names.map(|name| JailScope {
            name: name.to_owned(),
            scope: scope.clone(),
        });
        let mut firewall = Nftables::open(&jails)?;
        let bans = (0..).zip(&names).map(|(n, _)| (n, HOUR)).collect::<Vec<_>>();
        apply(&mut firewall, &[ban("192.0.2.7", &bans)?, ban("2001:db8::7", &bans)?])?;
        let listing = run("nft", &["list", "table", "inet", "blocker"])?;
        drop(firewall);

        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &listing)?;
        run("nft", &["-f", file.path().to_str().context("a path")?])?;
        let again = run("nft", &["list", "table", "inet", "blocker"])?;
        // The ends go on; all else is the same.
        let lines = |listing: &str| {
            listing
                .lines()
                .filter(|line| !line.contains("expires"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(lines(&listing), lines(&again));
        assert!(!reaches("192.0.2.7", 25)?, "the rules work as nft reads them");
        Ok(())
    })
}

#[test]
fn without_the_capability_the_error_says_what_to_do() -> Result<()> {
    const NAME: &str = "without_the_capability_the_error_says_what_to_do";
    if std::env::var_os(NAME).is_some() {
        let error = Nftables::open(&jails()).err().context("opened without CAP_NET_ADMIN")?;
        ensure!(
            error
                .to_string()
                .starts_with("nftables needs CAP_NET_ADMIN: run as root"),
            "{error:#}"
        );
        return Ok(());
    }
    in_namespace(|| {
        let output = Command::new("setpriv")
            .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"])
            .arg(std::env::current_exe()?)
            .args(["--exact", NAME])
            .env(NAME, "1")
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success() && said.contains("1 passed"), "{said}");
        Ok(())
    })
}
