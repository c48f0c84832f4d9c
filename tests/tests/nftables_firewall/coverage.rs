//! Which packets a ban covers.

use anyhow::Result;
use blocker::firewall::{Firewall as _, Kind};

use crate::namespace::{delivers, elements, eventually, in_namespace, reaches};
use crate::packets::{Payload, passes};
use crate::{HOUR, MAIL, RESOLVER, SUBMISSION, apply, ban, jails, open};

#[test]
fn a_ban_covers_its_ports_and_its_address_and_no_more() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
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
        let mut firewall = open(&jails())?;
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
fn of_several_changes_for_one_host_the_last_counts() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let (banned, free) = (ban("192.0.2.7", &[(MAIL, HOUR)])?, ban("192.0.2.7", &[])?);
        apply(&mut firewall, &[banned.clone(), free.clone()])?;
        assert!(elements("jail-mail-ipv4")?.is_empty());
        apply(&mut firewall, &[banned.clone(), free, banned])?;
        assert_eq!(elements("jail-mail-ipv4")?.len(), 1);
        Ok(())
    })
}

#[test]
fn a_scope_of_udp_covers_udp_and_one_of_tcp_does_not() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        for address in ["192.0.2.7", "2001:db8::7"] {
            for port in [25, 53, 5002] {
                assert!(delivers(address, port)?, "{address} is not banned yet");
            }
            apply(&mut firewall, &[ban(address, &[(MAIL, HOUR), (RESOLVER, HOUR)])?])?;
            assert!(!delivers(address, 53)? && !delivers(address, 5002)?, "{address}");
            assert!(delivers(address, 25)? && delivers(address, 5003)?, "{address}");
            assert!(!reaches(address, 25)?, "{address}");
        }
        Ok(())
    })
}

#[test]
fn a_ban_of_a_subnet_covers_its_addresses_and_a_ban_of_a_host_in_it_is_another() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(&mut firewall, &[ban("2001:db8::/64", &[(MAIL, HOUR)])?])?;
        assert!(!reaches("2001:db8::7", 25)? && !reaches("2001:db8::8", 25)?);
        assert!(reaches("2001:db8:1::7", 25)?, "another subnet");
        assert!(reaches("2001:db8::7", 587)?, "another jail's port");
        assert_eq!(elements("jail-mail-ipv6-64")?.len(), 1);

        apply(&mut firewall, &[ban("2001:db8::7", &[(MAIL, HOUR)])?])?;
        apply(&mut firewall, &[ban("2001:db8::/64", &[])?])?;
        assert!(!reaches("2001:db8::7", 25)? && reaches("2001:db8::8", 25)?);
        Ok(())
    })
}

#[test]
fn networks_within_one_another_end_each_at_its_time() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        for (outer, inner, in_outer, in_inner) in [
            ("10.0.0.0/8", "10.1.0.0/16", "10.2.3.4", "10.1.2.3"),
            ("2001:db8::/32", "2001:db8:1::/48", "2001:db8::7", "2001:db8:1::7"),
        ] {
            // The outer one ends first.
            let bans = [ban(outer, &[(MAIL, 2000)])?, ban(inner, &[(MAIL, HOUR)])?];
            apply(&mut firewall, &bans)?;
            assert!(!reaches(in_outer, 25)? && !reaches(in_inner, 25)?, "{outer}");
            assert!(reaches(in_inner, 587)?, "{inner}: another jail's port");
            eventually(outer, || reaches(in_outer, 25))?;
            assert!(!reaches(in_inner, 25)?, "{inner} goes on");

            // The inner one ends first.
            let bans = [ban(inner, &[(MAIL, 100)])?, ban(outer, &[(MAIL, HOUR)])?];
            apply(&mut firewall, &bans)?;
            let set = format!("jail-mail-{}", if inner.contains(':') { "ipv6-48" } else { "ipv4-16" });
            eventually(inner, || Ok(elements(&set)?.is_empty()))?;
            assert!(!reaches(in_outer, 25)? && !reaches(in_inner, 25)?, "{outer} goes on");

            apply(&mut firewall, &[ban(outer, &[])?])?;
            assert!(reaches(in_outer, 25)? && reaches(in_inner, 25)?, "{outer} is free");
        }
        Ok(())
    })
}

#[test]
fn networks_of_every_length_are_banned() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        for (address, longest) in [("192.0.2.7", 32), ("2001:db8:1::7", 128)] {
            let networks = (0..=longest)
                .map(|prefix_len| format!("{address}/{prefix_len}"))
                .collect::<Vec<_>>();
            let bans = networks
                .iter()
                .map(|network| ban(network, &[(MAIL, HOUR)]))
                .collect::<Result<Vec<_>>>()?;
            apply(&mut firewall, &bans)?;
            // From the widest to the narrowest they are lifted, and the address is banned until the last is.
            for network in &networks {
                assert!(passes(address, &Payload::Tcp { port: 8080 })?, "{network}");
                assert!(!passes(address, &Payload::Tcp { port: 25 })?, "{network}");
                apply(&mut firewall, &[ban(network, &[])?])?;
            }
            assert!(reaches(address, 25)?);
        }
        Ok(())
    })
}

#[test]
fn later_fragments_are_dropped_when_the_jail_has_any_port_of_their_protocol() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let (tcp, udp) = (Payload::LaterTcp, Payload::LaterUdp);
        for (free, banned, network) in [
            ("192.0.2.7", "10.1.2.3", "10.1.0.0/16"),
            ("2001:db8::7", "2001:db8:1::7", "2001:db8:1::/64"),
        ] {
            assert!(
                passes(banned, &tcp)? && passes(banned, &udp)?,
                "{banned} is not banned yet"
            );
            apply(&mut firewall, &[ban(network, &[(MAIL, HOUR)])?])?;
            assert!(!passes(banned, &tcp)? && passes(banned, &udp)?, "{banned}");
            apply(&mut firewall, &[ban(network, &[(RESOLVER, HOUR)])?])?;
            assert!(passes(banned, &tcp)? && !passes(banned, &udp)?, "{banned}");
            assert!(passes(free, &tcp)? && passes(free, &udp)?, "{free}");
            assert!(passes(banned, &Payload::LaterIcmp)?, "a protocol without ports");
        }
        Ok(())
    })
}

#[test]
fn first_fragments_are_judged_by_their_port() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        for address in ["192.0.2.7", "2001:db8::7"] {
            assert!(
                passes(address, &Payload::FirstTcp { port: 25 })?,
                "{address} is not banned yet"
            );
            apply(&mut firewall, &[ban(address, &[(MAIL, HOUR)])?])?;
            assert!(!passes(address, &Payload::FirstTcp { port: 25 })?, "{address}");
            assert!(passes(address, &Payload::FirstTcp { port: 8080 })?, "{address}");
            assert!(!passes(address, &Payload::AtomicTcp { port: 25 })?, "{address}");
            assert!(passes(address, &Payload::AtomicTcp { port: 8080 })?, "{address}");
        }
        Ok(())
    })
}

#[test]
fn ports_are_found_behind_ipv6_s_extension_headers() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(&mut firewall, &[ban("2001:db8::7", &[(MAIL, HOUR)])?])?;
        assert!(!passes("2001:db8::7", &Payload::ExtendedTcp { port: 25 })?);
        assert!(passes("2001:db8::7", &Payload::ExtendedTcp { port: 8080 })?);
        assert!(passes("2001:db8::8", &Payload::ExtendedTcp { port: 25 })?);
        Ok(())
    })
}
