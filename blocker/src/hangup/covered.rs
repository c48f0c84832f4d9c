//! Which connections the bans cover that have come together.
//!
//! Attackers choose how many bans and connections there are. So a connection costs one look-up for each length that the prefixes among the
//! banned networks have, however many of them there are, and the ports of jails only where its host is found.

use std::collections::HashMap;
use std::net::IpAddr;

use ahash::RandomState;
use ipnet::IpNet;

use crate::ban::{JailId, Networks, Ports, Scope, Subject};

/// Some of the jails, mostly one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Jails(Vec<JailId>);

impl FromIterator<JailId> for Jails {
    fn from_iter<T: IntoIterator<Item = JailId>>(jails: T) -> Self {
        Self(jails.into_iter().collect())
    }
}

/// The hosts and networks whose bans have come together, each with the jails that ban it.
pub(super) type Banned = HashMap<Subject, Jails, RandomState>;

/// TCP ports that each jail bans from, in the order of their identities.
#[derive(Debug)]
pub(super) struct Scopes(Vec<Ports>);

impl<'a> FromIterator<&'a Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = &'a Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().map(|scope| scope.tcp.clone()).collect())
    }
}

impl Scopes {
    /// Whether one of these jails bans from a port.
    fn meet(&self, Jails(jails): &Jails, port: u16) -> bool {
        let mut scopes = jails.iter().filter_map(|jail| self.0.get(usize::from(jail.0)));
        scopes.any(|ports| ports.iter().any(|range| range.contains(&port)))
    }
}

/// What is to be ended: everything that it takes to tell of a connection.
pub(super) struct Covered<'a> {
    scopes: &'a Scopes,
    banned: &'a Banned,
    spared: &'a Networks,
    /// How long the prefixes among the banned are, of each IP version.
    ipv4: Vec<u8>,
    ipv6: Vec<u8>,
}

impl<'a> Covered<'a> {
    pub(super) fn new(scopes: &'a Scopes, banned: &'a Banned, spared: &'a Networks) -> Self {
        let mut has_length = [[false; 256]; 2];
        for subject in banned.keys() {
            let network = subject.network();
            let family = usize::from(network.addr().is_ipv6());
            has_length[family][usize::from(network.prefix_len())] = true;
        }
        let [ipv4, ipv6] = has_length.map(|has_length| {
            let lengths = (0..=u8::MAX).zip(has_length);
            lengths
                .filter_map(|(length, is_there)| is_there.then_some(length))
                .collect()
        });
        Self {
            scopes,
            banned,
            spared,
            ipv4,
            ipv6,
        }
    }

