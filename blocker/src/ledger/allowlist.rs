//! Who is never banned, whatever the origin of the ban.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::ban::{Networks, Subject};

/// What on the allowlist covers a host or network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covering {
    /// A network that is configured.
    Written(IpNet),
    /// It is the machine's own address.
    Own,
    /// A name or an SPF record.
    LookedUp,
    /// A loopback network, or several entries together.
    Together,
}

/// Networks that no ban may cover: those configured, the machine's own addresses, and what names and SPF records come to.
#[derive(Clone, Debug, Default)]
pub struct Allowlist {
    /// As they were written down.
    written: Vec<IpNet>,
    configured: Networks,
    own: Networks,
    looked_up: Networks,
    all: Networks,
}

impl Allowlist {
    /// The configured networks and the machine's own addresses.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>, own: impl IntoIterator<Item = IpAddr>) -> Self {
        let loopback = [
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
            IpNet::V6(Ipv6Addr::LOCALHOST.into()),
        ];
        let written: Vec<IpNet> = networks.into_iter().collect();
        let list = Self {
            configured: written.iter().copied().chain(loopback).collect(),
            written,
            ..Self::default()
        };
        list.with_own(own)
    }

    /// The same with these for the machine's own addresses.
    #[must_use]
    pub fn with_own(&self, own: impl IntoIterator<Item = IpAddr>) -> Self {
        let own = own.into_iter().map(IpNet::from).collect();
        self.joined(own, self.looked_up.clone())
    }

    /// The same with these for what names and SPF records come to.
    #[must_use]
    pub fn with_looked_up(&self, looked_up: impl IntoIterator<Item = IpNet>) -> Self {
        self.joined(self.own.clone(), looked_up.into_iter().collect())
    }

    fn joined(&self, own: Networks, looked_up: Networks) -> Self {
        let parts = [&self.configured, &own, &looked_up];
        let all = parts
            .into_iter()
            .flat_map(|part| part.as_slice().iter().copied())
            .collect();
        Self {
            written: self.written.clone(),
            configured: self.configured.clone(),
            own,
            looked_up,
            all,
        }
    }

    /// Whether all of a host or network is on it. Of one that is only in part, the firewall drops the rest.
    #[must_use]
    pub fn covers(&self, subject: Subject) -> bool {
        self.all.cover(subject)
    }

    /// What on it covers all of a host or network; `None` where nothing does.
    #[must_use]
    pub fn covered_by(&self, subject: Subject) -> Option<Covering> {
        if !self.covers(subject) {
            return None;
        }
        let network = subject.network();
        let written = self.written.iter().find(|entry| entry.contains(&network));
        Some(if let Some(entry) = written {
            Covering::Written(*entry)
        } else if self.own.cover(subject) {
            Covering::Own
        } else if self.looked_up.cover(subject) {
            Covering::LookedUp
        } else {
            // Loopback, or several entries, each with a part of it.
            Covering::Together
        })
    }

    /// The networks on it, as few as say it.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        self.all.as_slice()
    }
}

/// The addresses of this machine's interfaces, in the network namespace of the process.
///
/// # Errors
///
/// When the kernel does not list them.
pub fn own_addresses() -> nix::Result<Vec<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs()?;
    Ok(interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn subject(text: &str) -> Subject {
        text.parse().unwrap()
    }

    #[test]
    fn it_says_what_covers_a_host() {
        let list = Allowlist::new(
            networks(&["192.0.2.0/25", "192.0.2.128/25"]),
            ["198.51.100.1".parse().unwrap()],
        );
        let list = list.with_looked_up(networks(&["203.0.113.7/32"]));
        for (host, by) in [
            (
                "192.0.2.200",
                Some(Covering::Written("192.0.2.128/25".parse().unwrap())),
            ),
            ("192.0.2.0/24", Some(Covering::Together)),
            ("198.51.100.1", Some(Covering::Own)),
            ("203.0.113.7", Some(Covering::LookedUp)),
            ("127.0.0.1", Some(Covering::Together)),
            ("203.0.113.8", None),
        ] {
            assert_eq!(list.covered_by(subject(host)), by, "{host}");
        }
    }

    #[test]
    fn what_is_looked_up_comes_and_goes_and_the_rest_stays() {
        let list = Allowlist::new(networks(&["192.0.2.0/24"]), ["198.51.100.1".parse().unwrap()]);
        let more = list.with_looked_up(networks(&["203.0.113.7/32"]));
        assert!(more.covers(subject("203.0.113.7")) && !list.covers(subject("203.0.113.7")));
        let less = more.with_looked_up([]).with_own(["198.51.100.2".parse().unwrap()]);
        assert!(!less.covers(subject("203.0.113.7")) && !less.covers(subject("198.51.100.1")));
        for stays in ["192.0.2.9", "198.51.100.2", "127.0.0.2", "::1"] {
            assert!(less.covers(subject(stays)), "{stays}");
        }
    }
}
