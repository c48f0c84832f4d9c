//! The allowlist always wins.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blocker::firewall::Firewall as _;
use blocker::firewall::nftables::Nftables;

use crate::namespace::{counter, delivers, in_namespace, reaches};
use crate::packets::{Payload, passes};
use crate::{HOUR, MAIL, RESOLVER, apply, ban, jails, open};

fn allow(firewall: &mut Nftables, list: &[&str]) -> Result<()> {
    let networks = list
        .iter()
        .map(|network| network.parse())
        .collect::<Result<Vec<_>, _>>()?;
    firewall.allow(&networks)
}

#[test]
fn who_is_allowed_passes_whatever_ban_covers_him() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let everywhere = [(MAIL, HOUR), (RESOLVER, HOUR)];
        for banned in [
            "192.0.2.7",
            "192.0.2.0/24",
            "0.0.0.0/0",
            "2001:db8::7",
            "2001:db8::/64",
            "::/0",
        ] {
            apply(&mut firewall, &[ban(banned, &everywhere)?])?;
        }
        allow(&mut firewall, &["192.0.2.7/32", "2001:db8::7/128"])?;
        for (allowed, other) in [("192.0.2.7", "192.0.2.8"), ("2001:db8::7", "2001:db8::8")] {
            assert!(reaches(allowed, 25)? && delivers(allowed, 53)?, "{allowed}");
            assert!(passes(allowed, &Payload::LaterTcp)?, "{allowed}");
            assert!(!reaches(other, 25)? && !delivers(other, 53)?, "{other}");
            assert!(!passes(other, &Payload::LaterTcp)?, "{other}");
        }
        for counted in [
            "jail-mail-ipv4",
            "jail-mail-ipv6",
            "jail-resolver-ipv4",
            "jail-resolver-ipv6",
        ] {
            let (allowed, _) = counter(&format!("{counted}-allowed"))?;
            let (dropped, _) = counter(&format!("{counted}-dropped"))?;
            assert!(allowed > 0 && dropped > 0, "{counted}: {allowed}, {dropped}");
        }
        Ok(())
    })
}

#[test]
fn each_list_replaces_the_one_before_at_once() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let hosts = ["192.0.2.7", "192.0.2.8", "10.1.2.3", "2001:db8::7", "2001:db8:1::7"];
        let bans = hosts.map(|host| ban(host, &[(MAIL, HOUR)]));
        apply(&mut firewall, &bans.into_iter().collect::<Result<Vec<_>>>()?)?;
        // Lists that overlap themselves and each other.
        for (list, allowed) in [
            (vec![], [false; 5]),
            (vec!["192.0.2.7/32"], [true, false, false, false, false]),
            (
                vec!["192.0.2.0/24", "192.0.2.7/32", "192.0.2.8/32"],
                [true, true, false, false, false],
            ),
            (
                vec!["192.0.2.8/29", "10.0.0.0/8", "10.1.0.0/16"],
                [false, true, true, false, false],
            ),
            (vec!["10.1.2.2/32", "10.1.2.4/32"], [false; 5]),
            (
                vec!["0.0.0.0/0", "2001:db8::/48", "::1/128"],
                [true, true, true, true, false],
            ),
            (vec!["2001:db8::/32", "::/0"], [false, false, false, true, true]),
            (
                vec!["::ffff:192.0.2.7/128", "2001:db8:1::7/64"],
                [true, false, false, false, true],
            ),
            (
                vec!["192.0.2.7/32", "192.0.2.8/32", "255.255.255.255/32"],
                [true, true, false, false, false],
            ),
            (vec![], [false; 5]),
        ] {
            allow(&mut firewall, &list)?;
            for (host, allowed) in hosts.into_iter().zip(allowed) {
                assert_eq!(
                    passes(host, &Payload::Tcp { port: 25 })?,
                    allowed,
                    "{host} with {list:?}"
                );
            }
        }
        Ok(())
    })
}

#[test]
fn ten_thousand_networks_are_allowed_in_good_time() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        for (shift, what) in [(0, "allowed"), (512, "allowed in place of others")] {
            let network = |n: u32| format!("{}/24", Ipv4Addr::from((n << 14) + shift)).parse();
            let networks = (0..10_000).map(network).collect::<Result<Vec<_>, _>>()?;
            let start = Instant::now();
            firewall.allow(&networks)?;
            let took = start.elapsed();
            println!("10,000 networks {what}: {took:?}");
            ensure!(took < Duration::from_secs(10), "{took:?}");
        }
        Ok(())
    })
}