    /// Whether the bans cover what comes in from this host to this port of ours.
    pub(super) fn cover(&self, host: IpAddr, port: u16) -> bool {
        // A socket that takes both versions has IPv4 in IPv6's clothes.
        let host = host.to_canonical();
        let lengths = if host.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        let is_banned = lengths.iter().any(|length| {
            let around = IpNet::new(host, *length).ok().map(Subject::from);
            let banned_by = around.and_then(|around| self.banned.get(&around));
            banned_by.is_some_and(|jails| self.scopes.meet(jails, port))
        });
        is_banned && !self.spared.cover(Subject::host(host))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A jail for mail, and one for logins and mail.
    fn scopes() -> Scopes {
        [
            Scope::tcp(vec![25..=25]),
            Scope {
                tcp: vec![25..=25, 587..=588],
                udp: vec![22..=22],
            },
        ]
        .iter()
        .collect()
    }

    fn banned(bans: &[(&str, &[u16])]) -> Banned {
        let ban = |(subject, by): &(&str, &[u16])| {
            let jails = by.iter().map(|jail| JailId(*jail)).collect();
            (subject.parse().unwrap(), jails)
        };
        bans.iter().map(ban).collect()
    }

    fn is_covered(banned: &Banned, spared: &[&str], host: &str, port: u16) -> bool {
        let spared = spared.iter().map(|text| text.parse::<IpNet>().unwrap()).collect();
        Covered::new(&scopes(), banned, &spared).cover(host.parse().unwrap(), port)
    }

    #[test]
    fn a_host_is_covered_on_the_ports_of_the_jails_that_banned_it() {
        let banned = banned(&[("192.0.2.7", &[0]), ("192.0.2.8", &[1]), ("192.0.2.9", &[0, 1])]);
        for (host, ports) in [
            ("192.0.2.7", &[25][..]),
            ("192.0.2.8", &[25, 587, 588]),
            ("192.0.2.9", &[25, 587, 588]),
            ("192.0.2.10", &[]),
            ("2001:db8::7", &[]),
        ] {
            for port in [0, 22, 24, 25, 26, 586, 587, 588, 589, 40_000] {
                assert_eq!(
                    is_covered(&banned, &[], host, port),
                    ports.contains(&port),
                    "{host} {port}"
                );
            }
        }
    }

    #[test]
    fn the_hosts_of_a_network_are_covered_and_no_others() {
        let banned = banned(&[
            ("2001:db8:0:bad::/64", &[0]),
            ("2001:db8:1::/48", &[0]),
            ("198.51.100.0/24", &[0]),
            ("198.51.100.7", &[1]),
        ]);
        for host in [
            "2001:db8:0:bad::7",
            "2001:db8:0:bad:ffff::",
            "2001:db8:1:9::1",
            "198.51.100.9",
        ] {
            assert!(is_covered(&banned, &[], host, 25), "{host}");
            assert!(!is_covered(&banned, &[], host, 587), "{host}");
        }
        assert!(
            is_covered(&banned, &[], "198.51.100.7", 587),
            "what each of its bans covers"
        );
        for host in ["2001:db8:0:bae::7", "2001:db8:2::1", "198.51.101.9", "::"] {
            assert!(!is_covered(&banned, &[], host, 25), "{host}");
        }
    }

    #[test]
    fn ipv4_in_ipv6s_clothes_is_ipv4() {
        let host = banned(&[("192.0.2.7", &[0])]);
        assert!(is_covered(&host, &[], "::ffff:192.0.2.7", 25));
        assert!(!is_covered(&host, &[], "::192.0.2.7", 25));
        assert!(!is_covered(&host, &["192.0.2.0/24"], "::ffff:192.0.2.7", 25));
        let everybody = banned(&[("::/0", &[0])]);
        assert!(!is_covered(&everybody, &[], "::ffff:192.0.2.7", 25));
    }

    #[test]
    fn whom_the_allowlist_names_within_a_banned_network_is_not_covered() {
        let banned = banned(&[("192.0.2.0/24", &[0]), ("2001:db8::/32", &[0])]);
        let spared = ["192.0.2.100/32", "2001:db8:0:1::/64"];
        for host in ["192.0.2.100", "2001:db8:0:1::9"] {
            assert!(!is_covered(&banned, &spared, host, 25), "{host}");
        }
        for host in ["192.0.2.101", "2001:db8:0:2::9"] {
            assert!(is_covered(&banned, &spared, host, 25), "{host}");
        }
    }

    #[test]
    fn of_very_many_bans_and_connections_each_is_told() {
        let host = |n: u32| IpAddr::from(Ipv4Addr::from_bits(n.wrapping_mul(2)));
        let jails: Jails = [JailId(0)].into_iter().collect();
        let hosts = (0..50_000).map(|n| (Subject::host(host(n)), jails.clone()));
        let banned: Banned = hosts.collect();
        let (scopes, spared) = (scopes(), Networks::default());
        let covered = Covered::new(&scopes, &banned, &spared);
        let ended = (45_000..55_000).filter(|n| covered.cover(host(*n), 25)).count();
        assert_eq!(ended, 5_000);
    }
}
