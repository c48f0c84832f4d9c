//! Who still knocks: packets for each banned host and network, and when the latest came.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blocker::ban::Subject;
use blocker::firewall::nftables::{Hook, Nftables};
use blocker::firewall::{Firewall as _, Knocks};
use jiff::{SignedDuration, Timestamp};

use crate::namespace::{eventually, eventually_within, in_namespace, reaches, run};
use crate::{HOUR, MAIL, SUBMISSION, apply, ban, jails, open};

/// The knocks of one host or network.
fn knocks_of(firewall: &Nftables, subject: &str) -> Result<Knocks> {
    let found = firewall.knocks_of(&[subject.parse()?], Timestamp::now())?;
    let [knocks] = found.as_slice() else {
        anyhow::bail!("{subject}: {found:?}");
    };
    Ok(*knocks)
}

/// All knocks, in order.
fn all(firewall: &Nftables) -> Result<Vec<(String, u64)>> {
    let mut all = Vec::new();
    firewall.knocks(Timestamp::now(), &mut |knocks| all.push(knocks))?;
    all.sort_by_key(|knocks| knocks.subject);
    let text = |knocks: &Knocks| (knocks.subject.to_string(), knocks.packets);
    Ok(all.iter().map(text).collect())
}

/// Knocks at a port so many times, in vain. Each is one packet: the first repetition of it comes only after a second.
fn knock(address: &str, port: u16, times: usize) -> Result<()> {
    for _ in 0..times {
        ensure!(!reaches(address, port)?, "{address} is not banned");
    }
    Ok(())
}

fn is_near(time: Option<Timestamp>, to: Timestamp) -> bool {
    time.is_some_and(|time| time.duration_since(to).abs() < SignedDuration::from_secs(1))
}

#[test]
fn every_packet_that_a_ban_covers_is_counted_for_its_host_or_network() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(
            &mut firewall,
            &[
                ban("192.0.2.7", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?,
                ban("192.0.2.8", &[(MAIL, HOUR)])?,
                ban("10.1.0.0/16", &[(MAIL, HOUR)])?,
                ban("2001:db8:1::/64", &[(MAIL, HOUR)])?,
                ban("2001:db8::9", &[(MAIL, HOUR)])?,
            ],
        )?;
        knock("192.0.2.7", 25, 2)?;
        knock("192.0.2.7", 587, 1)?;
        ensure!(reaches("192.0.2.7", 8080)?, "no ban covers this port");
        knock("10.1.2.3", 25, 2)?;
        knock("2001:db8:1::7", 25, 1)?;
        let counted = |subject: &str, packets| (subject.to_owned(), packets);
        assert_eq!(
            all(&firewall)?,
            [
                counted("10.1.0.0/16", 2),
                counted("192.0.2.7", 3),
                counted("192.0.2.8", 0),
                counted("2001:db8::9", 0),
                counted("2001:db8:1::/64", 1),
            ]
        );
        let listing = run("nft", &["list", "set", "inet", "blocker", "jail-mail-ipv4-knocks"])?;
        ensure!(
            listing.contains("192.0.2.7 counter packets 2 bytes 120 expires 364d23h59m"),
            "nft counts the same: {listing}"
        );

        let nobody = ["192.0.2.9", "192.0.2.0/24"].map(|subject| subject.parse::<Subject>());
        let nobody = nobody.into_iter().collect::<Result<Vec<_>, _>>()?;
        assert_eq!(firewall.knocks_of(&nobody, Timestamp::now())?, []);
        Ok(())
    })
}

#[test]
fn a_host_that_is_asked_for_once_for_each_of_its_bans_is_counted_once() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?])?;
        knock("192.0.2.7", 25, 2)?;
        knock("192.0.2.7", 587, 1)?;
        let host: Subject = "192.0.2.7".parse()?;
        let found = firewall.knocks_of(&[host, host], Timestamp::now())?;
        let packets: Vec<u64> = found.iter().map(|knocks| knocks.packets).collect();
        assert_eq!(packets, [3]);
        Ok(())
    })
}

#[test]
fn the_latest_packet_s_time_is_known_and_none_where_none_came() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        assert_eq!(knocks_of(&firewall, "192.0.2.7")?.last, None);
        knock("192.0.2.7", 25, 1)?;
        // A refused connection waits a quarter of a second; the packet came before.
        let first = Timestamp::now();
        ensure!(is_near(knocks_of(&firewall, "192.0.2.7")?.last, first));
        let start = Instant::now();
        eventually("time passes", || Ok(start.elapsed() > Duration::from_millis(1500)))?;
        ensure!(
            is_near(knocks_of(&firewall, "192.0.2.7")?.last, first),
            "it stays where it was"
        );
        knock("192.0.2.7", 25, 1)?;
        let last = knocks_of(&firewall, "192.0.2.7")?.last;
        ensure!(is_near(last, Timestamp::now()), "{last:?}");
        Ok(())
    })
}

