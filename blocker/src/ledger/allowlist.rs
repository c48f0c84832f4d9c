//! Who is never banned, whatever the origin of the ban.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::ban::{Networks, Subject};

/// Networks that no ban may cover: those configured, the machine's own addresses, and what names and SPF records come to.
#[derive(Clone, Debug, Default)]
pub struct Allowlist {
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
        let list = Self {
            configured: networks.into_iter().chain(loopback).collect(),
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
