//! Who is never banned, whatever the origin of the ban.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::ban::Subject;

/// Networks that no ban may cover.
#[derive(Clone, Debug, Default)]
pub struct Allowlist(Vec<IpNet>);

impl Allowlist {
    /// The configured networks and the machine's own addresses.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>, own: impl IntoIterator<Item = IpAddr>) -> Self {
        let loopback = [
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
            IpNet::V6(Ipv6Addr::LOCALHOST.into()),
        ];
        let own = own.into_iter().map(IpNet::from);
        Self(networks.into_iter().chain(loopback).chain(own).collect())
    }

    /// Whether all of a host or network is on it. Of one that is only in part, the firewall drops the rest.
    #[must_use]
    pub fn covers(&self, subject: Subject) -> bool {
        self.0.iter().any(|network| network.contains(&subject.network()))
    }

    /// The networks on it.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.0
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