#[test]
fn a_ban_that_is_extended_or_shortened_counts_on_and_a_new_one_anew() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        knock("192.0.2.7", 25, 2)?;
        let before = knocks_of(&firewall, "192.0.2.7")?;
        for millis in [2 * HOUR, HOUR / 2] {
            apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, millis)])?])?;
            let after = knocks_of(&firewall, "192.0.2.7")?;
            assert_eq!(after.packets, 2);
            ensure!(is_near(after.last, before.last.context("a time")?), "{after:?}");
        }
        knock("192.0.2.7", 25, 1)?;
        assert_eq!(knocks_of(&firewall, "192.0.2.7")?.packets, 3);

        // Another jail's ban of the same host has its own beginning.
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?])?;
        knock("192.0.2.7", 587, 1)?;
        assert_eq!(knocks_of(&firewall, "192.0.2.7")?.packets, 4);

        apply(&mut firewall, &[ban("192.0.2.7", &[])?])?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        let anew = knocks_of(&firewall, "192.0.2.7")?;
        assert_eq!((anew.packets, anew.last), (0, None));
        Ok(())
    })
}

#[test]
fn a_ban_after_one_that_has_ended_counts_anew() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, 2000)])?])?;
        knock("192.0.2.7", 25, 2)?;
        eventually("the ban ends", || reaches("192.0.2.7", 25))?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        let anew = knocks_of(&firewall, "192.0.2.7")?;
        assert_eq!((anew.packets, anew.last), (0, None));
        Ok(())
    })
}

/// A ban is remembered for a minute after its end, and forgotten when there are so many that it is worth looking.
#[test]
fn what_was_counted_for_bans_that_have_been_forgotten_is_taken_out() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let both = ["10.1.2.3", "192.0.2.7"];
        for address in both {
            apply(&mut firewall, &[ban(address, &[(MAIL, 1000)])?])?;
            knock(address, 25, 1)?;
        }
        let many: Result<Vec<_>> = (0..1500)
            .map(|n| ban(&format!("10.2.{}.{}", n / 250, n % 250), &[(MAIL, 100)]))
            .collect();
        apply(&mut firewall, &many?)?;
        let begin = Instant::now();
        let minute = Duration::from_secs(62);
        eventually_within(minute * 2, "they are forgotten", || Ok(begin.elapsed() > minute))?;

        // The first of them in order are taken out with the next change, and so is what a host has left that is banned again.
        apply(&mut firewall, &[ban("192.0.2.9", &[(MAIL, HOUR)])?])?;
        let counted = run("nft", &["list", "set", "inet", "blocker", "jail-mail-ipv4-knocks"])?;
        ensure!(
            !counted.contains("10.1.2.3") && counted.contains("192.0.2.7"),
            "{counted}"
        );
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        let anew = knocks_of(&firewall, "192.0.2.7")?;
        assert_eq!((anew.packets, anew.last), (0, None));
        Ok(())
    })
}

#[test]
fn the_next_agent_s_bans_count_on() -> Result<()> {
    in_namespace(|| {
        let bans = [
            ban("192.0.2.7", &[(MAIL, HOUR)])?,
            ban("2001:db8:1::/64", &[(MAIL, HOUR)])?,
        ];
        let mut first = open(&jails())?;
        apply(&mut first, &bans)?;
        knock("192.0.2.7", 25, 2)?;
        knock("2001:db8:1::7", 25, 1)?;
        let before = knocks_of(&first, "192.0.2.7")?;
        drop(first);

        let mut next = Nftables::open(&jails(), Hook::Prerouting)?;
        apply(&mut next, &bans)?;
        // What comes before the next table is in force is counted too.
        knock("192.0.2.7", 25, 1)?;
        next.settle()?;
        let after = knocks_of(&next, "192.0.2.7")?;
        assert_eq!(after.packets, 3);
        ensure!(after.last > before.last, "{after:?}, {before:?}");
        assert_eq!(knocks_of(&next, "2001:db8:1::/64")?.packets, 1);

        // So it is when somebody takes out a rule, and the table is laid anew.
        run("nft", &["flush chain inet blocker prerouting"])?;
        assert_eq!(next.compare(&bans, Timestamp::now())?, []);
        knock("192.0.2.7", 25, 1)?;
        assert_eq!(knocks_of(&next, "192.0.2.7")?.packets, 4);
        Ok(())
    })
}
